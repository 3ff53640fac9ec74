"""A session for scripts and the API: its features, the class names it takes, and its leases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from annotator.errors import ProjectError
from annotator.features.growing import open_partial_features
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item, make_printable, plural
from annotator.log.entries import LogState, replay
from annotator.log.store.protocol import ProjectStore
from annotator.project import label_sets
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.session.class_text import load_text_prior
from annotator.session.learner import Prior
from annotator.session.mode import SessionMode
from annotator.session.open import open_session

HOOKS_TIMEOUT = 60.0


class ScriptedSession:
    """One annotator's session from a script.

    The queued items stay leased until it is closed, or for `lease` seconds if it never is.
    """

    def __init__(
        self,
        project: ProjectFolder,
        annotator: str,
        *,
        second: bool,
        lease: float,
        clock: Callable[[], float],
        prior: Prior | None = None,
        ahead: int = 0,
    ) -> None:
        """Open it on all items, or with `second` on those that others have labelled.

        It resumes what it had leased, and draws nothing new before `ask`. `ahead` items are drawn
        with the current one. `prior` predicts while no model has learnt anything.
        """
        self.failures: list[str] = []
        """Messages on what the `on_label` command could not do."""
        # The holder does not name this process: the next call of a script resumes its leases.
        self._opened = open_session(
            project, annotator, on_hook_failure=self.failures.append,
            mode=SessionMode(second=second), prior=prior, ahead=ahead, clock=clock, lease=lease,
            holder=f"script:0:{annotator}:{'second' if second else 'first'}",
        )  # fmt: skip
        self.session = self._opened.session
        self.session.pause_asking()
        refs = load_refs(project)
        if second:
            self.session.extend(labelled_by_others(self._opened.store, annotator, refs))
        else:
            self.session.extend(refs)
        self.session.queue.ahead = ahead  # not the number that was resumed
        self.session.refresh(keep_current=False)
        if not second:
            self._attach(project)

    def learn(self) -> None:
        """Fit on all labels so far, if there are features and new labels."""
        if self.session.stale:
            self.session.learn()

    def ask(self, *, learn: bool = True) -> None:
        """Draw what to ask next by a model of all labels so far, and lease it.

        Without features, or without `learn`, it is drawn at random. What others have answered
        meanwhile is left out.
        """
        if learn:
            self.learn()
        self.session.resume_asking()
        self.session.refresh(keep_current=False)
        self.session.pause_asking()

    def upcoming(self, n: int) -> list[Item]:
        """Return up to `n` items that come after the current one.

        From then on at least `n` are drawn ahead: they know as many labels less.
        """
        if n > self.session.queue.ahead:
            self.session.queue.ahead = n
            self.ask(learn=False)
        return self.session.upcoming(n)

    def close_keeping_leases(self) -> None:
        """End, and keep the queued items leased: a script answers them later."""
        self._close(release=False)

    def close(self) -> None:
        """End, and release the queued items."""
        self._close(release=True)

    def _close(self, release: bool) -> None:
        self._opened.close(release=release)
        if unsent := self._opened.hooks.close(HOOKS_TIMEOUT):
            labels = plural(unsent, "label")
            self.failures.append(f"on_label did not get {labels}. It still runs, or hangs.")

    def _attach(self, project: ProjectFolder) -> None:
        folder = project.features_folder
        if project.has_features:  # else it asks at random, as the screen does
            store = open_partial_features(folder) or FeatureStore.open(folder)
            self.session.attach_features(store, store.available())
            self.session.learner.text = load_text_prior(project, store)


def resolve_class(project: ProjectFolder, label: str) -> str:
    """Return the label that `label` names: a class, or in a multi-label project also a set of
    classes (`ok|dusty`, `(none)`).

    Raises `ProjectError` for a class that the project does not have.
    """
    settings = project.settings
    found = label_sets.normalize_label(label, settings.names, settings.multi_label)
    if found is None:
        names = make_printable(", ".join(settings.names))
        several = " Join several as A|B." if settings.multi_label else ""
        raise ProjectError(
            f"{make_printable(repr(label))} is not a class. The classes are {names}.{several}"
        )
    return found


def labelled_by_others(store: ProjectStore, annotator: str, refs: RefTable) -> list[str]:
    """Return the items whose label another person gave, in the pool's order."""
    state: LogState = replay(store.entries())
    wanted = [
        last.ref
        for _, last in state.labels()
        if last.annotator != annotator and not last.by_machine
    ]
    rows = np.sort(refs.rows(wanted))
    return [refs[int(row)] for row in rows if row >= 0]
