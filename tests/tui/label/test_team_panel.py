"""The panel of a member while the team's log is away: since when, and how many rows wait."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from annotator.log.entries import Action
from annotator.log.store.journal import FolderTeam
from annotator.log.store.open import open_store
from annotator.project.project import ProjectFolder
from annotator.session.team import init_team, sync_project
from tests.terminal.program_on_pty import Running
from tests.time_limits import PATIENCE


def test_offline_the_panel_says_since_when_and_what_waits_and_nothing_is_lost(
    make: Any, tmp_path: Path
) -> None:
    project = make(12)
    FolderTeam(tmp_path / "team").create()
    init_team(project, f"folder:{tmp_path / 'team'}", "-", lambda *_: None)
    command = ["-m", "annotator", "run", str(project.folder), "--no-features"]
    with Running(command, "plain", (100, 40)) as terminal:
        terminal.wait(lambda screen: " ms" in screen.text())
        assert "to send" not in terminal.look(lambda screen: screen.text())
        (tmp_path / "team").rename(tmp_path / "unmounted")
        for number in range(1, 3):
            terminal.press(b"a")
            terminal.wait(lambda screen, n=number: f"{n} of 12" in screen.text())
        terminal.wait(lambda screen: re.search(r"offline 0:\d\d, 2 to send", screen.text()))
        terminal.press(b"q")
        terminal.wait(lambda screen: "to send: 2 rows: annotator sync" in screen.text())
        terminal.process.wait(PATIENCE)
    (tmp_path / "unmounted").rename(tmp_path / "team")
    joined = ProjectFolder.open(project.folder)
    assert sync_project(joined).sent == 2
    store = open_store(joined)
    assert [entry.action for entry in store.entries()] == [Action.LABEL] * 2
    store.close()
