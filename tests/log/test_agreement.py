"""Agreement is what the textbooks compute, and of labels that were given blind."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from annotator.learn.reliability import cohen_kappa, krippendorff_alpha
from annotator.log.agreement import (
    REPEAT_DISTANCE,
    measure_agreement,
)
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.class_tree import ClassTree
from annotator.session.mode import SessionMode
from annotator.session.session import LabelSession

CLASSES = ("ok", "defect")


def test_krippendorff_alpha_of_the_published_examples() -> None:
    """Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability": B (two observers, binary)
    and C (four observers, nominal, with missing data)."""
    two = ["0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"]
    assert krippendorff_alpha(_units(two)) == pytest.approx(0.095, abs=5e-4)
    four = [
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    ]
    assert krippendorff_alpha(_units(four)) == pytest.approx(0.743, abs=5e-4)


def _units(observers: Iterable[str]) -> list[list[str]]:
    columns = zip(*(row.split() for row in observers), strict=True)
    return [[value for value in column if value != "."] for column in columns]


def test_cohen_kappa_of_a_published_example() -> None:
    """Artstein & Poesio 2008, "Inter-Coder Agreement for Computational Linguistics", example 1."""
    table = {("s", "s"): 20, ("s", "i"): 20, ("i", "s"): 10, ("i", "i"): 50}
    labels = [pair for pair, count in table.items() for _ in range(count)]
    assert cohen_kappa(labels) == pytest.approx(0.348, abs=5e-4)


def test_there_is_nothing_to_agree_on_with_one_class_or_no_item() -> None:
    assert cohen_kappa([]) is None
    assert cohen_kappa([("ok", "ok")] * 5) is None
    assert krippendorff_alpha([["ok", "ok"], ["ok"]]) is None
    assert cohen_kappa([("ok", "defect"), ("defect", "ok")]) == -1


def _log(*rows: tuple[str, str, str, dict[str, object]]) -> LogState:
    return replay(
        Entry(seq, float(seq), who, Action.LABEL, ref, label, **fields)  # type: ignore[arg-type]
        for seq, (who, ref, label, fields) in enumerate(rows, 1)
    )


SECOND: dict[str, object] = {"extra": {"second": True}}


def test_only_labels_given_blind_are_compared() -> None:
    state = _log(
        ("ana", "1", "ok", {}), ("bo", "1", "ok", SECOND),
        ("ana", "2", "ok", {}), ("bo", "2", "defect", SECOND),
        ("ana", "3", "defect", {}), ("bo", "3", "defect", {"q": 0.1}),  # both were asked at once
        ("ana", "4", "ok", {}), ("bo", "4", "defect", {"picked_by": "review"}),
        ("ana", "5", "ok", {}), ("import:csv", "5", "defect", {"picked_by": "import"}),
        ("model:r", "6", "ok", {"extra": {"machine": True}}), ("bo", "6", "defect", SECOND),
    )  # fmt: skip
    found = measure_agreement(state)
    (pair,) = found.pairs
    assert (pair.one, pair.other, pair.items) == ("ana", "bo", 3)
    assert pair.observed == pytest.approx(2 / 3)
    assert found.items == 3
    assert found.repeats == ()


def test_an_opinion_that_was_taken_back_is_not_compared() -> None:
    undo = Entry(3, 3.0, "bo", Action.UNDO, "1", extra={"undoes": 2})
    state = _log(("ana", "1", "ok", {}), ("bo", "1", "ok", SECOND))
    state.apply(undo)
    assert measure_agreement(state).items == 0


def _session(path: Path, repeats: float, items: int = 300) -> LabelSession:
    store = SqliteStore(path / "labels.db")
    mode = SessionMode(repeats=repeats)
    session = LabelSession(store, CLASSES, annotator="ana", ahead=2, mode=mode)
    session.extend([f"{n:04}.jpg" for n in range(items)])
    return session


def _work(session: LabelSession, answers: int) -> list[Entry]:
    written = []
    for _ in range(answers):
        assert session.current is not None
        entry = session.label("ok" if len(written) % 5 else "defect", session.current.ref)
        assert entry is not None
        written.append(entry)
    return written


def test_repeats_come_unannounced_and_change_no_label(tmp_path: Path) -> None:
    session = _session(tmp_path, repeats=0.3)
    written = _work(session, 200)
    repeats = [entry for entry in written if entry.picked_by == "repeat"]
    assert 20 < len(repeats) < 90  # 0.3 of the 150 after the first 50
    firsts = {e.ref: at for at, e in reversed(list(enumerate(written))) if e not in repeats}
    for at, entry in enumerate(written):
        if entry in repeats:
            assert at - firsts[entry.ref] > REPEAT_DISTANCE - 10  # not while it is still remembered
            assert entry.q is None
            assert session.state.label(entry.ref) == written[firsts[entry.ref]].label
    assert len({entry.ref for entry in repeats}) == len(repeats)  # once each
    assert session.progress.labelled == 200 - len(repeats)
    (self_agreement,) = measure_agreement(session.state).repeats
    assert self_agreement.items == len(repeats)


def test_a_repeat_that_is_taken_back_is_asked_again(tmp_path: Path) -> None:
    session = _session(tmp_path, repeats=0.5)
    entry = _work(session, 51)[-1]
    while entry.picked_by != "repeat":
        (entry,) = _work(session, 1)
    session.undo()
    assert session.current is not None
    assert session.current.ref == entry.ref
    (again,) = _work(session, 1)
    assert again.picked_by == "repeat"


def test_there_are_no_repeats_unless_asked_for(tmp_path: Path) -> None:
    written = _work(_session(tmp_path, repeats=0.0), 150)
    assert len({entry.ref for entry in written}) == 150


def test_repeats_end_with_the_pool(tmp_path: Path) -> None:
    session = _session(tmp_path, repeats=0.5, items=80)
    answers = 0
    while session.current is not None:
        _work(session, 1)
        answers += 1
    assert 80 < answers < 160
    assert session.progress.remaining == 0


def test_status_says_who_agrees_with_whom(tmp_path: Path) -> None:
    from annotator.project.project import ProjectFolder
    from annotator.project.settings import ClassInfo, Settings
    from annotator.report.status import format_status, project_status

    classes = tuple(map(ClassInfo, CLASSES))
    project = ProjectFolder.create(tmp_path / "p", Settings(classes=classes))
    project.refs_file.write_text("filename\n" + "\n".join(f"{n}.png" for n in range(8)) + "\n")
    assert "kappa" not in format_status(project_status(project))
    store = SqliteStore(project.labels_file)
    for number, label in enumerate(["ok"] * 4 + ["defect"] * 4):
        other = "ok" if number < 3 or number == 7 else "defect"
        store.append(
            Entry(0, 1.0, "ana", Action.LABEL, f"{number}.png", label),
            Entry(0, 2.0, "bo", Action.LABEL, f"{number}.png", other, extra={"second": True}),
        )
    store.close()
    found = project_status(project)
    (pair,) = found["agreement"]["pairs"]
    assert (pair["one"], pair["other"], pair["items"], pair["kappa"]) == ("ana", "bo", 8, 0.5)
    assert "ana and bo: 75 % of 8 labels equal, Cohen's kappa 0.50" in format_status(found)


def test_a_label_within_another_one_agrees_with_it() -> None:
    entries = [
        Entry(number, float(number), name, Action.LABEL, ref, label, q=0.5, extra=extra)
        for number, (name, ref, label, extra) in enumerate(
            [
                ("ana", "a", "vehicle", None), ("ana", "b", "car", None), ("ana", "c", "cat", None),
                ("bob", "a", "car", {"second": True}), ("bob", "b", "bus", {"second": True}),
                ("bob", "c", "cat", {"second": True}),
            ],
            1,
        )
    ]  # fmt: skip
    tree = ClassTree({"vehicle": None, "car": "vehicle", "bus": "vehicle", "cat": None})
    found = measure_agreement(replay(entries), tree.level_out)
    (pair,) = found.pairs
    assert (pair.items, pair.observed) == (3, pytest.approx(2 / 3))
