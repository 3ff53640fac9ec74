"""One key for all spellings of a path: `./a.jpg`, `sub//a.jpg`, absolute, in NFC or NFD."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.errors import RefError
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item

_ODD = re.compile(rb"(?m)^(?=/)|^(?=\.\.?/)|/(?=/)|/(?=\.\.?/)|\\|[\x80-\xff]")
"""Refs that may have another spelling than their key."""


def ref_key(path: str, root: Path) -> str:
    """Return the spelling of `path` that all spellings of its file share.

    The path is below `root` if it can be, without `.`, `..` and doubled slashes, in NFC. Links
    are not followed.
    """
    if path.isascii() and path[:1] not in "/." and "//" not in path and "/." not in path:
        return path
    plain = os.path.normpath(path)
    if os.path.isabs(plain):  # noqa: PTH117
        top = os.path.normpath(os.path.abspath(root))  # noqa: PTH100
        if plain.startswith(top.rstrip("/") + "/"):
            plain = plain[len(top.rstrip("/")) + 1 :]
    return unicodedata.normalize("NFC", plain)


class RefIndex:
    """The rows of a table of refs, found by any spelling of the path."""

    def __init__(self, refs: RefTable, root: Path) -> None:
        """Bind to a table; an index of odd spellings is made at the first need."""
        self._refs, self._root = refs, root
        self._odd: dict[str, int] | None = None

    def rows(self, refs: Sequence[str]) -> NDArray[np.int64]:
        """Return the row of each of `refs`, -1 for one without a row."""
        rows = self._refs.rows(refs) if len(self._refs) else np.full(len(refs), -1, np.int64)
        for at in np.flatnonzero(rows < 0).tolist():
            rows[at] = self._find(refs[at])
        return rows

    def find(self, ref: str) -> int:
        """Return the row of a ref in any spelling, -1 for none."""
        row = self._refs.find(ref)
        return row if row >= 0 else self._find(ref)

    def _find(self, ref: str) -> int:
        key = self.key(ref)
        if self._odd is None:
            found = self._refs.matching(_ODD).tolist() if len(self._refs) else []
            self._odd = {}
            for row in found:
                self._odd.setdefault(self.key(self._refs[row]), row)
        row = self._odd.get(key, -1)
        return row if row >= 0 or key == ref else self._refs.find(key)

    def key(self, ref: str) -> str:
        """Return the ref that all spellings of an item share; a broken ref stays as it is."""
        try:
            item = Item.parse(ref)
        except RefError:
            return ref
        return Item(ref_key(item.path, self._root), item.box).ref
