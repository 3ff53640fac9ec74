"""The price list of audits, and the rare classes that a certificate lets a model lose."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import annotator
from annotator.cli.app import app
from annotator.curate.finish import begin_audit
from annotator.errors import ProjectError
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.log.entries import replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.session.mode import SessionMode
from annotator.session.price_list import AuditOffer, offer_line
from annotator.session.session import LabelSession


@dataclass(frozen=True)
class Labelled:
    """A project with some labels, and the truth of all items."""

    project: ProjectFolder
    truth: dict[str, str]

    @property
    def store(self) -> SqliteStore:
        return SqliteStore(self.project.labels_file)


def make_labelled(
    folder: Path, X: NDArray[np.floating], labels: list[str], count: int, classes: tuple[str, ...]
) -> Labelled:
    """A project with these features; `count` random items are labelled, drawn at random."""
    made = make_pool(folder, X, labels, classes)
    with annotator.open(made.project.folder).session(annotator="ann") as session:
        for _ in range(count):
            assert session.current is not None
            session.label(made.truth[session.current.ref])
    return made


def make_pool(
    folder: Path, X: NDArray[np.floating], labels: list[str], classes: tuple[str, ...]
) -> Labelled:
    """A project with these features, without a label."""
    settings = Settings(tuple(ClassInfo(name) for name in classes), strategy="random")
    project = ProjectFolder.create(folder / "p", settings)
    refs = [f"{n:05}.jpg" for n in range(len(X))]
    project.refs_file.write_text("filename\n" + "\n".join(refs) + "\n")
    np.save(folder / "m.npy", X)
    FeatureStore.adopt(project.features_folder, folder / "m.npy", RefTable(refs))
    return Labelled(project, dict(zip(refs, labels, strict=True)))


@pytest.fixture
def tiles(shared: Path, tmp_path: Path) -> Labelled:
    """Magnetic tiles with 200 labels: 57 of 1,344 are cracks."""
    folder = shared / "data" / "magnetic-tile"
    labels = load_labels(folder / "truth.csv")
    X = np.load(folder / "features.npy")
    return make_labelled(tmp_path, X, labels, 200, tuple(sorted(set(labels))))


@pytest.fixture
def clouds(tmp_path: Path) -> Labelled:
    """600 items in two clouds that overlap a little; the class `never` has no label."""
    rng = np.random.default_rng(0)
    labels = ["ok" if n % 5 else "defect" for n in range(600)]
    X = rng.normal(0, 0.35, (600, 8)).astype(np.float32)
    X[:, 0] += np.where(np.array(labels) == "ok", 1, -1)
    return make_labelled(tmp_path, X, labels, 60, ("ok", "defect", "never"))


def load_labels(file: Path) -> list[str]:
    with file.open() as lines:
        return [row["label"] for row in csv.DictReader(lines)]


def plan_json(labelled: Labelled, *options: str) -> tuple[int, dict]:  # type: ignore[type-arg]
    words = ["finish", str(labelled.project.folder), "--plan", "--json", *options]
    result = CliRunner().invoke(app, words)
    return result.exit_code, json.loads(result.stdout)


def test_the_price_list_has_each_error_and_more_is_spared_where_more_is_allowed(
    clouds: Labelled,
) -> None:
    code, found = plan_json(clouds, "--max-error", "0.03")
    offers = {offer["max_error"]: offer for offer in found["offers"]}
    assert code == 0 and list(offers) == [0.01, 0.02, 0.03, 0.05, 0.1]
    spared = [offer["spared"] for offer in offers.values()]
    assert spared == sorted(spared) and spared[-1] > 300
    for offer in offers.values():
        assert offer["items"] == offer["audited"] + offer["spared"]
    chosen = offers[0.03]
    audit = begin_audit(clouds.project, clouds.store, max_error=0.03, level=0.95)
    assert (audit.attempt.plan.size, audit.attempt.plan.expected_audit) == (
        chosen["items"], chosen["audited"],
    )  # fmt: skip


def test_what_is_not_worthwhile_is_refused_and_the_price_list_says_what_is(
    tiles: Labelled,
) -> None:
    code, found = plan_json(tiles, "--max-error", "0.002")
    offers = {offer["max_error"]: offer["spared"] for offer in found["offers"]}
    assert code == 1 and "not worthwhile" in found["refused"]
    assert offers[0.002] == 0 < offers[0.1]
    with pytest.raises(ProjectError, match="not worthwhile") as refused:
        begin_audit(tiles.project, tiles.store, max_error=0.002, level=0.95)
    assert "--max-error" in str(refused.value) and "annotator run" in str(refused.value)


def test_rare_classes_are_named_with_the_number_that_they_may_lose(tiles: Labelled) -> None:
    audit = begin_audit(tiles.project, tiles.store, max_error=0.1, level=0.95)
    risks = {risk.name: risk for risk in audit.risks}
    assert {"crack", "break", "fray"} <= set(risks) and "free" not in risks
    state = replay(tiles.store.entries())
    for name, risk in risks.items():
        if state.counts[name] < 5:
            continue  # too few labels for any estimate
        open_ = [r for r, y in tiles.truth.items() if y == name and state.label(r) is None]
        lost = sum(r in audit.accepted and audit.accepted[r][0] != name for r in open_)
        assert risk.items is not None and risk.lost is not None
        assert abs(risk.items - len(open_)) <= 5 + 0.5 * len(open_), name
        assert abs(risk.lost - lost) <= 4 + 0.35 * len(open_), name
        assert risk.lost <= risk.items and risk.most <= 0.1 * len(audit.accepted)


def test_a_class_without_a_label_is_named(clouds: Labelled) -> None:
    _, found = plan_json(clouds, "--max-error", "0.05")
    assert [risk["name"] for risk in found["at_risk"]] == ["never"]
    words = ["finish", str(clouds.project.folder), "--plan", "--max-error", "0.05"]
    assert "No label of never yet" in CliRunner().invoke(app, words).stdout


def test_a_class_that_has_labels_in_sets_only_is_not_called_unlabelled(clouds: Labelled) -> None:
    toml = clouds.project.folder / "annotator.toml"
    toml.write_text("multi_label = true\n" + toml.read_text())
    audit = begin_audit(
        ProjectFolder.open(clouds.project.folder), clouds.store, max_error=0.05, level=0.95
    )
    assert [risk.name for risk in audit.risks] == ["never"]
    with annotator.open(clouds.project.folder).session(annotator="ann") as session:
        for _ in range(3):
            session.label("ok|never")
    audit = begin_audit(
        ProjectFolder.open(clouds.project.folder), clouds.store, max_error=0.1, level=0.95
    )
    assert not [risk.name for risk in audit.risks if risk.items is None]


def test_an_audit_that_is_given_up_asks_nothing_more_and_an_undo_resumes_it(
    clouds: Labelled,
) -> None:
    audit = begin_audit(clouds.project, clouds.store, max_error=0.05, level=0.95)
    mode = SessionMode(audit.attempt.name, is_lost=audit.is_lost)
    session = LabelSession(clouds.store, ("ok", "defect", "never"), annotator="ann", mode=mode)
    asked = audit.refs_to_ask(replay(clouds.store.entries()))
    session.extend(asked)
    count = 0
    while session.current is not None:
        session.label("never")
        count += 1
    assert session.lost and 1 <= count < len(asked) / 2
    assert audit.verdict(session.state).more is None
    session.undo()
    assert not session.lost and session.current is not None
    right = clouds.truth[session.current.ref]
    session.label(right)
    assert not session.lost and session.current is not None
    session.close()


@pytest.mark.parametrize(("labels", "words"), [(10, "20 s"), (60, "2 min"), (30_000, "16.7 h")])
def test_the_times_of_an_offer_are_written_as_on_the_screens(labels: int, words: str) -> None:
    line = offer_line(AuditOffer(0.05, 40_000, 10, labels, left=60), 2.0)
    assert "60 labels for you, 10 of them audited, 2 min; " in line
    assert f"{labels:,} spared ({words})" in line
