"""Several classes on one item: keys toggle, enter confirms."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from annotator.errors import ProjectError
from annotator.features.store import FeatureStore
from annotator.learn.ranking import learn
from annotator.learn.targets import TagSets
from annotator.log.entries import Action, Entry, replay
from annotator.pages.tag_sets import predicted_sets
from annotator.project.item_pool import load_refs
from annotator.project.label_sets import (
    ClassSet,
    class_probabilities,
    join_label,
    split_label,
)
from annotator.project.project import ProjectFolder
from annotator.report.status import project_status
from annotator.session.label_arrays import LabelArrays
from annotator.session.predict import predictions_csv
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.label.class_list import ClassList
from annotator.tui.label.error_panel import pool_error_state
from annotator.tui.launch import prepare_label_app
from annotator.tui.session_summary import summarize_session
from tests.time_limits import PATIENCE
from tests.tui.conftest import state_of


@pytest.fixture
def project(make: Any, give_features: Callable[[ProjectFolder, Sequence[str]], None]) -> Any:
    """A project of items that may be red, dark, both or neither, with features."""
    made = make(24, ("red", "dark"), multi_label=True)
    give_features(made, [f"{number:02d}.png" for number in range(24)])
    return made


def _labels(project: ProjectFolder) -> dict[str, str | None]:
    state = state_of(project)
    return {ref: state.label(ref) for ref in state.standing}


async def test_keys_toggle_and_enter_confirms(make: Any) -> None:
    project = make(6, ("red", "big", "old"), multi_label=True)
    with prepare_label_app(
        project, "ann", TerminalCapabilities(Technique.NONE, "test"), features=False
    ) as app:
        async with app.run_test(size=(100, 30)) as pilot:
            picture = app.label_screen.picture
            while picture.item is None or not picture.accepts(picture.item):
                await pilot.pause()
            asked = []
            for keys in (("3", "1"), ("1", "2", "1"), ()):
                asked.append(app.session.current.ref)
                await pilot.press(*keys, "enter")
                await pilot.pause()
            assert app.session.progress.labelled == 3
            assert app.session.progress.classes == {"red": 1, "big": 1, "old": 1}
            await pilot.press("2", "backspace")  # undo forgets what was only chosen
            await pilot.pause()
            assert app.session.current is not None and app.session.current.ref == asked[2]
            await pilot.press("enter")
            await pilot.pause()
            receipt = str(summarize_session(str(project.folder), app.session, app.pace, 0))
            assert "labels:  red 1, big 1, old 1, (none) 1" in receipt
    assert _labels(project) == dict(zip(asked, ["red|old", "big", "(none)"], strict=True))
    assert project_status(project)["classes"] == {"red": 1, "big": 1, "old": 1, "(none)": 1}


async def test_a_label_is_not_confirmed_without_a_class_key_that_came_too_early(
    make: Any, opened: Any, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make(4, [f"class {n:02d}" for n in range(12)], multi_label=True)
    async with opened(project) as desk:
        classes, ref = desk.app.screen.query_one(ClassList), desk.current
        await desk.until(lambda: classes.painted_at < math.inf)
        with monkeypatch.context() as unpainted:
            unpainted.setattr(classes, "painted_at", math.inf)
            await desk.press("1")
            await desk.sees("not on screen yet: key ignored")
        await desk.press("enter")
        await desk.sees("choose again, then confirm")
        assert desk.current == ref
        await desk.press("1", "enter")
        await desk.until(lambda: desk.current != ref)
    assert [row.label for row in log(project)] == ["class 00"]


def test_a_rare_class_among_sets_is_suggested_as_a_class_to_hunt(
    make: Any, give_features: Callable[[ProjectFolder, Sequence[str]], None]
) -> None:
    project = make(40, ("red", "dark", "old"), multi_label=True)
    give_features(project, [f"{number:02d}.png" for number in range(40)])
    with prepare_label_app(
        project, "ann", TerminalCapabilities(Technique.NONE, "test"), features=False
    ) as app:
        app.session.extend(load_refs(project))
        for label in ["red", "red|dark"] * 14 + ["red|old"]:
            app.session.label(label)
        app.session.attach_features(FeatureStore.open(project.features_folder))
        snapshot = app.session.snapshot()
        assert snapshot is not None
        app.session.adopt(learn(snapshot, 0))
        rare = pool_error_state(app.session, 0.05).rare
        assert rare is not None and (rare.name, rare.found) == ("old", 1)


async def test_the_model_learns_sets_and_shows_each_class(project: ProjectFolder) -> None:
    with prepare_label_app(
        project, "ann", TerminalCapabilities(Technique.NONE, "test"), features=False
    ) as app:
        async with app.run_test(size=(100, 30)) as pilot:
            while app.session.current is None:
                await pilot.pause()
            for _ in range(14):
                odd = int(app.session.current.ref[:2]) % 2
                await pilot.press(*(("2",) if odd else ("1", "2")), "enter")
                await pilot.pause()
            async with asyncio.timeout(PATIENCE):
                while not app.session.ranking or app.session.stale or app._fitter.busy:
                    await pilot.pause(0.02)
            shown = app.session.prediction
            assert shown is not None and set(shown) == {"red", "dark"}
            odd = int(app.session.current.ref[:2]) % 2
            assert shown["dark"] > 0.5
            assert (shown["red"] > 0.5) == (not odd)
    table = b"".join(predictions_csv(project, state_of(project))).decode().splitlines()
    assert table[0] == "ref,label,probability,model,p(red),p(dark)"
    rows = [line.split(",") for line in table[1:]]
    assert all(row[1] == ("dark" if int(row[0][:2]) % 2 else "red|dark") for row in rows)
    for row in rows:
        red, dark = float(row[4]), float(row[5])
        whole = dark * (red if row[1] == "red|dark" else 1 - red)
        assert float(row[2]) == pytest.approx(whole, abs=2e-4)


async def test_the_log_says_which_set_was_predicted_and_the_model_reads_it_again(
    project: ProjectFolder,
) -> None:
    with prepare_label_app(
        project, "ann", TerminalCapabilities(Technique.NONE, "test"), features=False
    ) as app:
        session = app.session
        session.extend(load_refs(project))
        session.attach_features(FeatureStore.open(project.features_folder))
        for _ in range(10):
            assert session.current is not None
            odd = int(session.current.ref[:2]) % 2
            session.label("dark" if odd else "red|dark")
            session.learn()
        last = session.state.decision(list(session.state.standing)[-1])
        assert last is not None and last.proba is not None
        assert set(last.proba) == {"red", "dark"}
        assert last.predicted in {"dark", "red|dark", "red", "(none)"}
        snapshot = session.snapshot()
        assert snapshot is not None and snapshot.missed is not None
        assert snapshot.tags_missed is not None
        assert snapshot.missed[-1] == (last.predicted != last.label)
        assert snapshot.tags_missed[-1] <= snapshot.missed[-1]


def test_rows_of_older_versions_hold_the_probabilities_of_whole_sets() -> None:
    """The likeliest set is their prediction, and the probability of a class is a sum."""
    proba = {"red": 0.2, "dark": 0.1, "(none)": 0.1, "red|dark": 0.6}
    first = Entry(1, 1.0, "ann", Action.LABEL, "a.png", "red|dark", proba=proba, model="ridge@9")
    second = replace(first, seq=2, ref="b.png", label="red")
    state = replay([first, second])
    labels = LabelArrays(multi=True).labels(state, ("red", "dark"), lambda refs: [0] * len(refs), 2)
    assert labels.y.tolist() == [[True, True], [True, False]]
    assert labels.missed.tolist() == [0, 1]
    assert labels.tags_missed.tolist() == [0, 0.5]
    assert class_probabilities(proba, ("red", "dark")) == pytest.approx({"red": 0.8, "dark": 0.7})


def test_a_class_that_the_project_no_longer_has_is_left_out_of_a_set() -> None:
    state = replay([Entry(1, 1.0, "ann", Action.LABEL, "a.png", "red|gone")])
    labels = LabelArrays(multi=True).labels(state, ("red", "dark"), lambda refs: [0] * len(refs), 1)
    assert labels.y.tolist() == [[True, False]]
    none = LabelArrays(multi=True).labels(replay([]), ("red", "dark"), lambda refs: [], 1)
    assert none.y.shape == (0, 2)


def test_a_page_of_exceptions_asks_about_the_sets_that_the_model_predicts() -> None:
    proba = np.array([[0.9, 0.8], [0.9, 0.1], [0.95, 0.9]], np.float32)
    rows, sets, names = predicted_sets(
        np.arange(3), proba, TagSets(), ("red", "dark"), {2: {"red|dark"}}
    )
    assert rows.tolist() == [0, 1, 2]
    by_row = [names[column] for column in sets.argmax(axis=1)]
    assert by_row == ["red|dark", "red", "red"]  # red|dark is ruled out for the last
    assert sets.max(axis=1) == pytest.approx([0.72, 0.81, 0.095], abs=1e-5)


def test_sets_are_written_in_the_order_of_the_classes() -> None:
    assert join_label({"c", "a"}, ["a", "b", "c"]) == "a|c"
    assert join_label(set(), ["a"]) == "(none)"
    assert split_label("(none)") == ()
    for text in ("a|c", "b", "(none)"):
        assert ClassSet.from_text(text).to_text() == text
    assert ClassSet.from_text("a|c", multi=False).names == ("a|c",)
    found = class_probabilities({"a|c": 0.5, "a": 0.2, "(none)": 0.3}, ["a", "b", "c"])
    assert found == pytest.approx({"a": 0.7, "b": 0.0, "c": 0.5})


def test_a_class_that_holds_the_separator_is_refused(make: Any) -> None:
    with pytest.raises(ProjectError, match=r"a\|b"):
        make(1, ("a|b", "c"), multi_label=True)
    make(1, ("a|b", "c"))
