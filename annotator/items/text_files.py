"""Text files of a project: opened as UTF-8, read as CSV rows or as lines of JSON.

A fault names the line. A last line that a crash cut short is skipped.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from annotator.errors import RefError
from annotator.items.atomic import only_regular, refuse_huge
from annotator.items.json_text import parse_json
from annotator.items.refs import make_printable


class FinalFault(str):
    """A fault after which nothing of a file was read, so it cannot be left out."""


_CONVERT = "Convert the file: `iconv -f {} -t utf-8`."
NOT_UTF8 = "is not UTF-8. Convert the file: `iconv -f latin1 -t utf-8`."
"""The fault of a line that cannot be decoded."""


def read_head(file: Path, size: int) -> bytes:
    """Return the first bytes of a regular file. Raises `OSError`."""
    with open(file, "rb", opener=only_regular) as data:  # noqa: PTH123
        return data.read(size)


def read_text_head(file: Path, size: int) -> str:
    """Return the first `size` bytes of a file as text, whatever they are. Raises `OSError`."""
    data = read_head(file, size)
    return data.decode(name_encoding(data), "replace")


def find_encoding(file: Path) -> str:
    """Return the encoding that a file's byte order mark names; UTF-8 without one."""
    try:
        mark = read_head(file, 4)
    except OSError as error:
        raise RefError(f"{make_printable(str(file))} cannot be read: {error.strerror}") from error
    return name_encoding(mark)


def name_encoding(data: bytes) -> str:
    """Return the encoding that the byte order mark of a text names; UTF-8 without one."""
    if data[:4] in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "utf-32"
    return "utf-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def open_text(file: Path, encoding: str = "utf-8-sig") -> io.TextIOWrapper:
    """Open a UTF-8 file, with or without a byte order mark. Raises `RefError` with the reason."""
    try:
        return open(file, encoding=encoding, newline="", opener=only_regular)  # noqa: PTH123
    except OSError as error:
        raise RefError(f"{make_printable(str(file))} cannot be read: {error.strerror}") from error


def find_bad_line(data: bytes, decode_error: UnicodeDecodeError) -> int:
    """Return the line, from 1, of the byte that is not UTF-8."""
    return data.count(b"\n", 0, decode_error.start) + 1


def describe_bad_utf8(file: Path) -> str:
    """Return the line where a file stops being UTF-8, and the remedy."""
    line, fault = _find_bad_utf8(file)
    return f"line {line}: {fault}"


def _find_bad_utf8(file: Path) -> tuple[int, str]:
    data = file.read_bytes()
    if (encoding := find_encoding(file)) != "utf-8-sig":
        return 1, f"is not UTF-8, but {encoding.upper()}. {_CONVERT.format(encoding)}"
    if (head := data[:64]).count(b"\0") * 4 >= len(head) > 0:
        likely = "utf-16le" if data[1:2] == b"\0" else "utf-16be"
        return 1, f"is not UTF-8, but probably {likely}. {_CONVERT.format(likely)}"
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return find_bad_line(data, error), NOT_UTF8
    return 1, NOT_UTF8  # the file changed meanwhile


def find_delimiter(lines: io.TextIOWrapper) -> str:
    """Return the delimiter of a header: a comma, else a tab or a semicolon. Rewinds `lines`."""
    header = lines.readline()
    lines.seek(0)
    return next((mark for mark in ",\t;" if mark in header), ",")


def read_header(file: Path) -> tuple[list[str], str]:
    """Return the cells of the header of a CSV, and its delimiter."""
    with open_text(file) as lines:
        delimiter = find_delimiter(lines)
        return next(csv.reader(lines, delimiter=delimiter), []), delimiter


def iter_records(
    file: Path, on_fault: Callable[[int, FinalFault], None], *, foreign: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line where each record of a CSV begins, and its cells, the header first.

    A fault of quotes or letters goes to `on_fault` with its line, and ends it. A `foreign` table
    may be in UTF-16 and begin with `sep=`, and its quotes are checked strictly.
    """
    before = skipped = 0
    with open_text(file, find_encoding(file) if foreign else "utf-8-sig") as lines:
        try:
            reader, skipped = _open_table(lines, foreign)
            for cells in reader:
                line, before = before + 1, reader.line_num
                yield line + skipped, cells
        except csv.Error as error:
            on_fault(before + 1 + skipped, FinalFault(f"{error}. Fix the quotes there."))
        except UnicodeError:
            line, fault = _find_bad_utf8(file)
            on_fault(line, FinalFault(fault))


def _open_table(lines: io.TextIOWrapper, foreign: bool) -> tuple[Any, int]:
    """Return a reader of rows, and the number of lines before its header."""
    first = lines.readline() if foreign else ""
    sep = re.fullmatch(r"sep=(.)\r?\n?", first)
    if sep:
        return csv.reader(lines, delimiter=sep[1], strict=True), 1
    lines.seek(0)
    return csv.reader(lines, delimiter=find_delimiter(lines), strict=foreign), 0


def read_rows(file: Path, *, cut_short: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row ends, and its cells; the header first, no blank lines.

    With `cut_short` a last line without its line break is skipped: a crash ended it. Raises
    `RefError` with the line that cannot be read.
    """
    with open_text(file) as text:
        try:
            refuse_huge(file, os.fstat(text.fileno()))
        except OSError as error:
            raise RefError(f"{make_printable(str(file))}: {error.strerror}") from error
        whole = (line for line in text if line.endswith("\n") or not cut_short)
        reader = csv.reader(whole)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except csv.Error as error:
            place = f"{make_printable(str(file))}, line {reader.line_num}"
            raise RefError(f"{place}: {error}. Fix the quotes there.") from error
        except UnicodeError as error:
            raise RefError(f"{make_printable(str(file))}, {describe_bad_utf8(file)}") from error


def csv_bytes(header: Iterable[str], rows: Iterable[Iterable[object]]) -> bytes:
    """Return a table as the bytes of its file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def add_line_sum(line: str) -> str:
    """Return a line of JSON with a checksum in front of its line break."""
    return f"{line}\t{_line_sum(line.encode('utf-8', 'surrogateescape'))}\n"


def check_line_sums(lines: Iterable[bytes], *, required: bool = False) -> Iterator[bytes]:
    """Yield lines without their checksums, and a blank line of the same length for a damaged one.

    Lines of 0.1.0 have no checksum; they are damaged if it is `required`.
    """
    for line in lines:
        if not line.endswith(b"\n"):
            yield line  # cut short by a crash
            continue
        text, mark, found = line.rstrip(b"\n").rpartition(b"\t")
        whole = found.decode("latin-1") == _line_sum(text) if mark else not required
        kept = line[:-1] if whole and not mark else text if whole else b""
        yield kept.ljust(len(line) - 1) + b"\n"


def _line_sum(text: bytes) -> str:
    return f"{zlib.crc32(text):08x}"


class JsonLine(NamedTuple):
    """A whole line of a file of JSON objects."""

    row: dict[str, Any]
    start: int
    """The offset of its first byte."""
    end: int


def read_json_lines(lines: Iterable[bytes]) -> Iterator[JsonLine]:
    """Yield the JSON objects of a file that grows by lines, one a line.

    Blank lines are skipped, and so is a line that a crash cut short. A line must end in a line
    break: half a number is a number, too.
    """
    end = 0
    for line in lines:
        start, end = end, end + len(line)
        try:
            row = parse_json(line.decode("utf-8", "surrogateescape")) if line.endswith(b"\n") else 0
        except ValueError:
            continue
        if isinstance(row, dict):
            yield JsonLine(row, start, end)
