"""The page on screen and its selection, on disk: a killed program comes back to them.

One small file for each annotator in the project's `.cache`: first the page, then a line for every
change of the selection. It is not a log: once the page is answered, the log has it, and the file
is emptied.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from annotator.items.atomic import Held, lock_file
from annotator.items.text_files import read_json_lines
from annotator.pages.journal_rows import change_marks, page_as_row, page_from_row
from annotator.pages.page import Marks, Page
from annotator.project.project import ProjectFolder


class PageJournal:
    """The journal of the page on screen; of two programs of an annotator, only one keeps it."""

    def __init__(self, path: Path) -> None:
        """Open and lock the file; without the lock nothing is kept."""
        self._key, self._marks = "", dict[str, str | None]()
        self.problem = ""
        """The reason why `resumed` found a page and cannot return it; "" for none."""
        self._file = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = lock_file(path, 0o644, os.O_APPEND)
        except (Held, OSError):
            pass  # another program has it, or it cannot be written: nothing is kept

    def resumed(self) -> Page | None:
        """Return the page that was on screen when the program ended, with its selection."""
        if self._file < 0:
            return None
        data = os.pread(self._file, os.fstat(self._file).st_size, 0)
        page: Page | None = None
        marks: dict[str, str | None] = {}
        lines = 0
        try:
            for row, _, _ in read_json_lines(io.BytesIO(data)):
                lines += 1
                if page is None:
                    page = page_from_row(row)
                    marks = dict(page.selected)
                else:
                    change_marks(marks, row, page)
        except (ValueError, TypeError, RecursionError):
            page = None
        if (page is None and data.strip()) or lines < data.count(b"\n"):
            page = None
            self.problem = "the last page could not be read: this is a new one"
        if page is None:
            return None
        self._key, self._marks = page.key, marks
        return replace(page, selected=marks)

    def keep(self, page: Page, marks: Marks) -> None:
        """Keep the page on screen and its selection; only what has changed is written."""
        if page.key != self._key:
            self._key, self._marks = page.key, dict(marks)
            self._write(page_as_row(replace(page, selected=dict(marks))), anew=True)
            return
        on = {ref: given for ref, given in marks.items() if self._marks.get(ref, "") != given}
        off = [ref for ref in self._marks if ref not in marks]
        if on or off:
            self._marks = dict(marks)
            self._write({"on": on, "off": off})

    def end(self, page: Page) -> None:
        """Empty the file: the page is answered."""
        if self._file >= 0 and page.key == self._key:
            self._key = ""
            os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Close the file and keep what is in it for the next time."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, row: Mapping[str, Any], anew: bool = False) -> None:
        if self._file < 0:
            return
        try:
            if anew:
                os.ftruncate(self._file, 0)
            os.write(self._file, (json.dumps(row) + "\n").encode())
        except OSError:
            pass  # a full disk: the answers themselves will say so


def open_journal(project: ProjectFolder, annotator: str, kind: str) -> PageJournal:
    """Open the journal of an annotator's pages of one kind."""
    name = "".join(c if c.isalnum() else "-" for c in f"{kind}-{annotator}")[:80]
    return PageJournal(project.folder / ".cache" / "pages" / f"{name}.jsonl")


class PagePreferences:
    """The preferences for pages, in the project's `.cache`, or in memory if it is read-only."""

    def __init__(self, project: ProjectFolder) -> None:
        """Read the preferences of a project."""
        self._hidden = project.folder / ".cache" / "pages" / "references-hidden"
        self.references = not self._hidden.exists()
        """True if a class's reference images stand on top of its pages."""

    def show_references(self, on: bool) -> None:
        """Keep whether reference images stand on top of pages."""
        self.references = on
        with contextlib.suppress(OSError):
            if on:
                self._hidden.unlink(missing_ok=True)
            else:
                self._hidden.parent.mkdir(parents=True, exist_ok=True)
                self._hidden.touch()
