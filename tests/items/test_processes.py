"""Code in the current folder never runs: not in a child process, nor in a spawned one."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import annotator
from annotator.items.processes import annotator_command

_SPAWN = """
import sys
from concurrent.futures import ProcessPoolExecutor
from annotator.items.processes import spawn_context
if __name__ == "__main__":
    spawn_context()
    with ProcessPoolExecutor(2, spawn_context()) as pool:
        print(pool.submit(len, "abc").result())
        from multiprocessing import resource_tracker
        resource_tracker.ensure_running()
"""


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """Return a folder with a file for each module that can be imported; each leaves its name."""
    folder = tmp_path / "photos"
    folder.mkdir()
    names = {*sys.stdlib_module_names, *packages_distributions(), "annotator", "sitecustomize"}
    for name in filter(str.isidentifier, names):
        text = f"open({str(tmp_path / 'ran')!r}, 'a').write('{name} ')\n"
        (folder / f"{name}.py").write_text(text)
    return folder


def _check(trap: Path) -> None:
    ran = trap.parent / "ran"
    assert not ran.exists(), ran.read_text()


@pytest.mark.parametrize("with_environment", [False, True])
def test_children_import_nothing_from_the_current_folder(
    trap: Path, monkeypatch: pytest.MonkeyPatch, with_environment: bool
) -> None:
    for name in ("PYTHONPATH", "PYTHONSAFEPATH", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.delenv(name, raising=False)
    if with_environment:  # so that -I is not possible
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for words in (["features", "."], ["review", ".", "--prepare"], ["--version"]):
        done = subprocess.run(
            annotator_command(*words), cwd=trap, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
    _check(trap)


def test_spawned_processes_import_nothing_from_the_current_folder(trap: Path) -> None:
    program = trap.parent / "program.py"
    program.write_text(_SPAWN)
    done = subprocess.run(
        [sys.executable, str(program)], cwd=trap, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "3", done.stderr
    _check(trap)


def test_the_module_forgets_the_current_folder(trap: Path) -> None:
    ours = {"typer", "click", "json", "numpy", "tomlkit", "multiprocessing", "PIL"}
    for file in trap.iterdir():  # Python itself imports the others for -m, before any of ours
        if file.stem not in ours:
            file.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "annotator", "init", "p", "--images", "."],
        cwd=trap, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    _check(trap)


def test_every_process_is_started_safely() -> None:
    package = Path(annotator.__file__).parent
    allowed = {"items/processes.py", "cli/app.py"}  # the latter repeats its own flags
    for file in sorted(package.rglob("*.py")):
        if str(file.relative_to(package)) not in allowed:
            found = re.search(r"sys\.executable|get_context\(|\.Process\(", file.read_text())
            assert found is None, f"{file}: use annotator.items.processes"
            pools = re.findall(r"ProcessPoolExecutor\(\w*\)", file.read_text())
            assert not pools, f"{file}: give the pool a spawn_context()"
