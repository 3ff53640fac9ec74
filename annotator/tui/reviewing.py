"""Opens the review screen on a project.

Nothing here may import Textual before the terminal was asked, as in `app`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annotator.errors import StoreError, TerminalError
from annotator.hooks import Hooks
from annotator.log import Entry, as_dict
from annotator.project import Project
from annotator.review import Evidence, Found, Review
from annotator.session import Session
from annotator.store import SqliteStore
from annotator.terminal.caps import Caps
from annotator.tui.keymaps import make_keymap

if TYPE_CHECKING:
    from annotator.tui.reviewer import Reviewer

_HOOKS_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Done:
    """What a sitting came to."""

    cases: int
    seconds: float
    left: dict[str, int]
    code: int = 0


@contextlib.contextmanager
def prepared(
    project: Project,
    annotator: str,
    found: Found,
    evidence: Evidence,
    queue: str | None,
    caps: Caps,
) -> Iterator[Reviewer]:
    """The app, with its session; both are closed at the end."""
    from annotator.tui.reviewer import Reviewer

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


def run(
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
    with prepared(project, annotator, found, evidence, queue, caps) as app:
        app.run()
        code = app.return_code or 0
        if app.signalled is not None:
            code = 130 if app.signalled == signal.SIGINT else 128 + app.signalled
        return Done(app.review.done, time.monotonic() - begun, app.review.queues, code)
