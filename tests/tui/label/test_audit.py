"""An audit on the labelling screen: blind, in no model's order, and judged at its end."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from annotator.curate.finish import Audit, begin_audit
from annotator.log.entries import replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.app import LabelApp
from annotator.tui.label.screen import COMMANDS
from annotator.tui.launch import ItemSample, prepare_label_app
from tests.time_limits import PATIENCE
from tests.tui.tmux_terminal import Tmux

ITEMS = 120
REFS = [f"{number:02d}.png" for number in range(ITEMS)]


@pytest.fixture
def project(make: Any, give_features: Any, truth: Any) -> ProjectFolder:
    """30 of 120 items are labelled, rightly; the features tell the two colours apart."""
    made: ProjectFolder = make(ITEMS)
    give_features(made, REFS)
    _label(made, REFS[:30], [truth(ref) for ref in REFS[:30]])
    return made


def _label(project: ProjectFolder, refs: Sequence[str], names: Sequence[str]) -> None:
    from annotator.log.entries import Action, Entry

    store = SqliteStore(project.labels_file)
    store.append(
        *(
            Entry(0, 0.0, "ann", Action.LABEL, ref, label=name)
            for ref, name in zip(refs, names, strict=True)
        )
    )
    store.close()


def _begin(project: ProjectFolder) -> tuple[Audit, list[str]]:
    store = SqliteStore(project.labels_file)
    audit = begin_audit(project, store, max_error=0.1, level=0.9)
    asked = audit.refs_to_ask(replay(store.entries()))
    store.close()
    return audit, asked


async def _until(pilot: Pilot[Any], app: LabelApp, words: str) -> str:
    text = ""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        if words in text:
            return text
        await pilot.pause(0.02)
    raise AssertionError(f"never said {words!r}:\n{text}")


async def test_help_in_an_audit_lists_no_dead_key(project: ProjectFolder) -> None:
    audit, asked = _begin(project)
    sample = ItemSample(audit.attempt.name, asked)
    caps = TerminalCapabilities(Technique.HALFCELL)
    with prepare_label_app(project, "ann", caps, features=False, audit=sample) as app:
        async with app.run_test(size=(120, 90)) as pilot:
            await _until(pilot, app, f"0 of {len(asked)}")
            await pilot.press("h")
            text = await _until(pilot, app, "Every answer is on disk")
            for command in COMMANDS.values():
                screen = app.label_screen
                live = command.is_live(screen) and command.works(screen)
                assert (command.help in text) == live, command.name
            assert COMMANDS["flag"].help in text
            assert COMMANDS["pages"].help not in text


async def test_an_audit_shows_no_prediction_and_no_curve_and_says_what_comes_next(
    project: ProjectFolder, truth: Any
) -> None:
    audit, asked = _begin(project)
    assert 5 < len(asked) < 60
    sample = ItemSample(audit.attempt.name, asked)
    with prepare_label_app(
        project, "ann", TerminalCapabilities(Technique.HALFCELL), features=False, audit=sample
    ) as app:
        async with app.run_test(size=(80, 24)) as pilot:
            text = await _until(pilot, app, f"0 of {len(asked)}")
            assert "AUDIT" in text.splitlines()[0] and "hidden" in text.splitlines()[0]
            for key in ("backspace", "t", "c", "p"):
                await pilot.press(key)
            await _until(pilot, app, "nothing left to take back")
            for count in range(1, len(asked) + 1):
                item = app.label_screen.picture.item
                assert item is not None and item.ref in asked
                await pilot.press("a" if truth(item.ref) == "red" else "d")
                text = await _until(pilot, app, f"{count} of {len(asked)}")
                assert not re.search(r"\d %.*\n", "\n".join(text.splitlines()[1:7]))
                assert "difficulty" not in text and "estimated" not in text
            await _until(pilot, app, "The audit is done")
            await _until(pilot, app, "shows the result")
    verdict = audit.verdict(replay(SqliteStore(project.labels_file).entries()))
    assert verdict.certified and verdict.audited == len(asked)


@pytest.fixture
def screen(project: ProjectFolder, tmp_path: Path) -> Iterator[Tmux]:
    """`annotator finish` on the project, in a terminal."""
    words = [sys.executable, "-m", "annotator", "finish", str(project.folder), "--max-error", "0.1"]
    words += ["--confidence", "0.9", "--graphics", "halfcell", "--annotator", "ann"]
    (tmp_path / "terminal").mkdir()
    opened = Tmux(tmp_path / "terminal", shlex.join(words))
    yield opened
    opened.close()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_finish_asks_and_then_labels_the_rest(
    screen: Tmux, project: ProjectFolder, truth: Any, log: Any
) -> None:
    screen.sees("AUDIT")
    screen.until(lambda: re.search(r"0 of \d+", screen.text))
    before = ""
    while "The audit is done" not in screen.text:
        found = re.fullmatch(r"\d+\.png", screen.named)
        if found and found[0] != before:
            before = found[0]
            count = len(log(project))
            screen.press("a" if truth(before) == "red" else "d")
            screen.until(lambda count=count: len(log(project)) > count)
    screen.press("q")
    screen.sees("status 0")
    assert re.search(r"\d+ labels accepted; .*error ≤", " ".join(screen.text.split()))
    machine = [row for row in log(project) if row.by_machine]
    assert machine and all(row.label == truth(row.ref) for row in machine)
    people = {row.ref for row in log(project) if not row.by_machine}
    assert not people & {row.ref for row in machine}
