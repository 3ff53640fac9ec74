"""Predictions are accepted only where an audit has certified them, and are marked as such."""

from __future__ import annotations

import csv
import io
import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotator.curate.finish import Audit, begin_audit, undo_machine_labels
from annotator.errors import FeatureError, ProjectError
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.learn.ranking import learn
from annotator.log.entries import LogState, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project import item_pool
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.report.status import project_status
from annotator.session import predict
from annotator.session.learner import StrategyChoice, make_snapshot
from annotator.session.mode import SessionMode
from annotator.session.pool_features import PoolFeatures
from annotator.session.session import LabelSession

CLASSES = ("ok", "defect")
ITEMS = 1500


def truth(ref: str) -> str:
    return CLASSES[int(ref[:4]) % 5 == 0]


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    """1,500 items in two clouds that hardly overlap; every fifth is a defect."""
    made = ProjectFolder.create(tmp_path / "p", Settings(tuple(ClassInfo(n) for n in CLASSES)))
    refs = RefTable(f"{n:04}.jpg" for n in range(ITEMS))
    made.refs_file.write_text("filename\n" + "\n".join(refs) + "\n")
    rng = np.random.default_rng(0)
    matrix = rng.normal(0, 0.35, (ITEMS, 8)).astype(np.float32)
    matrix[:, 0] += [1 if truth(ref) == "ok" else -1 for ref in refs]
    np.save(tmp_path / "m.npy", matrix)
    FeatureStore.adopt(made.features_folder, tmp_path / "m.npy", refs)
    return made


def state_of(project: ProjectFolder) -> LogState:
    return replay(SqliteStore(project.labels_file).entries())


def label(project: ProjectFolder, count: int) -> None:
    """An annotator who answers truly, one item in two seconds, with a model that learns."""
    store, clock = SqliteStore(project.labels_file), itertools.count(1_000_000, 2)
    session = LabelSession(store, CLASSES, annotator="ann", clock=lambda: float(next(clock)))
    session.extend(item_pool.load_refs(project))
    session.attach_features(FeatureStore.open(project.features_folder))
    for _ in range(count):
        assert session.current is not None
        session.label(truth(session.current.ref))
        snapshot = session.snapshot()
        assert snapshot is not None
        session.adopt(learn(snapshot, 0))
    session.close()


def answer(project: ProjectFolder, audit: Audit, most: int, wrong: int = 0) -> None:
    """Label what the audit asks for; call the first `wrong` of them the other class."""
    session = LabelSession(
        SqliteStore(project.labels_file),
        CLASSES,
        annotator="ann",
        mode=SessionMode(audit=audit.attempt.name),
    )
    session.extend(audit.refs_to_ask(state_of(project)))
    for number in range(most):
        if session.current is None:
            break
        assert session.prediction is None, "an audit is blind"
        right = truth(session.current.ref)
        session.label(CLASSES[1 - CLASSES.index(right)] if number < wrong else right)
    session.close()


def skip_until_lost(project: ProjectFolder, audit: Audit) -> int:
    """Skip what the audit asks until it cannot succeed any more; how many."""
    session = LabelSession(
        SqliteStore(project.labels_file),
        CLASSES,
        annotator="ann",
        mode=SessionMode(audit=audit.attempt.name),
    )
    session.extend(audit.refs_to_ask(state_of(project)))
    count = 0
    while audit.verdict(state_of(project)).more is not None:
        session.skip()
        count += 1
    session.close()
    return count


