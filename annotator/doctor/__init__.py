"""What works here and what does not, each fault with the line that fixes it."""

from __future__ import annotations

from pathlib import Path

from annotator.doctor.finding import Finding
from annotator.doctor.machine import check_machine
from annotator.doctor.project import check_project

__all__ = ["Finding", "format_findings", "examine_setup"]


def examine_setup(folder: Path | None = None) -> list[Finding]:
    """Look at everything; at a project, too, where one is given."""
    return [*check_machine(), *(check_project(folder) if folder is not None else ())]


def format_findings(findings: list[Finding]) -> str:
    """A line for each finding, and below a fault the line that fixes it."""
    lines = []
    for finding in findings:
        mark = "ok  " if finding.ok else "STOP" if finding.blocks else "note"
        lines.append(f"{mark}  {finding.name}: {finding.detail}")
        lines += [f"      fix: {line}" for line in finding.fix.splitlines()]
    return "\n".join(lines)
