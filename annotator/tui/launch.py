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

from annotator.errors import TerminalError
from annotator.project.project import ProjectFolder
from annotator.tui.finder import ItemFinder
from annotator.tui.key_repeat import Pace
from annotator.tui.session_summary import SessionSummary, summarize_session

if TYPE_CHECKING:
    from annotator.project.settings import Settings
    from annotator.terminal.caps import TerminalCapabilities
    from annotator.tui.app import LabelApp
    from annotator.tui.keymaps import Keymap
from typing import TYPE_CHECKING

from annotator.curate.review import Review
from annotator.curate.review_evidence import Evidence
from annotator.curate.review_queues import ReviewQueues
from annotator.session.open import open_session
from annotator.terminal.caps import TerminalCapabilities
from annotator.tui.keymaps import make_keymap

if TYPE_CHECKING:
    from annotator.tui.review.app import ReviewApp


HOOKS_SECONDS = 5.0
"""How long the end waits for commands that still run."""


@dataclass(frozen=True, slots=True)
class ItemSample:
    """What an audit asks, or what second opinions are wanted on."""

    name: str | None
    """Marks the labels of an audit in the log; None for second opinions."""
    refs: Sequence[str]


def run_label_app(
    project: ProjectFolder,
    *,
    annotator: str,
    graphics: str = "auto",
    features: bool = True,
    audit: ItemSample | None = None,
    opening: Callable[[LabelApp], None] | None = None,
) -> SessionSummary:
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
    reader = ItemFinder(project, audit.refs if audit else None)
    caps = probe(graphics, stdout=sys.__stderr__.fileno())  # where the screen is drawn
    os.environ.update(caps.environment)
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)  # Textual would believe them, and miss every resize
    # Pictures and fits are made in threads beside the screen's. By default one that computes
    # gives way only after 5 ms, twice what a key needs in all.
    sys.setswitchinterval(1e-4)
    with prepare_label_app(
        project, annotator, caps, features=features, audit=audit, reader=reader
    ) as app:
        app.opening = opening
        error = app.run()
        if error is not None:
            raise error
        code = _code(app.signalled, app.return_code)
        receipt = summarize_session(str(project.folder), app.session, app.pace, code)
        app.hooks.tell("on_finish", receipt.as_dict())
    return replace(receipt, unheard=app.hooks.close(HOOKS_SECONDS))


@contextlib.contextmanager
def prepare_label_app(
    project: ProjectFolder,
    annotator: str,
    caps: TerminalCapabilities,
    *,
    features: bool = True,
    audit: ItemSample | None = None,
    reader: ItemFinder | None = None,
) -> Iterator[LabelApp]:
    """The app for a project, with its session; both are closed at the end."""
    from annotator.proposals import load_proposal_prior
    from annotator.session.session import SessionMode
    from annotator.tui.app import LabelApp

    settings = project.settings
    keymap = _keymap(settings)
    mode = SessionMode(repeats=settings.repeats)
    if audit is not None:
        mode = SessionMode(audit=audit.name, second=audit.name is None)
    prior = load_proposal_prior(project, blind=audit is not None)
    with open_session(
        project, annotator, mode=mode, prior=prior,
        on_hook_failure=lambda message: app.hook_failed(message),
    ) as opened:  # fmt: skip
        pace = Pace(time.monotonic)
        reader = reader or ItemFinder(project, audit.refs if audit else None)
        app = LabelApp(
            project, opened.session, keymap, pace, caps, reader, extract=features,
            hooks=opened.hooks,
        )  # fmt: skip
        yield app


def _keymap(settings: Settings) -> Keymap:
    from annotator.tui.keymaps import make_keymap

    return make_keymap(settings.keymap, settings.classes, settings.keys)


def _code(signalled: int | None, returned: int | None) -> int:
    if signalled is None:
        return returned or 0
    return 130 if signalled == signal.SIGINT else 128 + signalled


@dataclass(frozen=True, slots=True)
class ReviewSummary:
    """What a sitting came to."""

    cases: int
    seconds: float
    left: dict[str, int]
    code: int = 0


@contextlib.contextmanager
def prepare_review_app(
    project: ProjectFolder,
    annotator: str,
    found: ReviewQueues,
    evidence: Evidence,
    queue: str | None,
    caps: TerminalCapabilities,
) -> Iterator[ReviewApp]:
    """The app, with its session; both are closed at the end."""
    from annotator.tui.review.app import ReviewApp

    # Without a pool nothing is asked, so nothing is leased.
    opened = open_session(project, annotator, on_hook_failure=lambda message: None, asks=False)
    try:
        with opened:
            yield ReviewApp(project, Review(opened.session, found, evidence, queue), caps)
    finally:
        opened.hooks.close(HOOKS_SECONDS)


def run_review_app(
    project: ProjectFolder,
    found: ReviewQueues,
    evidence: Evidence,
    *,
    annotator: str,
    queue: str | None = None,
    graphics: str = "auto",
) -> ReviewSummary:
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
    with prepare_review_app(project, annotator, found, evidence, queue, caps) as app:
        app.run()
        code = app.return_code or 0
        if app.signalled is not None:
            code = 130 if app.signalled == signal.SIGINT else 128 + app.signalled
        return ReviewSummary(app.review.done, time.monotonic() - begun, app.review.queues, code)
