"""The slices of a pool: which items belong to which folder, column value, size or brightness."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from annotator.items.ref_table import RefTable
from annotator.items.refs import Item
from annotator.items.table_columns import LABEL_COLUMNS
from annotator.project.item_measures import ItemMeasures, Values
from annotator.project.metadata import MetadataColumn
from annotator.project.project import ProjectFolder

MOST_VALUES = 50
"""The most different texts of a column whose texts are slices; numbers are cut into four parts."""
_PARTS = 4
_NO_SLICES = ("bbox", "feat_idx", *LABEL_COLUMNS)
"""Columns of refs.csv that say nothing of where an item comes from."""
_SIGNS = "<>=!≤≥:@*?"
_WORDS = ("p", "margin", "size", "brightness", "at")
"""Columns of these names need the word column: in a query."""


@dataclass(frozen=True, slots=True)
class SliceGroup:
    """A way to cut the pool into slices."""

    kind: str
    """The fact that tells the slices apart: "folder", "size", the name of a column …"""
    codes: NDArray[np.int64]
    """(k,) the slice of each of the rows; -1 for a row whose slice is not known."""
    names: tuple[str, ...]
    queries: tuple[str, ...]
    """The query that finds the items of each slice."""


@dataclass(frozen=True)
class SliceSource:
    """The slices of some rows of a project's pool; files are read when they are first needed."""

    project: ProjectFolder
    refs: RefTable
    rows: NDArray[np.int64]
    """(k,) pool rows; -1 for a row outside of the pool."""

    def groups(self) -> Iterator[SliceGroup]:
        """Yield the groups that have at least two slices."""
        found = [self.folders(), *self.columns(), *self.measures()]
        yield from (group for group in found if len(group.names) > 1)

    @cached_property
    def _measures(self) -> ItemMeasures:
        return ItemMeasures(self.refs, self.project.folder)

    @cached_property
    def _items(self) -> list[Item | None]:
        return [Item.parse(self.refs[row]) if row >= 0 else None for row in self.rows.tolist()]

    def folders(self) -> SliceGroup:
        """Return the folders at the first level at which the paths differ."""
        folders = [item and item.path.rpartition("/")[0] for item in self._items]
        known = sorted({f"{folder}/" for folder in folders if folder is not None})
        above = os.path.commonprefix(known).rpartition("/")[0] if len(known) > 1 else ""
        above += "/" if above else ""
        names = [
            None if folder is None else above + f"{folder}/"[len(above) :].partition("/")[0]
            for folder in folders
        ]
        return _group_texts("folder", names, lambda name: quote_word(f"path:{name}/*"))

    def columns(self) -> Iterator[SliceGroup]:
        """Yield the metadata columns of refs.csv: their texts, or their numbers in four parts."""
        columns = self._measures.columns
        for name in columns.names:
            if name.lower() not in _NO_SLICES:
                found = self._cut_column(columns.column(name).resized(len(self.refs)))
                if found is not None:
                    yield found

    def _cut_column(self, column: MetadataColumn) -> SliceGroup | None:
        name = column.name
        plain = name.casefold() not in _WORDS and not set(name) & set(_SIGNS)
        left = name if plain else f"column:{name}"
        numbers = np.array([_number(text) for text in column.texts])
        numeric = np.isfinite(numbers).sum() > 0.5 * sum(map(bool, column.texts))
        if numeric and len(column.texts) > 12:
            return self._cut(name, left, numbers[column.codes][self.rows])
        if len(column.texts) > MOST_VALUES:
            return None
        codes = zip(self.rows.tolist(), column.codes[self.rows].tolist(), strict=True)
        texts = [column.texts[code] if row >= 0 else None for row, code in codes]
        return _group_texts(name, texts, lambda text: quote_word(f"{left}={text}"))

    def measures(self) -> Iterator[SliceGroup]:
        """Yield the parts by size and by brightness, of items for which they are known."""
        found = self._measures
        for kind, values in (("size", found.sizes), ("brightness", found.brightness)):
            yield self._cut(kind, kind, np.where(self.rows >= 0, values[self.rows], np.nan))

    def _cut(self, kind: str, left: str, values: Values) -> SliceGroup:
        """Cut numbers into four parts of about as many rows, at rounded edges."""
        known = values[np.isfinite(values)]
        if not len(known):
            return SliceGroup(kind, np.full(len(values), -1), (), ())
        quantiles = np.quantile(known, np.arange(1, _PARTS) / _PARTS)
        edges = sorted({float(f"{edge:.3g}") for edge in quantiles})
        edges = [edge for edge in edges if known.min() < edge <= known.max()]
        if not edges:  # all are the same
            return SliceGroup(kind, np.full(len(values), -1), (), ())
        codes = np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), -1)
        bounds = list(zip([None, *edges], [*edges, None], strict=True))
        names = [
            f"below {high:g}" if low is None else f"{low:g} or more" if high is None
            else f"{low:g} to {high:g}"
            for low, high in bounds
        ]  # fmt: skip
        queries = [
            " ".join(
                quote_word(f"{left}{sign}{edge:g}")
                for sign, edge in ((">=", low), ("<", high)) if edge is not None
            )
            for low, high in bounds
        ]  # fmt: skip
        return SliceGroup(kind, codes, tuple(names), tuple(queries))


def _group_texts(kind: str, names: Sequence[str | None], query: Callable[[str], str]) -> SliceGroup:
    """Return the group of one slice for each text; None and "" belong to none."""
    known = sorted({name for name in names if name})
    places: dict[str | None, int] = {name: place for place, name in enumerate(known)}
    codes = np.array([places.get(name, -1) for name in names], np.int64)
    return SliceGroup(kind, codes, tuple(known), tuple(query(name) for name in known))


def quote_word(text: str) -> str:
    """Return a term as one word of a query."""
    return shlex.quote(text) if any(sign.isspace() or sign in "'\"\\" for sign in text) else text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
