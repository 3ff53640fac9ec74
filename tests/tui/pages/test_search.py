"""/ on the labelling screen: a question, then its results as pages that can be labelled."""

from __future__ import annotations

from typing import Any

from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore

WIDE = (120, 40)


async def _type(desk: Any, text: str) -> None:
    await desk.press("slash")
    await desk.sees("enter searches")
    await desk.pilot.press(*("colon" if sign == ":" else sign for sign in text), "enter")


async def _shown(desk: Any) -> None:
    """Wait until a page is on the screen: before, keys do nothing."""
    await desk.until(lambda: getattr(desk.app.screen, "shows", False))


async def test_results_open_as_pages_and_take_labels(make: Any, opened: Any, log: Any) -> None:
    project = make(30)
    async with opened(project, size=WIDE) as desk:
        await _type(desk, "1")
        await desk.sees("search: 1")
        await desk.sees("12 found")  # 01, 10 to 19, 21
        await _shown(desk)
        assert desk.app.screen.page.refs[:2] == ("01.png", "10.png")
        await desk.pilot.press("2")
        await desk.pilot.press("enter")
        await desk.until(lambda: len(log(project)) == 1)
    (entry,) = log(project)
    assert (entry.ref, entry.label, entry.q) == ("01.png", "blue", None)
    assert entry.picked_by == "page-search"


async def test_labelled_items_show_their_label_and_can_be_changed(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(12)
    store = SqliteStore(project.labels_file)
    store.append(*(Entry(0, 1.0, "cy", Action.LABEL, f"{n:02d}.png", "red") for n in (3, 4)))
    store.close()
    async with opened(project, size=WIDE) as desk:
        await _type(desk, "label:red")
        await _shown(desk)
        assert dict(desk.app.screen.selection.marks) == {"03.png": "red", "04.png": "red"}
        await desk.pilot.press("2")  # the item under the cursor, or all selected without a class
        await desk.pilot.press("enter")
        await desk.until(lambda: len(log(project)) == 3)
    last = log(project)[-1]
    assert (last.ref, last.label, last.annotator) == ("03.png", "blue", "ann")


async def test_what_cannot_be_searched_is_said_and_the_question_stays(
    make: Any, opened: Any
) -> None:
    async with opened(make(6), size=WIDE) as desk:
        await _type(desk, "label:none")
        await desk.sees("The classes are red, blue")
        await desk.pilot.press("escape")
        await _type(desk, "like:")
        await desk.sees("needs features")
        await desk.pilot.press("escape")
        await _type(desk, "nowhere")
        await desk.sees("Nothing was found")
        await desk.pilot.press("escape")
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)


async def test_like_means_the_item_on_screen(
    make: Any, opened: Any, give_features: Any, truth: Any
) -> None:
    project = make(12)
    give_features(project, [f"{n:02d}.png" for n in range(12)])
    async with opened(project, size=WIDE) as desk:
        await desk.until(lambda: desk.app.session.has_features)
        shown = desk.current
        await _type(desk, "like:")
        await _shown(desk)
        refs = desk.app.screen.page.refs
        assert len(refs) == 11
        assert {truth(ref) for ref in refs[:5]} == {truth(shown)}
