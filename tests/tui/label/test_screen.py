"""The texts of the screen: windows, names, dialogs, warnings."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from annotator.errors import ProjectError, RefError
from annotator.log.store.sqlite import SqliteStore
from annotator.project.settings import ClassInfo
from annotator.session.session import LabelSession


async def test_a_tiny_window_says_so_and_takes_no_label(make: Any, opened: Any, log: Any) -> None:
    project = make()
    async with opened(project, size=(50, 15)) as desk:
        await desk.sees("This window is too small")
        await desk.sees("50 × 15")
        await desk.press("a", "s")
        assert log(project) == []
        await desk.pilot.resize_terminal(60, 20)
        await desk.sees("red")
        await desk.press("a")
        assert len(log(project)) == 1


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_every_class_key_and_the_way_out_are_visible(
    make: Any, opened: Any, size: tuple[int, int]
) -> None:
    project = make(classes=[f"class{number}" for number in range(9)])
    async with opened(project, size=size) as desk:
        await desk.press("1")
        await desk.sees("9  class8")
        await desk.sees("⌫ undo")
        text = desk.text
        for number in range(9):
            assert f" {number + 1}  class{number} " in text
        last = text.splitlines()[-1]
        assert "⌫ undo" in last and "H help" in last and "Q quit" in last
        assert all(len(line) == size[0] for line in text.splitlines())


async def test_names_cannot_steer_the_terminal(tmp_path: Path, make: Any, opened: Any) -> None:
    project = make(0, classes=["[red]ok[/]", "bad\x1b[31m\u202e"])
    images = tmp_path / "images"
    Image.new("RGB", (9, 9)).save(images / "a\x1b]0;owned\x07\u202egnp.png")
    async with opened(project) as desk:
        await desk.sees("\\x1b]0;owned\\x07\\u202egnp.png")
        await desk.sees("[red]ok[/]")
        await desk.sees("bad\\x1b[31m\\u202e")
        await desk.press("a")
        for keys in ("backspace", "h", "escape", "t", "escape", "n", "escape", "ctrl+p"):
            await desk.press(keys)
            assert not any(mark in desk.text for mark in "\x1b\x07\u202e")


async def test_a_broken_image_says_so_and_can_be_skipped_not_labelled(
    tmp_path: Path, make: Any, opened: Any, log: Any
) -> None:
    project = make(0)
    (tmp_path / "images" / "broken.png").write_bytes(b"\x89PNG no more")
    async with opened(project) as desk:
        await desk.sees("broken.png")
        await desk.until(lambda: desk.app.label_screen.picture.seen is not None)
        await desk.press("a")
        await desk.sees("no picture, no label")
        assert log(project) == []
        await desk.press("f", "s")
        await desk.sees("All answered")
    assert [str(row.action) for row in log(project)] == ["flag", "skip"]


async def test_an_image_that_vanishes_says_so(tmp_path: Path, make: Any, opened: Any) -> None:
    project = make(1)
    async with opened(project) as desk:
        await desk.press("a")
        await desk.sees("All labelled")
    (tmp_path / "images" / "00.png").unlink()
    async with opened(project) as desk:
        await desk.press("backspace")
        await desk.until(lambda: desk.app.label_screen.picture.seen is not None)
        await desk.sees("00.png")
        await desk.press("s")
        await desk.sees("All answered")


async def test_a_full_disk_stops_labelling_until_there_is_room(
    make: Any, opened: Any, log: Any
) -> None:
    """SQLite itself says that it is full: its file may grow by no page."""
    project = make(80)
    async with opened(project) as desk:
        connection = desk.app.session.store._log
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        before = None
        while "NOT SAVED" not in desk.text:
            before = desk.current
            await desk.press("a")
        assert desk.current == before and before not in [row.ref for row in log(project)]
        refused = 0
        while refused < 8:  # a flag takes less room than a label, and not always the same
            saved = log(project)
            await desk.press("f")
            refused = refused + 1 if log(project) == saved else 0
        await desk.press("d", "s", "f")
        assert log(project) == saved and desk.current == before
        await desk.sees("The disk is full")
        connection.execute("PRAGMA max_page_count = 1000000")
        await desk.press("d")
        assert [row.ref for row in log(project)][len(saved) :] == [before]
        await desk.until(lambda: "NOT SAVED" not in desk.text)


async def test_two_annotators_see_each_other_and_are_never_asked_the_same(
    make: Any, opened: Any
) -> None:
    project = make(6)
    async with opened(project, annotator="ann") as desk:
        other = SqliteStore(project.labels_file)
        bob = LabelSession(other, ("red", "blue"), annotator="bob", ahead=0, seed=7)
        bob.extend([f"{number:02d}.png" for number in range(6)])
        assert bob.current is None  # ann holds all six on her screen and next
        await desk.press("a")
        bob.refresh()
        assert bob.current is None
        while desk.current is not None:
            await desk.press("s")
        bob.refresh()
        bob.reopen_skipped()
        assert bob.current is not None
        bob.label("blue")
        await desk.until(lambda: re.search(r"blue +1 ", desk.text))
        bob.close()
        other.close()


async def test_waiting_for_what_is_on_other_screens(make: Any, opened: Any) -> None:
    project = make(1)
    store = SqliteStore(project.labels_file)
    bob = LabelSession(store, ("red", "blue"), annotator="bob")
    bob.extend(["00.png"])
    async with opened(project, annotator="ann") as desk:
        await desk.sees("Waiting")
        await desk.sees("The last open item is leased")
        bob.close()
        await desk.until(lambda: desk.current == "00.png")
        await desk.press("a")
        await desk.sees("All labelled")
    store.close()


async def test_another_ones_answer_to_the_picture_on_screen_is_said(make: Any, opened: Any) -> None:
    project = make(3)
    async with opened(project, annotator="ann") as desk:
        store = SqliteStore(project.labels_file)
        bob = LabelSession(store, ("red", "blue"), annotator="bob")
        bob.extend([str(desk.current)])
        bob.flag(str(desk.current))
        await desk.sees("flagged")
        store.close()


async def test_help_names_every_key_and_any_of_several_closes_it(make: Any, opened: Any) -> None:
    async with opened(make(), size=(100, 50)) as desk:
        await desk.press("a", "question_mark")
        await desk.sees("Label as blue")
        await desk.sees("Take back your last answer")
        await desk.sees("On this screen")
        assert "esc close" in desk.text.splitlines()[-1]
        await desk.press("escape")
        await desk.until(lambda: "Label as blue" not in desk.text)


@pytest.mark.parametrize(
    ("keymap", "key", "expected"),
    [
        ("default", "a", ("label", "red")),
        ("default", "A", ("label", "red")),
        ("prodigy", "a", ("label", "blue")),
        ("prodigy", "x", ("label", "red")),
        ("navigate", "space", ("skip", None)),
        ("vim", "l", ("label", "blue")),
        ("vim", "2", ("label", "blue")),
    ],
)
async def test_keymaps(
    make: Any, opened: Any, log: Any, keymap: str, key: str, expected: tuple[str, str | None]
) -> None:
    project = make(keymap=keymap)
    async with opened(project) as desk:
        await desk.press(key)
    assert [(str(row.action), row.label) for row in log(project)] == [expected]


async def test_a_class_may_have_a_key_of_its_own(make: Any, opened: Any, log: Any) -> None:
    project = make(classes=[ClassInfo("red", key="x"), ClassInfo("blue", key="+")])
    async with opened(project) as desk:
        await desk.sees(" X  red")
        await desk.press("plus", "x", "1")
    assert [row.label for row in log(project)] == ["blue", "red", "red"]


async def test_keys_in_conflict_are_all_named(make: Any, opened: Any) -> None:
    project = make(
        classes=[ClassInfo("a", key="s"), ClassInfo("b", key="x"), ClassInfo("c", key="x")]
    )
    with pytest.raises(ProjectError) as caught:
        async with opened(project):
            pass
    assert "class a: 's' is skip" in str(caught.value)
    assert "class c: 'x' is the key of class b" in str(caught.value)


@pytest.mark.parametrize("setting", [{"theme": "nowhere"}, {"keymap": "emacs"}])
async def test_unknown_names_are_refused_with_those_that_exist(
    make: Any, opened: Any, setting: dict[str, str]
) -> None:
    with pytest.raises(ProjectError, match="Choose one of .*(high-contrast|vim)"):
        async with opened(make(**setting)):
            pass


@pytest.mark.parametrize("theme", ["high-contrast", "annotator-light", "nord", "ansi-dark"])
async def test_themes_open(make: Any, opened: Any, theme: str) -> None:
    async with opened(make(theme=theme)) as desk:
        await desk.sees("red")


async def test_another_theme_repaints_all_text_at_once(make: Any, opened: Any) -> None:
    def colours(desk: Any) -> set[Any]:
        strips = desk.app.screen._compositor.render_strips()
        words = (s for strip in strips[:1] + strips[-2:] for s in strip if s.text.strip())
        return {colour for s in words for colour in (s.style.color, s.style.bgcolor)}

    project = make()
    settings = replace(project.settings, theme="annotator-light")
    async with opened(replace(project, settings=settings)) as light:
        expected = colours(light)
    async with opened(project) as desk:
        assert not colours(desk) <= expected
        desk.app.theme = "annotator-light"
        await desk.until(lambda: colours(desk) <= expected)


async def test_no_colour_leaves_words_and_keys(
    make: Any, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(make()) as desk:
        await desk.sees(" A  red")
        await desk.press("a")
        await desk.sees("1 of 8")


async def test_faulty_refs_end_the_app_with_all_their_faults(make: Any, opened: Any) -> None:
    project = make()
    project.refs_file.write_text("filename,bbox\n00.png,1-2\n01.png,x\n")
    async with opened(project) as desk:
        await desk.until(lambda: desk.app.return_value is not None)
    error = desk.app.return_value
    assert isinstance(error, RefError) and str(error).count("\n") >= 2


async def test_the_finished_screen_names_a_command_that_works(make: Any, opened: Any) -> None:
    project = make(1)
    async with opened(project, size=(240, 24)) as desk:
        await desk.press("a")
        await desk.sees("All labelled")
        shown = next(line for line in desk.text.splitlines() if "annotator export" in line)
    command = shown[shown.index("annotator export") :].split("  ")[0]
    arguments = shlex.split(command)[1:]
    ran = subprocess.run(
        [sys.executable, "-m", "annotator", *arguments],
        cwd=project.folder, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "00.png" in (project.folder / "labels.csv").read_text()
