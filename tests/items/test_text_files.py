"""Text files that a crash may have cut short."""

from __future__ import annotations

import io

import pytest

from annotator.items.text_files import read_json_lines


@pytest.mark.parametrize("cut", range(len(b'{"a": 12}\n')))
def test_json_lines_are_read_up_to_where_a_crash_cut_them(cut: int) -> None:
    data = b'{"a": 1}\n\n' + b'{"a": 12}\n'[:cut]
    rows = list(read_json_lines(io.BytesIO(data)))
    assert [tuple(row) for row in rows] == [({"a": 1}, 0, 9)]


def test_lines_after_a_cut_one_are_read() -> None:
    data = b'{"a": 1}\n{"a"\n{"a": 2}\n'
    assert [(row.row["a"], row.start, row.end) for row in read_json_lines(io.BytesIO(data))] == [
        (1, 0, 9),
        (2, 14, 23),
    ]


def test_names_that_are_not_utf_8_pass_through() -> None:
    (found,) = read_json_lines([b'{"path": "\xff"}\n'])
    assert found.row["path"] == "\udcff"
