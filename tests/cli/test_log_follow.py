"""`annotator log --follow` shows what others write, as it is written."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from tests.time_limits import PATIENCE


def test_a_label_appears_while_following_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    project = ProjectFolder.create(
        tmp_path / "p", Settings(classes=(ClassInfo("ok"),), images=str(tmp_path))
    )
    store = SqliteStore(project.labels_file)
    store.append(Entry(0, 0.0, "ann", Action.LABEL, "a.png", "ok"))
    command = [sys.executable, "-m", "annotator", "log", str(project.folder), "-f", "--json"]
    # Whoever runs the tests in the background has them, and what they start, ignore ctrl+c.
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **heard) as child:
        try:
            assert child.stdout is not None
            assert json.loads(child.stdout.readline())["ref"] == "a.png"
            store.append(Entry(0, 1.0, "bob", Action.SKIP, "b.png"))
            assert json.loads(child.stdout.readline())["annotator"] == "bob"
            child.send_signal(signal.SIGINT)
            assert child.wait(PATIENCE) == 130
        finally:
            child.kill()
    store.close()
