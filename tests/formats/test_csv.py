"""The user's table comes back byte for byte, except for the cells that were labelled."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotator.formats.csv import relabel_refs_csv
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from tests.formats import made_projects as samples

cells = st.text(alphabet="ab \",;\n'é#=", max_size=6)
names = st.text(alphabet="ab \",;'é#=", min_size=1, max_size=6).filter(lambda t: t.strip() == t)


def exported(folder: Path, table: bytes, state: LogState) -> bytes:
    folder.mkdir(exist_ok=True)
    (folder / "annotator.toml").unlink(missing_ok=True)
    project = ProjectFolder.create(folder, Settings((ClassInfo("a"),)))
    project.refs_file.write_bytes(table)
    return b"".join(relabel_refs_csv(project, lambda refs: [state.label(ref) for ref in refs]))


def label(ref: str, name: str) -> LogState:
    return replay([Entry(1, 0.0, "ann", Action.LABEL, ref, name)])


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=4),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
    delimiter=st.sampled_from(",;\t"),
    name=names,
)
def test_one_label_changes_one_cell(
    tmp_path: Path,
    rows: list[tuple[str, str]],
    quoting: int,
    end: str,
    delimiter: str,
    name: str,
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting, lineterminator=end, delimiter=delimiter)  # type: ignore[arg-type]
    writer.writerow(["before", "filename", "annotation", "after"])
    for number, (before, after) in enumerate(rows):
        writer.writerow([before, f"{number}.jpg", "", after])
    table = text.getvalue().encode()
    assert exported(tmp_path, table, LogState()) == table
    changed = exported(tmp_path, table, label("0.jpg", name)).decode()
    read = list(csv.reader(io.StringIO(changed, newline=""), delimiter=delimiter))
    expected = list(csv.reader(io.StringIO(table.decode(), newline=""), delimiter=delimiter))
    expected[1][2] = name
    assert read == expected
    kept = os.path.commonprefix([changed, table.decode()])
    rest = os.path.commonprefix([changed[::-1], table.decode()[::-1]])
    # All bytes but those of one cell, with its quotes, are as they were.
    assert len(kept) + len(rest) >= len(table.decode()) - 2


def test_an_undone_import_empties_the_cell(tmp_path: Path) -> None:
    table = b"filename,annotation,x\na.jpg,sea,1\n"
    assert exported(tmp_path, table, LogState()) == b"filename,annotation,x\na.jpg,,1\n"


def test_short_rows_and_blank_lines_survive(tmp_path: Path) -> None:
    table = b"filename,x,annotation\na.jpg\n\nb.jpg,2,\n"
    assert exported(tmp_path, table, LogState()) == table
    found = exported(tmp_path, table, label("a.jpg", "ok"))
    assert found == b"filename,x,annotation\na.jpg,,ok\n\nb.jpg,2,\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_table_without_a_label_column_gets_one(tmp_path: Path, end: str) -> None:
    table = f"filename,x{end or chr(10)}a.jpg,1{end}".encode()
    found = exported(tmp_path, table, label("a.jpg", "o,k")).decode()
    assert list(csv.reader(io.StringIO(found))) == [
        ["filename", "x", "annotation"],
        ["a.jpg", "1", "o,k"],
    ]
    assert found.endswith(end) and found.count(end or "\n") == table.decode().count(end or "\n")


@pytest.mark.parametrize("header", ["filename,annotation", "filename"])
def test_a_table_whose_last_quotes_are_never_closed_takes_labels(
    tmp_path: Path, header: str
) -> None:
    table = f'{header}\na.jpg\n"b, c.jpg'.encode()
    rows = list(
        csv.DictReader(io.StringIO(exported(tmp_path, table, label("b, c.jpg", "a")).decode()))
    )
    assert [(row["filename"], row["annotation"] or "") for row in rows] == [
        ("a.jpg", ""),
        ("b, c.jpg", "a"),
    ]


def test_a_class_that_a_spreadsheet_would_run_is_said(tmp_path: Path) -> None:
    made = samples.project(tmp_path / "one", ["a.png"], {"a.png": "=1+1"}, classes=["ok", "=1+1"])
    source = samples.write(made, "csv", tmp_path / "x.csv")
    assert any("'=1+1'" in note and "plain-csv" in note for note in source.notes)
