"""CSV files of the project's own: written whole, and read with the line of whatever is wrong."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from annotator.errors import RefError
from annotator.items.listing import describe_bad_utf8, open_text
from annotator.items.refs import make_printable


def read_rows(file: Path, *, cut_short: bool = False) -> Iterator[tuple[int, list[str]]]:
    """The line on which each row ends, and its cells; the header first, blank lines left out.

    With `cut_short` a last line without its line break is passed over: a crash ended it. Raises
    `RefError` with the line that cannot be read.
    """
    with open_text(file) as text:
        whole = (line for line in text if line.endswith("\n") or not cut_short)
        reader = csv.reader(whole)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except csv.Error as error:
            place = f"{make_printable(str(file))}, line {reader.line_num}"
            raise RefError(f"{place}: {error}; mend the quotes there") from error
        except UnicodeDecodeError as error:
            raise RefError(f"{make_printable(str(file))}, {describe_bad_utf8(file)}") from error


def csv_bytes(header: Iterable[str], rows: Iterable[Iterable[object]]) -> bytes:
    """A table as the bytes of its file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
