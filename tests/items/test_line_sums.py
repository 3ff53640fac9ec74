"""Lines of JSON with a checksum: a damaged line is skipped, and the others keep their place."""

from __future__ import annotations

import json

import pytest

from annotator.items.text_files import add_line_sum, check_line_sums, read_json_lines

ROWS = [{"path": "ä\t\udcff.png", "n": number} for number in range(3)]
LINES = [
    add_line_sum(json.dumps(row, ensure_ascii=False)).encode("utf-8", "surrogateescape")
    for row in ROWS
]


def test_whole_lines_are_read_at_their_places() -> None:
    found = list(read_json_lines(check_line_sums(LINES, required=True)))
    assert [line.row for line in found] == ROWS
    assert [(line.start, line.end) for line in found] == [
        (at * len(LINES[0]), (at + 1) * len(LINES[0])) for at in range(3)
    ]


@pytest.mark.parametrize("required", [True, False])
def test_any_flip_of_a_line_is_noticed(required: bool) -> None:
    for at in range(len(LINES[1]) - 1):
        for bit in range(8):
            damaged = bytearray(LINES[1])
            damaged[at] ^= 1 << bit
            lines = b"".join([LINES[0], damaged, LINES[2]]).splitlines(keepends=True)
            found = [
                line.row for line in read_json_lines(check_line_sums(lines, required=required))
            ]
            assert found == [ROWS[0], ROWS[2]]


def test_lines_of_the_first_version_are_read_unless_a_sum_is_required() -> None:
    old = [b'{"path": "a"}\n', b'{"path": "b"']
    assert [line.row for line in read_json_lines(check_line_sums(old))] == [{"path": "a"}]
    assert list(read_json_lines(check_line_sums(old, required=True))) == []
