"""The way into the screens: opens a project's session, asks the terminal, and runs the app.

Nothing here may import Textual before the terminal has answered: Textual reads its settings from
the environment when it is imported, and owns the terminal's answers while it runs.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING

from annotator.errors import AnnotatorError, TerminalError
from annotator.session.handover import PATIENCE, ScreenRecord, attached, read_taker
from annotator.session.mode import AskedSample, AuditMeter, SessionMode
from annotator.session.open import open_session
from annotator.tui.finder import ItemFinder
from annotator.tui.key_repeat import Pace
from annotator.tui.keymaps import Keymap, make_keymap
from annotator.tui.session_summary import SessionSummary, summarize_session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from annotator.curate.review_evidence import Evidence
    from annotator.curate.review_queues import ReviewQueues
    from annotator.log.entries import LogState
    from annotator.project.project import ProjectFolder
    from annotator.session.learner import Prior
    from annotator.terminal.caps import TerminalCapabilities
    from annotator.tui.app import LabelApp
    from annotator.tui.host import ScreenHost
    from annotator.tui.review.app import ReviewApp

HOOKS_SECONDS = 5.0
"""Seconds that the end waits for commands that still run."""
HANDOVER_SECONDS = PATIENCE / 2
"""The same while another terminal waits for this one to end."""


@dataclass(frozen=True, slots=True)
class PoolPart:
    """The items of a query, which alone are asked."""

    mask: NDArray[np.bool_]
    """(n,) True for these rows of the pool."""
    title: str
    """The query."""
    refines: str | None = None
    """The class whose items get a finer label: one of the classes below it."""


@dataclass(frozen=True, slots=True)
class ItemSample:
    """The items of an audit, or those that need a second opinion."""

    name: str | None
    """The name that marks the labels of an audit in the log; None for second opinions."""
    refs: Sequence[str]
    notice: str = ""
    """A text for the annotator about the audit."""
    is_lost: Callable[[LogState, str], bool] | None = None
    """A function that tells whether nothing more is asked after the answer on a ref."""
    sample: AskedSample | None = None
    """The check that asks its items in their order; None for an audit."""
    meter: Callable[[LogState], AuditMeter] | None = None
    """A function that tells how far the audit is."""
    first: tuple[str, ...] = ()
    """The refs of an audit that are asked before the others."""


def run_label_app(
    project: ProjectFolder,
    *,
    annotator: str,
    graphics: str = "auto",
    features: bool = True,
    audit: ItemSample | None = None,
    opening: Callable[[ScreenHost], None] | None = None,
    part: PoolPart | None = None,
    watch: bool = False,
    again: Sequence[str] = (),
) -> SessionSummary:
    """Label `project` in this terminal until the annotator quits.

    `features` computes missing features in the background. With `audit`, only its items are
    asked, blind; with `part`, those of a query. `opening` opens another screen in place of the
    labelling screen, once the pool is known. With `watch` new files in the folder of images become
    items. With `again`, the command that opens the same screen, another terminal may take it
    over. Raises `AnnotatorError` if the screen cannot open: keys in conflict, an unknown theme, a
    log or refs that cannot be read.
    """
    _keymap(project)  # a faulty keymap is reported before the screen is touched
    refs = audit.refs if audit else None
    finder = ItemFinder(project, refs, rests=opening is None)
    caps = _open_terminal(graphics)
    with prepare_label_app(
        project, annotator, caps, features=features, audit=audit, finder=finder, opening=opening,
        part=part, watch=watch,
    ) as app:  # fmt: skip
        if (taken := attached.get()) is not None:
            app.restored = taken.screen.view or {}
        app.record = ScreenRecord(project.folder, annotator, again) if again else None
        error = _run(app)
        if error is not None:
            raise error
        if app.taken_over:
            left, taker = app.session.progress.remaining, read_taker(project.folder, annotator)
            summary = SessionSummary(str(project.folder), annotator, 0, 0.0, left, taken_by=taker)
            return replace(summary, unheard=app.hooks.close(HANDOVER_SECONDS))
        if app.record is not None and not app.exit_status:
            app.record.remove()
        summary = summarize_session(str(project.folder), app.session, app.pace, app.exit_status)
        app.hooks.send("on_finish", summary.as_dict())
    return replace(summary, unheard=app.hooks.close(HOOKS_SECONDS))


@contextlib.contextmanager
def prepare_label_app(
    project: ProjectFolder,
    annotator: str,
    caps: TerminalCapabilities,
    *,
    features: bool = True,
    audit: ItemSample | None = None,
    finder: ItemFinder | None = None,
    opening: Callable[[ScreenHost], None] | None = None,
    part: PoolPart | None = None,
    watch: bool = False,
) -> Iterator[LabelApp]:
    """Yield the app that labels a project, with an open session."""
    from annotator.tui.app import LabelApp

    mode = SessionMode(repeats=project.settings.repeats)
    shown = project
    if part is not None and part.refines is not None:
        mode = SessionMode(refines=part.refines)
        shown = replace(project, settings=project.settings.below(part.refines))
    if audit is not None:
        mode = SessionMode(
            audit.name, audit.notice, audit.is_lost, second=audit.name is None,
            sample=audit.sample, first=audit.first, meter=audit.meter,
        )  # fmt: skip
    failures: SimpleQueue[str] = SimpleQueue()
    prior = _load_prior(project, blind=audit is not None)
    with open_session(
        project, annotator, mode=mode, prior=prior, on_hook_failure=failures.put
    ) as opened:
        if part is not None:
            opened.session.restrict(part.mask, part.title)
        yield LabelApp(
            shown, opened.session, _keymap(shown), Pace(time.monotonic), caps,
            finder or ItemFinder(project, audit.refs if audit else None),
            compute_features=features, hooks=opened.hooks, hook_failures=failures,
            opening=opening, watch=watch,
        )  # fmt: skip


def _load_prior(project: ProjectFolder, blind: bool) -> Prior | None:
    """Return the predictions of the proposals; None if there are none."""
    if not os.path.lexists(project.proposals_file):
        return None
    from annotator.proposals import load_proposal_prior

    return load_proposal_prior(project, blind)


@dataclass(frozen=True, slots=True)
class ReviewSummary:
    """The result of one review session."""

    cases: int
    """Decided cases."""
    seconds: float
    left: dict[str, int]
    """Queue -> cases that are still open."""
    code: int = 0
    """The exit status, as that of `SessionSummary`."""


@contextlib.contextmanager
def prepare_review_app(
    project: ProjectFolder,
    annotator: str,
    found: ReviewQueues,
    evidence: Evidence,
    queue: str | None,
    caps: TerminalCapabilities,
) -> Iterator[ReviewApp]:
    """Yield the app that reviews a project, with an open session."""
    from annotator.curate.review import Review
    from annotator.tui.review.app import ReviewApp

    # Without a pool nothing is asked, so nothing is leased.
    opened = open_session(project, annotator, on_hook_failure=lambda message: None, asks=False)
    try:
        with opened:
            review = Review(opened.session, found, evidence, queue)
            yield ReviewApp(project, review, _keymap(project), caps)
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

    Raises `AnnotatorError` if the screen cannot open.
    """
    _keymap(project)  # a faulty keymap is reported before the screen is touched
    caps = _open_terminal(graphics)
    begun = time.monotonic()
    with prepare_review_app(project, annotator, found, evidence, queue, caps) as app:
        error = _run(app)
        if error is not None:
            raise error
        review, seconds = app.review, time.monotonic() - begun
        return ReviewSummary(review.done, seconds, review.queues, app.exit_status)


def _keymap(project: ProjectFolder) -> Keymap:
    settings = project.settings
    return make_keymap(settings.keymap, settings.classes, settings.keys, settings.digits)


def _run(app: LabelApp | ReviewApp) -> AnnotatorError | None:
    from annotator.terminal.transport import unlink_recent_memory

    try:
        return app.run()
    finally:
        unlink_recent_memory()


def _open_terminal(graphics: str) -> TerminalCapabilities:
    """Ask the terminal what it can do, and set the process up for a screen on stderr."""
    from annotator.terminal.probe import probe

    if sys.__stderr__ is None or not sys.__stderr__.isatty():
        raise TerminalError(
            "The screen is drawn on stderr, which is redirected. Run the command again without "
            "redirecting stderr."
        )
    caps = probe(graphics, stdout=sys.__stderr__.fileno())
    os.environ.update(caps.environment)
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)  # Textual would believe them, and miss every resize
    # Pictures and fits are made in threads beside the screen's. By default one that computes
    # gives way only after 5 ms, twice what a key needs in all.
    sys.setswitchinterval(1e-4)
    return caps
