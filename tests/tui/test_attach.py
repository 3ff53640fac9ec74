"""One session, two lines: a screen continues in another terminal, at the same picture."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import SETTINGS_FILE, ProjectFolder
from tests.terminal.memory_terminal import Screen
from tests.terminal.program_on_pty import ROOT, Running
from tests.time_limits import PATIENCE

Open = Callable[..., Running]
NAME = re.compile(r"\d\d\.png")


@pytest.fixture
def project(make: Any) -> ProjectFolder:
    made: ProjectFolder = make(40)
    return made


@pytest.fixture
def open_(project: ProjectFolder, tmp_path: Path) -> Iterator[Open]:
    """open_("run", kind="xterm"): the command on the project, in a terminal of that kind."""
    opened: list[Running] = []

    def begin(
        *words: str, kind: str = "kitty", size: tuple[int, int] = (80, 24), **env: str
    ) -> Running:
        words = words or ("attach",)
        command = ["-m", "annotator", words[0], str(project.folder), *words[1:]]
        env["XDG_DATA_HOME"] = str(tmp_path / "data")
        opened.append(Running(command, kind, size, env=env))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def picture(screen: Screen) -> str:
    """The picture that the caption names, once it was seen; else ""."""
    lines = [line for line in screen.text().splitlines() if " ms" in line and "ready" in line]
    found = NAME.search(lines[-1]) if lines else None
    return found[0] if found else ""


def seen(app: Running, other_than: str = "") -> str:
    app.wait(lambda screen: picture(screen) not in ("", other_than))
    return app.look(picture)


def label(app: Running, count: int) -> str:
    """Label some items; return the picture that is asked then."""
    for _ in range(count):
        before = seen(app)
        app.press(b"a")
        seen(app, before)
    return seen(app)


def labels(project: ProjectFolder) -> list[Entry]:
    store = SqliteStore(project.labels_file)
    try:
        return [entry for entry in store.entries() if entry.action is Action.LABEL]
    finally:
        store.close()


def screens(tmp_path: Path) -> list[Path]:
    return [*(tmp_path / "data" / "annotator" / "screens").glob("*.json")]


@pytest.mark.parametrize("kind", ["xterm", "plain"])
def test_after_a_lost_line_the_same_picture_comes_back_in_any_terminal(
    open_: Open, project: ProjectFolder, kind: str
) -> None:
    first = open_("run", "--no-features", kind="kitty")
    asked = label(first, 3)
    first.hang_up()
    again = open_("attach", kind=kind, size=(100, 30))
    assert seen(again) == asked
    again.press(b"a")
    seen(again, asked)
    again.press(b"q")
    again.wait(lambda screen: "4 answered" in screen.text())  # three of them on the lost line
    assert len({entry.ref for entry in labels(project)}) == len(labels(project)) == 4


def test_another_terminal_takes_an_open_screen_over(open_: Open, project: ProjectFolder) -> None:
    first = open_("run", "--no-features", kind="kitty")
    asked = label(first, 2)
    second = open_("attach", kind="plain")
    assert first.process.wait(PATIENCE) == 0
    first.wait(lambda screen: "Taken over by pts/" in screen.text())
    assert not first.look(lambda screen: screen.alternate)
    assert first.look(lambda screen: screen.images) == {}
    assert seen(second) == asked
    label(second, 1)
    third = open_("attach", kind="xterm")  # and back
    assert second.process.wait(PATIENCE) == 0
    label(third, 1)
    assert len({entry.ref for entry in labels(project)}) == len(labels(project)) == 4


def test_kill_9_loses_nothing(open_: Open, project: ProjectFolder) -> None:
    first = open_("run", "--no-features")
    asked = label(first, 2)
    first.process.kill()
    first.process.wait(PATIENCE)
    second = open_("attach")
    assert seen(second) == asked
    second.process.kill()
    second.process.wait(PATIENCE)
    third = open_("attach")
    assert seen(third) == asked
    assert len(labels(project)) == 2


def test_a_screen_that_hangs_or_is_stopped_is_ended(open_: Open) -> None:
    first = open_("run", "--no-features")
    asked = label(first, 1)
    os.kill(first.process.pid, signal.SIGSTOP)
    second = open_("attach")
    assert first.process.wait(PATIENCE) == -signal.SIGKILL
    assert seen(second) == asked


def test_two_terminals_at_once_leave_one_screen(open_: Open) -> None:
    first = open_("run", "--no-features")
    label(first, 1)
    both = [open_("attach"), open_("attach")]
    assert first.process.wait(PATIENCE) == 0
    both[0].wait(lambda _: any(one.process.poll() is not None for one in both))
    (left,) = [one for one in both if one.process.poll() is None]
    seen(left)


def test_a_look_back_and_the_options_come_back(open_: Open, project: ProjectFolder) -> None:
    first = open_("run", "--no-features", "--annotator", "ann", "--keymap", "vim")
    label_keys = 0
    while label_keys < 3:
        before = seen(first)
        first.press(b"l")
        seen(first, before)
        label_keys += 1
    first.press(b"[")
    first.wait(lambda screen: "LOOKING BACK 1" in screen.text())
    first.press(b"[")
    first.wait(lambda screen: "LOOKING BACK 2" in screen.text())
    at = seen(first)
    first.hang_up()
    second = open_("attach", "--annotator", "ann")
    second.wait(lambda screen: "LOOKING BACK 2" in screen.text())
    second.wait(lambda screen: picture(screen) == at)
    second.press(b"h")  # the first class of the keymap vim
    second.wait(lambda screen: "corrected: blue → red" in screen.text())


@pytest.mark.parametrize("command", ["browse", "check"])
def test_other_screens_too_go_from_terminal_to_terminal_under_one_name(
    open_: Open, project: ProjectFolder, tmp_path: Path, give_features: Any, command: str
) -> None:
    refs = [f"{n:02d}.png" for n in range(40)]
    give_features(project, refs)
    store = SqliteStore(project.labels_file)
    colours = ("red", "blue")
    store.append(*(Entry(0, n, "ann", Action.LABEL, refs[n], colours[n % 2]) for n in range(20)))
    store.close()

    def is_open(screen: Screen) -> bool:
        return bool(picture(screen)) or "submit" in screen.text()

    screen = open_(command, ANNOTATOR_NAME="ann")
    screen.wait(is_open)
    for _ in range(2):
        before, screen = screen, open_("attach", "--annotator", "ann")
        assert before.process.wait(PATIENCE) >= 0
        before.wait(lambda shown: "submit" not in shown.text() and not shown.alternate)
        screen.wait(is_open)
    (record,) = screens(tmp_path)
    assert json.loads(record.read_text())["annotator"] == "ann"


def test_commands_hear_of_the_last_labels_when_a_screen_is_taken_over(
    open_: Open, project: ProjectFolder, tmp_path: Path
) -> None:
    heard, settings = tmp_path / "heard", project.folder / SETTINGS_FILE
    command = f"sh -c 'sleep 0.3; cat >> {heard}'"
    settings.write_text(f'on_label = "{command}"\n{settings.read_text()}')
    first = open_("run", "--no-features")
    label(first, 2)
    first.process.send_signal(signal.SIGUSR1)  # as `annotator attach` does
    assert first.process.wait(PATIENCE) == 0
    assert len(heard.read_text().splitlines()) == 2


def test_a_view_of_another_version_is_left_out(open_: Open, tmp_path: Path) -> None:
    first = open_("run", "--no-features")
    asked = label(first, 1)
    first.hang_up()
    first.process.wait(PATIENCE)
    (record,) = screens(tmp_path)
    given = json.loads(record.read_text())
    view = given["view"] | {"strategy": {"mood": 1}, "pages": {"size": "large"}}
    record.write_text(json.dumps(given | {"view": view}))
    assert seen(open_("attach")) == asked


def test_features_go_on_while_no_screen_is_open(open_: Open, project: ProjectFolder) -> None:
    first = open_("run", "--model", "classic")
    seen(first)
    first.wait(lambda screen: "features" in screen.text() or project.has_features)
    first.hang_up()
    end = time.monotonic() + PATIENCE
    while not project.has_features:
        assert time.monotonic() < end
        time.sleep(0.1)


def refusal(project: ProjectFolder, tmp_path: Path) -> str:
    """The message of `annotator attach` outside of a terminal."""
    command = [sys.executable, "-m", "annotator", "attach", str(project.folder)]
    env = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data")}
    ran = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=env, cwd=ROOT
    )
    assert ran.returncode == 1
    return ran.stderr


def test_without_a_screen_the_exact_command_is_said(
    open_: Open, project: ProjectFolder, tmp_path: Path
) -> None:
    assert f"annotator run {project.folder}" in refusal(project, tmp_path)
    first = open_("run", "--no-features")
    seen(first)
    assert "needs a terminal" in refusal(project, tmp_path)
    assert first.process.poll() is None  # it was not ended in vain
    first.press(b"q")
    assert first.process.wait(PATIENCE) == 0
    assert screens(tmp_path) == []
    assert f"annotator run {project.folder}" in refusal(project, tmp_path)


def test_only_this_user_can_read_a_record_and_no_other_record_is_believed(
    open_: Open, project: ProjectFolder, tmp_path: Path
) -> None:
    first = open_("run", "--no-features")
    seen(first)
    (record,) = screens(tmp_path)
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert stat.S_IMODE(record.parent.stat().st_mode) == 0o700
    first.hang_up()
    given = json.loads(record.read_text())
    for words in (["init", "x"], [], ["export", str(project.folder), "out.csv"]):
        record.write_text(json.dumps(given | {"words": words}))
        assert "annotator run" in refusal(project, tmp_path)
    record.write_text(json.dumps(given | {"host": "elsewhere", "holder": "0" * 32}))
    app = open_("attach")
    app.wait(lambda screen: "is open on elsewhere" in screen.text())
    assert app.process.wait(PATIENCE) == 1
