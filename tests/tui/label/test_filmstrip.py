"""The walk back through the answered pictures: nothing is undone, a class key corrects."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from textual import events

from annotator.log.agreement import measure_agreement
from annotator.log.entries import Action, Entry
from annotator.project.settings import ClassInfo
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.keymaps import KEYMAPS
from annotator.tui.launch import ItemSample, prepare_label_app
from tests.terminal.program_on_pty import Running
from tests.time_limits import PATIENCE
from tests.tui.conftest import COLOURS, HALF_CELLS, Desk, append_entries, state_of

COLOURS_OF = list(COLOURS)


def _footer(desk: Any) -> str:
    return str(desk.text.splitlines()[-1])


async def test_walking_back_shows_each_answer_and_undoes_nothing(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(8)
    async with opened(project, size=(110, 24)) as desk:
        asked = []
        for key in ("a", "d", "s"):
            asked.append(desk.current)
            await desk.press(key)
        question, rows = desk.current, log(project)
        for back, (ref, label) in enumerate(
            zip(reversed(asked), ("skipped", "blue", "red"), strict=True), 1
        ):
            await desk.press("shift+left")
            assert desk.current == ref
            at = time.strftime("%H:%M", time.localtime(rows[-back].at))
            await desk.sees(f"{label} · {at} · ann")
            await desk.sees(f"LOOKING BACK {back}")
        await desk.press("shift+left")
        await desk.sees("this is the first answer")
        assert desk.current == asked[0]
        for ref in (asked[1], asked[2], question):
            await desk.press("shift+right")
            assert desk.current == ref
        await desk.until(lambda: "LOOKING BACK" not in desk.text)
        assert log(project) == rows


@pytest.mark.parametrize("keys", [("escape",), ("end",), ("]", "]"), ("shift+right", "]")])
async def test_these_keys_return_to_the_open_question(
    make: Any, opened: Any, log: Any, keys: tuple[str, ...]
) -> None:
    project = make(8)
    async with opened(project) as desk:
        await desk.press("a", "d")
        question = desk.current
        await desk.press("[", "[", *keys)
        assert desk.current == question
        await desk.press("d")
        assert [row.label for row in log(project)] == ["red", "blue", "blue"]
        assert log(project)[-1].ref == question


async def test_a_class_key_corrects_in_place_and_one_undo_takes_it_back(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(8)
    async with opened(project) as desk:
        await desk.press("a", "a", "d")
        question, second = desk.current, log(project)[1].ref
        await desk.press("shift+left", "shift+left", "d")
        assert desk.current == second
        await desk.sees("corrected: red → blue")
        await desk.sees("blue ·")
        state = state_of(project)
        assert [e.label for e in state.standing[second]] == ["red", "blue"]
        assert state.label(second) == "blue"
        await desk.press("shift+right", "shift+left")  # it has kept its place
        assert desk.current == second
        await desk.press("escape", "backspace")
        assert desk.current == question
        assert state_of(project).label(second) == "red"
        assert len(log(project)) == 5  # three labels, the correction, its undo


async def test_undo_while_walking_takes_back_only_a_correction_of_the_picture_in_view(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(8)
    async with opened(project, size=(120, 24)) as desk:
        await desk.press("a", "a")
        await desk.press("shift+left")
        assert "undo" not in _footer(desk)
        await desk.press("backspace")
        assert len(log(project)) == 2
        await desk.press("d")
        await desk.until(lambda: "undo" in _footer(desk))
        await desk.press("shift+left", "backspace")  # another picture is in view
        assert len(log(project)) == 3
        await desk.press("shift+right", "backspace")
        await desk.sees("taken back: blue")
        state = state_of(project)
        assert [state.label(ref) for ref in state.standing] == ["red", "red"]
        assert "LOOKING BACK 1" in desk.text


async def test_a_skip_and_a_label_correct_each_other(make: Any, opened: Any, log: Any) -> None:
    project = make(4)
    async with opened(project) as desk:
        await desk.press("s", "a", "shift+left", "s")
        await desk.sees("corrected: red → skipped")
        await desk.press("shift+left", "d")
        await desk.sees("corrected: skipped → blue")
        state, rows = state_of(project), log(project)
        assert [state.label(row.ref) for row in rows[:2]] == ["blue", None]
        assert [row.picked_by for row in rows[2:]] == ["correction", "correction"]
        assert all(row.q is None and row.proba is None for row in rows[2:])
        await desk.press("d")
        await desk.sees("it is blue already")
        assert log(project) == rows


async def test_with_several_classes_the_set_is_that_of_the_picture_in_view(
    make: Any, opened: Any
) -> None:
    project = make(6, ("red", "big", "old"), multi_label=True)
    async with opened(project) as desk:
        await desk.press("1", "3", "enter")
        first = next(iter(state_of(project).standing))
        await desk.press("2", "shift+left")
        await desk.sees("✓red")
        await desk.sees("·big")
        await desk.press("2", "1", "enter")
        await desk.sees("corrected: red|old → big|old")
        assert state_of(project).label(first) == "big|old"
        await desk.press("escape")
        await desk.sees("✓big")  # what was chosen for the open question is still chosen
        await desk.press("enter")
        state = state_of(project)
        assert [state.label(ref) for ref in state.standing] == ["big|old", "big"]


async def test_only_what_is_live_is_offered_and_acts_on_the_picture_in_view(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(8)
    async with opened(project, size=(250, 40)) as desk:
        assert "look back" not in _footer(desk)
        await desk.press("a")
        await desk.until(lambda: "⇧← look back" in _footer(desk))
        assert "return" not in _footer(desk) and "forward" not in _footer(desk)
        await desk.press("shift+left")
        await desk.until(lambda: "esc return" in _footer(desk))
        for word in ("pages", "rapid", "strategy", "whole group", "map", "hide"):
            assert word not in _footer(desk)
        for key in ("g", "R", "t", "w", "m", "c", "/"):
            await desk.press(key)
            assert desk.app.screen is desk.app.label_screen
        seen = desk.current
        await desk.press("f", "n", "x", "enter")
        await desk.until(lambda: len(log(project)) == 3)
        assert [(row.ref, row.note) for row in log(project)[1:]] == [(seen, None), (seen, "x")]
        await desk.press("h")
        await desk.sees("Return to the open question")
        assert "Choose how items are picked" not in desk.text


async def test_the_navigate_keys_walk_and_never_undo_or_skip(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(8, keymap="navigate")
    async with opened(project) as desk:
        await desk.press("d")
        await desk.sees("this is the open question")
        await desk.press("1", "2")
        rows, question = log(project), desk.current
        await desk.press("a", "left", "A")
        assert desk.current == rows[0].ref
        await desk.press("d", "right")
        assert desk.current == question
        await desk.press("d", "right", "D")
        assert desk.current == question and log(project) == rows
        await desk.press("s", "backspace", "space")
    assert [str(row.action) for row in log(project)[2:]] == ["skip", "undo", "skip"]


async def test_answers_of_others_come_before_ones_own_and_say_who(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(6)
    async with opened(project, "bob") as desk:
        await desk.press("a", "s")
    async with opened(project, "ann") as desk:
        await desk.press("d")
        order = [row.ref for row in log(project)]
        for ref, words in zip(
            (order[2], order[1], order[0]), ("ann", "skipped", "bob"), strict=True
        ):
            await desk.press("shift+left")
            assert desk.current == ref
            await desk.sees(words)
        await desk.press("d")
        assert desk.current == order[0]
        await desk.sees("· ann")
        assert [e.annotator for e in state_of(project).standing[order[0]]] == ["bob", "ann"]


async def test_imported_and_accepted_labels_are_not_walked_through(make: Any, opened: Any) -> None:
    project = make(6)
    append_entries(
        project,
        Entry(0, 1.0, "ann", Action.LABEL, "00.png", "red", picked_by="import"),
        Entry(0, 1.0, "ann", Action.LABEL, "01.png", "red", extra={"machine": True}),
    )
    async with opened(project) as desk:
        await desk.press("shift+left")
        await desk.sees("nothing is answered yet")
        await desk.press("a")
        await desk.press("shift+left", "shift+left")
        await desk.sees("this is the first answer")


async def test_a_correction_after_anothers_says_who_was_first(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(6)
    async with opened(project) as desk:
        await desk.press("a", "shift+left")
        (row,) = log(project)
        append_entries(project, Entry(0, row.at, "bob", row.action, row.ref, "blue"))
        await desk.press("s")
        await desk.until(lambda: "bob" in desk.text and "blue ·" in desk.text)
        assert [e.label for e in state_of(project).standing[row.ref]] == ["red", "blue"]
        await desk.press("a")
        await desk.sees("red ·")
        stack = state_of(project).standing[row.ref]
        assert [(e.annotator, e.label) for e in stack] == [
            ("ann", "red"), ("bob", "blue"), ("ann", "red"),
        ]  # fmt: skip


async def test_an_answer_taken_back_elsewhere_leaves_the_walk_in_order(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(6)
    async with opened(project) as desk:
        await desk.press("a", "a", "shift+left")
        rows = log(project)
        extra = {"undoes": rows[1].seq}
        append_entries(project, Entry(0, rows[1].at, "ann", Action.UNDO, rows[1].ref, extra=extra))
        await desk.sees("taken back meanwhile")
        await desk.press("d")
        await desk.sees("that answer was taken back meanwhile")
        await desk.press("shift+left")
        assert desk.current == rows[0].ref
        assert len(log(project)) == 3


async def test_a_picture_that_is_gone_can_be_skipped_but_not_labelled(
    make: Any, opened: Any, log: Any, tmp_path: Path
) -> None:
    project = make(6)
    async with opened(project) as desk:
        await desk.press("a", "a")
    first = log(project)[0].ref
    (tmp_path / "images" / first).unlink()
    async with opened(project) as desk:
        await desk.press("shift+left", "shift+left")
        await desk.until(lambda: desk.app.label_screen.picture.seen is not None)
        await desk.press("d")
        await desk.sees("no picture, no label")
        await desk.press("s")
        await desk.sees("corrected: red → skipped")
        await desk.press("shift+right", "d")  # the next picture takes a label
        await desk.sees("corrected: red → blue")
    assert [row.label for row in log(project)] == ["red", "red", None, "blue"]


async def test_one_walks_also_once_all_is_answered(make: Any, opened: Any, log: Any) -> None:
    project = make(2)
    async with opened(project) as desk:
        await desk.press("a", "d")
        await desk.sees("All labelled")
        await desk.press("[", "a")
        await desk.sees("corrected: blue → red")
        await desk.press("escape")
        await desk.sees("All labelled")
        assert [row.label for row in log(project)] == ["red", "blue", "red"]


async def test_nothing_to_walk_through_in_an_empty_project(make: Any, opened: Any) -> None:
    async with opened(make(0)) as desk:
        await desk.press("shift+left", "[", "]", "escape", "end")
        await desk.sees("There is nothing to label")


async def test_a_burst_of_keys_labels_only_what_was_seen(make: Any, opened: Any, log: Any) -> None:
    project = make(8, seen_guard="on")
    async with opened(project) as desk:
        for _ in range(4):
            await desk.press("a")
            await asyncio.sleep(0.1)
        rows = log(project)
        assert [row.label for row in rows] == ["red"] * 4
        # Typed in one go, before any picture of the walk can have been drawn.
        for key in ("shift+left", "d", "shift+left", "d"):
            desk.app.post_message(events.Key(key, None))
        await desk.until(lambda: desk.current == rows[-2].ref)
        await desk.until(lambda: not desk.app.key_queue.busy)
        assert log(project) == rows
        await asyncio.sleep(0.1)  # sooner than a finger it would be the last key of the burst, held
        await desk.press("d")  # now it is seen
        await desk.sees("corrected: red → blue")


@pytest.mark.parametrize("preset", KEYMAPS)
async def test_every_keymap_walks(make: Any, opened: Any, log: Any, preset: str) -> None:
    project = make(6, keymap=preset)
    async with opened(project) as desk:
        await desk.press("1", "2")
        rows, question = log(project), desk.current
        await desk.press("shift+left", "[")
        assert desk.current == rows[0].ref
        await desk.press("]", "shift+right")
        assert desk.current == question and log(project) == rows


async def test_many_classes_and_one(make: Any, opened: Any, log: Any) -> None:
    project = make(6, classes=[ClassInfo(f"class{number}") for number in range(1000)])
    async with opened(project) as desk:
        await desk.press("1", "2", "shift+left", "shift+left")
        first = log(project)[0]
        await desk.sees(f"{first.label} ·")
        await desk.press("escape")
        assert len(log(project)) == 2


async def _asked(app: Any, pilot: Any) -> Desk:
    desk = Desk(app, pilot)
    await desk.until(lambda: app.session.current is not None)
    return desk


async def test_in_an_audit_only_its_own_answers_are_walked_through_and_nothing_is_predicted(
    make: Any, log: Any
) -> None:
    project = make(8)
    append_entries(project, Entry(0, 1.0, "ann", Action.LABEL, "00.png", "red"))
    sample = ItemSample("finish-1", ["01.png", "02.png", "03.png"])
    with prepare_label_app(project, "ann", HALF_CELLS, features=False, audit=sample) as app:
        async with app.run_test(size=(120, 30)) as pilot:
            desk = await _asked(app, pilot)
            await desk.press("shift+left")
            await desk.sees("nothing is answered yet")
            asked = [desk.current]
            await desk.press("a")
            asked.append(desk.current)
            await desk.press("d", "shift+left", "shift+left", "shift+left")
            assert desk.current == asked[0] != "00.png"
            await desk.sees("red ·")
            assert "%" not in "".join(line[-34:] for line in desk.text.splitlines()[:8])
            assert "similar" not in _footer(desk)
            await desk.press("d", "escape", "backspace")
    rows = log(project)[1:]
    assert [(row.ref, row.label) for row in rows[:3]] == [
        (asked[0], "red"), (asked[1], "blue"), (asked[0], "blue"),
    ]  # fmt: skip
    assert [row.audit for row in rows[:3]] == ["finish-1"] * 3
    assert state_of(project).label(str(asked[0])) == "red"


async def test_second_opinions_are_corrected_as_second_opinions(make: Any, log: Any) -> None:
    project = make(6)
    append_entries(
        project,
        Entry(0, 1.0, "ann", Action.LABEL, "00.png", "red"),
        Entry(0, 1.0, "ann", Action.LABEL, "01.png", "red"),
        Entry(0, 1.0, "ann", Action.LABEL, "02.png", "red"),
        Entry(0, 1.0, "bob", Action.LABEL, "04.png", "red"),
    )
    sample = ItemSample(None, ["00.png", "01.png", "02.png"])
    with prepare_label_app(project, "bob", HALF_CELLS, features=False, audit=sample) as app:
        async with app.run_test(size=(120, 30)) as pilot:
            desk = await _asked(app, pilot)
            await desk.press("d", "d", "shift+left", "shift+left", "shift+left")
            first = desk.current
            await desk.sees("this is the first answer")
            await desk.sees("blue ·")
            await desk.press("a")
            await desk.sees("corrected: blue → red")
    state = state_of(project)
    assert [e.label for e in state.opinions[str(first)]] == ["blue", "red"]
    assert all(state.label(ref) == "red" for ref in state.standing)
    agreed = measure_agreement(state)
    assert [(pair.items, pair.observed) for pair in agreed.pairs] == [(2, 0.5)]


def _colour(screen: Any, x: int, y: int) -> str:
    red, _, blue = screen.pixels((x, y, 2, 1)).reshape(-1, 3).mean(0)
    return "red" if red > blue + 60 else "blue" if blue > red + 60 else "none"


def _strip(screen: Any) -> list[str]:
    """The colours of the small pictures, the newest first."""
    width = screen.columns - 34
    return [_colour(screen, width - 11 * place - 7, screen.rows - 5) for place in range(5)]


@pytest.mark.parametrize("kind", ["kitty", "ghostty", "plain"])
def test_the_last_answers_are_in_a_strip_under_the_picture(
    make: Any, log: Any, tmp_path: Path, kind: str
) -> None:
    project = make(8)
    command = ["-m", "annotator", "run", str(project.folder), "--no-features"]
    env = {"XDG_CONFIG_HOME": str(tmp_path), "COLORTERM": "truecolor"}
    with Running(command, kind, (120, 40), env=env) as running:
        for number in range(4):
            running.wait(lambda screen: "ready" in screen.text())
            running.press(b"12"[number % 2 : number % 2 + 1])
            running.wait(lambda _, n=number: len(log(project)) == n + 1)  # type: ignore[misc]
            time.sleep(0.3)
        shown = [COLOURS_OF[int(Path(row.ref).stem) % 2] for row in reversed(log(project))]
        running.wait(lambda screen: _strip(screen) == [*shown, "none"])
        running.press(b"\x1b[1;2D\x1b[1;2D")
        running.wait(lambda screen: "LOOKING BACK 2" in screen.text())
        running.wait(lambda screen: _strip(screen) == [*shown, "none"])
        running.press(b"q")
        running.process.wait(PATIENCE)
        running.wait(lambda screen: not screen.alternate)
        assert running.look(lambda screen: (list(screen.images), screen.problems)) == ([], [])


@pytest.mark.parametrize("size", [(80, 24), (120, 30), (90, 50)])
async def test_a_window_without_room_has_no_strip(
    make: Any, opened: Any, size: tuple[int, int]
) -> None:
    async with opened(make(4), size=size) as desk:
        await desk.press("a")
        assert not desk.app.label_screen.filmstrip.display


async def test_over_a_slow_line_half_cells_make_no_strip(make: Any, opened: Any) -> None:
    caps = TerminalCapabilities(Technique.HALFCELL, rtt=0.1)
    async with opened(make(4), size=(120, 40), caps=caps) as desk:
        await desk.press("a")
        assert not desk.app.label_screen.filmstrip.display


async def test_a_click_on_a_small_picture_walks_to_it(make: Any, opened: Any, log: Any) -> None:
    project = make(8)
    async with opened(project, size=(120, 40)) as desk:
        await desk.press("a", "d", "a")
        await desk.pilot.click("#filmstrip", offset=(86 - 11 * 2 - 5, 2))
        await desk.sees("LOOKING BACK 3")
        assert desk.current == log(project)[0].ref
        await desk.pilot.click("#filmstrip", offset=(2, 2))  # no answer is here
        assert desk.current == log(project)[0].ref
