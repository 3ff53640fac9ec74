"""A check on the screen: blind, with the error beside the picture; pages from the palette."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annotator.log.store.open import load_log_state
from annotator.project.project import ProjectFolder
from annotator.session.check import Check, open_check
from annotator.session.check_result import StopRules
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.launch import ItemSample, prepare_label_app
from annotator.tui.pages.screen import PageScreen
from tests.tui.conftest import Desk
from tests.tui.label.test_audit import _label
from tests.tui.tmux_terminal import Tmux

ITEMS = 120
REFS = [f"{number:02d}.png" for number in range(ITEMS)]
CAPS = TerminalCapabilities(Technique.HALFCELL)


@pytest.fixture
def project(make: Any, give_features: Any, truth: Any) -> ProjectFolder:
    """30 of 120 items are labelled, rightly; the features tell the two colours apart."""
    made: ProjectFolder = make(ITEMS)
    give_features(made, REFS)
    _label(made, REFS[:30], [truth(ref) for ref in REFS[:30]])
    return made


def _sample(project: ProjectFolder, rules: StopRules | None = None) -> tuple[Check, ItemSample]:
    check = open_check(project, load_log_state(project), rules=rules)
    check.choose_refs(load_log_state(project))
    return check, ItemSample(check.name, check.refs, "", check.is_over, check)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_it_asks_blind_in_order_and_shows_the_error(
    project: ProjectFolder, truth: Any, size: tuple[int, int]
) -> None:
    check, sample = _sample(project)
    with prepare_label_app(project, "ann", CAPS, features=False, audit=sample) as app:
        async with app.run_test(size=size) as pilot:
            desk = Desk(app, pilot)
            await desk.sees("0 checked")
            assert "CHECK" in desk.text.splitlines()[0] and "hidden" in desk.text.splitlines()[0]
            for count in range(1, 13):
                assert desk.current == check.frozen.refs[count - 1]
                await desk.press("a" if truth(desk.current) == "red" else "d")
                await desk.sees(f"{count} checked")
            await desk.press("backspace")
            await desk.sees("11 checked")
            assert desk.current == check.frozen.refs[11]
    assert check.result(load_log_state(project)).checked == 11


async def test_a_rule_that_is_met_ends_it_and_an_undo_resumes_it(
    project: ProjectFolder, truth: Any
) -> None:
    check, sample = _sample(project, StopRules(max_error=0.4))
    with prepare_label_app(project, "ann", CAPS, features=False, audit=sample) as app:
        async with app.run_test(size=(120, 40)) as pilot:
            desk = Desk(app, pilot)
            await desk.sees("not yet")
            for _ in range(40):
                if app.session.current is None:
                    break
                await desk.press("a" if truth(desk.current) == "red" else "d")
            await desk.sees("The check has shown it")
            await desk.sees("error at most 40 %: yes")
            await desk.press("backspace")
            await desk.until(lambda: app.session.current is not None)


async def test_the_palette_opens_pages_of_a_check(
    project: ProjectFolder, opened: Any, log: Any
) -> None:
    async with opened(project, size=(120, 40)) as desk:
        await desk.learnt()
        await desk.press("ctrl+p")
        await desk.pilot.press(*"check", "enter")
        await desk.sees("Check the model")
        await desk.pilot.press("enter")
        await desk.until(lambda: isinstance(desk.app.screen, PageScreen))
        await desk.sees("check-1")
        await desk.sees("0 checked")
        await desk.until(lambda: desk.app.screen.shows)
        assert "prediction" not in desk.text
        await desk.pilot.press("enter")
        await desk.until(lambda: len(log(project)) > 30)
        rows = log(project)[30:]
        assert {(row.picked_by, row.audit) for row in rows} == {("check", "check-1")}
        assert len({row.label for row in rows}) == 1  # none was selected: all are the other class
        await desk.until(lambda: desk.app.screen.submitted == 1)
        await desk.pilot.press("escape")
        await desk.sees(f"{len(rows)} checked")


async def test_the_palette_says_why_there_is_no_check(
    make: Any, give_features: Any, opened: Any
) -> None:
    project = make(12)
    give_features(project, REFS[:12])
    async with opened(project, size=(120, 40)) as desk:
        await desk.until(lambda: desk.app.session.has_features)
        await desk.press("ctrl+p")
        await desk.pilot.press(*"check", "enter")
        await desk.sees("Check the model")
        await desk.pilot.press("enter")
        await desk.sees("No class has labels")


@pytest.fixture
def screen(project: ProjectFolder, tmp_path: Path) -> Iterator[Tmux]:
    """`annotator check` on the project, in a terminal, twice."""
    words = [sys.executable, "-m", "annotator", "check", str(project.folder)]
    words += ["--graphics", "halfcell", "--annotator", "ann"]
    (tmp_path / "terminal").mkdir()
    command = shlex.join(words)
    opened = Tmux(tmp_path / "terminal", f"{command}; {command}")
    yield opened
    opened.close()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_killed_check_resumes_where_it_was(
    screen: Tmux, project: ProjectFolder, truth: Any, log: Any
) -> None:
    screen.sees("0 checked")
    for count in range(1, 6):
        screen.until(lambda: re.fullmatch(r"\d+\.png", screen.named))
        screen.answer(
            "a" if truth(screen.named) == "red" else "d",
            lambda count=count: len(log(project)) == 30 + count,  # type: ignore[misc]
        )
    os.kill(screen.pid(), signal.SIGKILL)
    screen.until(lambda: "5 checked" in screen.text)
    asked = [row.ref for row in log(project)[30:]]
    check = open_check(project, load_log_state(project))
    assert tuple(asked) == check.frozen.refs[:5]
    screen.until(lambda: screen.named == check.frozen.refs[5])
