"""JSON from anyone: read in pieces, with the line of whatever is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from annotator.errors import RefError
from annotator.formats.reading import first_bad_line
from annotator.items.refs import printable

_SPACE = re.compile(r"[ \t\n\r]*")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


dumps = json.JSONEncoder(ensure_ascii=False).encode
"""JSON in one line, as it is written in UTF-8; `json.dumps` would make an encoder each time."""
_DECODER = json.JSONDecoder(parse_constant=_refuse)


def plain_loads(text: str) -> Any:
    """`json.loads` without NaN and infinities. Raises `ValueError`, `RecursionError`."""
    return json.loads(text, parse_constant=_refuse)


class Piece(NamedTuple):
    """A part of a JSON document."""

    key: str
    """The member of the top-level object; "" where the document is an array."""
    place: int
    """The place in that member's array, -1 where it is no array."""
    value: Any
    at: int
    """Where it begins in the text."""

    @property
    def where(self) -> str:
        return f"{self.key}[{self.place}]" if self.place >= 0 else self.key


class Document:
    """The text of a JSON file. Its top-level arrays are decoded an element at a time."""

    def __init__(self, path: Path) -> None:
        """Raises `RefError` for a file that cannot be read or is not UTF-8."""
        self.path = path
        try:
            data = path.read_bytes()
        except OSError as error:
            raise RefError(f"{printable(str(path))} cannot be read: {error.strerror}") from error
        try:
            self.text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise RefError(
                f"{printable(str(path))}, line {first_bad_line(data, error)}: is not UTF-8; "
                "convert it, say `iconv -f latin1 -t utf-8`"
            ) from None

    @property
    def is_array(self) -> bool:
        return self.text[self._space(0) : self._space(0) + 1] == "["

    def pieces(self) -> Iterator[Piece]:
        """Every member of the top-level object, or element of the top-level array.

        Raises `RefError` with the line of a fault.
        """
        at = self._space(0)
        mark = self.text[at : at + 1]
        if mark == "[":
            at = yield from self._array("", at)
        elif mark == "{":
            at = yield from self._object(at)
        else:
            self._fault(at, "should be a JSON object or array" if self.text.strip() else "is empty")
        rest = self._space(at)
        if rest < len(self.text):
            self._fault(rest, "something stands behind the end of the JSON document")

    def line(self, at: int) -> int:
        return self.text.count("\n", 0, at) + 1

    def _object(self, at: int) -> Generator[Piece, None, int]:
        seen: set[str] = set()
        at = self._space(at + 1)
        if self.text[at : at + 1] == "}":
            return at + 1
        while True:
            begin = at
            key, at = self._value(at)
            if not isinstance(key, str):
                self._fault(begin, "a member's name should stand here, in double quotes")
            if key in seen:
                self._fault(begin, f"{printable(key)!r} stands here a second time")
            seen.add(key)
            at = self._space(self._expect(self._space(at), ":"))
            if self.text[at : at + 1] == "[":
                at = yield from self._array(key, at)
            else:
                begin = at
                value, at = self._value(at)
                yield Piece(key, -1, value, begin)
            at = self._space(at)
            if self.text[at : at + 1] == "}":
                return at + 1
            at = self._space(self._expect(at, ","))

    def _array(self, key: str, at: int) -> Generator[Piece, None, int]:
        at = self._space(at + 1)
        if self.text[at : at + 1] == "]":
            return at + 1
        index = 0
        while True:
            begin = at
            value, at = self._value(at)
            yield Piece(key, index, value, begin)
            index += 1
            at = self._space(at)
            if self.text[at : at + 1] == "]":
                return at + 1
            at = self._space(self._expect(at, ","))

    def _value(self, at: int) -> tuple[Any, int]:
        try:
            return _DECODER.raw_decode(self.text, at)
        except json.JSONDecodeError as error:
            self._fault(error.pos, f"is no JSON here: {error.msg}")
        except RecursionError:
            self._fault(at, "is nested too deeply")
        except ValueError as error:
            self._fault(at, f"is no JSON here: {error}")

    def _space(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def _expect(self, at: int, mark: str) -> int:
        if self.text[at : at + 1] != mark:
            cut = "the file is cut short" if at >= len(self.text) else f"{mark!r} is missing"
            self._fault(at, f"is no JSON here: {cut}")
        return at + 1

    def _fault(self, at: int, text: str) -> NoReturn:
        raise RefError(f"{printable(str(self.path))}, line {self.line(at)}: {text}")