def test_a_clean_audit_certifies_and_labels_the_rest(project: ProjectFolder) -> None:
    label(project, 60)
    store = SqliteStore(project.labels_file)
    audit = begin_audit(project, store, max_error=0.02, level=0.95)
    asked = audit.refs_to_ask(state_of(project))
    assert 100 < len(asked) < len(audit.accepted)
    with pytest.raises(ProjectError, match="has not certified"):
        audit.accept(store, state_of(project), 0.0)
    answer(project, audit, most=ITEMS)
    state = state_of(project)
    found = audit.verdict(state)
    assert found.certified
    assert found.bound <= 0.02
    count = audit.accept(store, state, 0.0)
    state = state_of(project)
    machine = {ref: stack[-1] for ref, stack in state.standing.items() if stack[-1].by_machine}
    assert len(machine) == count == len(audit.accepted) - len(asked)
    wrong = sum(entry.label != truth(ref) for ref, entry in machine.items())
    assert wrong <= 0.02 * len(audit.accepted)
    for entry in list(machine.values())[:20]:
        assert entry.model and entry.proba and entry.annotator.startswith("model:")
        assert (entry.extra or {})["max_error"] == 0.02


def test_an_audit_goes_on_on_another_day(project: ProjectFolder) -> None:
    label(project, 60)
    first = begin_audit(project, SqliteStore(project.labels_file), max_error=0.02, level=0.95)
    answer(project, first, most=30)
    again = begin_audit(project, SqliteStore(project.labels_file), max_error=0.02, level=0.95)
    assert again.attempt == first.attempt
    assert list(again.accepted.items()) == list(first.accepted.items())
    assert again.verdict(state_of(project)).audited == 30
    remaining = [
        r for r in again.refs_to_ask(state_of(project)) if state_of(project).label(r) is None
    ]
    assert len(remaining) == again.verdict(state_of(project)).more


def test_a_plan_that_nothing_was_labelled_for_costs_no_confidence(project: ProjectFolder) -> None:
    label(project, 60)
    store = SqliteStore(project.labels_file)
    looked_at = begin_audit(project, store, max_error=0.02, level=0.95, keep=False)
    assert not (project.folder / "finish.json").exists()
    other = begin_audit(project, store, max_error=0.05, level=0.95)
    again = begin_audit(project, store, max_error=0.02, level=0.95)
    assert again.attempt.plan.alpha == other.attempt.plan.alpha == looked_at.attempt.plan.alpha
    answer(project, again, most=5)
    later = begin_audit(project, store, max_error=0.05, level=0.95)
    assert later.attempt.plan.alpha < again.attempt.plan.alpha
    answer(project, later, most=5)
    assert begin_audit(project, store, max_error=0.02, level=0.95).attempt == again.attempt


def test_what_is_labelled_outside_of_an_audit_is_not_waited_for(project: ProjectFolder) -> None:
    label(project, 60)
    audit = begin_audit(project, SqliteStore(project.labels_file), max_error=0.02, level=0.95)
    session = LabelSession(SqliteStore(project.labels_file), CLASSES, annotator="bob")
    session.extend(audit.refs_to_ask(state_of(project))[:20])
    while session.current is not None:
        session.label(truth(session.current.ref))
    session.close()
    answer(project, audit, most=ITEMS)
    assert audit.verdict(state_of(project)).certified


def test_undo_in_an_audit_stops_at_its_beginning(project: ProjectFolder) -> None:
    label(project, 60)
    audit = begin_audit(project, SqliteStore(project.labels_file), max_error=0.02, level=0.95)
    session = LabelSession(
        SqliteStore(project.labels_file),
        CLASSES,
        annotator="ann",
        mode=SessionMode(audit=audit.attempt.name),
    )
    session.extend(audit.refs_to_ask(state_of(project)))
    first = session.current
    session.label("ok")
    assert [entry.label for entry in session.undo()] == ["ok"]
    assert session.current == first
    assert session.undo() == []
    assert sum(state_of(project).counts.values()) == 60


def test_errors_in_the_audit_are_paid_for_with_more_labels_or_refused(
    project: ProjectFolder,
) -> None:
    label(project, 60)
    audit = begin_audit(project, SqliteStore(project.labels_file), max_error=0.02, level=0.95)
    needed = len(audit.refs_to_ask(state_of(project)))
    answer(project, audit, most=10, wrong=1)
    found = audit.verdict(state_of(project))
    assert not found.certified
    assert found.wrong == 1
    assert found.more is None or found.audited + found.more > needed
    skipped = skip_until_lost(project, audit)
    found = audit.verdict(state_of(project))
    assert not found.certified and found.bound > 0.02
    assert found.wrong == skipped + 1
    label(project, 150)
    again = begin_audit(project, SqliteStore(project.labels_file), max_error=0.02, level=0.95)
    assert again.attempt.number == 2, "a lost audit is not gone on with"
    assert again.attempt.plan.alpha < audit.attempt.plan.alpha, "a second try costs confidence"


