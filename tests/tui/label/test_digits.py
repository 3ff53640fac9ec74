"""Digits that follow the model: what was drawn beside the picture is what a digit means."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from textual import events

from annotator.project.settings import ClassInfo
from annotator.tui import messages
from annotator.tui.keymaps import LABEL, make_keymap
from annotator.tui.label.class_list import ClassList
from annotator.tui.label.digits import order_by_use
from annotator.tui.launch import ItemSample, prepare_label_app
from annotator.tui.workers import FitWorker
from tests.tui.conftest import HALF_CELLS, Desk

MANY = [*(f"class {n:02d}" for n in range(30)), "red", "blue"]
REFS = [f"{number:02d}.png" for number in range(24)]


def means(desk: Any) -> dict[str, str]:
    """Digit to class, as the screen shows them beside the picture."""
    rows = (line[54:] for line in desk.text.splitlines())
    found = (re.match(r"  (\d) [ ▸✓·](.+?)  ", f"{row}  ") for row in rows)
    return {row[1]: row[2].strip() for row in found if row}


async def shown(desk: Any) -> dict[str, str]:
    """The digits, once the picture and they are on screen."""
    screen = desk.app.label_screen
    await desk.until(lambda: screen.picture.seen == screen.picture.item)
    await desk.until(lambda: screen.picture.typed_on(screen.sidebar.digit_painted_at("1")))
    return means(desk)


async def taught(desk: Any, truth: Callable[[str], str]) -> None:
    """Label some pictures right, by the letters of their class, until there is a model."""
    for _ in range(8):
        await desk.press(":", *truth(desk.current), "enter")
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)
    await desk.learnt()
    await desk.press("s")


@pytest.fixture
def with_model(make: Any, opened: Any, give_features: Any, truth: Any) -> Any:
    """with_model(annotator, **settings): the app on many classes, with a model that knows two."""

    @asynccontextmanager
    async def desk_with_model(annotator: str = "ann", **settings: Any) -> AsyncIterator[Desk]:
        project = make(24, MANY, **settings)
        give_features(project, REFS)
        async with opened(project, annotator) as desk:
            await taught(desk, truth)
            yield desk

    return desk_with_model


def with_digits(names: list[str], ranked: list[str], **keys: str) -> Any:
    infos = [ClassInfo(name, keys.get(name)) for name in names]
    return make_keymap("default", infos).with_digits(ranked)


def test_the_digits_are_the_likeliest_in_order() -> None:
    names = [f"c{n}" for n in range(20)]
    keymap = with_digits(names, names[::-1])
    assert [keymap.action_of(digit, digit) for digit in "129"] == [
        (LABEL, "c19"), (LABEL, "c18"), (LABEL, "c11"),
    ]  # fmt: skip
    assert keymap.classes["c19"] == "1" and keymap.classes["c5"] == ""
    assert keymap.action_of("a", "a") == (LABEL, "c0")  # the first class keeps its letter


def test_digits_that_are_keys_of_their_own_stay() -> None:
    names = [f"c{n}" for n in range(20)]
    infos = [ClassInfo(name, {"c4": "3", "c5": "x"}.get(name)) for name in names]
    keymap = make_keymap("default", infos, {"skip": ["7"]})
    assert keymap.digits == ("1", "2", "4", "5", "6", "8", "9")
    assert keymap.keyed == {"c4", "c5"}
    following = keymap.with_digits(names[::-1])
    assert following.action_of("3", "3") == (LABEL, "c4")
    assert following.action_of("7", "7") == ("skip", "")
    assert following.action_of("4", "4") == (LABEL, "c17")
    assert following.classes["c5"] == "X"


@pytest.mark.parametrize(("count", "digits"), [(9, "model"), (20, "fixed"), (1, "model")])
def test_few_classes_and_fixed_digits_never_change(count: int, digits: str) -> None:
    infos = [ClassInfo(f"c{n}") for n in range(count)]
    assert make_keymap("default", infos, digits=digits).digits == ()


def test_without_a_model_the_most_used_classes_have_the_digits_and_the_others_stay() -> None:
    names = [f"c{n}" for n in range(12)]
    assert order_by_use(names, {}, 9)[:9] == names[:9]
    once = order_by_use(names, {"c11": 3, "c2": 1}, 9)
    assert once[:9] == [*names[:8], "c11"]  # one digit changes, all others stay
    more = order_by_use(names, dict.fromkeys(names[3:], 2), 9)
    assert more[3:9] == names[3:9] and set(more[:3]) == {"c9", "c10", "c11"}


async def test_the_likeliest_class_of_a_picture_has_the_digit_1(
    make: Any, opened: Any, give_features: Any, truth: Any, log: Any
) -> None:
    project = make(24, MANY)
    give_features(project, REFS)
    async with opened(project) as desk:
        assert (await shown(desk))["1"] == "class 00"  # nothing is known yet
        await taught(desk, truth)
        for _ in range(6):
            digits = await shown(desk)
            assert digits["1"] == truth(desk.current) and len(digits) == 9
            await desk.press("1")
    given = [row for row in log(project) if row.label]
    assert len(given) == 14 and all(row.label == truth(row.ref) for row in given)


async def test_a_ranking_that_arrives_changes_no_digit_of_the_picture_in_view(
    with_model: Any, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with with_model() as desk:
        monkeypatch.setattr(FitWorker, "start_fit", lambda self, snapshot: None)
        digits, ref = await shown(desk), desk.current
        ranking = desk.app.session.ranking
        # The same model the other way round: what was red is blue.
        swapped = {"red": "blue", "blue": "red"}
        names = [swapped.get(name, name) for name in ranking.classes]
        other = replace(ranking, classes=tuple(names))
        desk.app.post_message(messages.RankingLearned(other))
        await desk.until(lambda: desk.app.session.ranking is other)
        await desk.pilot.pause()
        await asyncio.sleep(0.1)
        assert means(desk) == digits
        await desk.press("1")
        await desk.until(lambda: desk.current != ref)
    (row,) = [row for row in log(desk.app.project) if row.ref == ref]
    assert row.label == digits["1"]


async def test_a_digit_typed_before_the_digits_are_drawn_labels_nothing(
    with_model: Any, log: Any
) -> None:
    async with with_model() as desk:
        await shown(desk)
        before, seen = len(log(desk.app.project)), desk.current
        for key in "121212":
            desk.app.post_message(events.Key(key, key))
        await desk.until(lambda: desk.current != seen)
        await desk.until(lambda: not desk.app.key_queue.busy)
        assert [row.ref for row in log(desk.app.project)[before:]] == [seen]


async def test_a_digit_waits_for_the_list_even_if_the_picture_is_there(
    with_model: Any, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with with_model() as desk:
        await shown(desk)
        monkeypatch.setattr(ClassList, "_painted", lambda self, keyed: None)
        ref = desk.current
        await desk.press("p", "p", "1")
        await desk.sees("not on screen yet: key ignored")
        assert desk.current == ref
        await desk.press("a")  # a letter always means the same
        await desk.until(lambda: desk.current != ref)
    assert [row.label for row in log(desk.app.project) if row.ref == ref] == ["class 00"]


async def test_while_the_prediction_is_hidden_the_digits_do_not_tell_it(
    with_model: Any, log: Any
) -> None:
    async with with_model() as desk:
        likeliest = await shown(desk)
        await desk.press("p")
        await desk.until(lambda: means(desk) == dict(zip("123456789", MANY, strict=False)))
        await desk.press("p")
        await desk.until(lambda: means(desk) == likeliest)
        await desk.press("p")
        await shown(desk)
        ref = desk.current
        await desk.press("3")
        await desk.until(lambda: desk.current != ref)
        assert set(means(desk).values()) == set(MANY[:9])
    assert [row.label for row in log(desk.app.project) if row.ref == ref] == [MANY[2]]


async def test_fixed_digits_stay_with_a_model(with_model: Any) -> None:
    async with with_model(digits="fixed") as desk:
        assert await shown(desk) == dict(zip("123456789", MANY, strict=False))


async def test_several_classes_are_chosen_by_the_digits_of_the_picture(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(4, MANY, multi_label=True)
    async with opened(project) as desk:
        digits, ref = await shown(desk), desk.current
        await desk.press("2", "5")
        assert means(desk) == digits  # a choice moves no digit
        await desk.press("enter")
        await desk.until(lambda: desk.current != ref)
    assert [row.label for row in log(project)] == [f"{digits['2']}|{digits['5']}"]


async def test_the_wheel_moves_the_other_classes_not_the_digits(make: Any, opened: Any) -> None:
    async with opened(make(4, MANY)) as desk:
        digits = await shown(desk)
        last = lambda: desk.text.splitlines()[16][54:]  # noqa: E731
        before = last()
        for _ in range(3):
            desk.app.label_screen.sidebar.query_one("#classes").on_mouse_scroll_down()
        await desk.until(lambda: last() != before)
        assert means(desk) == digits


async def test_the_help_lists_the_digits_of_the_picture(make: Any, opened: Any) -> None:
    async with opened(make(4, MANY), size=(100, 40)) as desk:
        await shown(desk)
        await desk.press("h")
        await desk.sees("They change with the picture")


async def test_a_class_that_is_chosen_without_a_digit_is_shown(make: Any, opened: Any) -> None:
    async with opened(make(4, MANY, multi_label=True)) as desk:
        await shown(desk)
        await desk.press(":", *"blue", "enter")
        await desk.until(lambda: any("✓blue" in row for row in desk.text.splitlines()))


async def test_second_opinions_have_the_first_nine_classes_on_the_digits(with_model: Any) -> None:
    async with with_model("ana") as desk:
        project = desk.app.project
    sample = ItemSample(None, REFS[:8])
    with prepare_label_app(project, "ben", HALF_CELLS, features=False, audit=sample) as app:
        async with app.run_test(size=(80, 24)) as pilot:
            desk = Desk(app, pilot)
            await desk.until(lambda: desk.current)
            assert await shown(desk) == dict(zip("123456789", MANY, strict=False))


async def test_another_annotator_starts_with_the_digits_of_the_labels(
    make: Any, opened: Any, truth: Any
) -> None:
    project = make(24, MANY)
    async with opened(project, "ana") as desk:
        for _ in range(3):
            await desk.press(":", *"blue", "enter")
            await desk.until(lambda: desk.app.screen is desk.app.label_screen)
    async with opened(project, "ben") as desk:
        digits = await shown(desk)
        assert digits == dict(zip("123456789", [*MANY[:8], "blue"], strict=True))
