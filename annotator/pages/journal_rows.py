"""The rows of a page journal: checked like a stranger's file when they are read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from annotator.errors import RefError
from annotator.items.refs import Item
from annotator.learn.strategies import Pick
from annotator.pages.page import Page, SelectionMode

_MOST_ITEMS = 100_000


def page_as_row(page: Page) -> dict[str, Any]:
    """Return the first row of a journal."""
    return {
        "refs": page.refs, "label": page.label, "select": page.select, "order": page.order,
        "negative": page.negative, "draws": {ref: list(p) for ref, p in page.draws.items()},
        "chances": dict(page.chances), "selected": dict(page.selected),
        "number": page.number, "of": page.of, "key": page.key, "note": page.note,
    }  # fmt: skip


def page_from_row(row: Mapping[str, Any]) -> Page:
    """Return the page of a first row. Raises `ValueError` for anything that no page has."""
    unknown = set(row) - set(_FIELDS)
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    fields = {name: _FIELDS[name](value) for name, value in row.items()}
    on_page = set(fields["refs"])
    for name in ("draws", "chances", "selected"):
        if not on_page.issuperset(fields.get(name, ())):
            raise ValueError(f"{name} of items that are not on the page")
    return Page(**fields)


def change_marks(marks: dict[str, str | None], row: Mapping[str, Any], page: Page) -> None:
    """Apply a row that changes the selection. Raises `ValueError` for anything else."""
    if set(row) != {"on", "off"}:
        raise ValueError("a row that is neither a page nor a change")
    on, off = _selected(row["on"]), _refs(row["off"]) if row["off"] else ()
    if not set(page.refs).issuperset([*on, *off]):
        raise ValueError("a change of items that are not on the page")
    for ref in off:
        marks.pop(ref, None)
    marks.update(on)


def _typed(*kinds: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) not in kinds:
            raise ValueError(f"{value!r:.60} has the wrong type")
        return value

    return check


_whole = _typed(int)


def _text(value: Any) -> str:
    text: str = _typed(str)(value)
    text.encode()  # a damaged byte is not text
    return text


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _refs(value: Any) -> tuple[str, ...]:
    refs = tuple(_text(ref) for ref in _typed(list)(value))
    if not refs or len(refs) > _MOST_ITEMS or len(set(refs)) < len(refs):
        raise ValueError("no items, too many, or one of them twice")
    try:
        for ref in refs:
            Item.parse(ref)
    except RefError as error:
        raise ValueError(str(error)) from None
    return refs


def _selected(value: Any) -> dict[str, str | None]:
    return {ref: _optional_text(name) for ref, name in _typed(dict)(value).items()}


def _draws(value: Any) -> dict[str, Pick]:
    return {ref: _pick(drawn) for ref, drawn in _typed(dict)(value).items()}


def _pick(value: Any) -> Pick:
    row, q, pool, component = _typed(list)(value)
    if 0 < _typed(int, float)(q) <= 1 or q != q:
        return Pick(_whole(row), float(q), _whole(pool), _text(component))
    raise ValueError(f"{q!r} is not a probability")


def _chances(value: Any) -> dict[str, float]:
    chances = {ref: float(_typed(int, float)(p)) for ref, p in _typed(dict)(value).items()}
    if not all(0 <= p <= 1.000001 for p in chances.values()):
        raise ValueError("a chance that is not a probability")
    return chances


def _count(value: Any) -> int:
    number: int = _whole(value)
    if not 0 <= number < 10**9:
        raise ValueError(f"{number} is not a page's number")
    return number


def _key(value: Any) -> str:
    if not _text(value):
        raise ValueError("a page without a key")
    return str(value)


_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "refs": _refs, "label": _text, "select": SelectionMode, "order": _text,
    "negative": _optional_text, "draws": _draws, "chances": _chances, "selected": _selected,
    "number": _count, "of": lambda value: None if value is None else _count(value),
    "key": _key, "note": _text,
}  # fmt: skip
"""The fields of a page in a journal, each with its check."""
