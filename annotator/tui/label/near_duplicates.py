"""What else there is like the item on screen: its near-duplicates, and labels that contradict it.

All of it is found beside the screen, never on the way of a key: what is not known yet is not said.
"""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np

from annotator.images import near_duplicates
from annotator.images.near_duplicates import Fingerprints
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item, make_printable
from annotator.learn.nearest import CosineIndex
from annotator.log.agreement import REPEAT
from annotator.log.entries import Entry
from annotator.project.project import ProjectFolder
from annotator.session.pool_features import PoolFeatures
from annotator.session.session import LabelSession
from annotator.tui import messages
from annotator.tui.label.screen import LabelScreen

LOOKUP_SECONDS = 0.2
"""Seconds between looks at what is on screen."""
MOST_REMEMBERED = 64
MOST_NUMBERS = 50_000_000
"""Numbers in the features up to which near-duplicates are looked for among them: a pass over more
would take the processor from the screen for too long."""


class DuplicateQuery(NamedTuple):
    """Which item's near-duplicates are wanted."""

    ref: str
    row: int
    refs: RefTable
    features: PoolFeatures | None


class NearDuplicates:
    """Belongs to the labelling app."""

    def __init__(
        self, project: ProjectFolder, session: LabelSession, screen: LabelScreen,
        post: Callable[[messages.NearDuplicatesFound], object],
    ) -> None:  # fmt: skip
        self._project, self._session, self._screen = project, session, screen
        self._known: dict[str, list[str]] = {}
        self._asked: SimpleQueue[DuplicateQuery] = SimpleQueue()
        self._finder = DuplicateFinder(project, self._asked, post)
        self._child: subprocess.Popen[bytes] | None = None
        self.together = False
        """Whether an answer holds for all near-duplicates."""
        screen.give = self.label

    # --- near-duplicates

    def look(self) -> None:
        """Have the near-duplicates of what is on screen found, and of what comes next."""
        session = self._session
        if session.blind or session.multi or not self._screen.listed or session.current is None:
            return
        queue = session.queue
        for place in range(min(3, len(queue))):
            row = queue[place].row
            if (ref := queue.refs[row]) not in self._known:
                self._known[ref] = []
                self._asked.put(DuplicateQuery(ref, row, queue.refs, session.learner.features))
        while len(self._known) > MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
        self.show()

    def found(self, message: messages.NearDuplicatesFound) -> None:
        self._known[message.ref] = message.refs
        self.show()

    def show(self) -> None:
        """Say it under the picture."""
        item = self._session.current
        count = len(self.near_duplicates(item)) if item is not None else 0
        words = f"one of {count + 1} near-duplicates" if count else ""
        if count and self.together:
            words = f"an answer holds for all {count + 1} near-duplicates"
        self._screen.caption.company(words)

    def near_duplicates(self, item: Item) -> list[str]:
        """The near-duplicates of an item that are open and on nobody's screen."""
        session = self._session
        elsewhere = session.queue.elsewhere
        known = self._known.get(item.ref, [])
        return [ref for ref in known if not session.is_answered(ref) and ref not in elsewhere]

    def toggle(self) -> None:
        """Answers for whole groups, or for single items again."""
        self.together = not self.together
        on = "from now on an answer holds for all near-duplicates of an item"
        self._screen.say(on if self.together else "an answer holds for one item again")
        self.show()

    def label(self, name: str, ref: str, shown_ms: int | None) -> Entry | None:
        """Label the item on screen, and with it its near-duplicates where that is wanted."""
        session = self._session
        current, pick = session.current, session.asked
        twins = self.near_duplicates(current) if current is not None and self.together else []
        if current is None or pick is None or current.ref != ref or not twins:
            return session.label(name, ref, shown_ms)
        if pick.component == REPEAT:
            return session.label(name, ref, shown_ms)
        entries = session.decide(
            {ref: name, **dict.fromkeys(twins, name)}, picked_by="duplicates",
            draws={} if math.isnan(pick.q) else {ref: pick}, shown_ms=shown_ms,
        )  # fmt: skip
        self._screen.pace.answers += len(entries) - 1
        self._screen.say(
            f"{make_printable(name)}: {len(entries)} near-duplicates at once, one undo"
        )
        return entries[0]

    # --- contradictions

    def show_contradiction(self, message: messages.LabelsContradicted) -> None:
        """A quiet word on a label that its neighbours contradict, if it was given here."""
        features, ranking = self._session.learner.features, self._session.ranking
        if features is None or ranking is None or self._session.blind:
            return
        for one in message.found[-1:]:
            ref = features.store.refs[one.row]
            decision, label = self._session.state.decision(ref), ranking.classes[one.label]
            mine = decision is not None and decision.annotator == self._session.annotator
            if mine and decision is not None and decision.label == label:
                name, other = Item.parse(ref).path.rpartition("/")[2], ranking.classes[one.other]
                self._screen.say(
                    f"{make_printable(name)}: {make_printable(label)}, but {one.votes} of its 5 nearest are "
                    f"{make_printable(other)}",
                    "warn",
                    6,
                )

    # --- comparing all of the pool

    def prepare(self) -> None:
        """Compare the looks of all items in a process of its own, with the least priority."""
        if self._child is None and not self._session.blind:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "annotator", "review", str(self._project.folder),
                 "--prepare", "--progress", "beside"],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip

    def stop(self) -> None:
        if self._child is not None:
            with contextlib.suppress(OSError):
                self._child.terminate()


class DuplicateFinder:
    """A thread that looks near-duplicates up."""

    def __init__(
        self,
        project: ProjectFolder,
        asked: SimpleQueue[DuplicateQuery],
        post: Callable[[messages.NearDuplicatesFound], object],
    ) -> None:
        self._project, self._asked, self._post = project, asked, post
        self._version = 0
        self._prints: Fingerprints | None = None
        self._nearest: CosineIndex | None = None
        threading.Thread(target=self._run, name="twins", daemon=True).start()

    def _run(self) -> None:
        while True:
            asked = self._asked.get()
            try:
                found = self._find(asked)
            except Exception:  # a worker's boundary: without this the screen lacks a word, no more
                found = []
            if found:
                self._post(messages.NearDuplicatesFound(asked.ref, found))

    def _find(self, asked: DuplicateQuery) -> list[str]:
        row, refs, features = asked.row, asked.refs, asked.features
        cache = self._project.fingerprints_file
        version = near_duplicates.fingerprints_version(cache)
        if version != self._version:
            self._version, self._prints = version, near_duplicates.load_fingerprints(cache, refs)
        rows: set[int] = set()
        if self._prints is not None and row < len(self._prints.table):
            rows.update(self._prints.near(row).tolist())
        if features is not None and features.store.matrix.size <= MOST_NUMBERS:
            rows.update(self._by_features(row, len(refs), features))
        rows.discard(row)
        return [refs[one] for one in sorted(rows)]

    def _by_features(self, row: int, count: int, features: PoolFeatures) -> list[int]:
        vector = features.vector(row)
        if vector is None:
            return []
        matrix = features.store.matrix
        if self._nearest is None or self._nearest.matrix is not matrix:
            self._nearest = CosineIndex(matrix, grows=features.available is not None)
        near = self._nearest.best(vector, near_duplicates.SCALE_RANK + 1)
        least = near_duplicates.cosine_threshold(near.scores[None])[0]
        wanted = set(near.rows[near.scores >= least].tolist())
        pool = features.rows(np.arange(count))
        return np.flatnonzero(np.isin(pool, list(wanted))).tolist()
