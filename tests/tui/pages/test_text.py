"""The texts of a page."""

from __future__ import annotations

from annotator.pages import Page, SelectionMode
from annotator.tui.pages import text as page_text
from annotator.tui.pages.header import header_lines
from annotator.tui.pages.keys import PAGE_COMMANDS, page_hints


def test_where_an_item_may_have_several_classes_the_page_says_that_its_answer_is_all_of_them() -> (
    None
):
    page = Page(("a",), "dusty", SelectionMode.POSITIVES_ONLY)
    assert "every dusty;" in page_text.describe_selection(page)
    assert "every dusty alone;" in page_text.describe_selection(page, multi=True)


def test_the_footer_says_that_small_letters_select() -> None:
    shown = {hint.key: hint.action[0] for hint in page_hints(PAGE_COMMANDS)}
    assert shown["a-z space"] == "toggle"


def test_a_narrow_header_shows_the_order_beside_the_name() -> None:
    page = Page(("a.jpg",), "crack", SelectionMode.POSITIVES, "check", "ok")
    sentences = (
        "Select every crack; the rest becomes ok.",
        "8 ok",
        "8 checked, 3 wrong: error 9 %",
    )
    for cells in (80, 120):
        lines = header_lines(page, None, "check-1", sentences, cells, 2)
        texts = ["".join(text for text, _ in line) for line in lines]
        assert all(len(text) <= cells for text in texts)
        assert sum(sentences[2] in text for text in texts) == 1
        assert "page 1" in texts[0] and sentences[0] in texts[1]
