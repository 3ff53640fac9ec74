"""The listing of the pool in a thread, which begins while the screen is still being imported."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING

from annotator.errors import AnnotatorError
from annotator.items.listing import SkippedFiles
from annotator.project import item_pool
from annotator.project.watching import RefsWatch

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder

FoundItems = Sequence[str] | SkippedFiles | AnnotatorError
"""More refs of the pool; or its end, with the files that were skipped; or an error."""


class ItemFinder:
    """A thread that lists the pool, or only `refs`, and keeps the result until it is read."""

    def __init__(self, project: ProjectFolder, refs: Sequence[str] | None = None) -> None:
        self._project, self._refs = project, refs
        self.refs_watch = RefsWatch(project) if refs is None else None
        """The watch for items that come after the listing; None if only `refs` are asked."""
        self._found: SimpleQueue[FoundItems] = SimpleQueue()
        threading.Thread(target=self._run, name="list", daemon=True).start()

    def listen(self, take: Callable[[FoundItems], object]) -> None:
        """Pass each result to `take`, in another thread."""
        threading.Thread(target=self._pass_on, args=(take,), name="listed", daemon=True).start()

    def _run(self) -> None:
        skipped = SkippedFiles()
        try:
            listing = (
                item_pool.stream_refs(self._project, skipped)
                if self._refs is None
                else [self._refs]
            )
            for batch in listing:
                self._found.put(batch)
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
