"""Pages of a program that was killed: what was on them comes back."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from annotator.pages import BrowseSource, Page, SelectionMode
from annotator.pages.journal import PageJournal
from tests.pages.page_sources import session_on, wish

KILLED = """
import sys
from pathlib import Path
from tests.pages.page_sources import session_on, wish
from annotator.pages import BrowseSource
from annotator.pages.journal import PageJournal
path = Path(sys.argv[1])
source = BrowseSource(session_on(path), wish(), journal=PageJournal(path / "page.jsonl"))
page = source.next()
marks = {}
source.mark(page, marks)
for ref in page.refs[:3]:
    marks[ref] = None
    source.mark(page, marks)
del marks[page.refs[1]]
source.mark(page, marks)
if len(sys.argv) > 2:
    labels = {ref: "ok" for ref in page.refs}
    source.session.decide(labels, picked_by="page", extra={"page": page.key})
print(*page.refs, flush=True)
input()
"""


def killed(path: Path, *more: str) -> list[str]:
    """The refs of the page that a program showed when it was killed."""
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path), *more],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdin is not None
    refs = child.stdout.readline().split()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    child.stdin.close()
    return refs


def test_a_kill_loses_neither_the_page_nor_its_selection(tmp_path: Path) -> None:
    refs = killed(tmp_path)
    assert len(refs) == 6
    page = BrowseSource(
        session_on(tmp_path), wish(), journal=PageJournal(tmp_path / "page.jsonl")
    ).next()
    assert page is not None
    assert list(page.refs) == refs
    assert page.selected == {refs[0]: None, refs[2]: None}
    assert len(page.draws) == 6, "it was drawn at random, and still counts so"


def test_a_page_that_was_answered_just_before_the_kill_is_not_asked_again(tmp_path: Path) -> None:
    refs = killed(tmp_path, "answered")
    page = BrowseSource(
        session_on(tmp_path), wish(), journal=PageJournal(tmp_path / "page.jsonl")
    ).next()
    assert page is not None
    assert not set(page.refs) & set(refs)


def test_items_answered_since_the_kill_are_not_on_the_page_again(tmp_path: Path) -> None:
    refs = killed(tmp_path)
    session = session_on(tmp_path)
    session.decide({refs[2]: "defect"}, picked_by="api")
    source = BrowseSource(session, wish(), journal=PageJournal(tmp_path / "page.jsonl"))
    page = source.next()
    assert page is not None
    assert list(page.refs) == [ref for ref in refs if ref != refs[2]]
    assert page.selected == {refs[0]: None} and not page.draws
    assert "1 item has an answer by now" in page.note
    assert page.key not in (tmp_path / "page.jsonl").read_text()  # its places mean other items
    source.submit(page, page.selected)
    assert [entry.label for entry in session.state.standing[refs[2]]] == ["defect"]


def test_a_page_with_items_outside_of_what_is_asked_now_does_not_come_back(tmp_path: Path) -> None:
    refs = killed(tmp_path)
    session = session_on(tmp_path)
    asked = np.array([ref not in refs[:3] for ref in session.queue.refs])
    session.queue.restrict(asked)
    page = BrowseSource(session, wish(), journal=PageJournal(tmp_path / "page.jsonl")).next()
    assert page is not None
    assert not set(page.refs) & set(refs[:3]) and not page.selected


def test_other_pages_do_not_begin_with_the_one_that_was_left(tmp_path: Path) -> None:
    killed(tmp_path)
    other = wish(SelectionMode.EXCEPTIONS, label="defect")
    page = BrowseSource(
        session_on(tmp_path), other, journal=PageJournal(tmp_path / "page.jsonl")
    ).next()
    assert page is not None
    assert (page.label, page.select, dict(page.selected)) == (
        "defect",
        SelectionMode.EXCEPTIONS,
        {},
    )


def test_a_line_cut_by_the_kill_costs_the_last_change_only(tmp_path: Path) -> None:
    path = tmp_path / "page.jsonl"
    journal = PageJournal(path)
    page = Page(("a", "b"), "ok")
    for marks in ({}, {"a": None}, {"a": None, "b": "defect"}):
        journal.keep(page, marks)
    journal.close()
    path.write_bytes(path.read_bytes()[:-9])
    resumed = PageJournal(path).resumed()
    assert resumed is not None
    assert resumed.selected == {"a": None}


def test_a_second_program_of_the_same_annotator_leaves_the_journal_alone(tmp_path: Path) -> None:
    first, second = PageJournal(tmp_path / "page.jsonl"), PageJournal(tmp_path / "page.jsonl")
    first.keep(Page(("a",), "ok"), {})
    assert second.resumed() is None
    second.keep(Page(("b",), "ok"), {})
    second.close()
    first.close()
    resumed = PageJournal(tmp_path / "page.jsonl").resumed()
    assert resumed is not None
    assert resumed.refs == ("a",)
