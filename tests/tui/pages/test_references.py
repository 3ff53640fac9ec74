"""A class's reference images on top of its pages."""

from __future__ import annotations

from typing import Any

from annotator.items.refs import Item
from annotator.pages import PageRequest, SelectionMode
from annotator.project.settings import ClassInfo
from annotator.tui.pages.open import open_pages
from annotator.tui.pages.screen import PageScreen
from tests.tui.conftest import Desk, Make

WORDS = "red looks like this"
CLASSES = (ClassInfo("red", examples=("00.png", "02.png")), "blue")


async def show(desk: Desk) -> PageScreen:
    open_pages(desk.app, PageRequest("red", SelectionMode.POSITIVES_ONLY, per_page=6))
    await on_screen(desk)
    assert isinstance(desk.app.screen, PageScreen)
    return desk.app.screen


async def on_screen(desk: Desk) -> None:
    await desk.until(lambda: isinstance(desk.app.screen, PageScreen) and desk.app.screen.shows)


async def test_they_stand_on_top_until_they_are_sent_away(make: Make, opened: Any) -> None:
    async with opened(make(12, CLASSES), size=(120, 64)) as desk:
        screen = await show(desk)
        await desk.sees(WORDS)
        sheet = screen.mosaic.item
        assert [item for item, _ in sheet.reference_tiles] == [Item("00.png"), Item("02.png")]
        assert all(spot.row < sheet.spots[0].row for _, spot in sheet.reference_tiles)
        await desk.pilot.press("space")
        await desk.sees("1 red")
        await desk.pilot.press("E")
        await desk.until(lambda: screen.shows_other_item and screen.mosaic.item != sheet)
        await desk.pilot.press("x")
        await on_screen(desk)
        await desk.sees(WORDS)
        await desk.pilot.press("E")
        await desk.until(lambda: screen.shows_other_item)
        await desk.pilot.press("E")
        await on_screen(desk)
        assert WORDS not in desk.text
        await desk.sees("1 red")
        await desk.pilot.press("Q")
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)
        again = await show(desk)
        assert WORDS not in desk.text, "they stay away"
        await desk.pilot.press("E")
        await desk.sees(WORDS)
        assert not again.shows_other_item


async def test_where_there_is_no_room_the_page_has_it_all(make: Make, opened: Any) -> None:
    async with opened(make(12, CLASSES), size=(80, 24)) as desk:
        screen = await show(desk)
        assert WORDS not in desk.text
        await desk.pilot.press("E")
        await desk.until(lambda: screen.shows_other_item)
        await desk.pilot.press("E")
        await on_screen(desk)
        await desk.pilot.press("E")
        await desk.until(lambda: screen.shows_other_item)  # and they can be looked at again


async def test_each_page_has_those_of_its_own_class(make: Make, opened: Any) -> None:
    classes = (CLASSES[0], ClassInfo("blue", examples=("01.png",)))
    async with opened(make(12, classes), size=(120, 64)) as desk:
        await show(desk)
        await desk.sees(WORDS)
        await desk.pilot.press("Q")
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)
        open_pages(desk.app, PageRequest("blue", SelectionMode.POSITIVES_ONLY, per_page=6))
        await on_screen(desk)
        await desk.sees("blue looks like this")
