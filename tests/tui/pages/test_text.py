"""The texts of a page."""

from __future__ import annotations

from annotator.pages import Page, SelectionMode
from annotator.tui.pages import text as page_text
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
