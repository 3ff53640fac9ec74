"""Rapid mode in words: its keys, and what it says between streams."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from annotator.items.refs import make_printable, plural
from annotator.pages.key_delay import KeyDelay
from annotator.tui.widgets.bars import KeyHint

if TYPE_CHECKING:
    from annotator.tui.rapid.outcome import StreamOutcome
    from annotator.tui.rapid.player import StreamPlayer

Paragraphs = list[tuple[str, str]]


class RapidMode(Enum):
    """What the screen is at."""

    READY = auto()
    CALIBRATING = auto()
    STREAMING = auto()
    DOUBT = auto()
    NAMING = auto()
    """What was marked as not of the class comes once more, to be given its own."""
    TOLD = auto()
    """A stream is over and its labels are written."""
    UNSAVED = auto()


@dataclass(frozen=True, slots=True)
class StreamQuestion:
    """What a mark says, and what becomes of the rest."""

    label: str
    rest: str | None = None
    """The class that unmarked items become; None leaves them open."""
    excepts: bool = False
    """The stream is of what the model takes for the class: what is not of it is marked, and the
    rest becomes the class."""

    @property
    def marks(self) -> str:
        """What is marked, in a word or two."""
        return f"not {make_printable(self.label)}" if self.excepts else make_printable(self.label)

    @property
    def answers(self) -> tuple[str | None, str | None]:
        """The class of what is marked, and that of the rest."""
        return (None, self.label) if self.excepts else (self.label, self.rest)

    def turned(self, classes: Sequence[str], knows: bool) -> StreamQuestion:
        """The next choice; exceptions where there is a model that knows some."""
        others = [name for name in classes if name != self.label]
        choices = [replace(self, rest=rest, excepts=False) for rest in (None, *others)]
        if knows:
            choices.append(replace(self, rest=None, excepts=True))
        at = choices.index(self) if self in choices else -1  # the model may have gone
        return choices[(at + 1) % len(choices)]


_LEAVE = {"q": "leave", "escape": "leave", "ctrl+c": "leave"}
_RATE = {"+": "faster", "=": "faster", "up": "faster", "-": "slower", "down": "slower"}
_BETWEEN = {"enter": "begin", "space": "begin", "backspace": "undo", **_RATE, **_LEAVE}
_PLAYING = {"space": "mark", "d": "mark", "right": "mark", "enter": "mark", "p": "pause"}
KEYS: dict[RapidMode, dict[str, str]] = {
    RapidMode.READY: {**_BETWEEN, "tab": "class", "o": "rest"},
    RapidMode.CALIBRATING: {**_PLAYING, **_LEAVE},
    RapidMode.STREAMING: {**_PLAYING, **_RATE, **_LEAVE},
    RapidMode.DOUBT: {
        "d": "yes", "y": "yes", "right": "yes", "a": "no", "n": "no", "left": "no",
        "s": "skip", "backspace": "undo", **_LEAVE,
    },
    RapidMode.NAMING: {"s": "skip", "backspace": "undo", **_LEAVE},
    RapidMode.TOLD: {**_BETWEEN, "o": "ready", "tab": "ready"},
    RapidMode.UNSAVED: {"enter": "finish", **_LEAVE},
}  # fmt: skip
"""What each key does, by what the screen is at."""


def rapid_action(
    mode: RapidMode, key: str, character: str | None, classes: Sequence[str] = ()
) -> str:
    """The action of a key; "" for none."""
    keys = KEYS[mode]
    if mode is RapidMode.NAMING and character and character.isdecimal():
        return f"name:{classes[int(character) - 1]}" if 0 < int(character) <= len(classes) else ""
    return keys.get(key) or keys.get(character or "") or keys.get((character or "").lower(), "")


def rapid_hints(mode: RapidMode, asked: StreamQuestion, classes: Sequence[str]) -> list[KeyHint]:
    """The live keys, most needed first."""
    name = asked.marks
    becomes = f"rest: {make_printable(asked.answers[1] or 'open')}"
    digits = [(str(n), make_printable(one), f"name:{one}") for n, one in enumerate(classes[:9], 1)]
    shown = {
        RapidMode.READY: [
            ("⏎", "begin", "begin"),
            ("tab", "class", "class"),
            ("O", becomes, "rest"),
            ("+ −", "speed", "faster"),
            ("⌫", "undo", "undo"),
            ("Q", "back", "leave"),
        ],
        RapidMode.CALIBRATING: [
            ("space", name, "mark"),
            ("P", "pause", "pause"),
            ("Q", "back", "leave"),
        ],
        RapidMode.STREAMING: [
            ("space", name, "mark"),
            ("+ −", "speed", "faster"),
            ("P", "pause", "pause"),
            ("Q", "end here", "leave"),
        ],
        RapidMode.DOUBT: [
            ("D", name, "yes"),
            ("A", "no", "no"),
            ("S", "skip", "skip"),
            ("⌫", "back one", "undo"),
            ("Q", "end here", "leave"),
        ],
        RapidMode.NAMING: [
            *digits,
            ("S", "leave it open", "skip"),
            ("⌫", "back one", "undo"),
            ("Q", "end here", "leave"),
        ],
        RapidMode.TOLD: [
            ("⏎", "go on", "begin"),
            ("⌫", "undo", "undo"),
            ("+ −", "speed", "faster"),
            ("O", "change", "ready"),
            ("Q", "back", "leave"),
        ],
        RapidMode.UNSAVED: [("⏎", "try again", "finish"), ("Q", "back", "leave")],
    }[mode]
    return [KeyHint(key, title, (action, ""), n) for n, (key, title, action) in enumerate(shown)]


def ready_notice(asked: StreamQuestion, rate: float, delay: KeyDelay) -> tuple[str, Paragraphs]:
    """Before the first stream."""
    rest = asked.answers[1]
    open_ = "stays open" if rest is None else f"becomes {make_printable(rest)}"
    what = f"what is {asked.marks}" if asked.excepts else asked.marks
    stream = (
        f"What the model takes for {make_printable(asked.label)} streams"
        if asked.excepts
        else ("Pictures stream")
    )
    return f"Rapid: press SPACE whenever you see {what}", [
        (f"{stream} past, {rate:g} a second. Your key comes late, some "
         f"{delay.mean * 1000:.0f} ms: that is reckoned with.", "text"),
        (f"What is in doubt comes back one at a time. What you do not mark {open_}.", "text"),
        ("Where enough is labelled already, a few known pictures come first, to measure how late "
         "your key comes.", "dim"),
    ]  # fmt: skip


def empty_notice(asked: StreamQuestion) -> tuple[str, Paragraphs]:
    """There is no stream."""
    words = "Q goes back."
    if asked.excepts:
        words = f"Of what it is surest to be {make_printable(asked.label)}, the model needs none checked, "
        words += "or none is open. Tab takes the next class; pages (G) show what it doubts more."
    return "Nothing is left to stream", [(words, "text")]


def stream_progress_line(player: StreamPlayer, label: str, mode: RapidMode) -> str:
    """One line while a stream runs."""
    words = "known pictures first" if mode is RapidMode.CALIBRATING else label
    words += f" · {player.place + 1} of {len(player.items)}"
    if player.reached is not None:
        words += f" · {player.reached:.1f} a second"
    if player.paused:
        return f"{words} · paused: P goes on"
    return f"{words} · marked {len(player.marks)} times"


def calibration_line(delay: KeyDelay, count: int) -> str:
    late = f"{delay.mean * 1000:.0f} ± {delay.sd * 1000:.0f} ms late"
    return f"your key comes {late} ({plural(count, 'key')})"


def result_notice(
    asked: StreamQuestion, outcome: StreamOutcome, answers: Sized
) -> tuple[str, Paragraphs]:
    """After a stream."""
    verdict, rest = outcome.verdict, asked.answers[1]
    looked = f"; {outcome.looked} looked at once more" if outcome.looked else ""
    becomes = "stay open" if rest is None else f"became {make_printable(rest)}"
    what = "" if asked.excepts else "labelled "
    return f"{len(verdict.marked)} {what}{asked.marks}{looked}", [
        (f"{len(verdict.rest)} not marked: they {becomes}. Backspace takes all of it back.", "text")
        if len(answers)
        else (f"{len(verdict.rest)} not marked: they {becomes}.", "text"),
        ("Enter goes on with the next.", "strong"),
    ]  # fmt: skip
