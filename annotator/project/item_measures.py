"""The columns of a project's items, their sizes and their brightness, for queries and slices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.images.measures import Measures, load_measures, measures_file
from annotator.items.ref_table import RefTable
from annotator.items.refs import BOX_MARK
from annotator.items.table_columns import find_size_columns
from annotator.project.metadata import MetadataColumns

Values = NDArray[np.floating]
_BOX = re.compile(BOX_MARK.encode() + rb"[0-9.]+,[0-9.]+,([0-9.]+,[0-9.]+)$", re.MULTILINE)


@dataclass(frozen=True)
class ItemMeasures:
    """The columns, sizes and brightness of a project's items, each read when first needed."""

    refs: RefTable
    folder: Path | None = None
    """The project's folder; None for items without a project."""

    @cached_property
    def columns(self) -> MetadataColumns:
        """The metadata columns of refs.csv."""
        return MetadataColumns((self.folder or Path()) / "refs.csv")

    @cached_property
    def sizes(self) -> Values:
        """(n,) the side, in pixels, of the square of an item's area; NaN if it is not known.

        Boxes state it; of whole images it is known from columns of refs.csv, or once measured.
        """
        found = np.array(self._measures.size, np.float64)
        width_height = self._size_columns()
        if width_height is not None:
            there = np.isfinite(width_height)
            found[there] = width_height[there]
        rows, areas = self._boxes()
        found[rows] = np.sqrt(areas)
        return found

    @cached_property
    def _measures(self) -> Measures:
        file = measures_file(self.folder) if self.folder else Path("/nonexistent")
        return load_measures(file, self.refs)

    @property
    def brightness(self) -> Values:
        """(n,) the mean brightness, from 0 (black) to 1 (white); NaN if it was not measured."""
        brightness: Values = self._measures.brightness
        return brightness

    def _boxes(self) -> tuple[NDArray[np.int64], Values]:
        """Return the rows that are boxes, and their areas."""
        rows, groups = self.refs.captures(_BOX)
        sides = np.fromstring(b",".join(groups).decode(), np.float64, sep=",").reshape(-1, 2)
        return rows, sides[:, 0] * sides[:, 1]

    def _size_columns(self) -> Values | None:
        names = {name.lower(): name for name in self.columns.names} if self.folder else {}
        sides = []
        for name in find_size_columns(names):
            column = self.columns.column(names[name]).resized(len(self.refs))
            numbers = np.array([_positive(text) for text in column.texts])
            sides.append(numbers[column.codes])
        return np.asarray(np.sqrt(sides[0] * sides[1])) if sides else None


def _positive(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        return float("nan")
    return found if 0 < found < 1e7 else float("nan")
