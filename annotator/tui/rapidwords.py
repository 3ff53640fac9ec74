"""Rapid mode in words: its keys, and what it says between streams."""

from __future__ import annotations

from collections.abc import Sized
from enum import Enum, auto
from typing import TYPE_CHECKING

from annotator.rapid import Delay
from annotator.refs import printable
from annotator.tui.widgets.bars import Hint

if TYPE_CHECKING:
    from annotator.tui.outcome import Outcome
    from annotator.tui.player import Player

Paragraphs = list[tuple[str, str]]


class Mode(Enum):
    """What the screen is at."""

    READY = auto()
    CALIBRATING = auto()
    STREAMING = auto()
    DOUBT = auto()
    TOLD = auto()
    """A stream is over and its labels are written."""
    UNSAVED = auto()


_LEAVE = {"q": "leave", "escape": "leave", "ctrl+c": "leave"}
_RATE = {"+": "faster", "=": "faster", "up": "faster", "-": "slower", "down": "slower"}
_BETWEEN = {"enter": "begin", "space": "begin", "backspace": "undo", **_RATE, **_LEAVE}
_PLAYING = {"space": "mark", "d": "mark", "right": "mark", "enter": "mark", "p": "pause"}
KEYS: dict[Mode, dict[str, str]] = {
    Mode.READY: {**_BETWEEN, "tab": "class", "o": "rest"},
    Mode.CALIBRATING: {**_PLAYING, **_LEAVE},
    Mode.STREAMING: {**_PLAYING, **_RATE, **_LEAVE},
    Mode.DOUBT: {
        "d": "yes", "y": "yes", "right": "yes", "a": "no", "n": "no", "left": "no",
        "s": "skip", "backspace": "undo", **_LEAVE,
    },
    Mode.TOLD: {**_BETWEEN, "o": "ready", "tab": "ready"},
    Mode.UNSAVED: {"enter": "finish", **_LEAVE},
}  # fmt: skip
"""What each key does, by what the screen is at."""


def action_of(mode: Mode, key: str, character: str | None) -> str:
    """The action of a key; "" for none."""
    keys = KEYS[mode]
    return keys.get(key) or keys.get(character or "") or keys.get((character or "").lower(), "")


def hints(mode: Mode, label: str, rest: str | None) -> list[Hint]:
    """The live keys, most needed first."""
    name, becomes = printable(label), f"rest: {printable(rest) if rest else 'open'}"
    shown = {
        Mode.READY: [("⏎", "begin", "begin"), ("tab", "class", "class"), ("O", becomes, "rest"),
                  ("+ −", "speed", "faster"), ("⌫", "undo", "undo"), ("Q", "back", "leave")],
        Mode.CALIBRATING: [("space", name, "mark"), ("P", "pause", "pause"),
                           ("Q", "back", "leave")],
        Mode.STREAMING: [("space", name, "mark"), ("+ −", "speed", "faster"),
                         ("P", "pause", "pause"), ("Q", "end here", "leave")],
        Mode.DOUBT: [("D", name, "yes"), ("A", "no", "no"), ("S", "skip", "skip"),
                  ("⌫", "back one", "undo"), ("Q", "end here", "leave")],
        Mode.TOLD: [("⏎", "go on", "begin"), ("⌫", "undo", "undo"), ("+ −", "speed", "faster"),
                 ("O", "change", "ready"), ("Q", "back", "leave")],
        Mode.UNSAVED: [("⏎", "try again", "finish"), ("Q", "back", "leave")],
    }[mode]  # fmt: skip
    return [Hint(key, title, (action, ""), n) for n, (key, title, action) in enumerate(shown)]


def ready(label: str, rate: float, rest: str | None, delay: Delay) -> tuple[str, Paragraphs]:
    """Before the first stream."""
    name = printable(label)
    open_ = "stays open" if rest is None else f"becomes {printable(rest)}"
    return f"Rapid: press SPACE whenever you see {name}", [
        (f"Pictures stream past, {rate:g} a second. Your key comes late, some "
         f"{delay.mean * 1000:.0f} ms: that is reckoned with.", "text"),
        (f"What is in doubt comes back one at a time. What you do not mark {open_}.", "text"),
        ("Where enough is labelled already, a few known pictures come first, to measure how late "
         "your key comes.", "dim"),
    ]  # fmt: skip


def progress(player: Player, label: str, mode: Mode) -> str:
    """One line while a stream runs."""
    words = "known pictures first" if mode is Mode.CALIBRATING else label
    words += f" · {player.place + 1} of {len(player.items)}"
    if player.reached is not None:
        words += f" · {player.reached:.1f} a second"
    if player.paused:
        return f"{words} · paused: P goes on"
    return f"{words} · marked {len(player.marks)} times"


def calibrated(delay: Delay, count: int) -> str:
    return f"your key comes {delay.mean * 1000:.0f} ± {delay.sd * 1000:.0f} ms late ({count} keys)"


def told(label: str, rest: str | None, outcome: Outcome, answers: Sized) -> tuple[str, Paragraphs]:
    """After a stream."""
    name, verdict = printable(label), outcome.verdict
    looked = f"; {outcome.looked} looked at once more" if outcome.looked else ""
    becomes = "stay open" if rest is None else f"became {printable(rest)}"
    return f"{len(verdict.marked)} labelled {name}{looked}", [
        (f"{len(verdict.rest)} not marked: they {becomes}. Backspace takes all of it back.", "text")
        if len(answers)
        else (f"{len(verdict.rest)} not marked: they {becomes}.", "text"),
        ("Enter goes on with the next.", "strong"),
    ]  # fmt: skip