def test_a_skipped_item_counts_as_wrong(project: ProjectFolder) -> None:
    label(project, 60)
    audit = begin_audit(project, SqliteStore(project.labels_file), max_error=0.02, level=0.95)
    session = LabelSession(
        SqliteStore(project.labels_file),
        CLASSES,
        annotator="ann",
        mode=SessionMode(audit=audit.attempt.name),
    )
    session.extend(audit.refs_to_ask(state_of(project)))
    session.skip()
    assert audit.verdict(state_of(project)).wrong == 1


def test_the_model_does_not_learn_from_its_own_labels(project: ProjectFolder) -> None:
    label(project, 60)
    store = SqliteStore(project.labels_file)
    audit = begin_audit(project, store, max_error=0.02, level=0.95)
    answer(project, audit, most=ITEMS)
    audit.accept(store, state_of(project), 0.0)
    state = state_of(project)
    people = sum(not stack[-1].by_machine for stack in state.standing.values())
    refs = item_pool.load_refs(project)
    features = PoolFeatures(FeatureStore.open(project.features_folder), refs)
    snapshot = make_snapshot(features, state, CLASSES, StrategyChoice("random"), refs.rows)
    assert len(snapshot.rows) == people


def test_labels_of_the_model_are_neither_shown_items_nor_anybodys_pace(
    project: ProjectFolder,
) -> None:
    label(project, 60)
    audit = begin_audit(project, SqliteStore(project.labels_file), max_error=0.02, level=0.95)
    answer(project, audit, most=ITEMS)
    store = SqliteStore(project.labels_file)
    shown = len(LabelSession(store, CLASSES, annotator="ann").prequential)
    pace = project_status(project)["seconds_per_label"]
    audit.accept(store, state_of(project), 0.0)
    assert len(LabelSession(store, CLASSES, annotator="ann").prequential) == shown > 0
    assert project_status(project)["seconds_per_label"] == pace > 0


def test_what_was_accepted_stays_a_part_of_the_pool_whose_error_is_estimated(
    project: ProjectFolder,
) -> None:
    def estimated() -> tuple[float, float, float]:
        refs, state = item_pool.load_refs(project), state_of(project)
        features = PoolFeatures(FeatureStore.open(project.features_folder), refs)
        snapshot = make_snapshot(features, state, CLASSES, StrategyChoice("random"), refs.rows)
        open_ = np.array([state.label(ref) is None for ref in refs])
        found = learn(replace(snapshot, closed=~open_), 0)
        assert found.model is not None and found.estimate is not None
        said = found.model.predict_proba(features.store.matrix).argmax(axis=1)
        wrong = np.array([CLASSES[c] != truth(ref) for c, ref in zip(said, refs, strict=True)])
        return found.estimate.error, wrong.mean(), wrong[open_].mean()

    matrix = np.load(project.folder.parent / "m.npy")  # the same items, harder to tell apart
    matrix += np.random.default_rng(1).normal(0, 0.5, matrix.shape)
    np.save(project.folder.parent / "m.npy", matrix.astype(np.float32))
    refs = item_pool.load_refs(project)
    FeatureStore.adopt(project.features_folder, project.folder.parent / "m.npy", refs)
    label(project, 100)
    store = SqliteStore(project.labels_file)
    audit = begin_audit(project, store, max_error=0.05, level=0.95)
    answer(project, audit, most=ITEMS)
    assert audit.verdict(state_of(project)).certified
    before = estimated()
    audit.accept(store, state_of(project), 0.0)
    after = estimated()
    assert after[2] > 2 * after[1], "what is left is the hard part"
    assert abs(after[0] - after[1]) < abs(after[0] - after[2])
    assert abs(after[0] - before[0]) < 0.02


