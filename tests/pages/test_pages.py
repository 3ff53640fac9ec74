"""Pages: what a selection answers, which items come, what is undone, leased and resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotator.pages import (
    BrowseSource,
    Page,
    PageOrder,
    PageSelection,
    SelectionMode,
    answers_of_page,
)
from tests.pages.page_sources import REFS, Clock, session_on, taught, truth, wish

# --- what a selection says


@pytest.mark.parametrize(
    ("select", "negative", "expected"),
    [
        (SelectionMode.POSITIVES, "defect", {"a": "ok", "b": "defect", "d": "blurred"}),
        (SelectionMode.EXCEPTIONS, None, {"b": "ok", "d": "blurred"}),
        (SelectionMode.EXCEPTIONS, "defect", {"a": "defect", "b": "ok", "d": "blurred"}),
        (SelectionMode.POSITIVES_ONLY, None, {"a": "ok", "d": "blurred"}),
    ],
)
def test_selected_the_rest_given_and_broken(
    select: SelectionMode, negative: str | None, expected: dict[str, str]
) -> None:
    page = Page(("a", "b", "c", "d"), "ok", select, negative=negative)
    assert answers_of_page(page, {"a": None, "d": "blurred"}, broken={"c"}) == expected


def test_the_board_selects_by_place_by_range_and_by_class() -> None:
    selection = PageSelection(Page(tuple("abcdefgh"), "ok"), across=3)
    assert selection.toggle(4) == {0, 4}
    selection.extend(7)
    assert set(selection.marks) == set("efgh")
    selection.move_cursor_to(3)
    selection.anchor = None
    selection.extend(1)  # backwards from the cursor
    assert set(selection.marks) == set("bcdefgh")
    selection.invert()
    assert selection.marks == {"a": None}
    selection.assign_label("blurred")
    assert selection.marks == {"a": "blurred"}
    selection.select_none()
    selection.move_cursor_to(5)
    selection.assign_label("blurred")
    assert selection.marks == {"f": "blurred"}, "with nothing selected, the one under the cursor"
    selection.step(down=1)
    assert selection.cursor == 7, "a short last row takes the cursor to its end"
    selection.step(right=1)
    assert selection.cursor == 7


# --- which items come


def test_a_random_page_is_drawn_one_by_one_and_counts_when_it_is_answered(tmp_path: Path) -> None:
    session = session_on(tmp_path)
    source = BrowseSource(session, wish())
    first, second = source.next(), source.next()  # the second is made ahead of the answer
    assert first is not None
    assert second is not None
    assert not set(first.refs) & set(second.refs)
    written = source.submit(first, {ref: None for ref in first.refs if truth(ref) == "ok"})
    assert [(entry.q, entry.pool) for entry in written] == [
        (1 / (40 - k), 40 - k) for k in range(6)
    ]
    assert {entry.ref: entry.label for entry in written} == {ref: truth(ref) for ref in first.refs}
    written = source.submit(second, {}, broken=[second.refs[2]])
    assert len(written) == 5
    assert [entry.q for entry in written] == [None] * 5, "a page with a gap is no random sample"
    third = source.next()
    assert third is not None
    assert [pick.pool for pick in third.draws.values()] == [28 - k for k in range(6)]


def test_pages_chosen_by_the_model_carry_no_propensity(tmp_path: Path) -> None:
    session = taught(tmp_path)
    source = BrowseSource(session, wish(SelectionMode.EXCEPTIONS, order=PageOrder.LIKELY))
    page = source.next()
    assert page is not None
    assert {truth(ref) for ref in page.refs} == {"ok"}
    chances = list(page.chances.values())
    assert chances == sorted(chances, reverse=True)
    written = source.submit(page, {})
    assert {(entry.label, entry.q) for entry in written} == {("ok", None)}
    assert session.stale, "the model learns from a page"


def test_exceptions_hold_only_what_is_taken_for_the_class(tmp_path: Path) -> None:
    source = BrowseSource(
        taught(tmp_path), wish(SelectionMode.EXCEPTIONS, order=PageOrder.LIKELY, per_page=39)
    )
    page = source.next()
    assert page is not None
    assert {truth(ref) for ref in page.refs} == {"ok"}
    assert len(page.refs) == 16, "20 are ok, 4 of them labelled"


def test_the_least_certain_lie_between_the_classes(tmp_path: Path) -> None:
    session = taught(tmp_path)
    everything = BrowseSource(session, wish(order=PageOrder.LIKELY, per_page=40))
    whole = everything.next()
    everything.close()
    page = BrowseSource(session, wish(order=PageOrder.UNCERTAIN, per_page=5)).next()
    assert page is not None
    assert whole is not None
    doubt = {ref: abs(p - 0.5) for ref, p in whole.chances.items()}
    assert set(page.refs) == set(sorted(doubt, key=doubt.__getitem__)[:5])


@pytest.mark.parametrize("order", [PageOrder.SIMILAR, PageOrder.CLUSTERS])
def test_look_alikes_come_together(tmp_path: Path, order: PageOrder) -> None:
    only = wish(SelectionMode.POSITIVES_ONLY, order=order, similar_to=REFS[21])
    page = BrowseSource(taught(tmp_path), only).next()
    assert page is not None
    assert len(page.refs) > 1
    assert len({truth(ref) for ref in page.refs}) == 1
    if order is PageOrder.SIMILAR:
        assert truth(page.refs[0]) == truth(REFS[21])
        assert REFS[21] == page.refs[0], "nothing is nearer to an item than itself"


def test_without_a_model_a_page_is_random_and_says_so(tmp_path: Path) -> None:
    coming = ["Opening the features"]
    source = BrowseSource(
        session_on(tmp_path), wish(order=PageOrder.LIKELY), expects=lambda: coming[0]
    )
    assert source.next() is None
    assert source.waiting == "Opening the features"
    coming[0] = ""
    page = source.next()
    assert page is not None
    assert "random" in page.note
    assert len(page.draws) == 6


def test_what_stays_open_comes_again_only_when_all_was_seen(tmp_path: Path) -> None:
    source = BrowseSource(session_on(tmp_path), wish(SelectionMode.POSITIVES_ONLY, per_page=30))
    first = source.next()
    assert first is not None
    source.submit(first, {})
    second = source.next()
    assert second is not None
    assert set(first.refs) | set(second.refs) == set(REFS)
    source.submit(second, {})
    third = source.next()
    assert third is not None
    assert len(third.refs) == 30


# --- undo


def test_undo_brings_the_page_back_with_its_selection(tmp_path: Path) -> None:
    session = session_on(tmp_path)
    source = BrowseSource(session, wish())
    page = source.next()
    assert page is not None
    source.submit(page, {page.refs[1]: None})
    again = source.undo()
    assert again is not None
    assert (again.refs, dict(again.selected)) == (page.refs, {page.refs[1]: None})
    assert session.progress.labelled == 0
    assert source.undo() is None


def test_undo_goes_back_beyond_the_sitting_but_not_past_other_answers(tmp_path: Path) -> None:
    first = session_on(tmp_path)
    source = BrowseSource(first, wish())
    page = source.next()
    assert page is not None
    source.submit(page, {page.refs[0]: None, page.refs[3]: None})
    source.close()
    first.close()
    second = session_on(tmp_path)
    again = BrowseSource(second, wish()).undo()
    assert again is not None
    assert set(again.refs) == set(page.refs)
    assert set(again.selected) == {page.refs[0], page.refs[3]}
    assert second.progress.labelled == 0
    assert second.label("ok") is not None
    assert BrowseSource(second, wish()).undo() is None, (
        "a single label is not a page's to take back"
    )
    assert second.progress.labelled == 1


# --- others


def test_two_annotators_do_not_meet_on_a_page(tmp_path: Path) -> None:
    clock = Clock()
    anna, ben = session_on(tmp_path, "anna", clock), session_on(tmp_path, "ben", clock)
    pages = BrowseSource(anna, wish(per_page=15))
    hers = pages.next()
    assert hers is not None
    ben.refresh()
    seen = set()
    while (item := ben.current) is not None:
        seen.add(item.ref)
        ben.label(truth(item.ref))
    assert not seen & set(hers.refs)
    pages.close()
    ben.refresh()
    assert ben.current is not None
    assert ben.current.ref in hers.refs, "what she left is free again"


def test_a_page_drawn_while_another_has_it_comes_without_it(tmp_path: Path) -> None:
    clock = Clock()
    anna, ben = session_on(tmp_path, "anna", clock), session_on(tmp_path, "ben", clock)
    hers, his = BrowseSource(anna, wish(per_page=20)), BrowseSource(ben, wish(per_page=30))
    first, second = hers.next(), his.next()  # ben has not looked around since
    assert first is not None
    assert second is not None
    assert not set(first.refs) & set(second.refs)
