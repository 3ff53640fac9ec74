"""What somebody likes to see beside a page, from one time to the next."""

from __future__ import annotations

import contextlib

from annotator.project.project import ProjectFolder


class PagePreferences:
    """Kept in the project's `.cache`; where that cannot be written, for this time only."""

    def __init__(self, project: ProjectFolder) -> None:
        self._hidden = project.folder / ".cache" / "pages" / "references-hidden"
        self.references = not self._hidden.exists()
        """Whether a class's reference images stand on top of its pages."""

    def show_references(self, on: bool) -> None:
        self.references = on
        with contextlib.suppress(OSError):
            if on:
                self._hidden.unlink(missing_ok=True)
            else:
                self._hidden.parent.mkdir(parents=True, exist_ok=True)
                self._hidden.touch()