def test_machine_labels_can_all_be_taken_back(project: ProjectFolder) -> None:
    label(project, 60)
    store = SqliteStore(project.labels_file)
    audit = begin_audit(project, store, max_error=0.02, level=0.95)
    answer(project, audit, most=ITEMS)
    before = dict(state_of(project).counts)
    count = audit.accept(store, state_of(project), 0.0)
    assert undo_machine_labels(store, state_of(project), "ann", 0.0) == count
    assert {k: v for k, v in state_of(project).counts.items() if v} == before


def test_what_cannot_be_certified_is_said_with_the_remedy(project: ProjectFolder) -> None:
    with pytest.raises(ProjectError, match="Label at least 2"):
        begin_audit(project, SqliteStore(project.labels_file), max_error=0.02, level=0.95)
    label(project, 12)
    with pytest.raises(ProjectError, match="allow a larger error") as refused:
        begin_audit(project, SqliteStore(project.labels_file), max_error=0.0001, level=0.95)
    offered = re.search(r"--max-error (\S+) would accept ([\d,]+)", str(refused.value))
    assert offered is not None
    looser = float(offered[1])
    plan = begin_audit(
        project, SqliteStore(project.labels_file), max_error=looser, level=0.95
    ).attempt
    assert f"{plan.plan.size:,}" == offered[2], "what was offered can be had"


def test_a_pool_smaller_than_any_audit_is_to_be_labelled_whole(project: ProjectFolder) -> None:
    label(project, 60)
    store = SqliteStore(project.labels_file)
    session = LabelSession(store, CLASSES, annotator="ann")
    session.extend(item_pool.load_refs(project))
    rest = [ref for ref in item_pool.load_refs(project) if state_of(project).label(ref) is None]
    session.decide({ref: truth(ref) for ref in rest[:-40]}, picked_by="page")
    session.close()
    with pytest.raises(
        ProjectError, match=r"takes 40 labels\.\n  Label all 40 items: annotator run"
    ):
        begin_audit(project, store, max_error=0.01, level=0.95)


def test_other_features_under_an_audit_are_noticed(project: ProjectFolder, tmp_path: Path) -> None:
    label(project, 60)
    audit = begin_audit(project, SqliteStore(project.labels_file), max_error=0.02, level=0.95)
    answer(project, audit, most=3)
    rng = np.random.default_rng(5)
    np.save(tmp_path / "m.npy", rng.normal(size=(ITEMS, 8)).astype(np.float32))
    refs = item_pool.load_refs(project)
    FeatureStore.adopt(project.features_folder, tmp_path / "m.npy", refs)
    with pytest.raises(ProjectError, match="changed since the audit"):
        begin_audit(project, SqliteStore(project.labels_file), max_error=0.02, level=0.95)


def test_predict_writes_every_unlabelled_item_with_probabilities(project: ProjectFolder) -> None:
    label(project, 60)
    state = state_of(project)
    text = b"".join(predict.predictions_csv(project, state)).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == ITEMS - 60
    assert not {row["ref"] for row in rows} & set(state.standing)
    right = np.mean([row["label"] == truth(row["ref"]) for row in rows])
    assert right > 0.9
    for row in rows[:50]:
        assert float(row["p(ok)"]) + float(row["p(defect)"]) == pytest.approx(1, abs=2e-4)
        assert float(row["probability"]) == max(float(row["p(ok)"]), float(row["p(defect)"]))


def test_predict_without_features_names_the_command(tmp_path: Path) -> None:
    made = ProjectFolder.create(tmp_path / "p", Settings((ClassInfo("a"), ClassInfo("b"))))
    made.refs_file.write_text("filename\na.jpg\n")
    with pytest.raises(FeatureError, match="annotator features"):
        list(predict.predictions_csv(made, LogState()))
