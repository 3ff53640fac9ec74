"""The metadata columns of refs.csv, each read only when it is asked for."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.errors import RefError
from annotator.items.refs import make_printable
from annotator.items.table_columns import PATH_COLUMNS
from annotator.items.text_files import find_delimiter, open_text, read_header


@dataclass(frozen=True, slots=True)
class MetadataColumn:
    """The cells of a column, each different text once."""

    name: str
    codes: NDArray[np.int32]
    """(n,) the place of each item's cell in `texts`."""
    texts: tuple[str, ...]

    def resized(self, count: int) -> MetadataColumn:
        """Return the column for `count` items; those that refs.csv did not hold yet are blank."""
        if count <= len(self.codes):
            return MetadataColumn(self.name, self.codes[:count], self.texts)
        texts = self.texts if "" in self.texts else (*self.texts, "")
        blank = np.full(count - len(self.codes), texts.index(""), np.int32)
        return MetadataColumn(self.name, np.concatenate([self.codes, blank]), texts)


class MetadataColumns:
    """The columns of a table of refs by their names, but for those with the paths."""

    def __init__(self, file: Path) -> None:
        """Read the header of `file`; a table that is not there yet has no columns."""
        self._file, self._read = file, dict[str, MetadataColumn]()
        self._header = read_header(file)[0] if file.is_file() else []
        self.names = tuple(
            name.strip() for name in self._header
            if name.strip() and name.strip().lower() not in PATH_COLUMNS
        )  # fmt: skip

    def column(self, name: str) -> MetadataColumn:
        """Return a column of `names`, in the order of the items: 0.6 s for a million, once.

        Raises `RefError` for a table that cannot be read.
        """
        if name not in self._read:
            place = [cell.strip() for cell in self._header].index(name)
            self._read[name] = self._load(name, place)
        return self._read[name]

    def _load(self, name: str, place: int) -> MetadataColumn:
        known: dict[str, int] = {}
        try:
            with open_text(self._file) as lines:
                reader = csv.reader(lines, delimiter=find_delimiter(lines))
                next(reader, None)
                codes = [
                    known.setdefault(cells[place] if place < len(cells) else "", len(known))
                    for cells in reader
                    if cells
                ]
        except (csv.Error, UnicodeError) as error:
            shown = make_printable(str(self._file))
            raise RefError(
                f"{shown} cannot be read: {error}. Check it: annotator doctor"
            ) from error
        return MetadataColumn(name, np.array(codes, np.int32), tuple(known))
