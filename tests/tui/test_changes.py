"""A running screen notices what others change: items, classes, keys, and files with faults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import annotator
from annotator.items.listing import SkippedFiles
from annotator.project.adding import add_images
from annotator.project.classes import ClassInfo
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder, append_classes
from annotator.session.learner import StrategyChoice
from annotator.tui.launch import ItemSample, PoolPart, prepare_label_app
from tests.tui.conftest import HALF_CELLS, Desk

REFS = [f"{number:02d}.png" for number in range(12)]


def more_images(project: ProjectFolder, *numbers: int) -> None:
    for number in numbers:
        Image.new("RGB", (32, 24), (9, 9, 9)).save(project.images / f"{number:02d}.png")


def edit(file: Path, old: str, new: str) -> None:
    """Change a file as an editor does: another file in its place."""
    text = file.read_text()
    assert old in text
    beside = file.with_suffix(".new")
    beside.write_text(text.replace(old, new))
    beside.replace(file)


def settings_of(project: ProjectFolder) -> Path:
    return project.folder / "annotator.toml"


async def test_items_that_another_process_adds_are_asked_without_a_restart(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(2)
    async with opened(project, size=(100, 30)) as desk:
        await desk.press("a", "d")
        await desk.sees("All labelled")
        more_images(project, 2, 3, 4)
        assert add_images(project, project.images, SkippedFiles()) == 3
        await desk.sees("+3 items")
        await desk.press("a", "d", "a")
        await desk.sees("All labelled")
    assert sorted(row.ref for row in log(project)) == REFS[:5]


async def test_the_screens_of_all_annotators_notice(make: Any, opened: Any) -> None:
    project = make(4)
    async with opened(project, "ann") as ann, opened(project, "ben") as ben:
        more_images(project, 4)
        add_images(project, project.images, SkippedFiles())
        append_classes(project, ["green"])
        for desk in (ann, ben):
            await desk.sees("of 5")
            await desk.sees("3  green")


async def test_new_items_get_features_of_the_same_extractor(make: Any, opened: Any) -> None:
    project = make(12, model="classic")
    async with opened(project, extract=True) as desk:
        session = desk.app.session
        await desk.until(lambda: session.has_features)
        await desk.until(lambda: len(session.learner.features.store.refs) == 12)
        more_images(project, 12, 13)
        add_images(project, project.images, SkippedFiles())
        await desk.until(lambda: len(session.learner.features.store.refs) == 14)
        await desk.until(lambda: session.learner.features.vector(13) is not None)
        assert session.learner.features.store.name.startswith("classic")


async def test_rows_that_leave_or_move_are_said_and_the_session_goes_on(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(4)
    async with opened(project, size=(120, 40)) as desk:
        edit(project.refs_file, "01.png\n", "")
        await desk.sees("refs.csv lists 1 item no more")
        await desk.press("a", "a", "a", "a")
        assert len(log(project)) == 4
        edit(project.refs_file, "00.png\n02.png\n", "02.png\n00.png\n01.png\n")
        await desk.sees("refs.csv has another order")


async def test_a_faulty_refs_csv_is_said_in_one_line_and_taken_when_mended(
    make: Any, opened: Any
) -> None:
    project = make(4)
    async with opened(project, size=(120, 40)) as desk:
        edit(project.refs_file, "03.png\n", "03.png\n03.png\n")
        await desk.sees("refs.csv, line 6: the same item as line 5")
        await desk.sees("Until that is fixed, all stays as it was.")
        more_images(project, 4)
        edit(project.refs_file, "03.png\n03.png\n", "03.png\n04.png\n")
        await desk.sees("of 5")
        assert "is fixed" not in desk.text


async def test_a_class_that_is_added_has_a_key_at_once(make: Any, opened: Any, log: Any) -> None:
    project = make(4)
    async with opened(project, size=(100, 30)) as desk:
        append_classes(project, [ClassInfo("green", key="x")])
        await desk.sees("new class green: key X")
        await desk.press("x")
        assert [row.label for row in log(project)] == ["green"]
        await desk.press("ctrl+p", *"label as gr")
        await desk.sees("Label as green")


async def test_a_class_with_labels_that_is_renamed_is_said(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(8)
    async with opened(project, size=(120, 40)) as desk:
        await desk.press("a", "a", "d")
        edit(settings_of(project), '"red"', '"crimson"')
        await desk.sees("no longer a class: red. 2 labels keep that name")
        await desk.sees("crimson")
        await desk.press("z", "z")  # other keys show the next picture's meanings at the latest
        await desk.press("s", "2")
        assert log(project)[-1].label == "crimson"


async def test_a_digit_means_what_is_beside_it_when_a_class_leaves(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(8, classes=("red", "blue", "green", "grey"))
    async with opened(project, size=(120, 40)) as desk:
        edit(settings_of(project), '[[classes]]\nname = "red"\n', "")
        await desk.sees("no longer a class: red")
        assert " 2  blue" in desk.text
        await desk.press("2")
        await desk.sees(" 1  blue")
        await desk.press("2")
    assert [row.label for row in log(project)] == ["blue", "green"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('name = "blue"', 'name = "blue', "line"),
        ('name = "blue"', 'name = "red"', "class red is named twice"),
        ('name = "blue"', 'name = "blue"\nkey = "s"', "is skip in the keymap"),
        ('name = "blue"', 'name = "blue"\ncolour = "b"', "not a key of a class"),
    ],
)
async def test_a_faulty_edit_is_said_and_the_settings_before_it_stay(
    make: Any, opened: Any, log: Any, old: str, new: str, fault: str
) -> None:
    project = make(4)
    file = settings_of(project)
    before = file.read_text()
    async with opened(project, size=(160, 40)) as desk:
        edit(file, old, new)
        await desk.sees("fixed, all stays as it was.")
        assert fault in desk.text
        await desk.press("a", "d")
        assert {row.label for row in log(project)} == {"red", "blue"}
        file.write_text(before)
        await desk.until(lambda: "is fixed" not in desk.text)


async def test_settings_and_items_that_go_are_not_made_anew(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(4)
    files = settings_of(project), project.refs_file
    async with opened(project, size=(160, 40)) as desk:
        before = [file.read_bytes() for file in files]
        for file in files:
            file.unlink()
        await desk.sees("it has no annotator.toml")
        await desk.press("a")
        assert not any(file.exists() for file in files)
        for file, content in zip(files, before, strict=True):
            file.write_bytes(content)
        await desk.until(lambda: "annotator.toml" not in desk.text)
        await desk.press("d")
        assert [row.label for row in log(project)] == ["red", "blue"]


async def test_other_settings_are_said_to_hold_from_the_next_start_on(
    make: Any, opened: Any
) -> None:
    project = make(4)
    async with opened(project, size=(120, 40)) as desk:
        await desk.until(lambda: desk.app._watcher._settings._known is not None)
        edit(settings_of(project), "seed = 0", "seed = 7")
        await desk.sees("annotator.toml: seed holds from the next start on")


async def test_a_model_goes_on_with_more_classes_and_with_fewer(
    make: Any, give_features: Any, opened: Any, truth: Any
) -> None:
    project = make(12)
    give_features(project, REFS)
    async with opened(project, size=(120, 40)) as desk:
        for _ in range(4):
            await desk.learnt()
            await desk.press("a" if truth(desk.current) == "red" else "d")
        append_classes(project, ["green", "grey"])
        await desk.sees("+2 classes: green, grey")
        await desk.learnt()
        await desk.until(lambda: desk.app.session.prediction)
        assert set(desk.app.session.prediction) == {"red", "blue", "green", "grey"}
        edit(settings_of(project), '[[classes]]\nname = "red"\n', "")
        await desk.sees("no longer a class: red")
        await desk.press("s", "s")
        await desk.learnt()
        assert desk.app.session.classes == ("blue", "green", "grey")


async def test_files_that_come_into_a_watched_folder_are_asked(make: Any, log: Any) -> None:
    project = make(1)
    with prepare_label_app(project, "ann", HALF_CELLS, features=False, watch=True) as app:
        async with app.run_test(size=(100, 30)) as pilot:
            desk = Desk(app, pilot)
            await desk.press("a")
            await desk.sees("All labelled")
            more_images(project, 1)
            (project.images / "half.png").touch()  # a file without a byte is not whole
            await desk.sees("+1 item")
            await desk.press("d")
            folder = app._folder
    assert [row.ref for row in log(project)] == REFS[:2]
    assert folder is not None and folder._child.wait() is not None
    assert project.refs_file.read_text().splitlines()[1:] == REFS[:2]


async def test_a_watch_that_fails_is_said(make: Any) -> None:
    project = make(2)
    with prepare_label_app(project, "ann", HALF_CELLS, features=False, watch=True) as app:
        async with app.run_test(size=(100, 30)) as pilot:
            desk = Desk(app, pilot)
            await desk.until(lambda: app._folder is not None)
            os.kill(app._folder._child.pid, 9)
            await desk.sees("new images are noticed no more")


async def test_pages_that_are_open_say_so_and_the_next_ones_have_the_items(
    make: Any, give_features: Any, opened: Any
) -> None:
    project = make(12)
    give_features(project, REFS)
    async with opened(project, size=(100, 40)) as desk:
        await desk.learnt()
        await desk.press("a", "d", "g")
        await desk.sees("Pages")
        await desk.press("enter")
        await desk.until(lambda: type(desk.app.screen).__name__ == "PageScreen")
        more_images(project, 12)
        add_images(project, project.images, SkippedFiles())
        append_classes(project, ["green"])
        await desk.until(lambda: desk.app.session.progress.items == 13)
        await desk.until(lambda: "green" in desk.app.session.classes)
        await desk.pilot.press("escape")
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)
        await desk.sees("3  green")
        await desk.press("g", *"green")
        await desk.until(lambda: "green" in desk.text.split("Pages")[1])


async def test_several_classes_on_an_item_and_a_new_one(make: Any, opened: Any, log: Any) -> None:
    project = make(4, multi_label=True)
    async with opened(project, size=(100, 30)) as desk:
        await desk.press("1")
        append_classes(project, ["green"])
        await desk.sees("new class green")
        await desk.press("3", "enter")
        assert [row.label for row in log(project)] == ["red|green"]


async def test_of_many_classes_one_more_takes_no_digit_from_the_picture_in_view(
    make: Any, opened: Any, log: Any
) -> None:
    names = [f"kind {number}" for number in range(9)]
    project = make(8, classes=names)
    async with opened(project, size=(100, 40)) as desk:
        await desk.sees(" 9  kind 8")
        append_classes(project, ["kind 9", "kind 10"])
        await desk.sees("+2 classes: kind 9, kind 10")
        await desk.press("9", "9")
        assert [row.label for row in log(project)] == ["kind 8"] * 2
        await desk.press(":", *"kind 10", "enter")
        await desk.until(lambda: log(project)[-1].label == "kind 10")


async def test_a_class_that_is_hunted_for_may_leave(
    make: Any, give_features: Any, opened: Any
) -> None:
    project = make(12, classes=("red", "blue", "green"))
    give_features(project, REFS)
    async with opened(project, size=(100, 40)) as desk:
        await desk.press("1", "2")
        await desk.learnt()
        desk.app.session.choose_strategy(StrategyChoice("max-probability", "green"))
        desk.app.learn()
        await desk.learnt()
        edit(settings_of(project), '[[classes]]\nname = "green"\n', "")
        await desk.sees("no longer a class: green")
        await desk.press("s", "s")
        await desk.learnt()
        assert "learning failed" not in desk.text


async def test_an_audit_keeps_its_items_and_takes_new_classes(make: Any) -> None:
    project = make(6)
    load_refs(project)
    sample = ItemSample("audit-1", REFS[:2])
    with prepare_label_app(project, "ann", HALF_CELLS, features=False, audit=sample) as app:
        async with app.run_test(size=(100, 40)) as pilot:
            desk = Desk(app, pilot)
            await desk.press("a")
            more_images(project, 6)
            add_images(project, project.images, SkippedFiles())
            append_classes(project, ["green"])
            await desk.sees("3  green")
            await desk.press("3")
            await desk.sees("The audit is done")


async def test_a_finer_class_that_comes_while_one_refines_has_a_key(make: Any, log: Any) -> None:
    kinds = [ClassInfo("vehicle"), *(ClassInfo(n, parent="vehicle") for n in ("car", "bus"))]
    project = make(4, classes=[*kinds, ClassInfo("cat")])
    load_refs(project)
    with annotator.open(project.folder).session("ann") as session:
        session.decide(dict.fromkeys(REFS[:3], "vehicle"))
    part = PoolPart(np.array([True, True, True, False]), "vehicle refined", refines="vehicle")
    with prepare_label_app(project, "ann", HALF_CELLS, features=False, part=part) as app:
        async with app.run_test(size=(100, 40)) as pilot:
            desk = Desk(app, pilot)
            await desk.press("1")
            append_classes(project, [ClassInfo("tram", parent="vehicle"), ClassInfo("dog")])
            await desk.sees("new class tram: key 3")
            await desk.press("3")
            await desk.until(lambda: len(log(project)) == 5)
    assert [row.label for row in log(project)][-2:] == ["car", "tram"]
