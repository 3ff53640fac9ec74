"""Rows of labels.db that this version does not know: refused with place and remedy."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from annotator.errors import StoreError
from annotator.log.entries import Action, Entry
from annotator.log.store.protocol import Byproduct, Lease
from annotator.log.store.sqlite import SqliteStore

ODD_ROWS = (
    "action='frobnicate'",
    "action=x'00ff'",
    "action=''",
    "label=NULL",
    "action='skip'",
    "proba='{bad'",
    "proba='[1]'",
    "proba=''",
    "proba=x'ff'",
    'proba=\'{"a": "x"}\'',
    "proba='{\"a\": NaN}'",
    "proba='{\"a\": 1e999}'",
    "extra='5'",
    "extra='null'",
    'extra=\'{"undoes": "x"}\'',
    "extra='{\"group\": [1]}'",
    "extra='{\"audit\": {}}'",
    "extra='" + "[" * 9000 + "'",
    "at=1e300",
    "at=-1e300",
    "at='soon'",
    "at=9e999",
    "annotator=5.5 || x'ff'",
    "annotator=x'ff'",
    "ref=x'61'",
    "note=x'00'",
    "label=CAST(x'ff' AS TEXT)",
    "q=2",
    "q=0",
    "q='x'",
    "pool=1.5",
    "pool='x'",
    "shown_ms='x'",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store = SqliteStore(tmp_path / "labels.db")
    for number in range(3):
        store.append(Entry(0, 1.7e9, "ann", Action.LABEL, f"{number}.png", label="a"))
    store.close()
    return tmp_path / "labels.db"


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("change_to", ODD_ROWS)
def test_an_odd_row_is_named_with_what_repairs_it(path: Path, change_to: str) -> None:
    change(path, f"UPDATE log SET {change_to} WHERE seq = 2")
    with pytest.raises(StoreError, match=r"labels\.db.*doctor .* --repair") as raised:
        list(SqliteStore(path).entries())
    assert "row 2 of the log" in str(raised.value) or "decode" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_rows_that_every_version_has_written_are_read(path: Path) -> None:
    change(
        path,
        "UPDATE log SET q=1, pool=0, shown_ms=-5, at=0, extra='{\"new\": [1]}', proba='{}', "
        "checksum=NULL",
    )
    assert len(list(SqliteStore(path).entries())) == 3


@pytest.mark.parametrize("data", ["{bad", "[]", "5", ""])
def test_an_odd_byproduct_is_named(path: Path, data: str) -> None:
    store = SqliteStore(path)
    store.append_byproducts(Byproduct(1, "key", "p", {"a": 1}), Byproduct(2, "key", "p", {}))
    store.close()
    change(path, f"UPDATE byproducts SET data='{data}' WHERE seq = 2")
    with pytest.raises(StoreError, match="row 2 of byproducts"):
        list(SqliteStore(path).read_byproducts())


@pytest.mark.parametrize(
    "values",
    [
        "'b', 'nocolon', 'x', 9e12, 0, NULL, NULL, NULL",
        "'b', '', 'ann', 'soon', 0, NULL, NULL, NULL",
        "'b', x'ff', 'ann', 5, 0, NULL, NULL, NULL",
        "'b', 'h', 'ann', 5, 0, x'ff', NULL, NULL",
        "'b', 'h', 'ann', 5, 0, NULL, 'x', 'y'",
        "x'62', 'h', 'ann', 5, 0, NULL, NULL, NULL",
    ],
)
def test_an_odd_lease_counts_for_nothing(path: Path, values: str) -> None:
    change(path, f"INSERT INTO leases VALUES ({values})")
    store = SqliteStore(path)
    assert store.abandoned("ann", now=10) == []
    assert store.lease([Lease("b")], "me", "ann", now=10, until=100) == {"b"}
