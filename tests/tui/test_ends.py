"""Every end of the program, on every screen: the terminal is itself again, and nothing is left."""

from __future__ import annotations

import os
import random
import re
import signal
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from annotator.hits.files import save_hit_set
from annotator.hits.make import HitRecipe, make_hits
from annotator.log.entries import Action, Entry, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.clusters import ClusterMember, write_clusters
from annotator.project.project import ProjectFolder
from tests.terminal.program_on_pty import Running
from tests.time_limits import PATIENCE

ENDS = int(os.environ.get("ANNOTATOR_ENDS", "0"))
"""The number of ends of each kind on each screen; 30: ANNOTATOR_ENDS=30 make test."""
MEMORY = Path("/dev/shm")  # noqa: S108  where POSIX shared memory lies on Linux
CLOSED = 0
"""The terminal goes away, as it does when a line is cut."""
KINDS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, CLOSED)
SCREENS: dict[str, tuple[list[str], bytes]] = {
    "label": (["run", "{}"], b""), "help": (["run", "{}"], b"h"), "note": (["run", "{}"], b"n"),
    "curves": (["run", "{}"], b"c"), "streams": (["run", "{}"], b"R\r"),
    "pages": (["browse", "{}", "--class", "red"], b""), "review": (["review", "{}"], b""),
    "identities": (["identities", "{}"], b""), "hit": (["hits", "run", "{}", "--worker", "w"], b""),
    "second opinions": (["run", "{}", "--second", "--annotator", "bo"], b""),
}  # fmt: skip
"""Screen -> the command that opens it, and the keys that lead to it."""
CASES = [(screen, kind) for screen in SCREENS for kind in KINDS]
CHOSEN = CASES if ENDS else [(s, KINDS[n % 4]) for n, s in enumerate(SCREENS)]
MODES = {1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1049, 2004, 2026, 2048}
"""Modes of a terminal that a shell finds switched off; it finds 7 (wrap) and 25 (cursor) on."""


@pytest.fixture
def project(make: Any, give_features: Any) -> ProjectFolder:
    """40 images, 24 of them labelled, in clusters and in a HIT."""
    made: ProjectFolder = make(40)
    refs = [f"{number:02d}.png" for number in range(40)]
    give_features(made, refs)
    store = SqliteStore(made.labels_file)
    for number in range(24):
        label = ("red", "blue")[(number + (number in (4, 7))) % 2]
        store.append(Entry(0, 1.0, "ana", Action.LABEL, refs[number], label))
    state = replay(store.entries())
    store.close()
    write_clusters(made, [ClusterMember(ref, n // 8, "") for n, ref in enumerate(refs[24:])])
    recipe = HitRecipe("reds", ("red",), pages=1, images=6, gold=0, hits=1, workers=0)
    save_hit_set(made, make_hits(made, state, recipe))
    return made


class Watched(Running):
    """A program on a pty, and all that it writes."""

    def __init__(self, arguments: list[str], kind: str) -> None:
        self.written = bytearray()
        super().__init__(["-m", "annotator", *arguments], kind, (100, 30))
        feed: Callable[[bytes], bytes] = self.screen.feed

        def fed(data: bytes) -> bytes:
            self.written.extend(data)
            return feed(data)

        self.screen.feed = fed  # type: ignore[method-assign]

    def end(self, kind: int) -> int:
        """Send a signal or take the terminal away; return the exit status."""
        if kind == CLOSED:
            self._stop = True
            self._thread.join(PATIENCE)
            os.close(self._master)
            self._master = os.open(os.devnull, os.O_RDWR)
        else:
            os.kill(self.process.pid, kind)
        return self.process.wait(PATIENCE)

    @property
    def settings(self) -> list[Any]:
        """The settings of the terminal, as `stty` shows them."""
        return termios.tcgetattr(self._master)

    @property
    def modes_left(self) -> set[int]:
        """The modes that a shell would find changed."""
        on = dict[int, bool]()
        for numbers, letter in re.findall(rb"\x1b\[\?([\d;]+)([hl])", bytes(self.written)):
            on |= {int(number): letter == b"h" for number in numbers.split(b";")}
        return {n for n in MODES if on.get(n)} | {n for n in (7, 25) if on.get(n) is False}


def processes_of(session: int) -> list[str]:
    """Return the processes of a session that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[3] == str(session) and fields[0] not in "ZX":
            found.append(stat.parent.name)
    return found


def shared_memory() -> set[str]:
    return {path.name for path in MEMORY.glob("annotator-tty-graphics-protocol-*")}


def labels(project: ProjectFolder) -> int:
    store = SqliteStore(project.labels_file)
    try:
        return sum(entry.action is Action.LABEL for entry in store.entries())
    finally:
        store.close()


@pytest.fixture
def memory() -> Iterator[set[str]]:
    """The shared memory that others use; what a failed test leaves is removed."""
    before = shared_memory()
    yield before
    for name in shared_memory() - before:
        (MEMORY / name).unlink(missing_ok=True)


@pytest.mark.parametrize(("screen", "kind"), CHOSEN)
def test_the_terminal_is_itself_again_after_every_end(
    screen: str, kind: int, project: ProjectFolder, memory: set[str]
) -> None:
    words, keys = SCREENS[screen]
    command = [word.format(project.folder) for word in words]
    rng = random.Random(f"{screen} {kind}")
    for _ in range(max(1, ENDS)):
        terminal = "kitty-shared" if keys == b"R\r" else rng.choice(["kitty-shared", "xterm"])
        with Watched(command, terminal) as running:
            before = running.settings
            running.wait(lambda shown: shown.alternate)
            time.sleep(rng.choice((0.0, 0.3, 1.0)))  # while it starts, and when it is there
            for key in keys:
                running.press(bytes([key]))
                time.sleep(0.3)
            saved = labels(project)
            status = running.end(kind)
            # 120: Python could not flush its output to the terminal that is gone.
            expected = (0, 120, 129) if kind == CLOSED else (128 + kind,)
            assert status in expected, running.written[-2000:]
            assert b"Traceback" not in running.written
            if kind != CLOSED:
                running.wait(lambda shown: not (running.modes_left or shown.alternate))
                assert running.settings == before
                running.wait(lambda shown: not shown.images)
            assert processes_of(running.process.pid) == []
            assert shared_memory() == memory
            assert labels(project) >= saved


CONTINUED = """
import os, signal
from textual.app import App
from annotator.tui.picture.driver import PictureDriver

class Small(App):
    def on_mount(self):
        self.set_timer(0.2, self.be_continued)

    def be_continued(self):
        with self._driver._writer_thread._queue.mutex:  # as while it writes
            os.kill(os.getpid(), signal.SIGCONT)
        self.set_timer(0.2, self.exit)

Small(driver_class=PictureDriver).run()
"""


def test_a_hangup_that_continues_the_program_while_it_writes_does_not_block_it() -> None:
    with Running(["-c", CONTINUED], "xterm") as running:
        assert running.process.wait(PATIENCE) == 0
