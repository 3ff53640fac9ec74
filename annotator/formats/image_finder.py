"""Images that a label file names in another case or without an ending."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from annotator.items.listing import IMAGE_SUFFIXES


class ImageFinder:
    """The images below a folder; each folder is listed once, when it is asked for."""

    def __init__(self, root: Path) -> None:
        """Look below `root`."""
        self._root = root
        self._known: dict[str, dict[str, list[str]]] = {}

    def find(self, path: str, *, any_suffix: bool = False) -> str | None:
        """Return the only image of this name in any case; None if there is none, or several.

        With `any_suffix` the name is `path` with any ending of an image.
        """
        folder, _, name = path.rpartition("/")
        if folder not in self._known:
            self._known[folder] = self._list_names(folder)
        found = self._known[folder].get(name.lower() + ("." if any_suffix else ""), [])
        exact = [other for other in found if other.rpartition(".")[0] == name]
        found = exact if any_suffix and exact else found
        if len(found) != 1:
            return None
        return f"{folder}/{found[0]}" if folder else found[0]

    def _list_names(self, folder: str) -> dict[str, list[str]]:
        """Return the images of a folder by their names in lower case, and by those with "."."""
        names: dict[str, list[str]] = {}
        with contextlib.suppress(OSError, ValueError), os.scandir(self._root / folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122 - a Path a file is slow
                if suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith("."):
                    names.setdefault(entry.name.lower(), []).append(entry.name)
                    names.setdefault(f"{stem.lower()}.", []).append(entry.name)
        return names
