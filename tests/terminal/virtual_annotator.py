"""An annotator who labels over a line, in virtual time: a stage at one end, a terminal at the
other."""

from __future__ import annotations

import heapq
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from PIL import Image

from annotator.items.refs import Item
from annotator.terminal.backend import Area, Payload
from annotator.terminal.caps import KittyVariant, Technique, TerminalCapabilities
from annotator.terminal.choose import backend_for, known_terminal
from annotator.terminal.pacing import Pacer
from annotator.terminal.requests import EncodeJob, PictureRequest
from annotator.terminal.seen_guard import SeenGuard, is_pasted
from annotator.terminal.stage import Stage
from tests.terminal.memory_terminal import NAMES, Screen

KINDS = {
    Technique.FRAMES: "kitty",
    Technique.PLACEHOLDERS: "ghostty",
    Technique.CLASSIC: "kitty-old",
    Technique.SIXEL: "xterm",
    Technique.ITERM: "wezterm",
    Technique.HALFCELL: "plain",
}
VARIANTS = {
    "kitty-0.48": Technique.FRAMES,
    "ghostty-frames": Technique.FRAMES,
    "iterm2": Technique.PLACEHOLDERS,
    "konsole": Technique.CLASSIC,
    "xterm.js": Technique.CLASSIC,
}
"""Terminals that take kitty's commands otherwise than those of `KINDS`."""
COLOURS = [(r, g, b) for r in (40, 128, 215) for g in (40, 128, 215) for b in (40, 128, 215)]
ITEMS = [Item(f"{number:02}.png") for number in range(len(COLOURS))]
ENCODING = 0.012
ANSWERS = re.compile(rb"\x1b_Gi=(\d+);E|\x1b\[(\d+);(\d+)R")
PASSED = re.compile(rb"\x1b_G.*?\x1b\\|\x1b7\x1b\[\d+;\d+H\x1b\[6n\x1b8", re.S)


@lru_cache
def image(item: Item) -> Image.Image:
    """One colour an item, with enough noise to weigh something."""
    rng = np.random.default_rng(ITEMS.index(item))
    noise = rng.integers(-12, 12, (96, 120, 3))
    return Image.fromarray((np.array(COLOURS[ITEMS.index(item)]) + noise).astype(np.uint8))


@lru_cache(maxsize=4000)
def encoded(technique: Technique, job: EncodeJob, shared: bool = False, kind: str = "") -> Payload:
    name = NAMES.get(kind, b"").decode()
    backend = backend_for(TerminalCapabilities(technique, terminal=name, shared_memory=shared))
    area = job.area._replace(column=0, row=0)
    return backend.encode(image(job.request.item), area, job.quality)


def place(screen: Screen) -> Area:
    """Return the picture's place: a free column at both sides, a free row below."""
    return Area(1, 0, screen.columns - 2, screen.rows - 1, screen.cell)


