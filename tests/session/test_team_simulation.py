"""A team at work: a slow line, a time without the team's log, kills, and a clock that is wrong.

ANNOTATOR_TEAM_PEOPLE=20 ANNOTATOR_TEAM_ITEMS=2000 make test for the large one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from annotator.log.entries import replay
from annotator.log.store.journal import FolderTeam
from annotator.log.store.open import open_store
from annotator.log.store.postgres import PostgresTeam, ServerAddress
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.session.team import init_team, join_team, sync_project
from tests.log.shared_logs import Line, new_schema, postgres_server, slow_line

PEOPLE = int(os.environ.get("ANNOTATOR_TEAM_PEOPLE", "5"))
ITEMS = int(os.environ.get("ANNOTATOR_TEAM_ITEMS", "150"))
AWAY = 60.0 if PEOPLE >= 20 else 4.0
"""Seconds without the team's log."""
THREE_HOURS = 3 * 3600.0
ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    (tmp_path / "im").mkdir()
    made = ProjectFolder.create(
        tmp_path / "p", Settings((ClassInfo("ok"), ClassInfo("bad")), images=str(tmp_path / "im"))
    )
    made.refs_file.write_text("filename\n" + "".join(f"{number}.png\n" for number in range(ITEMS)))
    return made


def begin(folder: Path, name: str, wrong: float) -> subprocess.Popen[str]:
    command = ["-m", "benchmarks._team_member", str(folder), name, "0.15", str(wrong), "6"]
    return subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True, cwd=ROOT)


def labelled(folder: Path) -> int:
    with closing(open_store(ProjectFolder.open(folder))) as store:
        return len(replay(store.entries()).standing)


def work(root: Path, names: list[str], line: Line | None) -> dict[str, list[str]]:
    """Let all of them label until nothing is left; return the refs that each saw written."""
    running = {
        name: begin(root / name, name, THREE_HOURS * (place == 1))
        for place, name in enumerate(names)
    }
    while labelled(root / names[0]) < ITEMS // 4:
        time.sleep(0.2)
    if line is not None:
        line.cut()
        time.sleep(AWAY)
        line.mend()
    killed = names[-1]
    running[killed].kill()
    told = {name: running[name].communicate(timeout=600)[0] for name in names}
    again = begin(root / killed, killed, 0.0)
    told[killed] += again.communicate(timeout=600)[0]
    return {
        name: [json.loads(row)["ref"] for row in text.splitlines() if row.endswith("}")]
        for name, text in told.items()
    }


def check(root: Path, names: list[str], told: dict[str, list[str]]) -> None:
    """All items are labelled, no label is lost or doubled, and all copies are equal."""
    for _ in range(2):
        for name in names:
            sync_project(ProjectFolder.open(root / name))
    logs = []
    for name in names:
        with closing(open_store(ProjectFolder.open(root / name))) as store:
            logs.append(list(store.entries()))
    assert all(log == logs[0] for log in logs)
    assert len(replay(logs[0]).standing) == ITEMS
    for name in names:
        written = [entry.ref for entry in logs[0] if entry.annotator == name]
        assert len(written) == len(set(written)), "a label was doubled"
        assert set(told[name]) <= set(written), "a label was lost"
    answers = len(logs[0])
    assert ITEMS <= answers <= ITEMS * 1.2  # few are asked twice, also while the log is away


def test_a_team_on_postgresql_finishes_and_nothing_is_lost(
    tmp_path: Path, project: ProjectFolder
) -> None:
    import psycopg

    server, schema = postgres_server(), new_schema()
    team = PostgresTeam(ServerAddress.parse(server.store, schema))
    team.create("admin")
    init_team(project, server.store, schema, lambda *_: None)
    names = [f"m{number}_{uuid.uuid4().hex[:6]}" for number in range(PEOPLE)]
    with psycopg.connect(server.store, autocommit=True) as connection:
        for name in names:
            connection.execute(f'CREATE ROLE "{name}" LOGIN'.encode())
    with slow_line(server.port, 0.03) as line:
        for name in names:
            team.add_member(name, name, "annotator")
            store = server.store_for(name, line.port)
            join_team(store, schema, tmp_path / name, {"annotator": name}, lambda *_: None)
        told = work(tmp_path, names, line)
        check(tmp_path, names, told)


def test_a_team_in_a_folder_finishes_and_nothing_is_lost(
    tmp_path: Path, project: ProjectFolder
) -> None:
    store = f"folder:{tmp_path / 'team'}"
    FolderTeam(tmp_path / "team").create()
    init_team(project, store, "-", lambda *_: None)
    names = [f"m{number}" for number in range(min(PEOPLE, 6))]
    for name in names:
        join_team(store, "-", tmp_path / name, {"annotator": name}, lambda *_: None)
    check(tmp_path, names, work(tmp_path, names, None))
