"""Opening a session: on a project folder, or on features that are held in memory.

The screens, the API, the commands for scripts, review and simulation all open theirs here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import StoreError
from annotator.items.ref_table import RefTable
from annotator.log.entries import Entry, entry_as_dict
from annotator.log.store.open import open_store
from annotator.log.store.protocol import ProjectStore
from annotator.log.store.sqlite import SqliteStore
from annotator.project.clusters import Clusters, read_clusters
from annotator.project.hooks import Hooks
from annotator.project.item_pool import read_priorities
from annotator.session.learner import Prior, StrategyChoice
from annotator.session.mode import SessionMode
from annotator.session.queue import LEASE_SECONDS
from annotator.session.session import LabelSession

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session on a project, with the log and the hooks that it writes to."""

    session: LabelSession
    store: ProjectStore
    hooks: Hooks
    """The hooks stay open after `close`; their own `close` waits for running commands."""

    def close(self, *, release: bool = True) -> None:
        """Close the log; the queued items go to other annotators, or stay leased."""
        try:
            if release:
                with contextlib.suppress(StoreError):
                    self.session.close()
        finally:
            self.store.close()

    def __enter__(self) -> OpenedSession:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(release=kind is None)


def open_session(
    project: ProjectFolder,
    annotator: str,
    *,
    on_hook_failure: Callable[[str], object],
    mode: SessionMode | None = None,
    prior: Prior | None = None,
    asks: bool = True,
    ahead: int | None = None,
    clock: Callable[[], float] = time.time,
    holder: str | None = None,
    lease: float = LEASE_SECONDS,
) -> OpenedSession:
    """Open a session by the project's settings; call `extend` with the items to ask.

    The settings, not `mode`, say whether the project is multi-label. Without `asks`, the data that
    only questions need are not read. `ahead` items are queued behind the current one, by default
    as many as the settings say. A `holder` that had leases resumes them, however many.

    Raises `StoreError` for a log that cannot be opened, `RefError` for a faulty line of the
    project's files.
    """
    settings = project.settings
    mode = replace(mode or SessionMode(), multi=settings.multi_label)
    clusters = read_clusters(project) if asks else Clusters.none()
    priorities = read_priorities(project) if asks and not mode.blind else mode.asked_first
    commands = {"on_label": settings.on_label, "on_finish": settings.on_finish}
    hooks = Hooks(commands, project.folder, on_hook_failure)

    def send_label(entry: Entry) -> None:
        hooks.send("on_label", entry_as_dict(entry))

    store = open_store(project)
    behind = settings.ahead if ahead is None else ahead
    try:
        session = LabelSession(
            store, settings.names, annotator=annotator, mode=mode, seed=settings.seed,
            strategy=StrategyChoice(settings.strategy, settings.find, settings.estimator),
            ahead=max(behind, _count_abandoned(store, annotator, holder, clock) - 1),
            clock=clock, holder=holder, lease=lease, on_entry=send_label,
            prior=prior, clusters=clusters, priorities=priorities, tree=settings.tree,
        )  # fmt: skip
    except BaseException:
        store.close()
        raise
    session.learner.target_error = settings.target_error
    return OpenedSession(session, store, hooks)


def _count_abandoned(
    store: ProjectStore, annotator: str, holder: str | None, clock: Callable[[], float]
) -> int:
    """Release what `holder` leased before, and return how many items are to be resumed."""
    if holder is None:
        return 0
    store.release(holder, clock())
    return len(store.abandoned(annotator, clock()))


def open_in_memory(
    refs: Sequence[str],
    features: NDArray[Any],
    classes: Sequence[str],
    *,
    annotator: str,
    strategy: StrategyChoice | None = None,
    seed: int = 0,
    ahead: int = 0,
) -> LabelSession:
    """Open a session on (n,) items with features (n, d) whose log ends with the process."""
    from annotator.features.store import FeatureStore

    session = LabelSession(
        SqliteStore(":memory:"), classes, annotator=annotator, strategy=strategy, seed=seed,
        ahead=ahead,
    )  # fmt: skip
    pool = RefTable(refs)
    session.extend(pool)
    ready = np.ones(len(pool), np.uint8)
    session.attach_features(FeatureStore(pool, features, {"name": "simulated"}, ready))
    return session
