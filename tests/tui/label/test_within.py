"""T asks only the items of a query; C, then 5, compares the slices."""

from __future__ import annotations

from typing import Any

from annotator.project.saved_searches import save_search

WIDE = (120, 40)


async def _choose(desk: Any, letters: str) -> None:
    await desk.press("t")
    await desk.sees("How items are picked")
    await desk.pilot.press(*letters)
    await desk.pilot.press("enter")


async def test_t_asks_within_a_saved_search_and_then_everywhere(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(12)
    save_search(project, "tens", "name:1")  # 01, 10 and 11
    async with opened(project, size=WIDE) as desk:
        await desk.until(lambda: desk.app.label_screen.listed)
        await _choose(desk, "within" + " " + "tens")
        await desk.sees("within @tens")
        first = desk.current
        await desk.press("1", "1", "1")
        while desk.app.session.current is not None:
            await desk.press("1")
        await desk.sees("This part is done")
        asked = {entry.ref for entry in log(project)}
        assert asked - {first} == {"01.png", "10.png", "11.png"} - {first}
        assert {e.picked_by for e in log(project) if e.ref != first} == {"within"}
        await _choose(desk, "everywhere")
        await desk.until(lambda: desk.app.session.current is not None)
        assert desk.current not in asked and "within" not in desk.app.session.within


async def test_slices_have_a_page_beside_the_curves(make: Any, opened: Any) -> None:
    async with opened(make(12), size=(80, 24)) as desk:
        await desk.until(lambda: desk.app.label_screen.listed)
        await desk.press("c", "5")
        await desk.sees("estimated error by slice")
        await desk.sees("Slices appear with the estimate of the error")
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)


async def test_hidden_predictions_cannot_be_searched_for(
    make: Any, opened: Any, give_features: Any, truth: Any
) -> None:
    project = make(24)
    give_features(project, [f"{number:02d}.png" for number in range(24)])
    async with opened(project, size=WIDE) as desk:
        for _ in range(6):
            await desk.press({"red": "a", "blue": "d"}[truth(desk.current)])
        await desk.learnt()
        await desk.press("p", "slash")
        await desk.sees("enter searches")
        await desk.pilot.press(*"p", "greater_than_sign", *"0", "full_stop", *"9", "enter")
        await desk.sees("The predictions are hidden.")


async def test_the_last_search_is_offered_beside_a_saved_one_of_that_name(
    make: Any, opened: Any
) -> None:
    project = make(12)
    save_search(project, "1", "name:0")
    async with opened(project, size=WIDE) as desk:
        await desk.press("slash")
        await desk.sees("enter searches")
        await desk.pilot.press("1", "enter")
        await desk.sees("search: 1")
        await desk.pilot.press("escape")
        await desk.press("t")
        await desk.sees("within @1")
        await desk.sees("the last search")
