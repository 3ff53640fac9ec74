"""Labelling by scripts: commands and Python sessions ask what the newest model picks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import annotator
from annotator.cli.app import app
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.log.entries import Entry
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.session.learner import StrategyChoice
from annotator.session.open import open_in_memory
from annotator.simulate.metrics import accuracy_score
from annotator.simulate.options import SimulateOptions, SimulationJob
from annotator.simulate.oracle import simulate_run
from annotator.simulate.task import SimulationTask, load_truth, make_task

STRATEGY = "herding-mix"


def make_project(
    folder: Path, refs: list[str], X: NDArray[np.floating], classes: tuple[str, ...], seed: int = 0
) -> ProjectFolder:
    infos = tuple(ClassInfo(name) for name in classes)
    settings = Settings(classes=infos, images=str(folder), seed=seed, strategy=STRATEGY)
    project = ProjectFolder.create(folder / "p", settings)
    (folder / "p" / "refs.csv").write_text("ref\n" + "\n".join(refs) + "\n")
    np.save(folder / "mine.npy", X)
    FeatureStore.adopt(project.features_folder, folder / "mine.npy", RefTable(refs))
    return project


def run(*words: object) -> str:
    """Run a command in this process: 50 labels are 100 commands."""
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def label_by_commands(project: ProjectFolder, truth: dict[str, str], count: int) -> list[Entry]:
    for _ in range(count):
        (ref,) = run("next", project.folder, "--annotator", "bot").split()
        run("answer", project.folder, ref, truth[ref], "--annotator", "bot")
    return list(annotator.open(project.folder).log())


@pytest.fixture
def clouds(tmp_path: Path) -> tuple[ProjectFolder, dict[str, str]]:
    """A project of 120 items in three clouds, and its truth."""
    rng = np.random.default_rng(1)
    classes = ("a", "b", "c")
    y = np.arange(120) % 3
    X = rng.normal(0, 0.4, (120, 8))
    X[np.arange(120), y] += 1
    refs = [f"{row:03}.png" for row in range(120)]
    truth = {ref: classes[k] for ref, k in zip(refs, y.tolist(), strict=True)}
    return make_project(tmp_path, refs, X.astype(np.float32), classes), truth


Clouds = tuple[ProjectFolder, dict[str, str]]


def test_next_and_answer_ask_by_the_strategy(clouds: Clouds) -> None:
    rows = label_by_commands(*clouds, 12)
    assert all(row.picked_by and row.picked_by != "api" for row in rows)
    assert [row for row in rows if row.picked_by != "random"]
    assert all(row.proba and row.model for row in rows[1:])  # said before the answer was known


def test_each_item_of_next_is_picked_with_all_labels_so_far(clouds: Clouds) -> None:
    """The same labels in one Python session and in commands ask for the same kinds of picks."""
    project, truth = clouds
    picked = {row.picked_by for row in label_by_commands(project, truth, 20)}
    assert picked - {"random"}, picked


def test_a_new_annotator_gets_picks_of_the_model_at_once(clouds: Clouds) -> None:
    project, truth = clouds
    label_by_commands(project, truth, 10)
    lines = run("next", project.folder, "-n", 10, "--json", "--annotator", "new").splitlines()
    items = [json.loads(line) for line in lines]
    assert len(items) == 10 and all(item["prediction"] for item in items)
    assert {item["picked_by"] for item in items} - {"random"}


def test_next_prints_what_it_printed_and_leases_nothing_else(clouds: Clouds) -> None:
    project, truth = clouds
    first = run("next", project.folder, "-n", 4, "--annotator", "bot").split()
    assert run("next", project.folder, "-n", 4, "--annotator", "bot").split() == first
    assert run("next", project.folder, "-n", 2, "--annotator", "bot").split() == first[:2]
    run("answer", project.folder, first[2], truth[first[2]], "--annotator", "bot")
    again = run("next", project.folder, "-n", 6, "--annotator", "bot").split()
    assert again[:3] == [first[0], first[1], first[3]] and len(set(again)) == 6
    with annotator.open(project.folder).session(annotator="other") as session:
        assert session.progress.elsewhere == 6  # what was printed, and no more


def test_an_answer_asks_for_nothing(clouds: Clouds) -> None:
    project, truth = clouds
    run("answer", project.folder, "007.png", truth["007.png"], "--annotator", "bot")
    with annotator.open(project.folder).session(annotator="other") as session:
        assert session.progress.elsewhere == 0


def test_a_python_session_runs_behind_only_as_far_as_it_looks_ahead(clouds: Clouds) -> None:
    project, truth = clouds
    with annotator.open(project.folder).session(annotator="bot") as session:
        for _ in range(6):
            assert session.current is not None
            session.label(truth[session.current.ref])
        models = [row.model for row in annotator.open(project.folder).log()]
        assert len(set(models)) == len(models)  # a model of its own for each item
        ahead = session.upcoming(3)
        assert len(ahead) == 3 and session.current not in ahead
        session.label(truth[session.current.ref])
        assert session.current == ahead[0] and session.upcoming(2) == ahead[1:]


def test_without_learning_a_python_session_asks_at_random(clouds: Clouds) -> None:
    project, truth = clouds
    with annotator.open(project.folder).session(annotator="bot", learn=False) as session:
        for _ in range(5):
            assert session.current is not None
            session.label(truth[session.current.ref])
    assert {row.picked_by for row in annotator.open(project.folder).log()} == {"random"}


def area(task: SimulationTask, truth: dict[str, str], rows: list[Entry]) -> float:
    """The mean accuracy on unseen items after every tenth label."""
    session = open_in_memory(
        task.refs, task.X, task.classes, annotator="judge", strategy=StrategyChoice("random")
    )
    values = []
    for first in range(0, len(rows), 10):
        tenth = {row.ref: str(row.label) for row in rows[first : first + 10]}
        session.decide(dict(tenth), picked_by="test")
        ranking = session.learn()
        assert ranking is not None and ranking.model is not None
        assert all(truth[ref] == label for ref, label in tenth.items())
        values.append(accuracy_score(ranking.model.predict_proba(task.unseen), task.unseen_y))
    return float(np.mean(values))


def test_commands_reach_what_simulate_promises(shared: Path, tmp_path: Path) -> None:
    flowers = shared / "data" / "flowers"
    options = SimulateOptions(
        truth=flowers / "truth.csv", features=flowers / "features.npy", budget=50,
        strategies=(STRATEGY,), seeds=(0, 1),
    )  # fmt: skip
    scripts, simulated = [], []
    for seed in range(2):
        task = make_task(*load_truth(options), options, seed)
        (tmp_path / str(seed)).mkdir()
        project = make_project(tmp_path / str(seed), list(task.refs), task.X, task.classes, seed)
        truth = {ref: task.classes[y] for ref, y in zip(task.refs, task.y.tolist(), strict=True)}
        scripts.append(area(task, truth, label_by_commands(project, truth, options.budget)))
        job = SimulationJob(STRATEGY, options.estimators[0], seed)
        simulated.append(np.mean(simulate_run(task, job, options)["value"]))
    assert np.mean(scripts) > 0.98 * np.mean(simulated), (scripts, simulated)
