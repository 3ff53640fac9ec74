"""Opens the labelling screen on a project, and says at the end what came of it.

Nothing here may import Textual before the terminal was asked: Textual reads its settings from
the environment when it is imported, and owns the terminal's answers while it runs.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annotator.errors import StoreError, TerminalError
from annotator.project import Project
from annotator.refs import printable
from annotator.tui.pace import Pace, duration
from annotator.tui.reader import Reader

if TYPE_CHECKING:
    from annotator.terminal.caps import Caps
    from annotator.tui.labeller import Labeller


@dataclass(frozen=True, slots=True)
class Sample:
    """What an audit asks."""

    name: str
    """Marks its labels in the log."""
    refs: Sequence[str]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one sitting came to; `str` is for the annotator."""

    project: str
    answers: int
    """Labels and skips, less what was taken back."""
    seconds: float
    """Of work: pauses are left out."""
    remaining: int
    per_minute: float | None = None
    code: int = 0
    """The exit status: 0, 1 after a crash, 128 + the signal that ended it (130 for SIGINT)."""

    def __str__(self) -> str:
        folder = printable(shlex.quote(self.project))
        words = f"{self.answers:,} answered in {duration(self.seconds)}"
        if self.per_minute:
            words += f", {self.per_minute:.0f} a minute"
        left = f"{self.remaining:,} to go" if self.remaining else "nothing is left"
        follow = "go on:   annotator run" if self.remaining else "take out: annotator export"
        return f"{words}; {left}. All is saved.\n{follow} {folder}"


def run(
    project: Project,
    *,
    annotator: str,
    graphics: str = "auto",
    features: bool = True,
    audit: Sample | None = None,
) -> Receipt:
    """Label `project` in this terminal until the annotator quits.

    `features` says whether missing features are computed in the background; with `audit`, only
    its items are asked, blind. Raises
    `AnnotatorError` for what keeps the screen from opening: keys in conflict, an unknown theme,
    a store that cannot be opened, refs that cannot be read.
    """
    from annotator.terminal.probe import probe
    from annotator.tui.keymaps import make_keymap

    if sys.__stderr__ is None or not sys.__stderr__.isatty():
        raise TerminalError("the screen is drawn on stderr: run it again without redirecting that")
    make_keymap(project.settings.keymap, project.settings.classes)  # before the screen is touched
    reader = Reader(project, audit.refs if audit else None)
    caps = probe(graphics)
    os.environ.update(caps.environment)
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)  # Textual would believe them, and miss every resize
    # Pictures and fits are made in threads beside the screen's. By default one that computes
    # gives way only after 5 ms, twice what a key needs in all.
    sys.setswitchinterval(1e-4)
    with prepared(project, annotator, caps, features=features, audit=audit, reader=reader) as app:
        error = app.run()
        if error is not None:
            raise error
        code, left = _code(app.signalled, app.return_code), app.session.progress.remaining
        pace = app.pace
    return Receipt(str(project.folder), pace.answers, pace.seconds, left, pace.per_minute, code)


@contextlib.contextmanager
def prepared(
    project: Project,
    annotator: str,
    caps: Caps,
    *,
    features: bool = True,
    audit: Sample | None = None,
    reader: Reader | None = None,
) -> Iterator[Labeller]:
    """The app for a project, with its session; both are closed at the end."""
    from annotator.learner import Strategy
    from annotator.session import Session
    from annotator.store import SqliteStore
    from annotator.tui.keymaps import make_keymap
    from annotator.tui.labeller import Labeller

    settings = project.settings
    keymap = make_keymap(settings.keymap, settings.classes)
    store = SqliteStore(project.labels_file)
    try:
        session = Session(
            store, settings.names, annotator=annotator, seed=settings.seed, ahead=settings.ahead,
            strategy=Strategy(settings.strategy, settings.find, settings.estimator),
            audit=audit.name if audit else None,
        )  # fmt: skip
        pace = Pace(time.monotonic)
        reader = reader or Reader(project, audit.refs if audit else None)
        yield Labeller(project, session, keymap, pace, caps, reader, extract=features)
        with contextlib.suppress(StoreError):
            session.close()
    finally:
        store.close()


def _code(signalled: int | None, returned: int | None) -> int:
    if signalled is None:
        return returned or 0
    return 130 if signalled == signal.SIGINT else 128 + signalled
