"""A session without a screen: its store, features, hooks and leases."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np

from annotator.errors import ProjectError, StoreError
from annotator.features.growing import open_partial_features
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.items.refs import make_printable, plural
from annotator.learn.ranking import learn
from annotator.log.entries import LogState, entry_as_dict, replay
from annotator.log.store import SqliteStore
from annotator.project import label_sets
from annotator.project.hooks import Hooks
from annotator.project.item_pool import load_refs
from annotator.project.priorities import read_priorities
from annotator.project.project import ProjectFolder
from annotator.session.learner import Prior, StrategyChoice
from annotator.session.session import LabelSession

HOOKS_TIMEOUT = 60.0


class ScriptedSession:
    """One annotator's sitting from a script. What it asks stays leased until it is closed, or,
    where it ends without that, for `lease` seconds."""

    def __init__(
        self,
        project: ProjectFolder,
        annotator: str,
        second: bool,
        lease: float,
        clock: Callable[[], float],
        prior: Prior | None = None,
    ) -> None:
        """`prior` says what is shown of an item while no model has learnt anything yet."""
        settings = project.settings
        self.failures: list[str] = []
        """What `on_label` could not do, in words."""
        commands = {"on_label": settings.on_label, "on_finish": settings.on_finish}
        self._hooks = Hooks(commands, project.folder, self.failures.append)
        self._store = SqliteStore(project.labels_file)
        # A name of its own, not of this process: the next call of a script goes on with it.
        holder = f"script:0:{annotator}:{'second' if second else 'first'}"
        self._store.release(holder, clock())
        held = len(self._store.abandoned(annotator, clock()))
        self._seed = settings.seed
        self.session = LabelSession(
            self._store, settings.names, annotator=annotator, seed=settings.seed,
            ahead=max(settings.ahead, held - 1), clock=clock, holder=holder, second=second,
            lease=lease, multi=settings.multi_label,
            strategy=StrategyChoice(settings.strategy, settings.find, settings.estimator),
            on_entry=lambda entry: self._hooks.tell("on_label", entry_as_dict(entry)),
        )  # fmt: skip
        self.session.learner.before = prior
        refs = load_refs(project)
        self.session.queue.ask_first([] if second else read_priorities(project))
        self.session.extend(labelled_by_others(self._store, annotator, refs) if second else refs)
        self.sync_with_others()
        if not second:
            self._attach(project)

    def learn(self) -> None:
        """Fit on all labels so far and ask by that from now on, if there are features."""
        if self.session.stale:
            snapshot = self.session.snapshot()
            assert snapshot is not None
            self.session.adopt(learn(snapshot, self._seed))

    def sync_with_others(self) -> None:
        """Leave out what others have answered, and fill up from what nobody else is asked.

        An answer is in the log before its item is let go. So what was leased before a look at the
        log, and is not answered in it, is nobody else's.
        """
        session, held = self.session, None
        while (leased := [session.queue[n].row for n in range(len(session.queue))]) != held:
            held = leased
            session.refresh()
            session.decide({}, picked_by="api")  # writes nothing, leaves out what is answered

    def keep(self) -> None:
        """End, and keep what is asked leased: a script answers it later."""
        self._end()

    def close(self) -> None:
        """End, and let go of what is asked."""
        with contextlib.suppress(StoreError):
            self.session.close()
        self._end()

    def _end(self) -> None:
        if unheard := self._hooks.close(HOOKS_TIMEOUT):
            labels = plural(unheard, "label")
            self.failures.append(f"on_label has not heard of {labels} yet, and will not now")
        self._store.close()

    def _attach(self, project: ProjectFolder) -> None:
        folder = project.features_folder
        if (folder / "meta.json").exists():  # else it asks at random, as the screen does
            store = open_partial_features(folder) or FeatureStore.open(folder)
            self.session.attach_features(store, store.available())


def resolve_class(project: ProjectFolder, label: str) -> str:
    """A class, or of a multi-label project a set of them (`ok|dusty`, `(none)`), as it is written.

    Raises `ProjectError` for what the project does not have.
    """
    settings = project.settings
    found = label_sets.normalize_label(label, settings.names, settings.multi_label)
    if found is None:
        names = make_printable(", ".join(settings.names))
        several = "; several: A|B" if settings.multi_label else ""
        raise ProjectError(
            f"{make_printable(repr(label))} is not a class; the classes are {names}{several}"
        )
    return found


def labelled_by_others(store: SqliteStore, annotator: str, refs: RefTable) -> list[str]:
    """The items whose label another person gave, in the pool's order."""
    state: LogState = replay(store.entries())
    wanted = [
        last.ref
        for _, last in state.labels()
        if last.annotator != annotator and not last.by_machine
    ]
    rows = np.sort(refs.rows(wanted))
    return [refs[int(row)] for row in rows if row >= 0]
