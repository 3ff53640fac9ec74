"""The panel in the order of what matters: error, what is left, classes, progress, difficulty."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from annotator.learn.audit import AuditPlan
from annotator.learn.error_estimate import ErrorEstimate, Interval
from annotator.learn.remaining_work import RemainingWork
from annotator.tui.label.error_panel import PoolErrorState
from annotator.tui.label.glossary import GLOSSARY
from annotator.tui.label.top_panel import TopState, count_top_rows, first_texts, top_lines
from annotator.tui.styled_text import line_width

REFS = [f"{number:02d}.png" for number in range(60)]
SHOWN = PoolErrorState(ErrorEstimate(0.042, 0.021, 0.079, 31.0, 60, ()))
AUDIT = AuditPlan(0.9, 900, 0.01, 60, 0.05, 0.045, (0.0,))
WORK = RemainingWork(200, 20.0, AUDIT, 0.01, 0.05)
STATE = TopState(SHOWN, WORK, 1000, 10.0, "G", "soon")


def drawn(state: TopState, cells: int, height: int) -> str:
    lines = top_lines(state, cells, height)
    assert len(lines) == height and max(map(line_width, lines)) <= cells
    return "\n".join("".join(text for text, _ in line) for line in lines)


@pytest.mark.parametrize("cells", [26, 34])
def test_each_way_has_its_time_on_a_line_where_there_is_room(cells: int) -> None:
    text = drawn(STATE, cells, 7)
    assert re.search(r"left: one by one +1\d\d min|left: one by one +1\.7 h", text)
    assert re.search(r"pages \(G\).* 8 min", text)
    assert re.search(r"finish.* 16 min", text)
    assert ("pages (G) to 1 %" in text) == (cells == 34)


@pytest.mark.parametrize("cells", [26, 34])
def test_in_a_low_window_the_ways_share_a_line_or_two(cells: int) -> None:
    text = drawn(STATE, cells, 5)
    assert re.search(r"left 1\.7 h · G 8 min", text)
    assert "finish 16 min" in text
    assert "4.2 %" in text and "enough for 10 % error" in text


def test_a_way_that_is_not_possible_is_left_out() -> None:
    alone = drawn(replace(STATE, work=None), 34, 7)
    assert "one by one" in alone and "pages" not in alone and "finish" not in alone
    no_audit = drawn(replace(STATE, work=replace(WORK, audit=None)), 34, 7)
    assert "pages" in no_audit and "finish" not in no_audit
    tags = drawn(replace(STATE, work=replace(WORK, looks=None)), 34, 7)
    assert "finish" in tags and "pages" not in tags


def test_once_nothing_needs_a_look_pages_are_done() -> None:
    done = replace(WORK, looks=0, wrong=0.0)
    assert re.search(r"pages \(G\).* done", drawn(replace(STATE, work=done), 34, 7))
    over = drawn(replace(STATE, left=0), 34, 7)
    assert re.search(r"one by one +done", over) and "pages" not in over


def test_the_lines_depend_on_the_window_alone() -> None:
    for height in (5, 7, 8):
        states = (STATE, replace(STATE, error=PoolErrorState()), replace(STATE, work=None),
                  replace(STATE, first=((("A", "ok"),), "G: pages")))  # fmt: skip
        assert {len(top_lines(state, 26, height)) for state in states} == {height}
    assert count_top_rows(21) < count_top_rows(26) <= count_top_rows(36)


def test_with_several_classes_an_item_both_errors_are_shown_even_in_a_low_window() -> None:
    assert SHOWN.estimate is not None
    both = replace(SHOWN.estimate, tags=Interval(0.012, 0.004, 0.02))
    for height in (count_top_rows(21), count_top_rows(26, several=True)):
        state = replace(STATE, error=replace(SHOWN, estimate=both), several=True)
        text = drawn(state, 34, height)
        assert "4.2 %" in text and "1.2 % of classes" in text and "enough for" in text
        assert "left" in text


async def label(desk: Any, truth: Any, count: int) -> None:
    for _ in range(count):
        await desk.press("a" if truth(desk.current) == "red" else "d")
        await desk.learnt()


def line_of(desk: Any, words: str) -> int:
    """The first line of the sidebar that has these words."""
    left = desk.app.screen.query_one("#sidebar").region.x
    found = [y for y, line in enumerate(desk.text.splitlines()) if re.search(words, line[left:])]
    assert found, f"{words!r} is not on the screen:\n{desk.text}"
    return found[0]


def places(desk: Any) -> list[int]:
    """The lines of the two classes and of the progress."""
    return [line_of(desk, words) for words in (" A [ ▸]+red", " D [ ▸]+blue", "of 60")]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_order_on_screen_and_nothing_jumps(
    make: Any, opened: Any, give_features: Any, truth: Any, size: tuple[int, int]
) -> None:
    project = make(60, strategy="random")
    give_features(project, REFS)
    async with opened(project, size=size) as desk:
        await desk.sees("takes back")
        await desk.sees("of 60")
        first = places(desk)
        await label(desk, truth, 1)
        await desk.sees("n_eff 1.0, shown from 8")
        assert "takes back" not in desk.text and places(desk) == first
        await label(desk, truth, 31)
        await desk.until(lambda: re.search(r"pool error +n(_eff)? \d+", desk.text))
        await desk.until(lambda: re.search(r"· G \S+|pages \(G\)", desk.text))
        assert places(desk) == first
        rows = [line_of(desk, words) for words in ("pool error", "90 %", "enough for", "left")]
        assert rows == sorted(rows) and rows[-1] < first[0] < first[2]
        if size[1] >= 40:
            assert line_of(desk, "how hard your questions") > first[2]


async def test_the_first_lines_go_with_the_first_label_and_never_come_back(
    make: Any, opened: Any
) -> None:
    project = make(6)
    async with opened(project) as desk:
        await desk.sees("A red  D blue")
        await desk.sees("⌫ takes back  H all keys")
        await desk.sees("G: pages, about 3 times")
        await desk.press("a")
        await desk.until(lambda: "all keys" not in desk.text)
        await desk.press("backspace")
        await desk.sees("0 of 6")
        assert "all keys" not in desk.text and "about 3 times" not in desk.text
    async with opened(project) as desk:
        await desk.sees("0 of 6")
        assert "all keys" not in desk.text


async def test_the_first_lines_follow_the_keymap(make: Any, opened: Any) -> None:
    project = make(4, keys={"pages": ("v",), "undo": ("u",)})
    async with opened(project) as desk:
        await desk.sees("U takes back")
        await desk.sees("V: pages")


async def test_h_explains_the_words_of_the_panel(
    make: Any, opened: Any, give_features: Any, truth: Any
) -> None:
    project = make(60, strategy="random")
    give_features(project, REFS)
    async with opened(project, size=(120, 110)) as desk:
        await label(desk, truth, 32)
        await desk.until(lambda: "enough for" in desk.text and "pages (G)" in desk.text)
        await desk.press("h")
        for term in ("enough for", "one by one", "pages", "how hard your questions are"):
            await desk.sees(GLOSSARY[term][:30])


async def test_no_estimate_is_promised_where_none_will_come(
    make: Any, opened: Any, give_features: Any
) -> None:
    project = make(6)
    async with opened(project) as desk:
        await desk.press("a")
        await desk.sees("comes with features")
    give_features(project, REFS[:6])
    project = replace(project, settings=replace(project.settings, strategy="margin"))
    async with opened(project) as desk:
        await desk.sees("not with margin")


@pytest.mark.parametrize(("cells", "height"), [(24, 5), (26, 5), (24, 3), (34, 7), (40, 8)])
@pytest.mark.parametrize("folder", ["p", "photos.annotator", "/a/folder/of/a/very/long/name/p"])
def test_the_command_of_a_new_project_is_whole_or_not_there(
    cells: int, height: int, folder: str
) -> None:
    command = f"annotator words {folder} --model siglip2-base"
    keys = (("1", "ok"), ("2", "defect"), ("⌫", "takes back"), ("H", "all keys"))
    texts = first_texts("G: pages, about 3 times faster once a model is there", command)
    shown = "".join(drawn(TopState(first=(keys, texts)), cells, height).split())
    whole = "".join(command.split())
    assert whole in shown or "annotatorwords" + folder[:1] not in shown
    if folder == "p" and cells >= 26:
        assert whole in shown


def test_without_a_command_there_are_only_the_keys_and_the_pages() -> None:
    assert first_texts("G: pages", "") == ("G: pages",)
