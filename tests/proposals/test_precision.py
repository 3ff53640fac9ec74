"""Proposals judged by labels: what a label says, what is accepted, how precise a model is."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from annotator.cli.app import app
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.proposals import iter_accepted_boxes, judge_proposal, open_proposal_project
from annotator.proposals.precision import (
    describe_threshold,
    estimate_precision_above,
    measure_precision,
    suggest_threshold,
    wilson_interval,
)
from annotator.proposals.verdicts import proposal_probabilities
from tests.proposals.made_proposals import label, photos, proposal, state_of, write


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    return open_proposal_project(photos(tmp_path / "photos"))


@pytest.mark.parametrize(
    ("given_label", "name", "right"),
    [
        ("yes", "cat", True), ("positive", "cat", True), ("cat", "cat", True),
        ("no", None, False), ("none", None, False), ("negative", None, False),
        ("dog", "dog", False),
    ],
)  # fmt: skip
def test_what_a_label_says(given_label: str, name: str | None, right: bool) -> None:
    assert judge_proposal(given_label, "cat") == (name, right)


@given(st.floats(0, 1), st.sampled_from([("no", "yes"), ("cat", "dog", "none"), ("cat", "dog")]))
def test_the_prediction_before_a_model_is_a_distribution(score: float, classes: tuple[str]) -> None:
    said = proposal_probabilities("cat", score, classes)
    assert said is not None
    assert sum(said.values()) == pytest.approx(1)
    assert said["cat" if "cat" in classes else "yes"] == pytest.approx(score)


def test_a_name_that_is_no_class_predicts_nothing() -> None:
    assert proposal_probabilities("horse", 0.9, ("cat", "dog")) is None


def test_accepted_boxes_have_class_score_and_provenance(project: ProjectFolder) -> None:
    write(project, proposal(10), proposal(60), proposal(110, 0.7), proposal(150))
    refs = list(load_refs(project))
    label(project, {refs[0]: "yes", refs[1]: "no", refs[3]: "dog"})
    label(project, {refs[2]: "yes"}, extra={"machine": True})
    found = {one.ref: one for one in iter_accepted_boxes(project, state_of(project))}
    assert {ref: one.name for ref, one in found.items()} == {
        refs[0]: "cat", refs[2]: "cat", refs[3]: "dog",
    }  # fmt: skip
    assert found[refs[0]].provenance["model"] == "m"
    assert found[refs[0]].provenance["annotator"] == "ann"
    assert found[refs[3]].provenance["proposed"] == "cat"
    assert found[refs[2]].provenance["machine"] is True
    assert "machine" not in found[refs[0]].provenance


def test_an_item_with_several_proposals_is_accepted_once_with_the_best(
    project: ProjectFolder,
) -> None:
    write(project, proposal(10, 0.6, model="first"))
    write(project, proposal(11, 0.9, model="second"))
    (ref,) = load_refs(project)
    label(project, {ref: "yes"})
    (one,) = iter_accepted_boxes(project, state_of(project))
    assert (one.score, one.provenance["model"]) == (0.9, "second")


def population(seed: int, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and which proposals are right: the more likely, the higher the score."""
    rng = np.random.default_rng(seed)
    scores = rng.random(n)
    return scores, rng.random(n) < scores


def test_with_every_label_the_precision_is_exact() -> None:
    scores, right = population(0, 500)
    found = estimate_precision_above(scores, np.ones(500, bool), right, 0.5)
    assert found is not None
    above = scores >= 0.5
    assert found.precision == pytest.approx(right[above].mean())
    assert found.low == pytest.approx(found.high)


def test_labels_at_random_give_wilsons_interval() -> None:
    scores, right = population(1, 100_000)
    labelled = np.zeros(len(scores), bool)
    labelled[np.random.default_rng(2).choice(len(scores), 90, replace=False)] = True
    found = estimate_precision_above(scores, labelled, right, 0.9)  # nine labels: a single stratum
    assert found is not None and found.labelled < 20
    hits, n = found.right, found.labelled
    low, high = wilson_interval(hits / n, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-3)


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    # 15 of 20: Agresti & Coull's own formula, (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n).
    low, high = wilson_interval(0.75, 20)
    z, p, n = 1.959964, 0.75, 20
    root = z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    assert low == pytest.approx((p + z * z / (2 * n) - root) / (1 + z * z / n), abs=1e-6)
    assert high == pytest.approx((p + z * z / (2 * n) + root) / (1 + z * z / n), abs=1e-6)


