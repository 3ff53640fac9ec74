"""The files that paths name: in Windows' spelling too, and in either form of Unicode."""

from __future__ import annotations

import contextlib
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from annotator.items.tiff_pages import page_path, split_page

_LONGEST_PATH = 1000
"""The length, in characters, beyond which only the exact spelling of a path is tried."""


class FileNames:
    """The files below a folder; each folder is listed once, when it is asked for."""

    def __init__(self, root: Path) -> None:
        """Look below `root`; absolute paths are looked up as they are."""
        self._root = root
        self._known: dict[str, dict[str, str]] = {}
        self._folders: set[tuple[str, str]] = set()

    def find(self, path: str) -> str | None:
        """Return `path` as the disk spells it, None if no file (no folder) has this name.

        A path that exists stays as it is. In another one, backslashes separate folders, and a
        name in one form of Unicode (NFC, NFD) finds a file in another. A page of a TIFF file is
        there if the file is.
        """
        file, page = split_page(path)
        if file != path and (found := self._find_file(file)) is not None:
            return page_path(found, page)
        return self._find_file(path)

    def _find_file(self, path: str) -> str | None:
        folder, slash, base = path.rpartition("/")
        if self._names(folder or slash).get(base) == base:
            return None if (folder or slash, base) in self._folders else path
        if (path.isascii() and "\\" not in path) or len(path) > _LONGEST_PATH:
            return None
        return self._find(path.replace("\\", "/"))

    def missing(self, items: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
        """Return each (path, line) whose file does not exist."""
        return [(path, line) for path, line in items if self.find(path) is None]

    def _find(self, path: str) -> str | None:
        folder, slash, base = path.rpartition("/")
        names = self._names(folder or slash)
        if not names and folder:
            found = self._find(folder)
            if found is None:
                return None
            folder, names = found, self._names(found)
        real = names.get(base) or names.get(unicodedata.normalize("NFC", base))
        return f"{folder}{slash}{real}" if real else None

    def _names(self, folder: str) -> dict[str, str]:
        """Return the names in a folder: as they are, and from their NFC."""
        if folder not in self._known:
            names: list[str] = []
            with contextlib.suppress(OSError, ValueError), os.scandir(self._root / folder) as all_:
                entries = list(all_)
                names = sorted(entry.name for entry in entries)
                folders = (e.name for e in entries if e.is_dir(follow_symlinks=False))
                self._folders.update((folder, name) for name in folders)
            found = dict(zip(names, names, strict=True))
            for name in names:
                if not name.isascii():
                    found.setdefault(unicodedata.normalize("NFC", name), name)
            self._known[folder] = found
        return self._known[folder]


def missing_files(items: Iterable[tuple[str, int]], root: Path) -> list[tuple[str, int]]:
    """Return each (path, line) whose file does not exist; lists each folder only once."""
    return FileNames(root).missing(items)
