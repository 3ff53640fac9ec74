"""Users without a name or a home, and standard streams that are closed or full."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from annotator.items import user_folders
from annotator.project import settings
from tests.formats import made_projects
from tests.time_limits import PATIENCE

COMMAND = [sys.executable, "-m", "annotator"]


def without_home(name: str) -> Path:
    raise RuntimeError("could not determine the home directory")


def nameless() -> str:
    raise KeyError("getpwuid(): uid not found: 12345")


def nobody() -> str:
    raise OSError("No username set in the environment")


@pytest.mark.parametrize("raises", [nameless, nobody])
def test_a_user_id_without_a_name_labels_under_its_number(
    raises: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", raises)
    monkeypatch.setattr("os.getuid", lambda: 12345)
    assert settings.login_name() == "user-12345"
    assert settings.Settings(()).annotator_name() == "user-12345"
    assert settings.Settings((), annotator="ann").annotator_name() == "ann"


def test_folders_of_a_user_without_a_home_are_no_public_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for kind in ("config", "data", "cache"):
        monkeypatch.setattr(f"platformdirs.user_{kind}_path", without_home)
        folder = getattr(user_folders, f"{kind}_folder")()
        assert folder == Path(f"/.annotator/{kind}")
    assert user_folders.expand_home("~nobody-at-all/x") == Path("~nobody-at-all/x")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs user namespaces")
@pytest.mark.parametrize("home", ["HOME=/", "HOME=/nonexistent", "X=1"])
def test_commands_run_without_a_name_and_a_home(tmp_path: Path, home: str) -> None:
    made = made_projects.project(tmp_path, ["a.png", "b.png"], {})
    lead = ["unshare", "-U", "--map-user=12345", "env", "-i", home]
    if subprocess.run([*lead[:3], "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    for command in (["next"], ["answer", "a.png", "ok"], ["log"], ["status"]):
        line = [*lead, *COMMAND, command[0], str(made.folder), *command[1:]]
        ran = subprocess.run(line, capture_output=True, text=True)
        assert ran.returncode == 0 and "Traceback" not in ran.stderr, (command, ran.stderr)
    assert made_projects.entries(made)[-1].annotator == "user-12345"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["export p -", "log p", "status p", "answer p a.png ok"])
def test_closed_streams_are_no_fault_of_the_program(
    tmp_path: Path, closed: str, command: str
) -> None:
    made = made_projects.project(tmp_path, ["a.png", "b.png"], {"b.png": "ok"})
    errors = "" if "2>" in closed else f"2>{tmp_path}/log"
    line = f"{sys.executable} -m annotator {command} {closed} {errors}"
    ran = subprocess.run(["sh", "-c", line], cwd=made.folder.parent, capture_output=True)
    told = (tmp_path / "log").read_text() if errors else ""
    assert "Traceback" not in told and "Exception" not in told
    prints = not command.startswith("answer")
    assert ran.returncode == (1 if prints and ">&-" in closed.split("2>")[0] else 0), told
    if ran.returncode and errors:
        assert "Standard output is closed" in told


@pytest.mark.parametrize("command", ["export p -", "log p"])
def test_a_full_output_is_said_in_one_line(tmp_path: Path, command: str) -> None:
    made = made_projects.project(tmp_path, ["a.png"], {"a.png": "ok"})
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        ran = subprocess.run(
            [*COMMAND, *command.split()], cwd=made.folder.parent, stdout=full,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert ran.returncode == 1 and "No space left" in ran.stderr
    assert "Traceback" not in ran.stderr and "Exception" not in ran.stderr


def test_a_full_pipe_that_does_not_wait_gets_everything(tmp_path: Path) -> None:
    refs = [f"a.png#xywh={n % 50},{n // 50},1,1" for n in range(1000)]
    made = made_projects.project(tmp_path, refs, dict.fromkeys(refs, "ok"))
    out, into = os.pipe()
    os.set_blocking(into, False)
    ran = subprocess.Popen(
        [*COMMAND, "log", "p"], cwd=made.folder.parent, stdout=into, stderr=subprocess.DEVNULL
    )
    os.close(into)
    with os.fdopen(out, "rb") as reader:
        lines = reader.read().count(b"\n")
    assert ran.wait() == 0 and lines >= 1000


@pytest.mark.parametrize("words", ["log p", "log p --follow", "search p a*", "export p -"])
def test_a_reader_that_leaves_early_is_no_failure(tmp_path: Path, words: str) -> None:
    refs = [f"a.png#xywh={n % 50},{n // 50},1,1" for n in range(1000)]
    made = made_projects.project(tmp_path, refs, dict.fromkeys(refs, "ok"))
    out, into = os.pipe()
    os.close(out)
    ran = subprocess.run(
        [*COMMAND, *words.split()], cwd=made.folder.parent, stdout=into, stderr=subprocess.PIPE,
        timeout=PATIENCE,
    )  # fmt: skip
    os.close(into)
    assert ran.returncode == 0 and b"Traceback" not in ran.stderr, ran.stderr.decode()
