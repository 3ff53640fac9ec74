"""The check of a row of labels.db: the file may be damaged, edited or from a newer version."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from annotator.items.refs import make_printable
from annotator.log.entries import DECISIONS, Action

_TEXTS = {2: "annotator", 4: "ref", 5: "label", 7: "model", 8: "picked_by", 12: "note"}
_REQUIRED = (2, 4)
_EARLIEST, _LATEST = -6e10, 2.5e11  # seconds: the years 69 to 9892, which calendars can show
_TEXT_TYPES, _NUMBER_TYPES = {str, type(None)}, {int, type(None)}
_ACTIONS = {str(action): action for action in Action}
_decode = json.JSONDecoder().decode  # json.loads takes twice as long
_EXTRA_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "group": str,
    "audit": str,
    "undoes": int,
    "page": str,
    "class": str,
    "select": str,
    "order": str,
    "negative": (str, type(None)),
}
"""The keys of `extra` that the program itself reads, and their types."""


class OddRow(ValueError):
    """A row that this version cannot read; the message says why."""


def sum_values(values: tuple[Any, ...]) -> int:
    """Return the CRC-32 of the columns of a row, without its `seq` and its checksum."""
    return zlib.crc32((("%s\0" * len(values)) % values).encode("utf-8", "surrogatepass"))


def check_sum(row: tuple[Any, ...]) -> None:
    """Raise `OddRow` if a row, from its `seq` to its checksum, has changed since it was written.

    The checksum is that of the values plus the `seq`. Rows of version 0.1.0 have none.
    """
    if row[-1] is not None and row[-1] != sum_values(row[1:-1]) + row[0]:
        raise OddRow("it has changed since it was written: its checksum does not fit")


def check_row(row: tuple[Any, ...]) -> None:
    """Raise `OddRow` if a column of a row holds what no version up to this one writes."""
    if _is_usual(row):
        return
    if not isinstance(row[1], float | int) or not _EARLIEST < row[1] < _LATEST:
        raise OddRow(f"the time {_shown(row[1])} is not one that a calendar has")
    for place, name in _TEXTS.items():
        value = row[place]
        if not isinstance(value, str) and (value is not None or place in _REQUIRED):
            raise OddRow(f"{name} is {_shown(value)}, not text")
    if row[9] is not None and not (isinstance(row[9], float | int) and 0 < row[9] <= 1):
        raise OddRow(f"q is {_shown(row[9])}, not a probability")
    for place, name in ((10, "pool"), (11, "shown_ms")):
        if row[place] is not None and not isinstance(row[place], int):
            raise OddRow(f"{name} is {_shown(row[place])}, not a whole number")


def _is_usual(row: tuple[Any, ...]) -> bool:
    """Return whether the types are those of nearly all rows; this is quicker than the check."""
    _, at, annotator, _, ref, label, _, model, picked_by, q, pool, shown_ms, note, *_ = row
    return (
        type(at) is float
        and _EARLIEST < at < _LATEST
        and type(annotator) is type(ref) is str
        and {type(label), type(model), type(picked_by), type(note)} <= _TEXT_TYPES
        and (q is None or (type(q) is float and 0 < q <= 1))
        and {type(pool), type(shown_ms)} <= _NUMBER_TYPES
    )


def parse_action(text: Any, label: Any) -> Action:
    """Return the action of a row. Raises `OddRow` for an unknown one, or one without its label."""
    action = _ACTIONS.get(text) if isinstance(text, str) else None
    if action is None:
        raise OddRow(f"this version does not know the action {_shown(text)}")
    if action in DECISIONS and (label is None) == (action is Action.LABEL):
        raise OddRow("it is a label without a class" if label is None else "its skip has a class")
    return action


def parse_json_object(text: Any, name: str) -> dict[str, Any]:
    """Return the object in a column. Raises `OddRow` for anything else."""
    try:
        value = _decode(text)
    except (ValueError, TypeError, RecursionError):
        raise OddRow(f"{name} is not JSON: {_shown(text)}") from None
    if not isinstance(value, dict):
        raise OddRow(f"{name} is {_shown(text)}, not a JSON object")
    return value


def check_proba(proba: Mapping[str, Any]) -> None:
    """Raise `OddRow` unless every value is a probability."""
    for name, value in proba.items():
        if type(value) not in (float, int) or not 0 <= value <= 1.000001:
            raise OddRow(f"proba of {_shown(name)} is {_shown(value)}, not a probability")


def check_extra(extra: Mapping[str, Any]) -> None:
    """Raise `OddRow` if a key that the program reads has a value of another type."""
    for name, kinds in _EXTRA_TYPES.items():
        if name in extra and not isinstance(extra[name], kinds):
            raise OddRow(f"extra has {name} {_shown(extra[name])}")


def _shown(value: Any) -> str:
    text = repr(value)
    return make_printable(text if len(text) <= 60 else text[:57] + "...")
