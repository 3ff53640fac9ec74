"""The wheel in an empty environment: all that the demo needs is in it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tui.tmux_terminal import Tmux

ROOT = Path(__file__).parents[1]
OFFLINE = ("fetch", "connect", "resolve host", "dns error", "timed out")
needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
pytestmark = pytest.mark.slow


def run(
    *command: object, path: Path | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that finds packages in `path` alone, beside its own."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    env |= {"PYTHONPATH": str(path)} if path else {}
    return subprocess.run([*map(str, command)], capture_output=True, text=True, env=env, cwd=cwd)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a new virtual environment with nothing but pip in it."""
    folder = tmp_path_factory.mktemp("wheel") / "env"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def wheel(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of this working tree."""
    tools, dist = tmp_path_factory.mktemp("tools"), tmp_path_factory.mktemp("dist")
    pip = (empty, "-m", "pip", "--disable-pip-version-check")
    if run(*pip, "install", "--target", tools, "hatchling>=1.27").returncode:
        pytest.skip("pip cannot have hatchling, which builds the wheel: no network?")
    options = ("--no-deps", "--no-build-isolation", "--wheel-dir", dist)
    built = run(*pip, "wheel", *options, ROOT, path=tools)
    assert built.returncode == 0, built.stderr
    (made,) = dist.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(empty: Path, wheel: Path) -> Path:
    """Install the wheel into the empty environment; what it needs is that of the tests."""
    ran = run(empty, "-m", "pip", "install", "--no-deps", "--no-index", wheel)
    assert ran.returncode == 0, ran.stderr
    (packages,) = empty.parents[1].glob("lib/python*/site-packages")
    # Its folder of packages goes after its own, without that folder's .pth files: the annotator
    # that the tests import is not found there.
    ours = next(path for path in sys.path if (Path(path) / "textual").is_dir())
    (packages / "dependencies.pth").write_text(f"{ours}\n")
    return empty.parent


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Tmux]]:
    """Return a function that opens a command in tmux, without the packages of the tests."""
    opened: list[Tmux] = []

    def open_(*words: object, **named: object) -> Tmux:
        folder = tmp_path / "terminal"
        folder.mkdir()
        more = [f"{name}={value}" for name, value in named.items()]
        clean = ["env", "-u", "PYTHONPATH", "-u", "VIRTUAL_ENV", f"XDG_DATA_HOME={folder}", *more]
        opened.append(Tmux(folder, shlex.join([*clean, *map(str, words)])))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def test_the_version_is_that_of_the_project_file(installed: Path, tmp_path: Path) -> None:
    said = run(installed / "annotator", "--version", cwd=tmp_path)
    assert version() in said.stdout, said.stderr
    where = run(installed / "python", "-c", "print(__import__('annotator').__file__)", cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(installed.parent)
    wanted = "print(__import__('importlib.metadata').metadata.version('annotator-tui'))"
    assert run(installed / "python", "-c", wanted, cwd=tmp_path).stdout.strip() == version()


@needs_tmux
def test_the_demo_of_an_installed_wheel_asks_its_first_question(
    installed: Path, terminal: Callable[..., Tmux]
) -> None:
    asks(terminal(installed / "annotator", "demo", "--graphics", "halfcell"))


@needs_tmux
def test_uvx_opens_the_demo_of_the_wheel(wheel: Path, terminal: Callable[..., Tmux]) -> None:
    uvx = shutil.which("uvx")
    if uvx is None:
        pytest.skip("uv is not installed")
    words = (uvx, "--python", sys.executable, "--from", wheel)
    first = run(*words, "annotator", "--version")  # downloads what it needs
    if first.returncode and any(word in first.stderr for word in OFFLINE):
        pytest.skip(f"uvx cannot have what the wheel needs: {first.stderr.splitlines()[-1]}")
    assert version() in first.stdout, first.stderr
    caches = {name: value for name, value in os.environ.items() if name == "UV_CACHE_DIR"}
    home = {"HOME": Path.home(), **caches}
    asks(terminal(*words, "annotator", "demo", "--graphics", "halfcell", **home))


def asks(screen: Tmux) -> None:
    """See that the first question is drawn, with its picture; then leave."""
    screen.sees("defect")
    screen.sees("0 of ")
    screen.sees("▀")
    screen.press("q")
    screen.sees("status 0")
