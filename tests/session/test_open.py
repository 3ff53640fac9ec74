"""Opening a session on a project: one place for the screens, the API, scripts and simulation."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from annotator.items.ref_table import RefTable
from annotator.project.classes import ClassInfo
from annotator.project.item_pool import Priority, cache_refs, load_refs, write_priorities
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


def test_a_large_pool_is_opened_without_a_string_for_each_item(project: ProjectFolder) -> None:
    items = 100_000
    project.refs_file.write_text("filename\n" + "".join(f"{n}.png\n" for n in range(items)))
    cache_refs(project, RefTable(f"{n}.png" for n in range(items)))
    before = sys.getallocatedblocks()
    with open_session(project, "ann", on_hook_failure=pytest.fail) as opened:
        opened.session.extend(load_refs(project))
        assert opened.session.current is not None
        assert opened.session.progress.items == items
        assert sys.getallocatedblocks() - before < items / 10


def test_what_is_next_is_drawn_from_the_whole_pool_once_it_is_listed(
    project: ProjectFolder,
) -> None:
    with open_session(project, "ann", on_hook_failure=pytest.fail) as opened:
        session = opened.session
        session.extend(REFS[:4], listing=True)
        shown = session.current
        early = session.label("no")
        assert early is not None and early.picked_by == "random"
        assert early.q is None and early.pool is None, "the pool is not known"
        shown = session.current
        session.extend([f"more-{n}.png" for n in range(96)], listing=True)
        session.end_listing()
        assert session.current == shown, "the picture on the screen stays"
        assert session.current_pick is not None and np.isnan(session.current_pick.q)
        assert all(session.queue[place].pool > 90 for place in range(1, len(session.queue)))


def test_a_pool_that_is_listed_at_once_keeps_its_draws(project: ProjectFolder) -> None:
    with open_session(project, "ann", on_hook_failure=pytest.fail) as opened:
        session = opened.session
        session.extend(REFS, listing=True)
        picks = [session.queue[place] for place in range(len(session.queue))]
        session.end_listing()
        assert [session.queue[place] for place in range(len(session.queue))] == picks
        given = session.label("no")
        assert given is not None and given.q == 1 / len(REFS) and given.pool == len(REFS)


def test_a_draw_from_a_part_has_no_propensity_in_the_next_session_either(
    project: ProjectFolder,
) -> None:
    with open_session(project, "ann", on_hook_failure=pytest.fail) as opened:
        opened.session.extend(REFS[:4], listing=True)
        shown = opened.session.current  # and the listing never ends
    with open_session(project, "ann", on_hook_failure=pytest.fail) as opened:
        opened.session.extend(REFS)
        assert opened.session.current == shown
        given = opened.session.label("no")
        assert given is not None and given.q is None and given.picked_by == "random"


def test_a_draw_from_the_whole_pool_keeps_its_propensity_in_the_next_session(
    project: ProjectFolder,
) -> None:
    with open_session(project, "ann", on_hook_failure=pytest.fail) as opened:
        opened.session.extend(REFS, listing=True)
        opened.session.end_listing()
    with open_session(project, "ann", on_hook_failure=pytest.fail) as opened:
        opened.session.extend(REFS)
        given = opened.session.label("no")
        assert given is not None and given.q == 1 / len(REFS) and given.pool == len(REFS)
