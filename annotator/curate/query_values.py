"""Values in queries: numbers, times, texts with wildcards; and what a comparison says of items."""

from __future__ import annotations

import fnmatch
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.errors import QueryError
from annotator.items.refs import make_printable

Mask = NDArray[np.bool_]
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge,
}  # fmt: skip
_TIME = re.compile(
    r"(\d{4})(?:-(\d\d?)(?:-(\d\d?)(?:[T ](\d\d?)(?::(\d\d)(?::(\d\d)(?:\.\d+)?)?)?)?)?)?"
    r"(Z|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)


class TimeSpan(NamedTuple):
    """A time as long as it is written: a day, or a minute; in seconds since the epoch."""

    start: float
    end: float
    """The first moment after it."""
    zoned: bool
    """True if the text names its zone; otherwise it is the local one."""

    def compare(self, sign: str, at: float) -> bool:
        """Return whether a moment fulfils a comparison with this time."""
        if sign in ("=", "!="):
            return (self.start <= at < self.end) == (sign == "=")
        return {
            "<": at < self.start, "<=": at < self.end, ">": at >= self.end, ">=": at >= self.start,
        }[sign]  # fmt: skip


def parse_number(text: str) -> float | None:
    """Return a number, also one such as `90%`; None for a text that is not one."""
    text = text.strip()
    share = text.endswith("%")
    try:
        found = float(text.removesuffix("%"))
    except ValueError:
        return None
    return (found / 100 if share else found) if math.isfinite(found) else None


def parse_time(text: str, now: datetime | None = None) -> TimeSpan:
    """Return the time of `2026-11-01`, `2026-11-01T14:30`, `2026-11`, `today` or `yesterday`.

    Without a zone it is local time. Raises `QueryError` for anything else.
    """
    found = _TIME.fullmatch(text.strip())
    days = {"today": 0, "yesterday": 1}.get(text.strip().casefold())
    if days is not None:
        day = (now or datetime.now()).date() - timedelta(days=days)
        found = _TIME.fullmatch(day.isoformat())
    try:
        if found is None:
            raise ValueError
        return _span(found)
    except (ValueError, OverflowError):
        raise QueryError(
            f"{make_printable(text)!r} is not a time. Write 2026-11-01, 2026-11-01T14:30, today or "
            "yesterday."
        ) from None


def _span(found: re.Match[str]) -> TimeSpan:
    given = [int(part) for part in found.groups()[:6] if part is not None]
    zone = (
        datetime.fromisoformat(f"2000-01-01T00:00{found[7].upper()}").tzinfo if found[7] else None
    )
    year, month, day, hour, minute, second = [*given, *(0, 1, 1, 0, 0, 0)[len(given) :]]
    start = datetime(year, month, day, hour, minute, second, tzinfo=zone)
    if len(given) == 1:
        end = start.replace(year=year + 1)
    elif len(given) == 2:
        end = (start + timedelta(days=32)).replace(day=1)
    else:
        unit = ("days", "hours", "minutes", "seconds")[len(given) - 3]
        end = start + timedelta(**{unit: 1})
    return TimeSpan(start.timestamp(), end.timestamp(), zone is not None)


def local_zone(at: float) -> str:
    """Return the local zone at a moment: `CET, UTC+01:00`."""
    moment = datetime.fromtimestamp(at).astimezone()
    offset = moment.strftime("%z")
    name, shown = moment.tzname() or "", f"UTC{offset[:3]}:{offset[3:5]}"
    return shown if name.upper() in ("UTC", shown) or not name else f"{name}, {shown}"


def text_test(wanted: str, *, part: bool = False) -> Callable[[str], bool]:
    """Return a test for texts in any case: equal to `wanted`, or matching it as a glob.

    With `part` a text without a wildcard is found anywhere.
    """
    folded = _fold(wanted)
    if any(sign in wanted for sign in "*?"):
        pattern = re.compile(fnmatch.translate(folded.replace("[", "[[]")))
        return lambda text: pattern.match(_fold(text)) is not None
    if part:
        return lambda text: folded in _fold(text)
    return lambda text: folded == _fold(text)


def cell_test(sign: str, wanted: str) -> Callable[[str], bool | None]:
    """Return a test for the cells of a column; None from it says that a cell cannot be compared.

    Numbers are compared as numbers, all else as text: dates written as 2026-11-01 have an order.
    """
    number = parse_number(wanted)
    if sign in ("=", "!="):
        same = text_test(wanted)
        return lambda cell: (same(cell.strip()) or _equal(cell, number)) == (sign == "=")
    compare, folded = COMPARISONS[sign], _fold(wanted)
    if number is None:
        return lambda cell: bool(compare(_fold(cell.strip()), folded)) if cell.strip() else None

    def test(cell: str) -> bool | None:
        found = parse_number(cell)
        return None if found is None else bool(compare(found, number))

    return test


def _equal(cell: str, number: float | None) -> bool:
    return number is not None and parse_number(cell) == number


def _fold(text: str) -> str:
    """Return a text in one spelling of its accents and in small letters."""
    return unicodedata.normalize("NFC", text).casefold()


class Truth(NamedTuple):
    """The items that fulfil a term, and those that do not.

    All others are unknown: they match neither the term nor its negation.
    """

    true: Mask
    """(n,)"""
    false: Mask
    """(n,)"""

    @classmethod
    def of(cls, mask: Mask, known: Mask | None = None) -> Truth:
        """Return the answer of a mask (n,), where it is `known` (n,)."""
        if known is None:
            return cls(mask, ~mask)
        return cls(mask & known, ~mask & known)

    @property
    def unknown(self) -> int:
        """The number of items without an answer."""
        return int(len(self.true) - self.true.sum() - self.false.sum())

    def negated(self, negated: bool = True) -> Truth:
        """Return the answer to the opposite."""
        return Truth(self.false, self.true) if negated else self

    def both(self, other: Truth) -> Truth:
        """Return the answer to both terms together."""
        return Truth(self.true & other.true, self.false | other.false)


def compare_values(sign: str, number: float, values: NDArray[np.floating[Any]]) -> Truth:
    """Return the answer for numbers (n,), NaN for those that are not known."""
    with np.errstate(invalid="ignore"):
        return Truth.of(COMPARISONS[sign](values, number), np.isfinite(values))


def compare_texts(
    codes: NDArray[np.int32], texts: Iterable[str], test: Callable[[str], bool | None]
) -> Truth:
    """Return the answer for coded cells (n,); `test` gives None for a text without an answer."""
    answers = [test(text) for text in texts]
    true = np.array([answer is True for answer in answers], bool)
    false = np.array([answer is False for answer in answers], bool)
    return Truth(true[codes], false[codes])
