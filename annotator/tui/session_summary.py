"""The summary of a session, for the annotator and for scripts."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from annotator.items.refs import (
    format_duration,
    format_interval,
    format_percent,
    make_printable,
    plural,
)
from annotator.project.label_sets import NO_CLASS

if TYPE_CHECKING:
    from annotator.learn.error_estimate import ErrorEstimate
    from annotator.session.session import LabelSession
    from annotator.tui.key_repeat import Pace


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """The result of one session: `str` for the annotator, `as_dict` for scripts and hooks."""

    project: str
    annotator: str
    answers: int
    """Labels and skips, without those that were taken back."""
    seconds: float
    """Seconds of work, without pauses."""
    remaining: int
    per_minute: float | None = None
    """The answers a minute of work; None for fewer than three answers."""
    labels: dict[str, int] = field(default_factory=dict)
    """The number of labels of each class; in a multi-label project also of no class."""
    estimate: ErrorEstimate | None = None
    """The error on the whole pool; None if too few labels are behind it."""
    unheard: int = 0
    """Events that `on_label` and `on_finish` had not handled at the end."""
    unsent: int = 0
    """Rows that a team's log did not have at the end, because it was away or refused them."""
    code: int = 0
    """The exit status: 0, 1 after a crash, 128 + the signal that ended it (130 for SIGINT)."""

    options: str = ""
    """The options that resume the session in the same way, such as `--second`."""

    taken_by: str = ""
    """The terminal that has taken the screen over; "" if none has."""

    @property
    def command(self) -> str:
        """The command to run next."""
        folder = make_printable(shlex.quote(self.project))
        if self.remaining:
            return f"annotator run {folder} {self.options}".rstrip()
        return f"annotator export {folder} labels.csv"

    @property
    def _unheard_lines(self) -> list[str]:
        events = "1 event was" if self.unheard == 1 else f"{self.unheard:,} events were"
        return [f"on_label, on_finish: {events} not handled"] if self.unheard else []

    def as_dict(self) -> dict[str, Any]:
        """Return the fields of the JSON output."""
        estimate = None
        if self.estimate is not None:
            names = ("error", "low", "high", "n_eff")
            estimate = {name: getattr(self.estimate, name) for name in names}
        found = asdict(self) | {"estimate": estimate, "seconds": round(self.seconds, 3)}
        del found["code"], found["options"], found["taken_by"]
        return found | {"next": self.command}

    def __str__(self) -> str:
        if self.taken_by:
            lines = [f"Taken over by {self.taken_by}: the session continues there. All is saved."]
            return "\n".join([*lines, *self._unheard_lines])
        words = f"{self.answers:,} answered"
        if self.seconds >= 0.5:
            words += f" in {format_duration(self.seconds)}"
        if self.per_minute:
            words += f", {self.per_minute:.0f} a minute"
        left = f"{self.remaining:,} to go" if self.remaining else "Nothing is left"
        lines = [f"{words}. {left}. All is saved."]
        counts = [
            f"{make_printable(name)} {count:,}" for name, count in self.labels.items() if count
        ]
        if counts:
            lines.append("labels:  " + ", ".join(counts))
        if self.estimate is not None:
            found = self.estimate
            interval = format_interval(found.low, found.high)
            lines.append(f"pool:    error {format_percent(found.error)} ({interval}), estimated")
        lines += self._unheard_lines
        if self.unsent:
            folder = make_printable(shlex.quote(self.project))
            lines.append(f"to send: {plural(self.unsent, 'row')}: annotator sync {folder}")
        lines.append(f"{'resume: ' if self.remaining else 'export: '} {self.command}")
        return "\n".join(lines)


def summarize_session(project: str, session: LabelSession, pace: Pace, code: int) -> SessionSummary:
    """Return the summary of a session that has just ended."""
    ranking, progress = session.ranking, session.progress
    none = session.state.counts[NO_CLASS] if session.multi and not session.blind else 0
    estimate = ranking.estimate if ranking else None
    team = session.store.sync_state()
    held_up = team is not None and (team.away_since or team.problem or team.refused)
    return SessionSummary(
        project=project,
        annotator=session.annotator,
        answers=pace.answers,
        seconds=pace.seconds,
        remaining=progress.remaining,
        per_minute=pace.overall,
        labels={**progress.classes, **({NO_CLASS: none} if none else {})},
        estimate=estimate if estimate and estimate.shown else None,
        unsent=team.waiting + team.refused if team is not None and held_up else 0,
        code=code,
    )
