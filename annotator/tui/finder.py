"""Lists the pool in a thread, from before the screen exists: importing that takes a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from annotator.errors import AnnotatorError
from annotator.items.listing import SkippedFiles
from annotator.project import item_pool
from annotator.project.project import ProjectFolder

FoundItems = Sequence[str] | SkippedFiles | AnnotatorError
"""More of the pool; or its end, with what was left out; or why it cannot be read."""


class ItemFinder:
    """Lists the pool, or only `refs`. What it finds before somebody listens is kept."""

    def __init__(self, project: ProjectFolder, refs: Sequence[str] | None = None) -> None:
        self._project, self._refs = project, refs
        self._found: SimpleQueue[FoundItems] = SimpleQueue()
        threading.Thread(target=self._run, name="list", daemon=True).start()

    def listen(self, take: Callable[[FoundItems], object]) -> None:
        """Hand everything to `take` from now on, in another thread."""
        threading.Thread(target=self._pass_on, args=(take,), name="listed", daemon=True).start()

    def _run(self) -> None:
        left_out = SkippedFiles()
        try:
            listing = (
                item_pool.stream_refs(self._project, left_out)
                if self._refs is None
                else [self._refs]
            )
            for batch in listing:
                self._found.put(batch)
            self._found.put(left_out)
        except AnnotatorError as error:
            self._found.put(error)
        except OSError as error:
            self._found.put(AnnotatorError(f"listing {self._project.images} failed: {error}"))

    def _pass_on(self, take: Callable[[FoundItems], object]) -> None:
        while True:
            found = self._found.get()
            take(found)
            if isinstance(found, SkippedFiles | AnnotatorError):
                return
