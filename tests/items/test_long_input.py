"""Time grows with the size of the input, not with its square."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from annotator.errors import ProjectError, RefError
from annotator.items.listing import read_list, read_table
from annotator.items.refs import Item, make_printable, parse_box, split_ref
from annotator.log.entries import Action, Entry, replay
from annotator.project.settings import read_settings

_SIZE = 200_000
_SECONDS = 20.0


@pytest.mark.parametrize(
    "line",
    ["a" + " " * _SIZE + "b", " " * _SIZE + "b", "a" + " 1" * _SIZE, "a" + "\t" * _SIZE + "1 2 3 4",
     "a 1 2 3" + " " * _SIZE + "x", "#xywh=" * 30_000, "a#xywh=" + "1," * _SIZE],
)  # fmt: skip
def test_a_long_line_is_read_at_once(tmp_path: Path, line: str) -> None:
    file = tmp_path / "list.txt"
    file.write_text(line + "\n")
    table = tmp_path / "table.csv"
    table.write_text(f'filename,bbox\n"{line}","{line}"\n"a.png","{line}"\n')
    started = time.monotonic()
    list(read_list(file, tmp_path, []))
    list(read_table(table, "xywh", []))
    split_ref(line)
    make_printable(line)
    for text in (line, f"[{line}]", f"1{line}", f"1-2{line}"):
        with pytest.raises(RefError):
            parse_box(text, "xywh")
    assert time.monotonic() - started < _SECONDS


def test_four_numbers_at_the_end_are_a_box(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("a b.png 1 2 5 6\n a.png\t1  2 5 6\nc.png 1 2 5\nd.png 1 2 5 6 \ne 1 -2 5 6\n")
    found = [row.item for row in read_list(file, tmp_path, [])]
    boxed = [item.path for item in found if item.box]
    assert boxed == ["a b.png", " a.png", "e"]
    assert Item.parse("c.png 1 2 5") in found


def test_undoing_all_labels_from_the_first_on_takes_no_longer_than_giving_them() -> None:
    labels = [Entry(n, 1.0, "ann", Action.LABEL, f"{n}.png", "a") for n in range(1, 50_001)]
    undone = (
        Entry(50_000 + e.seq, 1.0, "ann", Action.UNDO, e.ref, extra={"undoes": e.seq})
        for e in labels
    )
    started = time.monotonic()
    state = replay([*labels, *undone])
    assert time.monotonic() - started < _SECONDS
    assert not state.standing
    assert state.undoable_by("ann") == []


@pytest.mark.parametrize(
    "line", ["k{}=1", '[[classes]]\nname="c{}"\nwrong=1', '[[classes]]\nname="c"']
)
def test_a_settings_file_of_faults_is_refused_at_once(tmp_path: Path, line: str) -> None:
    file = tmp_path / "annotator.toml"
    file.write_text("\n".join(["format = 1", *(line.format(n) for n in range(4_000))]))
    started = time.monotonic()
    with pytest.raises(ProjectError):
        read_settings(file)
    assert time.monotonic() - started < _SECONDS
