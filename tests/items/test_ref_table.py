"""A million refs behave like a list of strings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import RefError
from annotator.items.ref_table import RefTable

names = st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])))


@given(names, names)
def test_a_table_reads_like_the_list_it_was_made_of(first: list[str], more: list[str]) -> None:
    table = RefTable(first)
    table.extend(more)
    refs = first + more
    assert len(table) == len(refs)
    assert list(table) == refs
    assert [table[row] for row in range(-len(refs), len(refs))] == refs + refs
    assert table[1:-1] == refs[1:-1]


@given(names, names)
def test_rows_point_at_the_ref_or_say_that_there_is_none(refs: list[str], asked: list[str]) -> None:
    table = RefTable(refs)
    for ref, row in zip(asked + refs, table.rows(asked + refs), strict=True):
        assert refs[row] == ref if row >= 0 else ref not in refs
        assert (ref in table) == (ref in refs)


def test_rows_are_found_in_any_order_and_after_growing() -> None:
    table = RefTable(["b.jpg", "a b.jpg#xywh=1,2,3,4", "ünï.png"])
    asked = ["ünï.png", "c.jpg", "b.jpg", "c.jpg"]
    assert table.rows(asked).tolist() == [2, -1, 0, -1]
    table.extend(["c.jpg"])
    assert table.rows(asked).tolist() == [2, 3, 0, 3]
    assert table.find("c.jpg") == 3
    assert table.find("c.jpg\n") == -1


def test_a_table_that_continues_another_keeps_its_rows() -> None:
    short = RefTable(["a", "b"])
    long = RefTable(["a", "b", "c", "a"])
    assert short.rows(long).tolist() == [0, 1, -1, 0]
    assert long.rows(short).tolist() == [0, 1]


def test_a_longer_last_line_is_not_a_continuation() -> None:
    assert RefTable(["a", "b"]).rows(RefTable(["a", "bc"])).tolist() == [0, -1]


def test_repeated_rows_are_the_later_ones() -> None:
    assert RefTable(["a", "b", "a", "c", "b", "a"]).repeated().tolist() == [2, 4, 5]
    assert RefTable(["a", "b"]).repeated().tolist() == []
    assert RefTable().repeated().tolist() == []


@pytest.mark.parametrize(
    "data",
    [b"a\nb c\n", b"a\nb c", b"a\r\nb c\r\n", b"\xef\xbb\xbfa\nb c\n"],
    ids=["unix", "no last line break", "windows", "byte order mark"],
)
def test_files_of_any_editor_load(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "refs.txt"
    path.write_bytes(data)
    assert list(RefTable.load(path)) == ["a", "b c"]


def test_what_is_saved_loads_unchanged_even_names_that_are_not_utf8(tmp_path: Path) -> None:
    refs = ["caf\udce9.jpg", "x\r", "", "\u2028.png", "plain"]
    RefTable(refs).save(tmp_path / "refs.txt")
    loaded = RefTable.load(tmp_path / "refs.txt")
    assert list(loaded) == refs
    assert loaded == RefTable(refs)
    assert loaded.find("caf\udce9.jpg") == 0


def test_an_empty_file_holds_no_refs(tmp_path: Path) -> None:
    (tmp_path / "refs.txt").touch()
    table = RefTable.load(tmp_path / "refs.txt")
    assert len(table) == 0
    assert table.rows(["a"]).tolist() == [-1]


def test_a_line_break_in_a_name_is_refused_and_nothing_is_appended() -> None:
    table = RefTable(["a"])
    with pytest.raises(RefError, match=r"b\\x0ac.*Rename"):
        table.extend(["x", "b\nc"])
    assert list(table) == ["a"]


def test_taking_rows_keeps_their_order() -> None:
    assert list(RefTable(["a", "b", "c"]).take([2, 0])) == ["c", "a"]


def test_equal_tables_share_memory_until_one_of_them_grows() -> None:
    refs = [f"{n}.jpg" for n in range(1000)]
    table, other = RefTable(refs), RefTable(refs)
    table.share(other)
    assert list(table) == refs
    table.extend(["new.jpg"])
    assert list(table) == [*refs, "new.jpg"] and list(other) == refs
    other.extend(["own.jpg"])
    assert table.find("own.jpg") == -1 and other.find("own.jpg") == 1000
    table.share(other)  # they differ now
    assert "own.jpg" not in table
