"""Fixtures that every test may use, and an environment that depends on no user."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

_SHARED = Path(os.environ.get("ANNOTATOR_SHARED", Path(__file__).parents[1].parent / "shared"))
_OURS = ("ANNOTATOR_SHARED", "ANNOTATOR_TRIXIE")
# fmt: off
_TERMINAL = (
    "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "COLORTERM",
    "TERMINAL_WIDTH", "TMUX", "STY", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "TERM_PROGRAM",
)
# fmt: on

# A slow machine is not a fault, and a test gives the same result everywhere. To search further:
# --hypothesis-profile=default --hypothesis-seed=random.
hypothesis.settings.register_profile(
    "annotator",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("annotator")

# Under nohup, or in the background of a script, signals are ignored, and all children ignore them.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        usual = signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL
        signal.signal(_number, usual)


@pytest.fixture(scope="session", autouse=True)
def _nobody_in_particular(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The settings, caches and terminal of whoever runs the tests play no part in them."""
    home = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("CONFIG", "CACHE", "DATA", "STATE"):
            patch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
        for name in set(os.environ):
            ours = name.startswith("ANNOTATOR_") and name not in _OURS
            if ours or name in _TERMINAL:
                patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Databases that a test leaves open are closed at its end, not whenever memory is tidied up:
    from Python 3.13 on that is a warning, and fails the test that happens to run by then."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def noted(*given: Any, **named: Any) -> sqlite3.Connection:
        opened.append(connect(*given, **named))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", noted)
    yield
    for connection in opened:
        with contextlib.suppress(sqlite3.ProgrammingError):  # of another thread
            connection.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images, features and weights; without it the test is skipped."""
    if not (_SHARED / "data" / "README.md").is_file():
        pytest.skip("shared test data is absent: needs ../shared/data (or ANNOTATOR_SHARED)")
    return _SHARED


def pytest_sessionfinish() -> None:
    """Stop the PostgreSQL that tests have started in this process."""
    shared_logs = sys.modules.get("tests.log.shared_logs")
    if shared_logs is not None:
        shared_logs.stop_postgres()
