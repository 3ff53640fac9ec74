"""Several classes on one item: keys toggle, enter confirms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from annotator.errors import ProjectError
from annotator.features.store import FeatureStore
from annotator.learn.ranking import learn
from annotator.log.entries import replay
from annotator.log.store import SqliteStore
from annotator.project.item_pool import load_refs
from annotator.project.label_sets import (
    ClassSet,
    class_probabilities,
    join_label,
    split_label,
)
from annotator.project.project import ProjectFolder
from annotator.report.status import project_status
from annotator.session.predict import predictions_csv
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.label.error_panel import pool_error_state
from annotator.tui.launch import prepare_label_app
from annotator.tui.session_summary import summarize_session
from tests.time_limits import PATIENCE


def _labels(project: ProjectFolder) -> dict[str, str | None]:
    store = SqliteStore(project.labels_file)
    state = replay(store.entries())
    store.close()
    return {ref: state.label(ref) for ref in state.standing}


async def test_keys_toggle_and_enter_confirms(make: Any) -> None:
    project = make(6, ("red", "big", "old"), multi_label=True)
    with prepare_label_app(
        project, "ann", TerminalCapabilities(Technique.NONE, "test"), features=False
    ) as app:
        async with app.run_test(size=(100, 30)) as pilot:
            while app.session.current is None:
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


def test_a_rare_set_of_classes_is_not_suggested_as_a_class_to_hunt(
    make: Any, give_features: Callable[[ProjectFolder, Sequence[str]], None]
) -> None:
    """The model knows sets; only classes have counts, and only they can be hunted."""
    project = make(40, ("red", "dark"), multi_label=True)
    give_features(project, [f"{number:02d}.png" for number in range(40)])
    with prepare_label_app(
        project, "ann", TerminalCapabilities(Technique.NONE, "test"), features=False
    ) as app:
        app.session.extend(load_refs(project))
        for label in ["red", "dark"] * 14 + ["red|dark"]:
            app.session.label(label)
        app.session.attach_features(FeatureStore.open(project.features_folder))
        snapshot = app.session.snapshot()
        assert snapshot is not None
        app.session.adopt(learn(snapshot, 0))
        assert app.session.ranking is not None
        assert app.session.ranking.suggestion == "red|dark"
        assert pool_error_state(app.session, 0.05).rare is None


async def test_the_model_learns_sets_and_shows_each_class(
    make: Any, give_features: Callable[[ProjectFolder, Sequence[str]], None]
) -> None:
    project = make(24, ("red", "dark"), multi_label=True)
    give_features(project, [f"{number:02d}.png" for number in range(24)])
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
    table = b"".join(predictions_csv(project, _state(project))).decode().splitlines()
    assert table[0].endswith("p(red),p(dark),p((none)),p(red|dark)")
    rows = [line.split(",") for line in table[1:]]
    assert all(row[1] == ("dark" if int(row[0][:2]) % 2 else "red|dark") for row in rows)


def _state(project: ProjectFolder) -> Any:
    store = SqliteStore(project.labels_file)
    state = replay(store.entries())
    store.close()
    return state


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
