"""A project moves into a team's log, others join, and it moves out again: nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from annotator.log.entries import Action, Entry
from annotator.log.store.open import open_store
from annotator.log.store.protocol import Byproduct
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.session import team as team_module
from tests.log.shared_logs import KINDS, new_schema, postgres_server


class Team:
    """A place for a team's log, and the command line."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.schema = new_schema()
        if kind == "folder":
            self.store = f"folder:{folder / 'shared team'}"
        else:
            self.store = postgres_server().store

    def run(self, *words: object, code: int = 0) -> str:
        """Run a command; return what it printed, on both streams."""
        command = [sys.executable, "-m", "annotator", *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def member(self, name: str) -> str:
        """Make a login of that name and return the store as it names it."""
        if self.kind == "folder":
            return self.store
        import psycopg

        with psycopg.connect(self.store, autocommit=True) as connection:
            connection.execute(f'CREATE ROLE "{name}" LOGIN'.encode())
        return postgres_server().store_for(name)


@pytest.fixture(params=KINDS)
def team(request: pytest.FixtureRequest, tmp_path: Path) -> Team:
    return Team(request.param, tmp_path)


ROWS = (
    Entry(0, 1.0, "ann", Action.LABEL, "0.png", "ok", proba={"ok": 0.5, "bad": 0.5}, q=0.5, pool=9),
    Entry(0, 2.0, "ann", Action.LABEL, "1.png", "bad"),
    Entry(0, 3.0, "ann", Action.UNDO, "1.png", extra={"undoes": 2}),
    Entry(0, 4.0, "bob", Action.SKIP, "2.png", note="too dark"),
    Entry(0, 5.0, "bob", Action.LABEL, "0.png", "bad"),
    Entry(0, 6.0, "eve", Action.LABEL, "3.png", "ok", extra={"machine": True}, picked_by="finish"),
)


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    (tmp_path / "im").mkdir()
    made = ProjectFolder.create(
        tmp_path / "p", Settings((ClassInfo("ok"), ClassInfo("bad")), images=str(tmp_path / "im"))
    )
    made.refs_file.write_text("filename\n" + "".join(f"{number}.png\n" for number in range(40)))
    with closing(SqliteStore(made.labels_file)) as store:
        store.append(*ROWS)
        store.append_byproducts(Byproduct(1, "key", "p1", {"k": 1}))
    return made


def rows(folder: Path) -> list[Entry]:
    with closing(open_store(ProjectFolder.open(folder))) as store:
        return list(store.entries())


def test_a_project_moves_in_others_join_and_all_have_all_rows(
    team: Team, project: ProjectFolder
) -> None:
    ann, bob = (f"{name}{uuid.uuid4().hex[:6]}" for name in ("ann", "bob"))
    schema = ("--schema", team.schema)
    said = team.run("team", "init", "p", "--store", team.store, *schema, "--annotator", "root")
    assert "6 rows moved" in said
    assert "annotator join" in said
    moved = rows(project.folder)
    undone = moved[1].seq
    assert [e.ref for e in moved] == [e.ref for e in ROWS]
    assert moved[2].extra == {"undoes": undone}
    assert [e.proba for e in moved] == [e.proba for e in ROWS]
    assert (project.folder / "labels-before-team.db").is_file()
    places = {}
    for name in (ann, bob):
        places[name] = team.member(name)
        if team.kind == "postgres":
            team.run("team", "add", name, "p")
        team.run("join", places[name], name, *schema, "--annotator", name)
        assert rows(team.folder / name) == moved
    team.run("answer", ann, "5.png", "ok", "--annotator", ann)
    assert "1 row received" in team.run("sync", bob)
    assert "0 rows sent" in team.run("sync", "p")
    assert rows(team.folder / bob) == rows(team.folder / ann) == rows(project.folder)
    assert rows(project.folder)[-1].annotator == ann
    assert ann in team.run("team", "status", "p")


def test_leaving_keeps_every_row_and_byproduct(team: Team, project: ProjectFolder) -> None:
    team.run("team", "init", "p", "--store", team.store, "--schema", team.schema)
    team.run("answer", "p", "7.png", "bad")
    before = rows(project.folder)
    assert "7 rows" in team.run("team", "leave", "p")
    left = ProjectFolder.open(project.folder)
    assert left.settings.store is None
    assert [e.ref for e in rows(project.folder)] == [e.ref for e in before]
    with closing(SqliteStore(left.labels_file)) as store:
        assert [row.data for row in store.read_byproducts()] == [{"k": 1}]
    team.run("answer", "p", "8.png", "ok")
    assert len(rows(project.folder)) == 8


@pytest.mark.parametrize("step", ["give_files", "_move_in", "_make_copy", "_read_all", "_swap"])
def test_an_interrupted_move_is_continued_and_doubles_nothing(
    team: Team, project: ProjectFolder, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if team.kind == "postgres":
        from annotator.log.store.postgres import PostgresTeam, ServerAddress

        PostgresTeam(ServerAddress.parse(team.store, team.schema)).create("root")
    else:
        from annotator.log.store.journal import FolderTeam

        FolderTeam(Path(team.store.removeprefix("folder:"))).create()

    class Killed(BaseException):
        pass

    real = getattr(team_module, step)

    def kill(*given: object, **named: object) -> None:
        if step != "_swap":
            real(*given, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(team_module, step, kill)
        with pytest.raises(Killed):
            team_module.init_team(project, team.store, team.schema, lambda *_: None)
    assert "6 rows moved" in team.run(
        "team", "init", "p", "--store", team.store, "--schema", team.schema
    )
    assert [e.ref for e in rows(project.folder)] == [e.ref for e in ROWS]


def test_what_cannot_work_says_what_to_do(team: Team, project: ProjectFolder) -> None:
    schema = ("--schema", team.schema)
    assert "annotator team init" in team.run("sync", "p", code=1)
    said = team.run("join", team.store, "q", *schema, code=1)
    assert "annotator team init" in said or "mounted?" in said
    assert not (team.folder / "q").exists()
    assert "without a password" in team.run(
        "team", "init", "p", "--store", "postgresql://a:secret@h/d", code=1
    )
    team.run("team", "init", "p", "--store", team.store, *schema)
    assert "belongs to a team already" in team.run(
        "team", "init", "p", "--store", team.store, *schema, code=1
    )
    (project.folder / "refs.csv").write_text("filename\nother.png\n")
    assert "--take-refs" in team.run("sync", "p", code=1)
    team.run("sync", "p", "--take-refs")
    assert len((project.folder / "refs.csv").read_text().splitlines()) == 41
    assert (project.folder / "refs-before.csv").read_text() == "filename\nother.png\n"
    (team.folder / "im").rename(team.folder / "elsewhere")
    assert "--images DIR" in team.run("join", team.store, "q", *schema, code=1)
    team.run("join", team.store, "q", *schema, "--images", "elsewhere")


def test_an_open_screen_keeps_a_project_from_moving(team: Team, project: ProjectFolder) -> None:
    with closing(SqliteStore(project.labels_file)):
        said = team.run("team", "init", "p", "--store", team.store, "--schema", team.schema, code=1)
    assert "Close all screens" in said


def test_settings_that_run_code_do_not_go_to_others(team: Team, project: ProjectFolder) -> None:
    text = (project.folder / "annotator.toml").read_text()
    (project.folder / "annotator.toml").write_text(
        f'on_label = "touch /tmp/owned"\nestimator = "mine.py:Mine"\n{text}'
    )
    team.run("team", "init", "p", "--store", team.store, "--schema", team.schema)
    team.run("join", team.store, "q", "--schema", team.schema)
    joined = ProjectFolder.open(team.folder / "q").settings
    assert (joined.on_label, joined.estimator) == (None, Settings(()).estimator)
    assert ProjectFolder.open(project.folder).settings.on_label == "touch /tmp/owned"
