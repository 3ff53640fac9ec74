"""Second opinions on the screen: blind, on others' labels, and never the label that counts."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from annotator.log.entries import Action, Entry, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.launch import ItemSample, prepare_label_app
from tests.time_limits import PATIENCE
from tests.tui.conftest import Desk


def _labelled(project: ProjectFolder) -> None:
    store = SqliteStore(project.labels_file)
    store.append(
        Entry(0, 0.0, "ann", Action.LABEL, "00.png", "red"),
        Entry(0, 0.0, "ann", Action.LABEL, "01.png", "blue"),
    )
    store.close()


async def test_second_opinions_are_given_blind_and_undone(make: Any) -> None:
    project = make(6)
    _labelled(project)
    sample = ItemSample(None, ["00.png", "01.png"])
    with prepare_label_app(
        project, "bob", TerminalCapabilities(Technique.NONE, "test"), audit=sample
    ) as app:
        async with app.run_test(size=(100, 30)) as pilot:
            desk = Desk(app, pilot)
            await desk.until(lambda: app.session.current is not None)
            assert app.session.prediction is None
            await desk.press("a", "a")
            await desk.until(lambda: app.session.current is None)
            await pilot.press("backspace")
            await desk.until(lambda: app.session.current is not None)
            await desk.press("d")
            await desk.until(lambda: app.session.current is None)
    store = SqliteStore(project.labels_file)
    state = replay(store.entries())
    store.close()
    assert [state.label("00.png"), state.label("01.png")] == ["red", "blue"]
    assert len(state.opinions) == 2
    given = sorted(str(stack[-1].label) for stack in state.opinions.values())
    assert given == ["blue", "red"]


async def test_a_hook_hears_labels_and_its_failure_is_on_screen(make: Any, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    script = tmp_path / "hear.py"
    script.write_text(f"import sys; open({str(heard)!r}, 'a').write(sys.stdin.read()); sys.exit(3)")
    project = make(4, on_label=shlex.join([sys.executable, str(script)]))
    with prepare_label_app(
        project, "bob", TerminalCapabilities(Technique.NONE, "test"), features=False
    ) as app:
        async with app.run_test(size=(100, 30)) as pilot:
            desk = Desk(app, pilot)
            await desk.until(lambda: app.session.current is not None)
            await desk.press("a")  # once its name is on the screen
            async with asyncio.timeout(PATIENCE):
                while "ended with status 3" not in app.label_screen.banner.text:
                    await pilot.pause(0.02)
            assert "on_label" in app.label_screen.banner.text
            assert app.session.progress.labelled == 1
    event = json.loads(heard.read_text())
    assert event["label"] == "red"
    assert event["annotator"] == "bob"
