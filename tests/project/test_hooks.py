"""Hooks are bounded: in what they print, in their time and in their number."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import pytest

from annotator.project import hooks
from annotator.project.hooks import Hooks

_PYTHON = f"{sys.executable} -c"


def _run(
    folder: Path, code: str, timeout: float = 20, events: int = 1, wait: float = 30
) -> list[str]:
    said: list[str] = []
    made = Hooks({"on_label": f'{_PYTHON} "{code}"'}, folder, said.append, timeout)
    for _ in range(events):
        made.send("on_label", {"ref": "a" * 100})
    made.close(wait)
    time.sleep(0.1)
    return said


@pytest.mark.parametrize("line", ["b'x' * 99 + bytes([10])", "b'x' * 100"])
def test_what_a_hook_prints_takes_no_memory(tmp_path: Path, line: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code = (
        f"import sys; data = ({line}) * 10000\n"
        "for _ in range(300): sys.stderr.buffer.write(data)\n"
        "sys.stderr.write('the end'); sys.exit(3)"
    )
    (said,) = _run(tmp_path, code)
    assert said.endswith("the end")
    assert "ended with status 3" in said
    assert len(said) < 2000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000, "of 300 MB"


def test_all_that_a_hook_started_ends_with_its_time(tmp_path: Path) -> None:
    mark = tmp_path / "late"
    script = tmp_path / "hook.sh"
    script.write_text(f"(sleep 3; touch {mark}) & sleep 60")
    said: list[str] = []
    made = Hooks({"on_label": f"sh {script}"}, tmp_path, said.append, 1.5)
    made.send("on_label", {})
    made.close(30)
    time.sleep(0.1)
    assert "took longer than 1.5 s" in said[0]
    time.sleep(3)
    assert not mark.exists()


def test_a_hook_whose_child_keeps_the_pipe_open_blocks_nothing(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.Popen(['sleep', '20']); sys.exit('left it running')"
    started = time.monotonic()
    (said,) = _run(tmp_path, code)
    assert said.endswith("left it running")
    assert time.monotonic() - started < 10


def test_a_hook_that_reads_nothing_gets_on(tmp_path: Path) -> None:
    made = Hooks({"on_label": "true"}, tmp_path, pytest.fail)
    made.send("on_label", {"ref": "x" * 1_000_000})
    assert made.close(20) == 0


def test_events_that_wait_are_bounded_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "MOST_WAITING", 3)
    said = _run(tmp_path, "import time; time.sleep(0.5)", events=10)
    assert len(said) == 1
    assert "7 events were dropped" in said[0]
