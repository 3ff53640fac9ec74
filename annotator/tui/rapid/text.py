"""The texts of rapid mode: its question, and its notices between streams."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from enum import Enum, auto

from annotator.items.refs import make_printable, plural
from annotator.pages.key_delay import KeyDelay
from annotator.tui.rapid.outcome import StreamOutcome
from annotator.tui.rapid.player import StreamPlayer

Paragraphs = list[tuple[str, str]]


class RapidMode(Enum):
    """The state of the screen."""

    READY = auto()
    CALIBRATING = auto()
    STREAMING = auto()
    DOUBT = auto()
    NAMING = auto()
    """Items marked as not of the class come once more, to be given their own class."""
    DONE = auto()
    """A stream is over and its labels are written."""
    UNSAVED = auto()


@dataclass(frozen=True, slots=True)
class StreamQuestion:
    """The meaning of a mark, and the class of the rest."""

    label: str
    rest: str | None = None
    """The class that unmarked items become; None leaves them open."""
    excepts: bool = False
    """True if the stream holds what the model predicts as the class: the annotator marks what is
    not of the class, and the rest becomes the class."""

    @property
    def marks(self) -> str:
        """The name of what is marked."""
        return f"not {make_printable(self.label)}" if self.excepts else make_printable(self.label)

    @property
    def answers(self) -> tuple[str | None, str | None]:
        """The class of marked items, and of the rest."""
        return (None, self.label) if self.excepts else (self.label, self.rest)

    def next_question(self, classes: Sequence[str], has_model: bool) -> StreamQuestion:
        """Return the next choice; exceptions are one if there is a model."""
        others = [name for name in classes if name != self.label]
        choices = [replace(self, rest=rest, excepts=False) for rest in (None, *others)]
        if has_model:
            choices.append(replace(self, rest=None, excepts=True))
        place = choices.index(self) if self in choices else -1  # the model may have gone
        return choices[(place + 1) % len(choices)]


def ready_notice(asked: StreamQuestion, rate: float, delay: KeyDelay) -> tuple[str, Paragraphs]:
    """Return the notice before a stream: a heading and paragraphs with their roles."""
    rest = asked.answers[1]
    open_ = "stays open" if rest is None else f"becomes {make_printable(rest)}"
    what = f"what is {asked.marks}" if asked.excepts else asked.marks
    stream = (
        f"Items predicted as {make_printable(asked.label)} stream"
        if asked.excepts
        else ("Pictures stream")
    )
    return f"Rapid: press SPACE whenever you see {what}", [
        (f"{stream} past, {rate:g} a second. Your key comes about "
         f"{delay.mean * 1000:.0f} ms late: that is taken into account.", "text"),
        (f"Items in doubt come back one at a time. What you do not mark {open_}.", "text"),
        ("If enough items are labelled already, a few known ones come first, to measure how late "
         "your key comes.", "dim"),
    ]  # fmt: skip


def empty_notice(asked: StreamQuestion) -> tuple[str, Paragraphs]:
    """Return the notice that nothing is left to stream."""
    text = "Q goes back."
    if asked.excepts:
        text = (
            f"No open item that is surely {make_printable(asked.label)} needs a look. Tab takes "
            "the next class; pages (G) show what the model doubts more."
        )
    return "Nothing is left to stream", [(text, "text")]


def stream_progress_line(player: StreamPlayer, label: str, mode: RapidMode) -> str:
    """Return the line about a running stream."""
    line = "known pictures first" if mode is RapidMode.CALIBRATING else label
    line += f" · {player.place + 1} of {len(player.items)}"
    if player.reached_rate is not None:
        line += f" · {player.reached_rate:.1f} a second"
    if player.paused:
        return f"{line} · paused: P resumes"
    return f"{line} · marked {plural(len(player.marks), 'time')}"


def calibration_line(delay: KeyDelay, count: int) -> str:
    """Return the line about the measured delay."""
    late = f"{delay.mean * 1000:.0f} ± {delay.sd * 1000:.0f} ms late"
    return f"your key comes {late} ({plural(count, 'key')})"


def result_notice(
    asked: StreamQuestion, outcome: StreamOutcome, answers: Sized
) -> tuple[str, Paragraphs]:
    """Return the notice after a stream."""
    verdict, rest = outcome.verdict, asked.answers[1]
    looked = f"; {outcome.second_looks} looked at once more" if outcome.second_looks else ""
    becomes = "stay open" if rest is None else f"became {make_printable(rest)}"
    what = "" if asked.excepts else "labelled "
    return f"{len(verdict.marked)} {what}{asked.marks}{looked}", [
        (f"{len(verdict.rest)} not marked: they {becomes}. Backspace takes all back.", "text")
        if len(answers)
        else (f"{len(verdict.rest)} not marked: they {becomes}.", "text"),
        ("Enter starts the next stream.", "strong"),
    ]  # fmt: skip
