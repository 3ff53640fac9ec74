"""Opens the labelling screen on a project, and says at the end what came of it.

Nothing here may import Textual before the terminal was asked: Textual reads its settings from
the environment when it is imported, and owns the terminal's answers while it runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from annotator.errors import StoreError, TerminalError
from annotator.log.entries import Entry, as_dict
from annotator.project.hooks import Hooks
from annotator.project.project import Project
from annotator.tui.finder import Reader
from annotator.tui.key_repeat import Pace
from annotator.tui.session_summary import Receipt, receipt_of

if TYPE_CHECKING:
    from annotator.project.settings import Settings
    from annotator.terminal.caps import Caps
    from annotator.tui.app import Labeller
    from annotator.tui.keymaps import Keymap
from typing import TYPE_CHECKING

from annotator.curate.review import Review
from annotator.curate.review_evidence import Evidence
from annotator.curate.review_queues import Found
from annotator.log.store import SqliteStore
from annotator.session.session import Session
from annotator.terminal.caps import Caps
from annotator.tui.keymaps import make_keymap

if TYPE_CHECKING:
    from annotator.tui.review.app import Reviewer


HOOKS_SECONDS = 5.0
"""How long the end waits for commands that still run."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What an audit asks, or what second opinions are wanted on."""

    name: str | None
    """Marks the labels of an audit in the log; None for second opinions."""
    refs: Sequence[str]


def run(
    project: Project,
    *,
    annotator: str,
    graphics: str = "auto",
    features: bool = True,
    audit: Sample | None = None,
    opening: Callable[[Labeller], None] | None = None,
) -> Receipt:
    """Label `project` in this terminal until the annotator quits.

    `features` says whether missing features are computed in the background; with `audit`, only
    its items are asked, blind. `opening` opens another screen in place of the labelling screen,
    once the pool is known. Raises
    `AnnotatorError` for what keeps the screen from opening: keys in conflict, an unknown theme,
    a store that cannot be opened, refs that cannot be read.
    """
    from annotator.terminal.probe import probe

    if sys.__stderr__ is None or not sys.__stderr__.isatty():
        raise TerminalError("the screen is drawn on stderr: run it again without redirecting that")
    _keymap(project.settings)  # before the screen is touched
    reader = Reader(project, audit.refs if audit else None)
    caps = probe(graphics, stdout=sys.__stderr__.fileno())  # where the screen is drawn
    os.environ.update(caps.environment)
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)  # Textual would believe them, and miss every resize
    # Pictures and fits are made in threads beside the screen's. By default one that computes
    # gives way only after 5 ms, twice what a key needs in all.
    sys.setswitchinterval(1e-4)
    with prepared(project, annotator, caps, features=features, audit=audit, reader=reader) as app:
        app.opening = opening
        error = app.run()
        if error is not None:
            raise error
        code = _code(app.signalled, app.return_code)
        receipt = receipt_of(str(project.folder), app.session, app.pace, code)
        app.hooks.tell("on_finish", receipt.as_dict())
    return replace(receipt, unheard=app.hooks.close(HOOKS_SECONDS))


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
    from annotator.log.store import SqliteStore
    from annotator.project.clusters import read_clusters
    from annotator.project.priorities import read_first
    from annotator.proposals import before
    from annotator.session.learner import Strategy
    from annotator.session.session import Session
    from annotator.tui.app import Labeller

    settings = project.settings
    keymap = _keymap(settings)
    commands = {"on_label": settings.on_label, "on_finish": settings.on_finish}
    hooks = Hooks(commands, project.folder, lambda words: app.hook_failed(words))

    def hear(entry: Entry) -> None:
        hooks.tell("on_label", as_dict(entry))

    store = SqliteStore(project.labels_file)
    try:
        session = Session(
            store, settings.names, annotator=annotator, seed=settings.seed, ahead=settings.ahead,
            multi=settings.multi_label,
            strategy=Strategy(settings.strategy, settings.find, settings.estimator),
            audit=audit.name if audit else None, second=bool(audit and audit.name is None),
            hear=hear, repeats=settings.repeats,
        )  # fmt: skip
        session.learner.before = before(project, blind=audit is not None)
        session.learner.clusters = read_clusters(project)
        session.queue.ask_first([] if audit else read_first(project))
        pace = Pace(time.monotonic)
        reader = reader or Reader(project, audit.refs if audit else None)
        app = Labeller(project, session, keymap, pace, caps, reader, extract=features, hooks=hooks)
        yield app
        with contextlib.suppress(StoreError):
            session.close()
    finally:
        store.close()


def _keymap(settings: Settings) -> Keymap:
    from annotator.tui.keymaps import make_keymap

    return make_keymap(settings.keymap, settings.classes, settings.keys)


def _code(signalled: int | None, returned: int | None) -> int:
    if signalled is None:
        return returned or 0
    return 130 if signalled == signal.SIGINT else 128 + signalled


_HOOKS_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Done:
    """What a sitting came to."""

    cases: int
    seconds: float
    left: dict[str, int]
    code: int = 0


@contextlib.contextmanager
def prepared_review(
    project: Project,
    annotator: str,
    found: Found,
    evidence: Evidence,
    queue: str | None,
    caps: Caps,
) -> Iterator[Reviewer]:
    """The app, with its session; both are closed at the end."""
    from annotator.tui.review.app import Reviewer

    settings = project.settings
    commands = {"on_label": settings.on_label, "on_finish": settings.on_finish}
    hooks = Hooks(commands, project.folder, lambda words: None)

    def hear(entry: Entry) -> None:
        hooks.tell("on_label", as_dict(entry))

    store = SqliteStore(project.labels_file)
    try:
        # Without a pool: nothing is asked, so nothing is leased.
        session = Session(
            store, settings.names, annotator=annotator, hear=hear, multi=settings.multi_label
        )
        yield Reviewer(project, Review(session, found, evidence, queue), caps)
        with contextlib.suppress(StoreError):
            session.close()
    finally:
        store.close()
        hooks.close(_HOOKS_SECONDS)


def run_review(
    project: Project,
    found: Found,
    evidence: Evidence,
    *,
    annotator: str,
    queue: str | None = None,
    graphics: str = "auto",
) -> Done:
    """Review in this terminal until the annotator quits.

    Raises `AnnotatorError` for what keeps the screen from opening.
    """
    from annotator.terminal.probe import probe

    if sys.__stderr__ is None or not sys.__stderr__.isatty():
        raise TerminalError("the screen is drawn on stderr: run it again without redirecting that")
    make_keymap(project.settings.keymap, project.settings.classes, project.settings.keys)
    caps = probe(graphics, stdout=sys.__stderr__.fileno())
    os.environ.update(caps.environment)
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)  # Textual would believe them, and miss every resize
    sys.setswitchinterval(1e-4)
    begun = time.monotonic()
    with prepared_review(project, annotator, found, evidence, queue, caps) as app:
        app.run()
        code = app.return_code or 0
        if app.signalled is not None:
            code = 130 if app.signalled == signal.SIGINT else 128 + app.signalled
        return Done(app.review.done, time.monotonic() - begun, app.review.queues, code)
