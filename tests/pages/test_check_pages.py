"""Pages of a check: the draws in their order, and what a page leaves open comes again."""

from __future__ import annotations

import pytest

from annotator.log.store.sqlite import SqliteStore
from annotator.pages import SelectionMode
from annotator.pages.check import CheckSource
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.session.check import Check, open_check
from annotator.session.check_result import StopRules
from annotator.session.session import LabelSession
from tests.session.test_check import project as project  # noqa: PLC0414  a fixture
from tests.session.test_check import state_of, truth


@pytest.fixture
def check(project: ProjectFolder) -> Check:
    return open_check(project, state_of(project))


@pytest.fixture
def session(project: ProjectFolder, check: Check) -> LabelSession:
    """A plain session, as that of the labelling screen."""
    store = SqliteStore(project.labels_file)
    made = LabelSession(store, ("ok", "crack"), annotator="ann")
    made.extend(load_refs(project))
    return made


def test_a_page_holds_the_next_draws_and_labels_them_all(
    check: Check, session: LabelSession
) -> None:
    source = CheckSource(session, check, "crack", 12)
    page = source.next()
    assert page is not None and page.refs == check.frozen.refs[:12]
    assert (page.select, page.negative, page.chances) == (SelectionMode.POSITIVES, "ok", {})
    cracks = {ref: None for ref in page.refs if truth(ref) == "crack"}
    rows = source.submit(page, cracks)
    assert [row.label for row in rows] == [truth(ref) for ref in page.refs]
    assert {(row.picked_by, row.audit) for row in rows} == {("check", "check-1")}
    assert [row.pool for row in rows] == list(range(len(check.frozen.items), 0, -1))[:12]
    after = source.next()
    assert after is not None and after.refs == check.frozen.refs[12:24]
    assert "12 checked" in source.note(after)


def test_the_result_above_a_page_made_ahead_is_the_one_of_now(
    check: Check, session: LabelSession
) -> None:
    source = CheckSource(session, check, per_page=4)
    page, ahead = source.next(), source.next()
    assert page is not None and ahead is not None
    source.submit(page, {ref: truth(ref) for ref in page.refs})
    assert "4 checked" in source.note(ahead)
    assert source.undo() is not None
    assert "0 checked" in source.note(page)


def test_what_a_page_leaves_open_comes_again_and_is_no_random_draw(
    check: Check, session: LabelSession
) -> None:
    source = CheckSource(session, check, per_page=4)
    page = source.next()
    assert page is not None
    given = {ref: truth(ref) for ref in page.refs[1:]}
    rows = source.submit(page, given)
    assert {row.q for row in rows} == {None} and {row.audit for row in rows} == {"check-1"}
    assert check.result(session.state).checked == 0
    again = source.next()
    assert again is not None and again.refs == (page.refs[0], *check.frozen.refs[4:7])
    source.submit(again, {page.refs[0]: truth(page.refs[0])})
    assert check.result(session.state).checked == 4


def test_an_image_that_cannot_be_read_counts_as_skipped(
    check: Check, session: LabelSession
) -> None:
    source = CheckSource(session, check, "crack", 6)
    page = source.next()
    assert page is not None
    source.submit(page, {}, broken=page.refs[:1])
    result = check.result(session.state)
    assert (result.checked, result.skipped) == (6, 1)


def test_another_annotator_gets_the_next_draws_and_waits_for_the_last_ones(
    project: ProjectFolder, check: Check, session: LabelSession
) -> None:
    source = CheckSource(session, check, per_page=30)
    first, ahead = source.next(), source.next()
    assert first is not None and ahead is not None
    other = LabelSession(SqliteStore(project.labels_file), ("ok", "crack"), annotator="bob")
    other.extend(load_refs(project))
    theirs = CheckSource(other, open_check(project, other.state), per_page=1000)
    page = theirs.next()
    assert page is not None
    assert not {*page.refs} & {*first.refs, *ahead.refs} and len(page.refs) > 100
    theirs.submit(page, {ref: truth(ref) for ref in page.refs})
    session.close()  # what only waits in a queue is free, pages on a screen are not
    while (rest := theirs.next()) is not None:
        theirs.submit(rest, {ref: truth(ref) for ref in rest.refs})
    assert "screens of others" in theirs.waiting


def test_an_undo_brings_the_page_back(check: Check, session: LabelSession) -> None:
    source = CheckSource(session, check, "crack", 6)
    page = source.next()
    assert page is not None
    source.submit(page, {})
    back = source.undo()
    assert back is not None and back.refs == page.refs
    assert check.result(session.state).checked == 0


def test_an_item_alone_needs_only_the_key_of_its_class(check: Check, session: LabelSession) -> None:
    page = CheckSource(session, check, per_page=1).next()
    assert page is not None and [*page.selected] == [*page.refs]


def test_pages_end_once_the_rules_are_met(project: ProjectFolder, session: LabelSession) -> None:
    check = open_check(project, state_of(project), rules=StopRules(max_error=0.9))
    source = CheckSource(session, check, "crack", 30)
    page = source.next()
    assert page is not None
    source.submit(page, {ref: None for ref in page.refs if truth(ref) == "crack"})
    assert source.next() is None and "30 checked" in source.no_pages_message
