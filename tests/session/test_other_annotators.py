"""Several annotators on one log: who is asked what, and what a screen keeps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

import annotator
from annotator.formats import new_project
from annotator.items.ref_table import RefTable
from annotator.log.store.sqlite import SqliteStore
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


@pytest.mark.parametrize("looks", [False, True], ids=["at once", "after a look at the log"])
@pytest.mark.parametrize("skips", [False, True])
def test_a_screen_that_slept_does_not_replace_the_label_given_meanwhile(
    sitting: Callable[..., LabelSession], looks: bool, skips: bool
) -> None:
    clock = Clock()
    ann = sitting("ann", clock)
    on_screen = ann.current
    assert on_screen is not None
    clock.now += 3600
    bob = sitting("bob", clock)
    while bob.current != on_screen:
        bob.skip()
    bob.label("defect")
    if looks:
        ann.refresh()
    taken = ann.skip(on_screen.ref) if skips else ann.label("ok", on_screen.ref)
    assert taken is None
    assert [(late.annotator, late.label) for late in ann.beaten_by] == [("bob", "defect")]
    assert ann.state.label(on_screen.ref) == "defect"
    assert ann.current != on_screen
    assert len(ann.state.standing[on_screen.ref]) == 1


def test_what_was_taken_back_meanwhile_can_be_answered(
    sitting: Callable[..., LabelSession],
) -> None:
    clock = Clock()
    ann = sitting("ann", clock, items=1)
    clock.now += 3600
    bob = sitting("bob", clock, items=1)
    bob.label("defect")
    bob.undo()
    assert ann.label("ok") is not None
    assert ann.beaten_by == []


def test_of_many_answers_only_those_to_open_items_are_taken(
    sitting: Callable[..., LabelSession],
) -> None:
    clock = Clock()
    ann, bob = sitting("ann", clock, items=5), sitting("bob", clock, items=5)
    refs = [f"{n:04}.jpg" for n in range(4)]
    bob.decide({refs[0]: "defect", refs[2]: "ok"}, picked_by="page")
    written = ann.decide(dict.fromkeys(refs, "ok"), picked_by="page", only_open=refs)
    assert [entry.ref for entry in written] == [refs[1], refs[3]]
    assert [late.ref for late in ann.beaten_by] == [refs[0], refs[2]]
    assert ann.state.label(refs[0]) == "defect"
    again = ann.decide({refs[0]: "ok"}, picked_by="review")
    assert len(again) == 1
    assert ann.beaten_by == []


_ANSWERS = """
import sys, time
import annotator
session = annotator.open(sys.argv[1]).session(sys.argv[2], learn=False)
print("ready", flush=True)
input()
for number in range(60):
    ref = f"{number:02}.png"
    if not session._scripted.session.is_answered(ref):
        session._scripted.session.decide({ref: "ok"}, picked_by="api", only_open=[ref])
"""


def test_two_processes_that_answer_the_same_items_at_once_never_both_are_taken(
    tmp_path: Path,
) -> None:
    (tmp_path / "im").mkdir()
    for number in range(60):
        Image.new("RGB", (8, 8)).save(tmp_path / "im" / f"{number:02}.png")
    new_project.create_from_folder(
        tmp_path / "p", tmp_path / "im", Settings(classes=tuple(map(ClassInfo, CLASSES)))
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _ANSWERS, str(tmp_path / "p"), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in ("ann", "bob", "cid")
    ]  # fmt: skip
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
    for child in children:
        child.communicate(timeout=60)
    assert [child.returncode for child in children] == [0, 0, 0]
    refs = [entry.ref for entry in annotator.open(tmp_path / "p").log()]
    assert len(refs) == len(set(refs)) == 60


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
