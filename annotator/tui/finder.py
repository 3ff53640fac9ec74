"""The listing of the pool in a thread, which begins while the screen is still being imported.

After the first items it rests until the first picture is drawn: both need the same interpreter.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING

from annotator.errors import AnnotatorError
from annotator.items.listing import BATCH, SkippedFiles
from annotator.project import item_pool
from annotator.project.watching import RefsWatch

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder

FoundItems = Sequence[str] | SkippedFiles | AnnotatorError
"""More refs of the pool; or its end, with the files that were skipped; or an error."""


REST_SECONDS = 3.0
"""Seconds after which the listing continues, even if no picture has been drawn."""
JOINED_SECONDS = 0.2
"""Seconds for which refs are gathered: a batch for each of a thousand folders is too many."""


class ItemFinder:
    """A thread that lists the pool, or only `refs`, and keeps the result until it is read.

    With `rests` it lists the first items, and the others once `go_on` is called.
    """

    def __init__(
        self, project: ProjectFolder, refs: Sequence[str] | None = None, *, rests: bool = False
    ) -> None:
        self._project, self._refs = project, refs
        self._may_go_on = threading.Event()
        if not rests:
            self._may_go_on.set()
        self.refs_watch = RefsWatch(project) if refs is None else None
        """The watch for items that come after the listing; None if only `refs` are asked."""
        self._found: SimpleQueue[FoundItems] = SimpleQueue()
        threading.Thread(target=self._run, name="list", daemon=True).start()

    def listen(self, take: Callable[[FoundItems], object]) -> None:
        """Pass each result to `take`, in another thread."""
        threading.Thread(target=self._pass_on, args=(take,), name="listed", daemon=True).start()

    def go_on(self) -> None:
        """List all items: the first picture is drawn, or there is none yet."""
        self._may_go_on.set()

    def _run(self) -> None:
        skipped = SkippedFiles()
        try:
            listing = (
                item_pool.stream_refs(self._project, skipped)
                if self._refs is None
                else [self._refs]
            )
            for batch in _join_batches(listing):
                self._found.put(batch)
                self._may_go_on.wait(REST_SECONDS)
                self._may_go_on.set()
            self._found.put(skipped)
        except AnnotatorError as error:
            self._found.put(error)
        except OSError as error:
            self._found.put(AnnotatorError(f"Listing {self._project.images} failed: {error}"))

    def _pass_on(self, take: Callable[[FoundItems], object]) -> None:
        while True:
            found = self._found.get()
            take(found)
            if isinstance(found, SkippedFiles | AnnotatorError):
                return


def _join_batches(listing: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Yield the first batch as it is, and join small ones among the others."""
    batches = iter(listing)
    if (first := next(batches, None)) is not None:
        yield first
    joined: list[str] = []
    since = time.monotonic()
    for batch in batches:
        joined += batch
        if len(joined) >= BATCH or time.monotonic() - since > JOINED_SECONDS:
            yield joined
            joined, since = [], time.monotonic()
    if joined:
        yield joined
