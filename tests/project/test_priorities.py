"""Items that are asked before any that the query strategy picks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from annotator.errors import RefError
from annotator.log.store.sqlite import SqliteStore
from annotator.project.clusters import read_clusters
from annotator.project.item_pool import Priority, read_priorities, write_priorities
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.session.session import LabelSession

REFS = [f"{number:02}.jpg" for number in range(30)]


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    classes = (ClassInfo("no"), ClassInfo("yes"))
    return ProjectFolder.create(tmp_path / "p", Settings(classes))


def _session(project: ProjectFolder) -> LabelSession:
    return LabelSession(
        SqliteStore(project.labels_file), ("no", "yes"), annotator="ann", ahead=3,
        priorities=read_priorities(project),
    )  # fmt: skip


def _asked(session: LabelSession, count: int) -> list[str]:
    asked = []
    for _ in range(count):
        assert session.current is not None
        asked.append(session.current.ref)
        session.label("yes")
    return asked


@pytest.mark.parametrize("read", [read_priorities, read_clusters])
@pytest.mark.parametrize(
    "table", ["ref,1,x\na.jpg,1,x\nm\u00e4rz.jpg,1,x\n".encode("latin1"),
              b"ref,1,x\na.jpg,1,x\n" + b"b" * 200_000 + b",1,x\n"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named_with_its_line(
    project: ProjectFolder, read: Callable[[ProjectFolder], object], table: bytes
) -> None:
    for name in ("first.csv", "clusters.csv"):
        (project.folder / name).write_bytes(table)
    with pytest.raises(RefError, match=r"(first|clusters)\.csv, line 3: "):
        read(project)


def test_they_come_in_their_order_and_then_the_others(project: ProjectFolder) -> None:
    first = ["20.jpg", "05.jpg", "11.jpg"]
    write_priorities(
        project, [Priority(ref, "disagreement") for ref in first], replace="disagreement"
    )
    session = _session(project)
    session.extend(REFS[:10])
    session.extend(REFS[10:])
    asked = _asked(session, 30)
    assert sorted(asked) == REFS
    # The first batch fills the queue before the rest is listed; the order holds from then on.
    assert asked[0] == "05.jpg"
    assert asked.index("20.jpg") < asked.index("11.jpg") < 6


def test_a_restart_asks_those_that_are_left(project: ProjectFolder) -> None:
    write_priorities(project, [Priority(ref, "cluster") for ref in REFS[:6]], replace="cluster")
    session = _session(project)
    session.extend(REFS)
    assert _asked(session, 4) == REFS[:4]
    session.close()
    again = _session(project)
    again.extend(REFS)
    assert _asked(again, 2) == REFS[4:6]
    assert again.current is not None


def test_their_labels_say_why_and_carry_no_propensity(project: ProjectFolder) -> None:
    write_priorities(project, [Priority("07.jpg", "disagreement")], replace="disagreement")
    session = _session(project)
    session.extend(REFS)
    entry = session.label("no")
    assert entry is not None
    assert (entry.ref, entry.picked_by, entry.q) == ("07.jpg", "disagreement", None)


def test_one_reason_replaces_only_its_own(project: ProjectFolder) -> None:
    write_priorities(
        project, [Priority("a.jpg", "cluster"), Priority("b.jpg", "cluster")], replace="cluster"
    )
    write_priorities(project, [Priority("b.jpg", "disagreement")], replace="disagreement")
    assert read_priorities(project) == [
        Priority("b.jpg", "disagreement"),
        Priority("a.jpg", "cluster"),
    ]
    write_priorities(project, [], replace="cluster")
    assert read_priorities(project) == [Priority("b.jpg", "disagreement")]


def test_items_that_are_gone_are_passed_over(project: ProjectFolder) -> None:
    write_priorities(
        project, [Priority("gone.jpg", "cluster"), Priority("03.jpg", "cluster")], replace=""
    )
    session = _session(project)
    session.extend(REFS)
    assert _asked(session, 1) == ["03.jpg"]
