"""What a page says of itself."""

from __future__ import annotations

from annotator.pages import Page, Select
from annotator.tui import pagewords


def test_where_an_item_may_have_several_classes_the_page_says_that_its_answer_is_all_of_them() -> (
    None
):
    page = Page(("a",), "dusty", Select.POSITIVES_ONLY)
    assert "every dusty;" in pagewords.meaning(page)
    assert "every dusty alone;" in pagewords.meaning(page, multi=True)


def test_the_footer_says_that_small_letters_select() -> None:
    shown = {hint.key: hint.action[0] for hint in pagewords.hints()}
    assert shown["a-z space"] == "toggle"