@pytest.mark.parametrize("most_doubtful_first", [False, True])
def test_intervals_hold_the_truth_whatever_scores_were_labelled_first(
    most_doubtful_first: bool,
) -> None:
    """Labels that favour low scores would pull a plain mean far down."""
    rng = np.random.default_rng(3)
    held, plain = 0, 0
    for seed in range(200):
        scores, right = population(seed)
        odds = np.where(scores < 0.7, 8.0, 1.0) if most_doubtful_first else np.ones(len(scores))
        labelled = np.zeros(len(scores), bool)
        labelled[rng.choice(len(scores), 300, replace=False, p=odds / odds.sum())] = True
        truth = right[scores >= 0.5].mean()
        found = estimate_precision_above(scores, labelled, right, 0.5)
        assert found is not None
        held += found.low <= truth <= found.high
        seen = right[(scores >= 0.5) & labelled]
        low, high = wilson_interval(float(seen.mean()), len(seen))
        plain += low <= truth <= high
    assert held >= 180  # 95 % of 200, less what chance takes
    if most_doubtful_first:
        assert plain < 100  # a plain mean of the labels misleads here


def test_the_suggested_threshold_keeps_what_was_wanted() -> None:
    scores, right = population(4, 20_000)
    labelled = np.random.default_rng(5).random(20_000) < 0.1
    found = suggest_threshold(scores, labelled, right, 0.9, float(right.sum()))
    assert found is not None
    assert right[scores >= found.threshold].mean() == pytest.approx(0.9, abs=0.04)
    assert found.low <= right[scores >= found.threshold].mean() <= found.high
    share = right[scores >= found.threshold].sum() / right.sum()
    assert found.kept == pytest.approx(share, abs=0.05)


def test_the_threshold_that_is_said_is_the_one_that_was_estimated() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(400)
    right = scores > 0.59768
    found = suggest_threshold(scores, np.ones(400, bool), right, 0.95, float(right.sum()))
    assert found is not None
    said = re.match(r"at score ≥ (\S+) precision is (\S+) ", describe_threshold(asdict(found)))
    assert said is not None
    above = scores >= float(said[1])
    assert f"{right[above].mean():.2f}" == said[2]
    assert right[above].mean() >= 0.95


def test_no_threshold_is_suggested_from_a_handful_of_labels() -> None:
    scores, right = population(6, 1000)
    labelled = np.zeros(1000, bool)
    labelled[:10] = True
    assert suggest_threshold(scores, labelled, np.ones(1000, bool), 0.9, 1000.0) is None
    assert estimate_precision_above(scores, np.zeros(1000, bool), right, 0.5) is None


def test_precision_is_told_for_each_model_and_class(project: ProjectFolder) -> None:
    cats = [proposal(x * 4, 0.5 + x / 100, "cat", "one", w=1) for x in range(25)]
    dogs = [proposal(x * 4, 0.5 + x / 100, "dog", "one", "b.png", w=1) for x in range(25)]
    write(project, *cats, *dogs)
    refs = list(load_refs(project))
    label(project, {ref: "yes" if ref.startswith("a") else "no" for ref in refs})
    groups = {
        (group.model, group.name): group for group in measure_precision(project, state_of(project))
    }
    whole, cat, dog = groups["one", None], groups["one", "cat"], groups["one", "dog"]
    assert (whole.items, whole.labelled, whole.right) == (50, 50, 25)
    assert cat.estimates[0].precision == 1 and dog.estimates[0].precision == 0
    assert cat.suggested is not None and dog.suggested is None


def test_labels_of_a_machine_say_nothing(project: ProjectFolder) -> None:
    write(project, proposal(10))
    (ref,) = load_refs(project)
    label(project, {ref: "yes"}, extra={"machine": True})
    (group,) = measure_precision(project, state_of(project))
    assert group.labelled == 0


def command(*args: object) -> str:
    result = CliRunner().invoke(app, list(map(str, args)))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_and_status_tell_the_precision(project: ProjectFolder) -> None:
    write(project, *(proposal(x * 4, 0.5 + x / 100, w=1) for x in range(30)))
    label(project, dict.fromkeys(load_refs(project), "yes"))
    told = json.loads(command("proposals", project.folder, "--json"))
    (group,) = told["groups"]
    assert (group["model"], group["labelled"], group["right"]) == ("m", 30, 30)
    text = command("proposals", project.folder)
    assert "at score ≥ 0.50 precision is 1.00 ± 0.00" in text
    assert "precision" in command("status", project.folder)
    assert "proposals" in json.loads(command("status", project.folder, "--json"))
