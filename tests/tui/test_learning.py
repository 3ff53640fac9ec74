"""The work behind the screen: learning, features, and what may fail there."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.time_limits import PATIENCE

REFS = [f"{number:02d}.png" for number in range(40)]


@pytest.fixture
def learnable(make: Any, give_features: Any) -> Callable[..., Any]:
    """Return a function of settings that makes a project of 40 images with features."""

    def project(**settings: Any) -> Any:
        made = make(40, **settings)
        give_features(made, REFS)
        return made

    return project


async def label_truly(desk: Any, truth: Callable[[str], str], count: int) -> None:
    """True labels, the model learning after each."""
    await desk.learnt()
    for _ in range(count):
        await desk.press("a" if truth(desk.current) == "red" else "d")
        await desk.learnt()


async def test_the_model_learns_while_one_labels_and_p_hides_what_it_says(
    learnable: Any, opened: Any, truth: Any, log: Any
) -> None:
    project = learnable()
    async with opened(project, size=(100, 30)) as desk:
        await label_truly(desk, truth, 12)
        await desk.until(lambda: desk.app.session.prediction)
        prediction = desk.app.session.prediction
        assert max(prediction, key=prediction.get) == truth(desk.current)
        await desk.until(lambda: re.search(rf"{truth(desk.current)} .*\n.*━+ *>?\d+ %", desk.text))
        await desk.sees("how hard your questions")
        await desk.sees("wrong")
        await desk.sees("herding-mix")
        await desk.press("p")
        classes = desk.app.label_screen.query_one("#classes")
        await desk.until(lambda: "━" not in classes.text)
        await desk.press("p")
        await desk.until(lambda: "━" in classes.text)
    rows = log(project)
    assert rows[-1].proba is not None and rows[-1].model
    assert {row.picked_by for row in rows[8:]} != {"random"}


async def test_of_many_classes_the_likeliest_are_in_sight(
    learnable: Any, opened: Any, truth: Any
) -> None:
    names = [f"kind {number}" for number in range(60)] + ["red", "blue"]
    project = learnable(classes=names)
    async with opened(project) as desk:
        picture = desk.app.label_screen.picture
        for _ in range(12):
            await desk.until(lambda: picture.item and picture.seen == picture.item)
            desk.app.label_screen.perform("label", truth(desk.current))
            await desk.learnt()
        await desk.until(lambda: re.search(r"(red|blue) +\d+ +>?\d+ %", desk.text))
        assert re.search(r" 1 [ ▸](red|blue) ", desk.text)


async def test_the_curves_are_there_again_after_a_restart(
    learnable: Any, opened: Any, truth: Any
) -> None:
    project = learnable()
    async with opened(project) as desk:
        await label_truly(desk, truth, 10)
        await desk.until(lambda: len(desk.app.session.prequential) > 4)
        known = len(desk.app.session.prequential)
    async with opened(project, size=(100, 30)) as desk:
        await desk.sees("how hard your questions")
        assert len(desk.app.session.prequential) == known


async def test_the_strategy_changes_while_one_labels(
    learnable: Any, opened: Any, truth: Any, log: Any
) -> None:
    project = learnable()
    async with opened(project) as desk:
        await desk.learnt()
        for _ in range(6):
            await desk.press("a" if truth(desk.current) == "red" else "d")
        await desk.learnt()
        await desk.press("t")
        await desk.sees("How items are picked")
        await desk.pilot.press(*"likeliestblue", "enter")
        await desk.sees("likeliest blue")
        await desk.learnt()
        await desk.press("d")  # what was on screen stays until it is answered
        for _ in range(5):
            await desk.learnt()
            await desk.press("d")
    rows = log(project)
    assert {row.picked_by for row in rows[-5:]} == {"max-probability"}
    assert [truth(row.ref) for row in rows[-5:]] == ["blue"] * 5


async def test_a_failing_fit_is_said_and_labelling_goes_on(
    learnable: Any, opened: Any, log: Any
) -> None:
    project = learnable(strategy="oracle")
    async with opened(project) as desk:
        await desk.sees("learning failed, labelling continues")
        await desk.press("a", "d", "a")
        assert len(log(project)) == 3
        await desk.press("escape")
        await desk.press("t")
        await desk.press("home", "enter")
        await desk.press("d")
        await desk.until(lambda: desk.app.session.ranking is not None)
        await desk.until(lambda: "learning failed" not in desk.text)


async def test_features_that_are_cut_off_are_said_and_items_come_at_random(
    learnable: Any, opened: Any, log: Any
) -> None:
    project = learnable()
    matrix = project.features_folder / "features.npy"
    os.truncate(matrix, matrix.stat().st_size // 2)
    async with opened(project, extract=True) as desk:
        # However long the folder's name is, and wherever it is broken.
        await desk.until(lambda: "features.npy" in "".join(desk.text.split()))
        await desk.sees("asking at random")
        await desk.press("a")
    assert log(project)[0].picked_by == "random"


async def test_features_are_computed_beside_the_screen(
    make: Any, opened: Any, truth: Any, log: Any
) -> None:
    """A real `annotator features`, in a process of its own."""
    project = make(40, model="classic")
    async with opened(project, extract=True) as desk:
        await desk.until(lambda: desk.app.session.has_features)
        await label_truly(desk, truth, 8)
        await desk.until(lambda: desk.app.session.prediction)
        await desk.until(lambda: "features" not in desk.text.splitlines()[0])
    assert np.load(project.features_folder / "features.npy", mmap_mode="r").shape[0] == 40
    assert {row.picked_by for row in log(project)} != {"random"}


async def test_features_that_another_session_computes_are_waited_for(
    make: Any, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annotator.tui.app.RETRY_SECONDS", 0.1)
    project = make(40, model="classic")
    project.features_folder.mkdir()
    lock = (project.features_folder / "partial.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    async with opened(project, size=(110, 30), extract=True) as desk:
        await desk.sees("features come from another session")
        assert "no features" not in desk.text
        lock.close()  # the other one ends before it has computed any
        await desk.until(lambda: desk.app.session.has_features)
        await desk.until(lambda: "features" not in desk.text.splitlines()[0])


async def test_features_that_cannot_be_computed_are_said_with_the_next_command(
    make: Any, opened: Any, log: Any, tmp_path: Path
) -> None:
    project = make(8, model=str(tmp_path / "no-such-checkpoint"))
    async with opened(project, extract=True) as desk:
        await desk.until(lambda: "No features, so items come" in desk.text)
        await desk.sees("Run: annotator features")
        await desk.press("a")
        assert len(log(project)) == 1


async def test_the_child_ends_with_the_app(make: Any, opened: Any) -> None:
    project = make(40, model="classic")
    async with opened(project, extract=True) as desk:
        await desk.until(lambda: desk.app._child is not None)
        child = desk.app._child._child
    assert child.wait(PATIENCE) is not None


def test_what_computes_features_for_an_app_that_died_ends_at_once(make: Any) -> None:
    project = make(8, model="classic")
    command = [sys.executable, "-m", "annotator", "features", str(project.folder)]
    # The app holds the other end of its stdin; here no process does.
    given = {"stdin": subprocess.DEVNULL, "capture_output": True}
    ended = subprocess.run([*command, "--progress", "json"], check=False, **given)
    assert ended.returncode == 1
    assert not (project.features_folder / "features.npy").exists()
    assert subprocess.run(command, check=False, **given).returncode == 0
