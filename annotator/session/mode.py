"""The kind of a session: plain labelling, an audit, a check, second opinions, finer labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from annotator.log.entries import LogState

CHECK = "check"
"""The `picked_by` of the items of a check."""


class AskedSample(Protocol):
    """A uniform sample of the pool that a session asks in its order: a check."""

    @property
    def refs(self) -> Sequence[str]:
        """The refs to ask, in the order of their draws."""

    def count_open(self, state: LogState) -> int:
        """Return the number of items that the next one is drawn from."""

    def lines(self, state: LogState) -> tuple[str, ...]:
        """Return what the sample shows by now, for the panel."""


class AuditMeter(NamedTuple):
    """The progress of an audit."""

    share: float
    """From 0 to 1: certified."""
    words: str
    asked: int = 0
    more: int | None = None
    """About how many more answers are needed; None if the items that are left tell it."""


@dataclass(frozen=True, slots=True)
class SessionMode:
    """The kind of a session; by default plain labelling with one class an item."""

    audit: str | None = None
    """The name of the audit or check that this session runs; its labels carry the name."""
    notice: str = ""
    """A text for the annotator about the audit."""
    is_lost: Callable[[LogState, str], bool] | None = None
    """A function that tells whether nothing more is asked after the answer on a ref: the audit is
    certified or given up, or the check has shown what it was to show."""
    second: bool = False
    """Every answer is a second opinion: asked blind, compared, never the label that counts."""
    repeats: float = 0.0
    """The share of items asked that the annotator has labelled before, for self-agreement."""
    multi: bool = False
    """A label is a set of classes; see `annotator.project.label_sets`."""
    refines: str | None = None
    """The class whose items are asked for a finer label; a skip leaves the label as it is."""
    sample: AskedSample | None = None
    """The uniform sample of a check; None for an audit, whose labels have no propensity."""
    first: tuple[str, ...] = ()
    """The refs of an audit that are asked before the others."""
    meter: Callable[[LogState], AuditMeter] | None = None
    """A function that tells how far the audit is."""

    @property
    def blind(self) -> bool:
        """True if the model's opinion is hidden: in audits, checks and for second opinions."""
        return self.audit is not None or self.second

    @property
    def asked_first(self) -> list[tuple[str, str]]:
        """The refs to ask before all others, each with what picked it."""
        if self.sample is None:
            return [(ref, "audit") for ref in self.first]
        return [(ref, CHECK) for ref in self.sample.refs]

    def draw_fields(self, state: LogState) -> dict[str, Any]:
        """Return the log fields of an item of the audit or check."""
        if self.sample is None:
            return {"picked_by": "audit", "extra": {"audit": self.audit}}
        size = max(1, self.sample.count_open(state))
        return {"picked_by": CHECK, "q": 1 / size, "pool": size, "extra": {"audit": self.audit}}


@dataclass(frozen=True, slots=True)
class AnsweredByPeople:
    """The items that a check does not ask: all that a person has answered."""

    state: LogState

    def __contains__(self, ref: object) -> bool:
        stack = self.state.standing.get(str(ref), [])
        return bool(stack) and not stack[-1].by_machine

    def __iter__(self) -> Iterator[str]:
        return (ref for ref in self.state.standing if ref in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
