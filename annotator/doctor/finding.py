"""The result of one check of `annotator doctor`, shared by all checks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check, with the exact command that fixes the problem if there is one."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    blocks: bool = False
    """True if labelling is impossible until the problem is fixed."""
    question: str = ""
    """The question to the terminal, its answer, and what follows; empty for other checks."""
    answer: str = ""
    conclusion: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as `annotator doctor --json` prints it."""
        return asdict(self)


def format_findings(findings: list[Finding]) -> str:
    """Return a line for each finding, and below a problem its fix."""
    lines = []
    for finding in findings:
        mark = "ok  " if finding.ok else "STOP" if finding.blocks else "note"
        lines.append(f"{mark}  {finding.name}: {finding.detail}")
        lines += [f"      fix: {line}" for line in finding.fix.splitlines()]
    return "\n".join(lines)
