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
from annotator.items.tiff_pages import page_path, split_page

ODD_SPELLING = re.compile(
    rb"(?m)^(?=/)|^(?=\.\.?/)|/(?=/)|/(?=\.\.?/)|\\|[\x80-\xff]|#page=1(?!\d)"
)
"""Refs that may have another spelling than their key."""
_PARTS = ("//", "/.", "\\", "#page=1")


def ref_key(path: str, root: Path) -> str:
    """Return the spelling of `path` that all spellings of its file share.

    The path is below `root` if it can be, without `.`, `..`, doubled slashes and backslashes, in
    NFC. Links are not followed. The first page of a TIFF file is the file.
    """
    if _is_plain(path):
        return path
    return unicodedata.normalize("NFC", tidy_path(path.replace("\\", "/"), root))


def tidy_path(path: str, root: Path) -> str:
    """Return `path` below `root` if it can be, without `.`, `..` and doubled slashes."""
    if _is_plain(path):
        return path
    plain = os.path.normpath(page_path(*split_page(path)))
    if plain.startswith(("/", "../")):
        top = os.path.abspath(root).rstrip("/") + "/"  # noqa: PTH100 - no link is followed
        plain = os.path.normpath(top + plain if plain[0] == "." else plain).removeprefix(top)
    return plain


def _is_plain(path: str) -> bool:
    """Return True for a path that has no other spelling."""
    return path.isascii() and path[:1] not in "/." and not any(part in path for part in _PARTS)


def is_same_file(root: Path, one: str, other: str) -> bool:
    """Return whether two paths with one key lead to one file: NFC and NFD may be two."""
    if one == other:
        return True
    try:
        return os.path.samefile(root / one, root / other)  # noqa: PTH121
    except (OSError, ValueError):
        return True


def respell_alike(refs: RefTable, root: Path) -> RefTable:
    """Return a table with the key of each ref: the same table if none has another spelling."""
    odd = {*refs.matching(ODD_SPELLING).tolist()} if len(refs) else set()
    if not odd:
        return refs
    key = RefIndex(refs, root).key
    return RefTable([key(ref) if row in odd else ref for row, ref in enumerate(refs)])


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
            found = self._refs.matching(ODD_SPELLING).tolist() if len(self._refs) else []
            self._odd = {}
            for row in found:
                self._odd.setdefault(self.key(self._refs[row]), row)
        row = self._odd.get(key, -1)
        return row if row >= 0 or key == ref else self._refs.find(key)

    def key(self, ref: str) -> str:
        """Return the ref that all spellings of an item share; a broken ref stays as it is."""
        if _is_plain(ref):
            return ref
        try:
            item = Item.parse(ref)
        except RefError:
            return ref
        return Item(ref_key(item.path, self._root), item.box).ref
