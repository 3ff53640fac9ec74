"""The near-duplicates of the item on screen, found beside the screen.

No key waits for them: the screen shows only the near-duplicates that are known already.
"""

from __future__ import annotations

import contextlib
import math
import subprocess
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from annotator.items.processes import annotator_command
from annotator.log.agreement import REPEAT
from annotator.tui import messages

if TYPE_CHECKING:
    from annotator.images.near_duplicates import Fingerprints
    from annotator.items.ref_table import RefTable
    from annotator.items.refs import Item
    from annotator.learn.nearest import CosineIndex
    from annotator.log.entries import Entry
    from annotator.project.project import ProjectFolder
    from annotator.session.pool_features import PoolFeatures
    from annotator.session.session import LabelSession

LOOKUP_SECONDS = 0.2
"""Seconds between two looks at the item on screen."""
ITEMS_AHEAD = 3
"""Items of the queue whose near-duplicates are looked up before they are asked."""
MOST_REMEMBERED = 64
"""Items whose near-duplicates are remembered."""
MOST_NUMBERS = 50_000_000
"""Numbers in the features up to which they are searched for near-duplicates: a pass over more
would take the processor from the screen for too long."""


class DuplicateQuery(NamedTuple):
    """An item whose near-duplicates are wanted."""

    ref: str
    row: int
    refs: RefTable
    features: PoolFeatures | None


class NearDuplicates:
    """The near-duplicates of the items that are asked, and answers for whole groups of them.

    `post` takes the results of a search from another thread; the app hands them to `add`.
    """

    def __init__(
        self,
        project: ProjectFolder,
        session: LabelSession,
        post: Callable[[messages.NearDuplicatesFound], object],
    ) -> None:
        self._project, self._session = project, session
        self._known: dict[str, list[str]] = {}
        self._queries: SimpleQueue[DuplicateQuery] = SimpleQueue()
        self._finder = DuplicateFinder(project, self._queries, post)
        self._child: subprocess.Popen[bytes] | None = None
        self.answers_group = False
        """True while an answer holds for all near-duplicates."""

    def look_up(self) -> None:
        """Search for the near-duplicates of the current item and of the next ones."""
        session = self._session
        if session.blind or session.multi or session.current is None:
            return
        queue = session.queue
        for place in range(min(ITEMS_AHEAD, len(queue))):
            row = queue[place].row
            if (ref := queue.refs[row]) not in self._known:
                self._known[ref] = []
                self._queries.put(DuplicateQuery(ref, row, queue.refs, session.learner.features))
        while len(self._known) > MOST_REMEMBERED:
            del self._known[next(iter(self._known))]

    def add(self, ref: str, refs: list[str]) -> None:
        """Remember the near-duplicates of an item."""
        self._known[ref] = refs

    def open_refs(self, item: Item | None) -> list[str]:
        """Return the near-duplicates of an item that are open and on no other screen."""
        session = self._session
        elsewhere = session.queue.leased_by_others
        known = self._known.get(item.ref, []) if item is not None else []
        return [ref for ref in known if not session.is_answered(ref) and ref not in elsewhere]

    def caption(self) -> str:
        """Return the text under the picture; "" for an item without near-duplicates."""
        count = len(self.open_refs(self._session.current))
        if not count:
            return ""
        if self.answers_group:
            return f"an answer holds for all {count + 1} near-duplicates"
        return f"one of {count + 1} near-duplicates"

    def label(self, name: str, ref: str, shown_ms: int | None) -> list[Entry]:
        """Label the current item, and its near-duplicates if answers hold for groups.

        Returns the entries; none if `ref` is not the current item.
        """
        session = self._session
        current, pick = session.current, session.current_pick
        duplicates = self.open_refs(current) if self.answers_group else []
        if (
            current is None or pick is None or current.ref != ref
            or not duplicates or pick.component == REPEAT
        ):  # fmt: skip
            entry = session.label(name, ref, shown_ms)
            return [] if entry is None else [entry]
        return session.decide(
            {ref: name, **dict.fromkeys(duplicates, name)},
            picked_by="duplicates",
            draws={} if math.isnan(pick.q) else {ref: pick},
            shown_ms=shown_ms,
            only_open={ref, *duplicates},
        )

    def prepare(self) -> None:
        """Compare the images of the whole pool in a process of its own, at the lowest priority."""
        if self._child is None and not self._session.blind:
            self._child = subprocess.Popen(
                annotator_command("review", str(self._project.folder),
                                  "--prepare", "--progress", "beside"),
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip

    def stop(self) -> None:
        """End the process that compares the images."""
        if self._child is not None:
            with contextlib.suppress(OSError):
                self._child.terminate()


class DuplicateFinder:
    """A thread that searches for near-duplicates, by image fingerprints and by features."""

    def __init__(
        self,
        project: ProjectFolder,
        queries: SimpleQueue[DuplicateQuery],
        post: Callable[[messages.NearDuplicatesFound], object],
    ) -> None:
        self._project, self._queries, self._post = project, queries, post
        self._version = 0
        self._fingerprints: Fingerprints | None = None
        self._nearest: CosineIndex | None = None
        threading.Thread(target=self._run, name="near-duplicates", daemon=True).start()

    def _run(self) -> None:
        while True:
            query = self._queries.get()
            try:
                found = self._find(query)
            except Exception:  # a thread's boundary: a failed search costs a caption and no more
                found = []
            if found:
                self._post(messages.NearDuplicatesFound(query.ref, found))

    def _find(self, query: DuplicateQuery) -> list[str]:
        from annotator.images.near_duplicates import fingerprints_version, load_fingerprints

        row, refs, features = query.row, query.refs, query.features
        cache = self._project.fingerprints_file
        version = fingerprints_version(cache)
        if version != self._version:
            self._version = version
            self._fingerprints = load_fingerprints(cache, refs)
        rows: set[int] = set()
        if self._fingerprints is not None and row < len(self._fingerprints.table):
            rows.update(self._fingerprints.near_duplicates(row).tolist())
        if features is not None and features.store.matrix.size <= MOST_NUMBERS:
            rows.update(self._by_features(row, len(refs), features))
        rows.discard(row)
        return [refs[place] for place in sorted(rows)]

    def _by_features(self, row: int, count: int, features: PoolFeatures) -> list[int]:
        from annotator.images.near_duplicates import SCALE_RANK, cosine_threshold
        from annotator.learn.nearest import CosineIndex

        vector = features.vector(row)
        if vector is None:
            return []
        matrix = features.store.matrix
        if self._nearest is None or self._nearest.matrix is not matrix:
            self._nearest = CosineIndex(matrix, grows=features.available is not None)
        near = self._nearest.best(vector, SCALE_RANK + 1)
        least = cosine_threshold(near.scores[None])[0]
        wanted = set(near.rows[near.scores >= least].tolist())
        pool = features.rows(np.arange(count))
        return np.flatnonzero(np.isin(pool, list(wanted))).tolist()
