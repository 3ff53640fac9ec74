"""The upper part of the sidebar: the error of the model, and what is left to do by each way.

Its number of lines depends on the window alone, so that the classes below it never move.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from annotator.items.refs import format_duration
from annotator.learn.remaining_work import (
    SINGLE_SECONDS,
    RemainingTime,
    RemainingWork,
    estimate_time,
)
from annotator.tui.label.error_panel import PoolErrorState, error_lines, outlook_lines
from annotator.tui.styled_text import Line, clip_end, justify_line, line_width, wrap_text
from annotator.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from annotator.tui.keymaps import Keymap

USUAL_ROWS = 21
"""Lines of a sidebar below which error and time have one line each: nine classes need the rest."""
HIGH_ROWS = 26
"""Lines of a sidebar from which each way to the end has a line of its own."""
ROOMY_ROWS = 36
"""Lines of a sidebar from which there is room for a long advice."""
_NARROW = 32


@dataclass(frozen=True, slots=True)
class TopState:
    """The state of the upper panel."""

    error: PoolErrorState = field(default_factory=PoolErrorState)
    work: RemainingWork | None = None
    left: int = 0
    """The number of open items."""
    per_minute: float | None = None
    pages_key: str = ""
    wait: str = ""
    """The time or condition of the first estimate."""
    several: bool = False
    """True in a project whose items may have several classes."""
    first: tuple[tuple[tuple[str, str], ...], tuple[str, ...]] | None = None
    """The keys of a project without an answer, with what they do, and texts. The first text that
    there is room for is shown."""

    @property
    def time(self) -> RemainingTime:
        """The time that is left by each way, at the annotator's pace once that is known."""
        seconds = 60 / self.per_minute if self.per_minute else SINGLE_SECONDS
        return estimate_time(self.work, self.left, seconds)


class TopPanel(Lines):
    """The panel above the classes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._state = TopState()

    def show(self, state: TopState) -> None:
        """Show this state."""
        self._state = state
        self.update()

    def draw(self, width: int, height: int) -> Sequence[Line]:
        """Return the lines of the panel."""
        return top_lines(self._state, width, height)


def count_top_rows(rows: int, *, several: bool = False) -> int:
    """Return the lines of the panel in a sidebar of `rows` lines."""
    if rows < HIGH_ROWS:
        return 5 if rows >= USUAL_ROWS else 3
    return (7 if rows < ROOMY_ROWS else 8) + (2 if several else 0)


def top_lines(state: TopState, cells: int, height: int) -> list[Line]:
    """Return the lines of the panel: exactly `height` of them, the last ones empty if need be."""
    if state.first is not None:
        lines = first_lines(*state.first, cells, height)
    else:
        full = height - (2 if state.several else 0) >= 7  # a line for each way
        lines = error_lines(state.error, cells, state.wait, brief=not full)
        ways = list(way_lines(state, cells)) if full else compact_lines(state, cells)
        outlook = outlook_lines(state.error, state.per_minute, cells) or [[]]
        lines += _shorten(outlook, height - len(lines) - (len(ways) if full else 1), cells)
        lines += ways
    return [*lines, *[[]] * height][:height]


def _shorten(lines: list[Line], most: int, cells: int) -> list[Line]:
    """Return at most `most` of the lines; the last one shows by … that others follow."""
    if len(lines) <= most or most < 1:
        return lines[: max(0, most)]
    text, role = lines[most - 1][0]
    return [*lines[: most - 1], [(clip_end(text, cells - 2) + "…", role)]]


def way_lines(state: TopState, cells: int) -> Iterator[Line]:
    """Yield a line for each way that is possible now, with its time."""
    for place, (name, aim, time) in enumerate(_ways(state)):
        head: Line = [(" left: " if not place else " " * 7, "dim"), (name, "text")]
        number: Line = [(f"{time} ", "strong")]
        to: Line = [(f" to {100 * aim:g} %", "dim")] if aim else []
        if line_width([*head, *to, *number]) < cells:
            head += to
        yield justify_line(head, number, cells)


def compact_lines(state: TopState, cells: int) -> list[Line]:
    """Return all ways in as few lines as they need."""
    ways = list(_ways(state))
    if len(ways) < 2:
        return list(way_lines(state, cells))
    short = {"one by one": "left", "finish": "finish"}
    pieces: list[Line] = [
        [(f"{short.get(name, state.pages_key or 'pages')} ", "dim"), (time, "strong")]
        for name, _, time in ways
    ]
    return _pack(pieces, [(" · ", "dim")], cells)


def _pack(pieces: Sequence[Line], joint: Line, cells: int) -> list[Line]:
    """Return lines of pieces, each with as many as fit; none is broken."""
    lines: list[Line] = []
    for piece in pieces:
        if lines and line_width([*lines[-1], *joint, *piece]) < cells:
            lines[-1] = [*lines[-1], *joint, *piece]
        else:
            lines.append([(" ", "text"), *piece])
    return lines


def _ways(state: TopState) -> Iterator[tuple[str, float | None, str]]:
    """Yield the name of each way that is possible now, the error that it leads to, and its time."""
    time, work = state.time, state.work
    yield "one by one", None, format_duration(time.one_by_one) if state.left else "done"
    if work is None or not state.left:
        return
    if time.pages is not None:
        name = f"pages ({state.pages_key})" if state.pages_key else "pages"
        yield name, work.page_target, format_duration(time.pages) if work.looks else "done"
    if time.finish is not None:
        yield "finish", work.audit_target, format_duration(time.finish)


# --- the first screen of a project


def first_hints(
    keymap: Keymap, classes: Sequence[str], *, several: bool
) -> tuple[tuple[tuple[str, str], ...], str]:
    """Return the keys that a new project needs, and the sentence about pages."""
    shown = [(keymap.classes.get(name, ""), name) for name in classes[:2]]
    keys = [(key, name) for key, name in shown if key]
    commands = (
        [("confirm", "confirms")] if several else []
    ) + [("undo", "takes back"), ("help", "all keys")]  # fmt: skip
    for command, does in commands:
        if found := keymap.keys(command):
            keys.append((found[0], does))
    pages = next(iter(keymap.keys("pages")), "")
    about = f"{pages}: pages, about 3 times faster once a model is there" if pages else ""
    return tuple(keys), about


def first_texts(about: str, command: str) -> tuple[str, ...]:
    """Return the sentence about pages and the command that reads the names of the classes.

    The shorter texts are for a low window: no command is cut where it could be run.
    """
    if not command:
        return (about,)
    start = "Start from names: "
    texts = (f"{about}. {start}{command}", f"{start}{command}", f"{start}see annotator words -h")
    return texts if about else texts[1:]


def first_lines(
    keys: Sequence[tuple[str, str]], texts: Sequence[str], cells: int, height: int
) -> list[Line]:
    """Return the keys and the first of the texts that fits, wrapped; a key stands by its words."""
    most = max(cells // 2 - 4, len("takes back"))
    pieces: list[Line] = [
        [(key, "key"), (f" {clip_end(does, most)}", "text")] for key, does in keys
    ]
    lines = _pack(pieces, [("  ", "text")], cells)
    wrapped = [[line for line in wrap_text(text, cells - 2) if line] for text in texts]
    fitting = (found for found in wrapped if len(lines) + len(found) <= height)
    return [*lines, *([(f" {line}", "text")] for line in next(fitting, wrapped[-1]))]
