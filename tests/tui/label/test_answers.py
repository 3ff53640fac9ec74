"""Keys become rows of the log, and the log becomes the screen."""

from __future__ import annotations

from typing import Any

import pytest


def answers(rows: list[Any]) -> list[tuple[str, str, str | None]]:
    return [(str(row.action), row.ref, row.label) for row in rows]


async def test_a_key_labels_the_picture_on_screen(make: Any, opened: Any, log: Any) -> None:
    project = make()
    async with opened(project) as desk:
        first = desk.current
        await desk.press("a")
        second = desk.current
        assert second != first
        assert answers(log(project)) == [("label", first, "red")]
        await desk.press("right")
        assert answers(log(project))[1:] == [("label", second, "blue")]
        await desk.sees("2 of 8")


async def test_labels_carry_who_how_drawn_and_how_long_shown(
    make: Any, opened: Any, log: Any
) -> None:
    project = make()
    async with opened(project, annotator="berta") as desk:
        await desk.until(lambda: desk.app.label_screen.picture.seen is not None)
        await desk.press("1")
    (row,) = log(project)
    assert row.annotator == "berta"
    assert (row.picked_by, row.q, row.pool) == ("random", 1 / 8, 8)
    assert row.shown_ms is not None and 0 <= row.shown_ms < 60_000


async def test_undo_again_and_again_and_after_a_restart(make: Any, opened: Any, log: Any) -> None:
    project = make()
    async with opened(project) as desk:
        seen = []
        for _ in range(3):
            seen.append(desk.current)
            await desk.press("d")
        await desk.press("backspace")
        assert desk.current == seen[2]
    async with opened(project) as desk:
        assert desk.current == seen[2]
        await desk.press("ctrl+h")
        assert desk.current == seen[1]
        await desk.press("backspace")
        assert desk.current == seen[0]
        await desk.sees("0 of 8")
        await desk.press("backspace")
        await desk.sees("nothing left to take back")
    assert [str(row.action) for row in log(project)] == ["label"] * 3 + ["undo"] * 3


async def test_a_restart_goes_on_with_the_same_picture(make: Any, opened: Any) -> None:
    project = make()
    async with opened(project) as desk:
        await desk.press("a", "s")
        last = desk.current
    async with opened(project) as desk:
        assert desk.current == last
        await desk.sees("2 of 8")
        await desk.sees("1 skipped")


async def test_finishing_says_so_and_skipped_items_can_be_asked_again(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(4)
    async with opened(project) as desk:
        skipped = desk.current
        await desk.press("s", "a", "a", "a")
        await desk.sees("All answered")
        await desk.sees("3 labelled, 1 skipped.")
        await desk.sees("annotator export")
        await desk.press("a")  # there is nothing to label
        assert len(log(project)) == 4
        await desk.press("o")
        assert desk.current == skipped
        await desk.press("d")
        await desk.sees("All labelled")
        assert "ask skipped" not in desk.text
        await desk.press("backspace")
        assert desk.current == skipped


@pytest.mark.parametrize("key", ["r", "R"])
async def test_r_never_asks_the_skipped_again(make: Any, opened: Any, key: str) -> None:
    async with opened(make(4)) as desk:
        skipped = desk.current
        await desk.press(key)
        await desk.sees("Rapid mode needs kitty")
        await desk.press("s", "a", "a", "a")
        await desk.sees("ask skipped")
        await desk.press(key)
        assert desk.current is None
        await desk.press("O")
        assert desk.current == skipped


async def test_every_item_is_shown_once(make: Any, opened: Any) -> None:
    project = make(30)
    shown = []
    async with opened(project) as desk:
        while desk.current is not None:
            shown.append(desk.current)
            await desk.press("a")
    assert sorted(shown) == [f"{number:02d}.png" for number in range(30)]


async def test_flags_and_notes_are_kept(make: Any, opened: Any, log: Any) -> None:
    project = make()
    async with opened(project) as desk:
        ref = desk.current
        await desk.press("f")
        await desk.sees("flagged")
        await desk.press("n", "s", "c", "r", "a", "t", "c", "h", "enter")
        await desk.sees("✎ scratch")
        assert desk.current == ref
    async with opened(project) as desk:
        await desk.sees("✎ scratch")
        await desk.press("f")
        await desk.until(lambda: "⚑" not in desk.text)
    rows = log(project)
    assert [(str(row.action), row.ref, row.note) for row in rows] == [
        ("flag", ref, None),
        ("note", ref, "scratch"),
        ("flag", ref, None),
    ]


async def test_a_note_that_is_left_writes_nothing(make: Any, opened: Any, log: Any) -> None:
    project = make()
    async with opened(project) as desk:
        await desk.press("n", "x", "escape")
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)
        await desk.press("n", "enter")
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)
    assert log(project) == []


async def test_a_click_on_a_class_labels_and_on_a_key_does_what_it_says(
    make: Any, opened: Any, log: Any
) -> None:
    project = make()
    async with opened(project) as desk:
        first = desk.current
        await desk.pilot.click("#classes", offset=(8, 3))  # the second class
        await desk.pilot.click("#keys", offset=(desk.text.splitlines()[-1].index("skip"), 0))
        rows = answers(log(project))
        assert rows[0] == ("label", first, "blue")
        assert rows[1][0] == "skip"


async def test_the_palette_labels_with_any_class(make: Any, opened: Any, log: Any) -> None:
    names = [f"kind {number}" for number in range(12)]
    project = make(classes=names)
    async with opened(project) as desk:
        ref = desk.current
        await desk.press("ctrl+p")
        await desk.sees("enter does it")
        await desk.pilot.press(*"ask")
        await desk.until(lambda: "12 of" in desk.text)
        assert "Ask skipped" not in desk.text  # no item is
        await desk.pilot.press(*"ind11")
        await desk.sees("Label as kind 11")
        await desk.pilot.press("enter")
        await desk.until(lambda: log(project))
    assert answers(log(project)) == [("label", ref, "kind 11")]


async def test_one_class_and_one_item(make: Any, opened: Any, log: Any) -> None:
    project = make(1, classes=["only"])
    async with opened(project) as desk:
        await desk.press("d")  # no second class: no such key
        assert log(project) == []
        await desk.press("a")
        await desk.sees("All labelled")
    assert answers(log(project)) == [("label", "00.png", "only")]


async def test_no_item_at_all(make: Any, opened: Any) -> None:
    async with opened(make(0)) as desk:
        await desk.sees("There is nothing to label")
        await desk.sees("There is no image in")
        await desk.press("a", "s", "backspace", "t")
        await desk.press("h")
        await desk.sees("Keys")
