"""Several annotators on one log: who is asked what, and what a screen keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

import annotator
from annotator.formats import new_project
from annotator.items.ref_table import RefTable
from annotator.log.store import SqliteStore
from annotator.project.settings import ClassInfo, Settings
from annotator.session.session import LabelSession

CLASSES = ("ok", "defect")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def sitting(tmp_path: Path) -> Callable[..., LabelSession]:
    """A session on one log, by the name of its annotator."""

    def begin(name: str, clock: Clock, items: int = 3, ahead: int = 0) -> LabelSession:
        store = SqliteStore(tmp_path / "labels.db")
        session = LabelSession(store, CLASSES, annotator=name, clock=clock, lease=60.0, ahead=ahead)
        session.extend([f"{n:04}.jpg" for n in range(items)])
        return session

    return begin


def test_a_picture_stays_on_a_screen_that_slept_while_another_was_asked_it(
    sitting: Callable[..., LabelSession],
) -> None:
    clock = Clock()
    ann = sitting("ann", clock)
    on_screen = ann.current
    clock.now += 3600  # the laptop was shut: its leases have run out
    bob = sitting("bob", clock)
    while bob.current is not None and bob.current != on_screen:
        bob.skip()
    assert bob.current == on_screen
    ann.refresh()
    assert ann.current == on_screen
    assert on_screen is not None
    assert ann.label("ok", on_screen.ref) is not None


def test_what_is_on_other_screens_is_no_part_of_the_pool_that_is_drawn_from(
    sitting: Callable[..., LabelSession],
) -> None:
    """Bob's screen holds four of ten items: each of the others is drawn with probability 1/6."""
    clock = Clock()
    sitting("bob", clock, items=10, ahead=3)
    ann = sitting("ann", clock, items=10)
    ann.refresh()
    ann.skip()
    entry = ann.label("ok")
    assert entry is not None
    assert (entry.q, entry.pool) == (pytest.approx(1 / 5), 5)


@pytest.mark.parametrize("pool", [list, RefTable])
def test_labels_of_images_that_have_gone_are_no_part_of_what_is_left(
    tmp_path: Path, pool: Callable[[list[str]], Sequence[str]]
) -> None:
    """Six of ten images are labelled, then deleted: four are left, each drawn with 1 in 4."""
    names = [f"{n:04}.jpg" for n in range(10)]
    before = LabelSession(SqliteStore(tmp_path / "labels.db"), CLASSES, annotator="ann", ahead=0)
    before.extend(names)
    before.decide(dict.fromkeys(names[:6], "ok"), picked_by="page")
    before.close()
    after = LabelSession(SqliteStore(tmp_path / "labels.db"), CLASSES, annotator="bob", ahead=0)
    after.extend(pool(names[6:]))
    assert after.progress.remaining == 4
    assert after.current_pick is not None
    assert (after.current_pick.q, after.current_pick.pool) == (1 / 4, 4)


def test_status_says_what_is_left_after_rows_were_deleted_from_refs_csv(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    refs = tmp_path / "refs.csv"
    refs.write_text("filename,bbox\n" + "".join(f'a.png,"{n},0,1,1"\n' for n in range(5)))
    new_project.create_from_refs(
        tmp_path / "p", refs, Settings(classes=tuple(map(ClassInfo, CLASSES)))
    )
    project = annotator.open(tmp_path / "p")
    with project.session("ann") as session:
        session.decide(dict.fromkeys(list(project.refs)[:3], "ok"))
    own = tmp_path / "p" / "refs.csv"
    header, *rows = own.read_text().splitlines(keepends=True)
    own.write_text(header + "".join(rows[2:]))
    found = project.status()
    assert (found["items"], found["labelled"], found["remaining"]) == (3, 3, 2)
