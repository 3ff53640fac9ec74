"""A reviewed label says who confirmed it: in a search, in an export, in status and in Python."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from annotator import api
from annotator.log.entries import Action, Entry
from tests.curate.review_bench import Bench

WRONG = ["07.png", "22.png"]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Bo confirmed 22.png and changed 07.png; cy confirmed 22.png again."""
    bench = Bench(tmp_path)
    bench.label_all(WRONG)
    review = bench.review("errors")
    while review.current is not None:
        is_first = review.current.ref == WRONG[0]
        review.answer("crack") if is_first else review.confirm()
    again = bench.review("neighbours", who="cy")
    again.confirm()
    return bench


def run(bench: Bench, command: str, *arguments: str) -> str:
    line = [sys.executable, "-m", "annotator", command, str(bench.project.folder), *arguments]
    ran = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_status_has_a_bar_and_python_the_names(bench: Bench) -> None:
    assert api.Project(bench.project).reviewed() == {"07.png": ["bo"], "22.png": ["bo", "cy"]}
    found = json.loads(run(bench, "status", "--json"))["reviewed"]
    assert found == {"labels": 2, "annotators": {"bo": 2, "cy": 1}}
    (line,) = (line for line in run(bench, "status").splitlines() if "reviewed" in line)
    assert "2 of 60 labels (3.3 %), by bo 2, cy 1" in line
    assert "█░" in line


def test_the_queue_of_what_no_review_confirmed_ends(bench: Bench) -> None:
    listed = run(bench, "review", "--queue", "unreviewed", "--list").splitlines()
    refs = [line.split("\t")[1] for line in listed]
    assert sorted(refs) == sorted(set(bench.refs[:60]) - set(WRONG))
    assert "unreviewed" not in json.loads(run(bench, "review", "--json"))["queues"]
    bench.label("22.png", "ok", who="ana")  # changed after its review
    listed = run(bench, "review", "--queue", "unreviewed", "--list", "-n", "1").splitlines()
    assert listed[0].split("\t")[1] == "22.png"


def test_a_search_and_an_export_know_who_confirmed(bench: Bench, tmp_path: Path) -> None:
    assert run(bench, "search", "reviewed").split() == WRONG
    assert run(bench, "search", "reviewed:cy").split() == ["22.png"]
    run(bench, "export", str(tmp_path / "x.jsonl"), "--only", "reviewed", "--provenance")
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert {row["filename"]: row["reviewed_by"] for row in rows} == {
        "07.png": "bo", "22.png": "bo|cy",
    }  # fmt: skip
    place = tmp_path / "y.csv"
    run(bench, "export", str(place), "--only", "labelled -reviewed",
        "--format", "plain-csv", "--provenance")  # fmt: skip
    with place.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-1] == "reviewed_by"  # a script may count the others from the left
    assert len(rows) == 58
    assert {row["reviewed_by"] for row in rows} == {""}


def test_without_a_review_an_export_has_the_columns_of_before(bench: Bench, tmp_path: Path) -> None:
    for last in reversed([row for row in bench.store.entries() if row.picked_by == "review"]):
        bench.store.append(Entry(0, 9.0, "bo", Action.UNDO, last.ref, extra={"undoes": last.seq}))
    place = tmp_path / "x.csv"
    run(bench, "export", str(place), "--format", "plain-csv", "--provenance")
    with place.open(newline="") as file:
        assert "reviewed_by" not in next(csv.reader(file))


def test_undo_and_a_later_change_end_it(bench: Bench, tmp_path: Path) -> None:
    last = list(bench.store.entries())[-1]
    bench.store.append(Entry(0, 9.0, "cy", Action.UNDO, last.ref, extra={"undoes": last.seq}))
    assert run(bench, "search", "reviewed:cy") == ""
    assert run(bench, "search", "reviewed:bo").split() == WRONG
    bench.label("22.png", "ok", who="ana")
    assert run(bench, "search", "reviewed").split() == ["07.png"]
    run(bench, "export", str(tmp_path / "x.jsonl"), "--only", "reviewed")
    assert "22.png" not in (tmp_path / "x.jsonl").read_text()


def test_a_reviewed_table_comes_back_without_a_column_of_its_own(
    bench: Bench, tmp_path: Path
) -> None:
    place = tmp_path / "x.csv"
    for ref in bench.refs:
        (bench.project.folder / ref).touch()
    run(bench, "export", str(place), "--format", "plain-csv", "--provenance")
    ran = subprocess.run(
        [sys.executable, "-m", "annotator", "init", "again", "--from", str(place),
         "--images", str(bench.project.folder), "--classes", "ok,crack,rust"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=tmp_path,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    with (tmp_path / "again" / "refs.csv").open(newline="") as file:
        assert "reviewed_by" not in next(csv.reader(file))
