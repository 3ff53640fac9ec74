"""Near-duplicates are labelled together if the annotator wants that; odd labels are reported."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotator.images import ImageFolder, near_duplicates
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder

WIDE = (120, 40)
COPIES = {"02.png", "05.png", "07.png"}


@pytest.fixture
def copies(make: Any) -> ProjectFolder:
    """Eight pictures with something to see on them; 02, 05 and 07 are the same."""
    project: ProjectFolder = make(8)
    for number in range(8):
        small = np.random.default_rng(number).integers(0, 255, (6, 8, 3), np.uint8)
        picture = Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC)
        picture.save(project.images / f"{number:02d}.png")
    for name in ("05.png", "07.png"):
        shutil.copy(project.images / "02.png", project.images / name)
    refs = load_refs(project)
    near_duplicates.update_fingerprints(
        ImageFolder(project.images), project.fingerprints_file, refs, np.arange(len(refs))
    )
    return project


async def _to_a_copy(desk: Any) -> str:
    """Answer until one of the copies is on screen."""
    while desk.current not in COPIES:
        await desk.press("s")
    await desk.sees("one of 3 near-duplicates")
    return str(desk.current)


async def test_one_key_labels_the_group_and_one_takes_it_back(
    copies: ProjectFolder, opened: Any, log: Any
) -> None:
    async with opened(copies, size=WIDE) as desk:
        shown = await _to_a_copy(desk)
        await desk.press("w")
        await desk.sees("an answer holds for all 3 near-duplicates")
        assert "whole groups" in desk.text.splitlines()[0]  # as long as it holds
        answered = len(log(copies))
        await desk.press("d")
        await desk.until(lambda: len(log(copies)) == answered + 3)
        assert desk.current not in COPIES
        progress = desk.app.session.progress
        assert progress.classes["blue"] == 3
        assert desk.app.pace.answers == answered + 3
        group = log(copies)[answered:]
        assert {entry.ref for entry in group} == COPIES
        assert len({(entry.extra or {})["group"] for entry in group}) == 1
        drawn = {entry.ref: entry.q for entry in group}
        assert drawn.pop(shown) is not None  # it was asked at random, its copies were not
        assert set(drawn.values()) == {None}
        await desk.press("backspace")
        await desk.sees("taken back: blue, 3 items")
        assert desk.app.session.progress.classes["blue"] == 0
        assert desk.app.pace.answers == answered


async def test_without_asking_for_it_an_answer_holds_for_one_item(
    copies: ProjectFolder, opened: Any, log: Any
) -> None:
    async with opened(copies, size=WIDE) as desk:
        await _to_a_copy(desk)
        answered = len(log(copies))
        await desk.press("d")
        await desk.until(lambda: len(log(copies)) == answered + 1)
        await desk.press("w", "w")
        while desk.current not in COPIES:
            await desk.press("s")
        await desk.sees("one of 2 near-duplicates")  # the labelled one does not count any more


async def test_a_label_that_its_neighbours_contradict_is_said_and_nothing_more(
    make: Any, opened: Any, give_features: Any, truth: Any, log: Any
) -> None:
    project = make(60)
    refs = [f"{number:02d}.png" for number in range(60)]
    give_features(project, refs)
    store = SqliteStore(project.labels_file)
    store.append(*(Entry(0, 1.0, "ann", Action.LABEL, ref, truth(ref)) for ref in refs[:40]))
    store.close()
    async with opened(project, size=WIDE) as desk:
        await desk.until(lambda: desk.app.session.ranking is not None)
        ref = desk.current
        right = truth(ref)
        await desk.press("d" if right == "blue" else "a")
        await desk.learnt()
        assert "nearest are" not in desk.text
        ref = desk.current
        right = truth(ref)
        wrong = "red" if right == "blue" else "blue"
        await desk.press("a" if right == "blue" else "d")
        await desk.sees(f"{ref}: {wrong}, but")
        await desk.sees(f"of its 5 nearest are {right}")
        assert desk.current != ref
        assert log(project)[-1].label == wrong
