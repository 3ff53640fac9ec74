"""Finding one class among hundreds by a few letters."""

from __future__ import annotations

from typing import Any

import pytest

from annotator.project.settings import ClassInfo
from annotator.tui.label.class_list import class_choices, describe_class
from annotator.tui.widgets.choices import Choice, ChoiceScreen, filter_choices


def _classes() -> list[ClassInfo]:
    many = [ClassInfo(f"class {number}") for number in range(300)]
    return [*many, ClassInfo("dog", synonyms=("Canis familiaris",)), ClassInfo("hot dog")]


def found(letters: str, shares: dict[str, float] | None = None) -> list[str]:
    choices = class_choices(_classes(), {}, {}, shares)
    return [choice.value for choice in filter_choices(choices, letters)]


def test_a_class_is_found_by_its_name_or_a_synonym() -> None:
    assert found("dog") == ["dog", "hot dog"]
    assert found("canisfam")[0] == "dog"
    assert found("familiaris")[0] == "dog"
    assert found("xyz") == []
    assert found("", {"hot dog": 0.9})[0] == "hot dog"
    assert found("d", {"hot dog": 0.9, "dog": 0.1})[:2] == ["dog", "hot dog"]  # it begins with d


def test_the_better_the_letters_fit_the_earlier() -> None:
    names = ["scatter", "cat", "wild cat", "catfish", "coat"]
    choices = [Choice(name, name) for name in names]
    assert [one.value for one in filter_choices(choices, "cat")] == [
        "cat", "catfish", "wild cat", "scatter", "coat",
    ]  # fmt: skip
    assert [one.value for one in filter_choices(choices, "WILD_CAT")] == ["wild cat"]
    assert [one.value for one in filter_choices(choices, "cat wild")] == ["wild cat"]
    assert [one.value for one in filter_choices(choices, " ")] == names


def test_classes_that_fit_equally_well_are_in_the_order_of_their_probability() -> None:
    assert found("class 1", {"class 1": 0.0, "class 17": 0.4, "class 12": 0.3})[:3] == [
        "class 1", "class 17", "class 12",
    ]  # fmt: skip


def test_a_class_with_a_digit_comes_after_those_without() -> None:
    infos = [ClassInfo("ant"), ClassInfo("ape"), ClassInfo("asp")]
    choices = class_choices(infos, {"ant": "1"}, {}, {"ant": 0.8, "asp": 0.1})
    assert [one.value for one in filter_choices(choices, "a")] == ["asp", "ape", "ant"]
    assert filter_choices(choices, "ant")[0].value == "ant"


def test_what_annotator_toml_says_about_a_class_is_shown() -> None:
    info = ClassInfo("dog", description="a hound", synonyms=("hound",), link="https://x.y")
    assert describe_class(info) == "a hound\nhound\nhttps://x.y"


async def test_a_class_without_a_key_is_labelled_by_its_letters(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(4, _classes())
    async with opened(project, size=(100, 30)) as desk:
        ref = desk.current
        await desk.press(":")
        await desk.sees("302 of 302")
        assert isinstance(desk.app.screen, ChoiceScreen)
        await desk.pilot.press("h", "o", "t", "d")
        await desk.sees("1 of 302")
        await desk.pilot.press("enter")
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)
        await desk.press(":", "escape")  # leaves it as it is
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)
    assert [(row.ref, row.label) for row in log(project)] == [(ref, "hot dog")]


async def test_letters_that_no_class_has_choose_nothing(make: Any, opened: Any, log: Any) -> None:
    project = make(4, _classes())
    async with opened(project) as desk:
        await desk.press(":")
        await desk.pilot.press(*"xyz", "enter", "down", "pagedown", "enter")
        await desk.sees("Nothing here has these letters")
        await desk.pilot.press(*["backspace"] * 3, *"dog", "enter")
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)
    assert [row.label for row in log(project)] == ["dog"]


async def test_of_hundreds_of_classes_those_with_labels_show_and_the_rest_is_counted(
    make: Any, opened: Any
) -> None:
    async with opened(make(4, _classes())) as desk:
        await desk.sees(": find class")
        await desk.press(":", "h", "o", "t", "d", "enter")

        def rows() -> list[list[str]]:
            return [line[56:].split() for line in desk.text.splitlines()[:-1]]

        await desk.until(lambda: ["9", "hot", "dog", "1"] in rows())
        (more,) = [row for row in rows() if row[-1:] == ["more"]]
        shown = [row for row in rows() if "class" in row or "dog" in row]
        assert int(more[1]) == len(_classes()) - len(shown)
        await desk.press("h")
        await desk.sees("one of 293 other classes, found by a few letters")


@pytest.mark.parametrize(
    ("key", "typed", "words"),
    [("g", "clas 299 ran", "class 299 at random"), ("t", "hunt hot", "hunt hot dog"),
     ("ctrl+p", "label hot", "Label as hot dog"), ("ctrl+p", "flag", "Flag")],
)  # fmt: skip
async def test_every_list_is_filtered_as_one_types(
    make: Any, opened: Any, key: str, typed: str, words: str
) -> None:
    async with opened(make(4, _classes())) as desk:
        await desk.press(key)
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceScreen))
        await desk.pilot.press(*("space" if letter == " " else letter for letter in typed))
        await desk.sees(words)
        await desk.until(lambda: words in desk.text and "class 5" not in desk.text)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("key", ["g", "t", ":"])
async def test_a_list_of_a_thousand_classes_shows_their_labels_and_how_many_fit(
    make: Any, opened: Any, key: str, size: tuple[int, int]
) -> None:
    classes = [ClassInfo(f"kind {n}", description="what it is") for n in range(1000)]
    async with opened(make(4, classes), size=size) as desk:
        await desk.press("a")  # the first class
        await desk.press(key)
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceScreen))
        await desk.pilot.press(*"kind", "space", "0")
        row = await _row_with(desk, "kind 0")
        assert row.split("│")[1].split()[-1] == "1"
        await desk.sees("esc cancels")
        await desk.pilot.press("end", "backspace", *"999")
        await _row_with(desk, "kind 999")


async def _row_with(desk: Any, words: str) -> str:
    """The row of the list, not the line with the letters typed."""

    def rows() -> list[str]:
        return [row for row in desk.text.splitlines()[8:] if words in row and "▊" not in row]

    await desk.until(rows)
    return rows()[0]


async def test_a_click_chooses_and_the_wheel_moves(make: Any, opened: Any, log: Any) -> None:
    project = make(4, _classes())
    async with opened(project, size=(100, 30)) as desk:
        await desk.press(":")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceScreen))
        await desk.sees("class 12")
        y = next(y for y, line in enumerate(desk.text.splitlines()) if "class 12" in line)
        await desk.pilot.click(offset=(30, y))
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)
    assert [row.label for row in log(project)] == ["class 12"]
