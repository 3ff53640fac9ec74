"""One thing that `doctor` looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, and the exact line that mends it where something is amiss."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    blocks: bool = False
    """Whether nothing can be labelled until it is mended."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
