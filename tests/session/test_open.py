"""Opening a session on a project: one place for the screens, the API, scripts and simulation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from annotator.project.classes import ClassInfo
from annotator.project.item_pool import Priority, write_priorities
from annotator.project.project import ProjectFolder
from annotator.project.settings import Settings
from annotator.session.mode import SessionMode
from annotator.session.open import open_in_memory, open_session


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    command = f"tee -a {tmp_path / 'labels.jsonl'}"
    settings = Settings((ClassInfo("no"), ClassInfo("yes")), on_label=command, ahead=2)
    return ProjectFolder.create(tmp_path / "p", settings)


REFS = [f"{n}.png" for n in range(6)]


def _asked(project: ProjectFolder, annotator: str) -> list[str]:
    with open_session(project, annotator, on_hook_failure=pytest.fail) as opened:
        opened.session.extend(REFS)
        queue = opened.session.queue
        return [queue.refs[queue[place].row] for place in range(len(queue))]


def test_a_session_that_ends_releases_what_it_asked(project: ProjectFolder) -> None:
    first = _asked(project, "ann")
    assert len(first) == 3
    assert _asked(project, "ann") == first, "the next session resumes the queue"


def test_an_error_inside_keeps_the_leases_until_the_process_is_gone(project: ProjectFolder) -> None:
    with pytest.raises(KeyError), open_session(project, "ann", on_hook_failure=print) as opened:
        opened.session.extend(REFS)
        held = {opened.session.queue.refs[opened.session.queue[n].row] for n in range(3)}
        raise KeyError
    assert held and not held & set(_asked(project, "bob"))


def test_every_label_reaches_the_hook(project: ProjectFolder, tmp_path: Path) -> None:
    with open_session(project, "ann", on_hook_failure=pytest.fail) as opened:
        opened.session.extend(REFS)
        entry = opened.session.label("yes")
    assert entry is not None and opened.hooks.close(30.0) == 0
    (line,) = (tmp_path / "labels.jsonl").read_text().splitlines()
    assert json.loads(line)["ref"] == entry.ref


def test_priorities_are_asked_first_but_not_in_a_blind_session(project: ProjectFolder) -> None:
    first = [Priority("4.png", "cluster"), Priority("2.png", "cluster")]
    write_priorities(project, first, replace="cluster")
    assert _asked(project, "ann")[:2] == ["4.png", "2.png"]
    mode = SessionMode(second=True)
    with open_session(project, "bob", on_hook_failure=pytest.fail, mode=mode) as opened:
        opened.session.extend(REFS)
        assert [opened.session.queue[n].component for n in range(3)] == ["random"] * 3


def test_the_settings_say_whether_a_label_is_a_set(tmp_path: Path) -> None:
    settings = Settings((ClassInfo("ok"), ClassInfo("dusty")), multi_label=True)
    project = ProjectFolder.create(tmp_path / "p", settings)
    with open_session(project, "ann", on_hook_failure=pytest.fail, mode=SessionMode()) as opened:
        assert opened.session.multi
        opened.session.extend(REFS)
        assert opened.session.label("ok|dusty") is not None


def test_a_session_in_memory_learns_from_its_features() -> None:
    X = np.array([[1, 0], [0, 1]] * 3, np.float32)
    session = open_in_memory(REFS, X, ("no", "yes"), annotator="oracle")
    for _ in range(4):
        assert session.current is not None
        session.label("no" if int(session.current.ref[0]) % 2 == 0 else "yes")
        ranking = session.learn()
    assert ranking is not None and ranking.model is not None
    assert (ranking.model.predict_proba(X).argmax(axis=1) == [0, 1] * 3).all()
