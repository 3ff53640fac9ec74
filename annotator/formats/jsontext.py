"""JSON from unknown sources, read in pieces, with the line of every fault."""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

from annotator.errors import RefError
from annotator.formats.reading import read_text
from annotator.items.atomic import only_regular
from annotator.items.refs import make_printable
from annotator.items.text_files import NOT_UTF8, describe_bad_utf8, find_encoding, open_text

_SPACE = re.compile(r"[ \t\n\r]*")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the member {make_printable(twice)!r} is repeated in one object")
    return found


dumps = json.JSONEncoder(ensure_ascii=False).encode
"""A value as JSON on one line, with characters as they are; `json.dumps` is slower."""
_DECODER = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_as_object)


def write_element(file: IO[str], index: int, value: Any) -> None:
    """Write an element of a JSON array on a line of its own; all but the first after a comma."""
    file.write(",\n" if index else "\n")
    file.write(dumps(value))


def loads_strict(text: str) -> Any:
    """Return the value of a JSON text; NaN, infinities and repeated members are faults.

    Raises `ValueError`, or `RecursionError` for deep nesting.
    """
    return json.loads(text, parse_constant=_refuse, object_pairs_hook=_as_object)


def describe_json_error(error: Exception) -> str:
    """Describe why `loads_strict` failed, or why its text could not be decoded."""
    if isinstance(error, UnicodeDecodeError):
        return NOT_UTF8
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error.msg} (column {error.colno})"
    return "is nested too deeply" if isinstance(error, RecursionError) else f"is not JSON: {error}"


def _iter_utf8(file: Path, raw: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file as UTF-8 without a byte order mark."""
    encoding = find_encoding(file)
    if encoding == "utf-8-sig":
        raw.seek(len(codecs.BOM_UTF8) if raw.read(3) == codecs.BOM_UTF8 else 0)
        yield from raw
        return
    with open_text(file, encoding) as lines:
        try:
            yield from (line.encode("utf-8", "surrogatepass") for line in lines)
        except UnicodeError:
            raise RefError(f"{make_printable(str(file))}, {describe_bad_utf8(file)}") from None


def iter_json_lines(
    file: Path, on_fault: Callable[[int, str], None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each line's number, from 1, and its object; other lines go to `on_fault`."""
    with open(file, "rb", opener=only_regular) as raw:  # noqa: PTH123
        for line, data in enumerate(_iter_utf8(file, raw), 1):
            if not data.strip():
                continue
            try:
                value = loads_strict(data.decode())
            except (ValueError, RecursionError) as error:
                on_fault(line, describe_json_error(error))
                continue
            if isinstance(value, dict):
                yield line, value
            else:
                on_fault(line, 'should be an object such as {"file_name": "a.jpg"}')


class JsonMember(NamedTuple):
    """A part of a JSON document."""

    key: str
    """The member of the top-level object; "" if the document is an array."""
    position: int
    """The position in that member's array, from 0; -1 if the member is not an array."""
    value: Any

    @property
    def location(self) -> str:
        """The part's place for messages, such as `annotations[3]`."""
        return f"{self.key}[{self.position}]" if self.position >= 0 else self.key


class JsonDocument:
    """The text of a JSON file. Its top-level arrays are decoded an element at a time."""

    def __init__(self, path: Path) -> None:
        """Read a file. Raises `RefError` if it cannot be read or is not UTF-8."""
        self.path, self.text = path, read_text(path)

    @property
    def is_array(self) -> bool:
        """True if the document is an array."""
        return self.text[self._space(0) : self._space(0) + 1] == "["

    def iter_members(self) -> Iterator[JsonMember]:
        """Yield every member of the top-level object, or element of the top-level array.

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
            self._fault(rest, "there is text after the end of the JSON document")

    def line(self, offset: int) -> int:
        """Return the line, from 1, of a place in the text."""
        return self.text.count("\n", 0, offset) + 1

    def _object(self, offset: int) -> Generator[JsonMember, None, int]:
        seen: set[str] = set()
        offset = self._space(offset + 1)
        if self.text[offset : offset + 1] == "}":
            return offset + 1
        while True:
            begin = offset
            key, offset = self._value(offset)
            if not isinstance(key, str):
                self._fault(begin, "the name of a member should be here, in double quotes")
            if key in seen:
                self._fault(begin, f"{make_printable(key)!r} is repeated")
            seen.add(key)
            offset = self._space(self._expect(self._space(offset), ":"))
            if self.text[offset : offset + 1] == "[":
                offset = yield from self._array(key, offset)
            else:
                value, offset = self._value(offset)
                yield JsonMember(key, -1, value)
            offset = self._space(offset)
            if self.text[offset : offset + 1] == "}":
                return offset + 1
            offset = self._space(self._expect(offset, ","))

    def _array(self, key: str, offset: int) -> Generator[JsonMember, None, int]:
        offset = self._space(offset + 1)
        if self.text[offset : offset + 1] == "]":
            return offset + 1
        index = 0
        while True:
            value, offset = self._value(offset)
            yield JsonMember(key, index, value)
            index += 1
            offset = self._space(offset)
            if self.text[offset : offset + 1] == "]":
                return offset + 1
            offset = self._space(self._expect(offset, ","))

    def _value(self, offset: int) -> tuple[Any, int]:
        try:
            return _DECODER.raw_decode(self.text, offset)
        except (ValueError, RecursionError) as error:
            self._fault(getattr(error, "pos", offset), describe_json_error(error))

    def _space(self, offset: int) -> int:
        found = _SPACE.match(self.text, offset)
        return found.end() if found else offset

    def _expect(self, offset: int, character: str) -> int:
        if self.text[offset : offset + 1] != character:
            cut = (
                "the file is cut short" if offset >= len(self.text) else f"{character!r} is missing"
            )
            self._fault(offset, f"is not JSON: {cut}")
        return offset + 1

    def _fault(self, offset: int, text: str) -> NoReturn:
        raise RefError(f"{make_printable(str(self.path))}, line {self.line(offset)}: {text}")
