"""The checks of the setup and of a project, each problem with the command that fixes it."""

from __future__ import annotations

from pathlib import Path

from annotator.doctor.finding import Finding, format_findings
from annotator.doctor.machine import check_machine
from annotator.doctor.project import check_project

__all__ = ["Finding", "format_findings", "examine_setup"]


def examine_setup(folder: Path | None = None) -> list[Finding]:
    """Check the machine, and the project in `folder` if one is given."""
    return [*check_machine(), *(check_project(folder) if folder is not None else ())]