def shown(screen: Screen) -> Item | None:
    """The item whose picture is on the screen, wholly and only it."""
    inside = screen.pixels(place(screen)[:4]).astype(int)
    height, width = inside.shape[:2]
    parts = [
        inside[y : y + height // 4, x : x + width // 4].mean((0, 1))
        for y in (height // 4, height // 2)
        for x in (width // 4, width // 2)
    ]
    nearest = {int(np.abs(np.array(COLOURS) - part).sum(1).argmin()) for part in parts}
    close = all(np.abs(np.array(COLOURS) - part).sum(1).min() < 40 for part in parts)
    return ITEMS[nearest.pop()] if close and len(nearest) == 1 else None


@dataclass(order=True)
class _Event:
    at: float
    order: int
    do: Callable[[], None] = field(compare=False)


def _drop_beginning(data: bytes, size: int) -> bytes:
    """Drop what tmux should pass on, as far as it begins in the first `size` bytes."""
    return PASSED.sub(lambda found: b"" if found.start() < size else found[0], data)


class VirtualAnnotator:
    """A session: keys and resizes go in, labels with what was on the screen come out."""

    def __init__(
        self,
        technique: Technique,
        rate: float = 250e3,
        rtt: float = 0.1,
        columns: int = 24,
        rows: int = 10,
        tmux: bool = False,
        lossy: float = 0.0,
        seed: int = 0,
        shared: bool = False,
        guard: str = "on",
        silent: bool = False,
        kind: str = "",
    ) -> None:
        """Set up a session in the terminal that `KINDS` names, or in one of `kind`."""
        self.now, self._events, self._order = 0.0, [], 0
        self.rate, self.rtt, self.lossy = rate, rtt, lossy
        self._down_free = self._up_free = 0.0
        self._random = random.Random(seed)
        random.seed(seed)  # the pictures' numbers, and with them what is lost, are the same again
        kind = kind or ("kitty-shared" if shared else KINDS[technique])
        self.screen = Screen(columns, rows, kind=kind)
        self.technique, self.shared, self.kind = technique, shared, kind
        line = Pacer(self._clock, fences=not silent, rtt=0.0 if silent else rtt, lossy=tmux)
        self.guard = SeenGuard(guard, line)
        self.guard.silent = silent
        known = known_terminal(NAMES[kind].decode())
        variant = known.variant if known is not None else KittyVariant()
        caps = TerminalCapabilities(
            technique, terminal=NAMES[kind].decode(), shared_memory=shared, variant=variant
        )
        backend = backend_for(caps)
        self.stage = Stage(backend, line, self._write, self._clock)
        self.index, self.labels, self.blind, self.waits = 0, [], 0, []
        self.sent = self.losing = 0
        """Bytes written, and those of the next ones that tmux loses of what it passes on."""
        self._busy: EncodeJob | None = None
        self._resized(columns, rows)
        self._show()
        self._every(0.1)

    # -- the program -----------------------------------------------------------------------

    def _clock(self) -> float:
        return self.now

    def _show(self) -> None:
        items = [ITEMS[(self.index + step) % len(ITEMS)] for step in (0, 1, 2, -1, 3, 4, 5)]
        self.stage.show(PictureRequest(items[0]))
        self.stage.expect([PictureRequest(item) for item in items[1:]])
        self._work()

    def _work(self) -> None:
        """One worker, as busy as the real ones."""
        jobs = self.stage.jobs()
        if self._busy is None and jobs:
            self._busy = jobs[0]
            self._later(ENCODING, self._worked)

    def _worked(self) -> None:
        job, self._busy = self._busy, None
        assert job is not None
        self.stage.encoded(job, encoded(self.technique, job, self.shared, self.kind))
        self._work()

    def _every(self, seconds: float) -> None:
        self.stage.send_next()
        self._note_unanswered()
        self._work()
        self._later(seconds, lambda: self._every(seconds))

    def _note_unanswered(self) -> None:
        """A terminal that answers nothing has drawn what it was handed, as far as one knows."""
        if not self.stage.pacer.fences and self.stage.state.seen == self.stage.plan.current:
            self.guard.open(self.now)

    def _key(self, key: str, on_screen: Item | None, typed_at: float, pasted: bool) -> None:
        state, current = self.stage.state, self.stage.plan.current
        written = None if state.shown != current else self.now - state.shown_for
        drawn = state.seen == current
        if not self.guard.admits(typed_at, written, drawn=drawn, pasted=pasted):
            self.blind += 1
            return
        self.labels.append((ITEMS[self.index % len(ITEMS)], on_screen))
        self.index += 1 if key == "d" else -1
        self._show()

    def _resized(self, columns: int, rows: int) -> None:
        self.stage.pacer.resize(columns, rows)
        self.stage.place(Area(1, 0, columns - 2, rows - 1, self.screen.cell))
        self._paint()
        self._work()

    def _paint(self) -> None:
        """The compositor's part: every text cell of the picture's area."""
        area = self.stage.area
        for row in range(area.rows):
            text = f"\x1b[{area.row + row + 1};{area.column + 1}H"
            for cell in self.stage.row_cells(row):
                red, green, blue = cell.foreground or (255, 255, 255)
                text += f"\x1b[0;38;2;{red};{green};{blue}m{cell.text}"
            self._write(text.encode())
        self.stage.repainted()

    def _answered(self, row: int, column: int) -> None:
        for note in self.stage.answered(row, column):
            if self.stage.note_drawn(note):
                self.guard.open(self.now)
                self.waits.append(self.stage.state.waited)
        self._work()

    # -- the line --------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        self.sent += len(data)
        if self.lossy and self._random.random() < self.lossy:
            # tmux redraws: what it should pass on is lost, all of it or the beginning.
            whole = self._random.random() < 0.5
            self.losing = max(
                self.losing, len(data) if whole else self._random.randrange(len(data))
            )
        data, self.losing = _drop_beginning(data, self.losing), max(0, self.losing - len(data))
        begun = max(self.now, self._down_free)
        self._down_free = begun + len(data) / self.rate
        # What is long arrives bit by bit.
        for start in range(0, len(data), 1500):
            end = begun + min(start + 1500, len(data)) / self.rate
            piece = data[start : start + 1500]
            self._later(end + self.rtt / 2 - self.now, lambda piece=piece: self._arrived(piece))

    def _arrived(self, piece: bytes) -> None:
        answers = self.screen.feed(piece)
        for image, row, column in ANSWERS.findall(answers):
            if image:
                self._back(lambda image=int(image): self.stage.failed(image))
            else:
                self._back(lambda row=int(row), column=int(column): self._answered(row, column))

    def _back(self, do: Callable[[], None]) -> None:
        """To the program, in order."""
        self._up_free = max(self._up_free, self.now + self.rtt / 2)
        self._later(self._up_free - self.now, do)

    # -- the annotator ---------------------------------------------------------------------

    def press(self, key: str) -> None:
        on_screen = shown(self.screen)
        self._back(lambda: self._key(key, on_screen, self.now, False))

    def paste(self, text: str) -> None:
        """Paste some characters without brackets: they arrive in one read."""
        on_screen, pasted = shown(self.screen), is_pasted(len(text))

        def read() -> None:
            typed_at = self.now
            for key in text:
                self._key(key, on_screen, typed_at, pasted)

        self._back(read)

    def resize(self, columns: int, rows: int) -> None:
        if (columns, rows) == (self.screen.columns, self.screen.rows):
            return
        self.screen.resize(columns, rows)
        self._back(lambda: self._resized(columns, rows))

    # -- time ------------------------------------------------------------------------------

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, _Event(self.now + max(0.0, seconds), self._order, do))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._events and self._events[0].at <= end:
            event = heapq.heappop(self._events)
            self.now = event.at
            event.do()
        self.now = end
