"""Journals of pages as a damaged disk, another version or a stranger may leave them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from annotator.log.store.sqlite import SqliteStore
from annotator.pages import BrowseSource, Page, SelectionMode
from annotator.pages.journal import PageJournal
from annotator.session.session import LabelSession
from tests.pages.page_sources import REFS, session_on, wish


def write_journal(path: Path) -> list[str]:
    """A journal with a page and two changes; return its lines."""
    journal = PageJournal(path)
    source = BrowseSource(session_on(path.parent), wish(), journal=journal)
    page = source.next()
    assert page is not None
    source.mark(page, {})
    source.mark(page, {page.refs[0]: None})
    source.mark(page, {page.refs[0]: None, page.refs[1]: "defect"})
    source.close()
    return path.read_text().splitlines(keepends=True)


def resumed(path: Path) -> tuple[Page, BrowseSource]:
    """The page that comes after the program was started again, and its source."""
    source = BrowseSource(session_on(path.parent), wish(), journal=PageJournal(path))
    page = source.next()
    assert page is not None
    return page, source


ODD: tuple[tuple[str, Any], ...] = (
    ("refs", []), ("refs", [1, 2]), ("refs", "abc"), ("refs", None), ("refs", {"a": 1}),
    ("refs", ["000.jpg", "000.jpg"]), ("refs", [""]), ("refs", ["a#xywh=1,1,0,0"]),
    ("label", 5), ("label", None), ("select", "all"), ("select", 3), ("order", []),
    ("negative", 7), ("draws", []), ("draws", {"zzz": [1, 0.5, 3, "random"]}),
    ("draws", {"000.jpg": "x"}), ("draws", {"000.jpg": [1, 2]}), ("draws", 5),
    ("chances", "text"), ("chances", {"000.jpg": "x"}), ("chances", {"000.jpg": 9}),
    ("selected", 5), ("selected", [1]), ("selected", {"000.jpg": 5}), ("selected", {"no": None}),
    ("number", "one"), ("number", -1), ("number", 1.5), ("number", True), ("of", "x"),
    ("of", 10**30), ("key", ""), ("key", 5), ("note", 5), ("unknown", 1), ("excluded", {}),
)  # fmt: skip


@pytest.mark.parametrize(("field", "value"), ODD)
def test_a_page_with_an_odd_field_is_shown_anew_and_that_is_said(
    tmp_path: Path, field: str, value: Any
) -> None:
    first, *rest = write_journal(tmp_path / "page.jsonl")
    row = json.loads(first) | {field: value}
    (tmp_path / "page.jsonl").write_text("".join([json.dumps(row) + "\n", *rest]))
    page, source = resumed(tmp_path / "page.jsonl")
    assert "could not be read" in source.note(page)
    assert page.selected == {}
    assert source.submit(page, {})


@pytest.mark.parametrize(
    "row",
    [
        {"on": {"000.jpg": 5}, "off": []}, {"on": [], "off": []}, {"on": {}, "off": [1]},
        {"on": {"zzz": None}, "off": []}, {"on": {}, "off": ["zzz"]}, {"on": {}}, {}, {"x": 1},
    ],
)  # fmt: skip
def test_an_odd_change_is_no_change(tmp_path: Path, row: dict[str, Any]) -> None:
    lines = write_journal(tmp_path / "page.jsonl")
    (tmp_path / "page.jsonl").write_text("".join([*lines, json.dumps(row) + "\n"]))
    page, source = resumed(tmp_path / "page.jsonl")
    assert "could not be read" in source.note(page)


@pytest.mark.parametrize("seed", range(40))
def test_a_journal_that_is_cut_or_flipped_never_ends_the_program(tmp_path: Path, seed: int) -> None:
    write_journal(tmp_path / "page.jsonl")
    data = bytearray((tmp_path / "page.jsonl").read_bytes())
    rng = random.Random(seed)  # noqa: S311  damage, not a secret
    if seed % 2:
        del data[rng.randrange(len(data)) :]
    else:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    (tmp_path / "page.jsonl").write_bytes(data)
    page, source = resumed(tmp_path / "page.jsonl")
    assert source.submit(page, dict(page.selected))


@pytest.fixture
def renamed(tmp_path: Path) -> Callable[[tuple[str, ...]], LabelSession]:
    def begin(classes: tuple[str, ...]) -> LabelSession:
        session = LabelSession(SqliteStore(tmp_path / "labels.db"), classes, annotator="ann")
        session.extend(REFS)
        return session

    return begin


def test_a_page_of_a_class_that_was_renamed_is_shown_anew(
    tmp_path: Path, renamed: Callable[[tuple[str, ...]], LabelSession]
) -> None:
    write_journal(tmp_path / "page.jsonl")
    for _ in range(2):  # again and again it was
        asked = wish(label="fine", negative="defect")
        journal = PageJournal(tmp_path / "page.jsonl")
        source = BrowseSource(renamed(("fine", "defect")), asked, journal=journal)
        page = source.next()
        assert page is not None
        assert page.label == "fine"
        assert source.submit(page, {})
        source.close()


def test_selections_of_a_class_that_is_gone_are_dropped_and_counted(
    tmp_path: Path, renamed: Callable[[tuple[str, ...]], LabelSession]
) -> None:
    write_journal(tmp_path / "page.jsonl")
    lines = (tmp_path / "page.jsonl").read_text().replace('"defect"', '"scratch"', 9)
    (tmp_path / "page.jsonl").write_text(lines.replace('"negative": "scratch"', '"negative": "ok"'))
    asked = wish(negative="ok")
    journal = PageJournal(tmp_path / "page.jsonl")
    source = BrowseSource(renamed(("ok", "defect")), asked, journal=journal)
    page = source.next()
    assert page is not None
    assert list(page.selected.values()) == [None]
    assert "1 selected item had a class that is gone" in source.note(page)
    assert source.submit(page, dict(page.selected))


def test_a_page_of_the_log_whose_class_is_gone_does_not_come_back(
    tmp_path: Path, renamed: Callable[[tuple[str, ...]], LabelSession]
) -> None:
    page, source = resumed(tmp_path / "page.jsonl")
    source.submit(page, {})
    source.close()
    asked = wish(SelectionMode.POSITIVES, label="fine")
    after = BrowseSource(renamed(("fine", "defect")), asked)
    assert after.undo() is None


def test_of_a_page_only_what_nobody_answered_meanwhile_is_taken(tmp_path: Path) -> None:
    page, source = resumed(tmp_path / "page.jsonl")
    bob = session_on(tmp_path, "bob")
    bob.decide(dict.fromkeys(page.refs[:2], "defect"), picked_by="api")
    written = source.submit(page, {page.refs[0]: None})
    assert [entry.ref for entry in written] == list(page.refs[2:])
    assert source.session.state.label(page.refs[0]) == "defect"
    following = source.next()
    assert following is not None
    assert "bob answered 2 of the items meanwhile" in source.note(following)
