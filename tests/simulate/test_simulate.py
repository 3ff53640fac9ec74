"""Simulated sessions: what they report, that they repeat, resume, and refuse what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.errors import FeatureError, ProjectError
from annotator.simulate.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    calibration_error,
    choose_metric,
)
from annotator.simulate.options import SimulateOptions, parse_seeds
from annotator.simulate.runs import default_state_file, run_simulations
from annotator.simulate.summary import format_result
from annotator.simulate.task import TruthTable, make_task

COLUMNS = {
    "strategy", "estimator", "seed", "metric", "labels", "value", "estimated_error", "interval",
    "n_eff", "true_error", "prequential_error", "positives_found", "ms_per_label",
}  # fmt: skip


@pytest.fixture
def options(tmp_path: Path) -> SimulateOptions:
    """150 items of three classes, 50 a class, in clouds that overlap a little."""
    rng = np.random.default_rng(0)
    y = np.arange(150) % 3
    X = np.eye(3)[y] @ rng.normal(size=(3, 12)) * 1.5 + rng.normal(size=(150, 12))
    np.save(tmp_path / "features.npy", X.astype(np.float16))
    lines = [f"images/{i:03}.jpg,{'abc'[c]}" for i, c in enumerate(y)]
    (tmp_path / "truth.csv").write_text("\n".join(["filename,label", *lines]) + "\n")
    return SimulateOptions(
        tmp_path / "truth.csv",
        tmp_path / "features.npy",
        budget=40,
        seeds=(0, 1),
        processes=1,
    )


def without_times(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**run, "ms_per_label": None} for run in result["runs"]]


def test_the_json_holds_a_figure_for_every_tenth_label(options: SimulateOptions) -> None:
    result = json.loads(json.dumps(run_simulations(options)))
    assert [(r["strategy"], r["seed"]) for r in result["runs"]] == [
        ("herding-mix", 0), ("random", 0), ("herding-mix", 1), ("random", 1),
    ]  # fmt: skip
    for one in result["runs"]:
        assert set(one) >= COLUMNS
        assert one["labels"] == [10, 20, 30, 40]
        assert one["metric"] == "accuracy"
        for name in ("value", "estimated_error", "interval", "n_eff", "true_error"):
            assert len(one[name]) == 4
        assert all(0 <= value <= 1 for value in one["value"])
        assert one["true_error"] == pytest.approx([1 - value for value in one["value"]])
        assert one["ms_per_label"] > 0
    random = result["runs"][1]
    assert random["n_eff"] == pytest.approx([10, 20, 30, 40])
    assert all(low <= high for low, high in random["interval"])
    assert {row["strategy"] for row in result["summary"]} == {"herding-mix", "random"}


def test_runs_repeat_and_seeds_differ_also_in_other_processes(options: SimulateOptions) -> None:
    once = run_simulations(options)
    assert without_times(run_simulations(replace(options, processes=2))) == without_times(once)
    assert once["runs"][0]["value"] != once["runs"][2]["value"]


def test_what_was_finished_is_not_run_again(options: SimulateOptions, tmp_path: Path) -> None:
    kept = replace(options, state=tmp_path / "state" / "runs.jsonl")
    first = run_simulations(replace(kept, seeds=(0,)))
    with (tmp_path / "state" / "runs.jsonl").open("a") as file:
        file.write('{"fingerprint": "cut o')  # a stopped write
    seen: list[tuple[int, int]] = []
    both = run_simulations(kept, lambda done, total: seen.append((done, total)))
    assert seen == [(2, 4), (3, 4), (4, 4)]
    assert both["runs"][:2] == first["runs"]
    run_simulations(kept, lambda done, total: seen.append((done, total)))
    assert seen[3:] == [(4, 4)]


def test_the_command_keeps_runs_of_one_task_in_one_place_of_the_cache(
    options: SimulateOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = default_state_file(options)
    assert first.is_relative_to(tmp_path / "cache")
    assert default_state_file(replace(options, seeds=(7,), strategies=("margin",))) == first
    assert default_state_file(replace(options, budget=50)) != first
    own = tmp_path / "own.py"
    own.write_text("class Mine: pass")
    mine = replace(options, estimators=(f"{own}:Mine",))
    before = default_state_file(mine)
    own.write_text("class Mine: changed = True")
    assert default_state_file(mine) != before


def test_other_data_is_run_anew(options: SimulateOptions, tmp_path: Path) -> None:
    kept = replace(options, state=tmp_path / "runs.jsonl", seeds=(0,))
    run_simulations(kept)
    X = np.load(kept.features)
    np.save(kept.features, X + 1)
    seen: list[tuple[int, int]] = []
    run_simulations(kept, lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 2)


def test_a_rare_class_is_thinned_searched_for_and_counted(options: SimulateOptions) -> None:
    rare = replace(options, positive="b", prevalence=0.1, find=True, strategies=("herding-mix",))
    result = run_simulations(rare)["runs"][0]
    assert result["metric"] == "average-precision"
    # of 50 in 150, 11 keep the share of 10 % among 100 others; 30 % of them are for the test
    assert result["positives"] == 8
    assert result["positives_found"] == sorted(result["positives_found"])
    assert 0 < result["positives_found"][-1] <= 8


def test_the_test_items_are_never_asked(options: SimulateOptions) -> None:
    X = np.load(options.features)
    found = make_task(TruthTable.read(options.truth), X, options, seed=0)
    assert len(found.refs) == 105 and len(found.unseen_y) == 45
    assert np.bincount(found.unseen_y).tolist() == [15, 15, 15]
    rows = {tuple(row) for row in found.X.tolist()}
    assert not rows & {tuple(row) for row in found.unseen.tolist()}


def test_a_budget_above_the_pool_labels_it_all(options: SimulateOptions) -> None:
    result = run_simulations(replace(options, budget=500, seeds=(0,), strategies=("random",)))[
        "runs"
    ][0]
    assert result["labels"][-2:] == [100, 105]


def test_the_table_names_strategies_and_says_what_no_estimate_was_shown(
    options: SimulateOptions,
) -> None:
    text = format_result(
        run_simulations(replace(options, budget=50, strategies=("margin", "random"), seeds=(0,)))
    )
    assert "margin" in text and "random" in text
    assert "10 to 50 labels" in text
    assert "0/1" in text  # margin alone draws nothing at random: no estimate


def test_the_ceiling_gains_more_than_chance_and_strategies_have_a_share_of_it(
    options: SimulateOptions,
) -> None:
    chosen = replace(options, budget=20, strategies=("herding-mix", "random", "ceiling"))
    result = run_simulations(chosen)
    rows = {row["strategy"]: row for row in result["summary"]}
    assert rows["ceiling"]["aulc"] > rows["random"]["aulc"]
    assert rows["ceiling"]["share_of_ceiling"] == 1 and rows["random"]["share_of_ceiling"] == 0
    gain = rows["herding-mix"]["aulc"] - rows["random"]["aulc"]
    whole = rows["ceiling"]["aulc"] - rows["random"]["aulc"]
    assert rows["herding-mix"]["share_of_ceiling"] == pytest.approx(gain / whole)
    assert without_times(run_simulations(chosen)) == without_times(result)
    assert "of the ceiling's gain" in format_result(result)
    alone = run_simulations(replace(chosen, strategies=("ceiling",), seeds=(0,)))
    assert alone["summary"][0]["share_of_ceiling"] is None


def test_the_ceiling_takes_a_rare_class_and_a_budget_above_the_pool(
    options: SimulateOptions,
) -> None:
    rare = replace(options, positive="b", prevalence=0.1, budget=500, seeds=(0,))
    result = run_simulations(replace(rare, strategies=("ceiling",)))["runs"][0]
    assert result["metric"] == "average-precision"
    assert result["positives_found"][-1] == result["positives"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategies": ("ceiling",), "estimators": ("logistic",)}, "ceiling is that of the ridge"),
        ({"strategies": ("best",)}, "'best' is not a strategy"),
        ({"estimators": ("svm",)}, "Unknown estimator 'svm'"),
        ({"metric": "f1"}, "'f1' is not a metric"),
        ({"positive": "d"}, "No item is labelled 'd'. The classes are a, b, c."),
        ({"find": True}, "--positive"),
        ({"positive": "a", "prevalence": 1.5}, "prevalence"),
        ({"test_fraction": 0.0}, "test-fraction"),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: SimulateOptions, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ProjectError, match=message):
        run_simulations(replace(options, **changes))


def test_rows_and_lines_must_belong_together(options: SimulateOptions) -> None:
    np.save(options.features, np.ones((7, 3), dtype=np.float32))
    with pytest.raises(FeatureError, match="7 rows.*150 lines"):
        run_simulations(options)


def test_bad_lines_of_the_truth_are_all_named(options: SimulateOptions) -> None:
    options.truth.write_text("filename,label\na.jpg,x\nb.jpg,\na.jpg,y\n")
    with pytest.raises(
        ProjectError, match=r"(?s)line 3: b.jpg has no label.*line 4: a.jpg is listed already"
    ):
        run_simulations(options)


def test_boxes_in_one_picture_are_items_of_their_own(options: SimulateOptions) -> None:
    lines = ["filename,bbox,label", *(f'a.jpg,"{i},0,9,9",{"ab"[i % 2]}' for i in range(150))]
    options.truth.write_text("\n".join(lines))
    assert len(run_simulations(replace(options, budget=20, seeds=(0,)))["runs"]) == 2
    options.truth.write_text("\n".join([*lines[:-1], lines[1]]))
    with pytest.raises(ProjectError, match=r"a.jpg#xywh=0,0,9,9 is listed already"):
        run_simulations(options)


def test_seeds_are_read_as_written() -> None:
    assert parse_seeds("0-3") == (0, 1, 2, 3)
    assert parse_seeds("5") == (5,)
    assert parse_seeds("0,2,5-7,2") == (0, 2, 5, 6, 7)
    with pytest.raises(ProjectError, match="0-9"):
        parse_seeds("a-b")


def test_metrics_by_hand() -> None:
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    assert balanced_accuracy_score(proba, np.array([0, 0, 0, 1])) == pytest.approx((2 / 3 + 1) / 2)
    # positives at ranks 1 and 3 by falling p: (1/1 + 2/3) / 2
    assert average_precision_score(proba, np.array([0, 1, 1, 0])) == pytest.approx((1 + 2 / 3) / 2)
    sure = np.tile([0.75, 0.25], (4, 1))
    assert calibration_error(sure, np.array([0, 0, 0, 1])) == pytest.approx(0)
    assert calibration_error(sure, np.array([1, 1, 1, 1])) == pytest.approx(0.75)


def test_auto_takes_the_metric_that_fits_the_classes() -> None:
    assert choose_metric("auto", np.repeat([0, 1], [50, 60]), positive=False) == "accuracy"
    assert choose_metric("auto", np.repeat([0, 1], [90, 10]), positive=False) == "balanced-accuracy"
    assert choose_metric("auto", np.repeat([0, 1], [90, 10]), positive=True) == "average-precision"
    assert choose_metric("accuracy", np.repeat([0, 1], [90, 10]), positive=True) == "accuracy"


def test_on_real_flowers_the_estimate_is_nearer_the_truth_than_the_difficulty(
    shared: Path,
) -> None:
    folder = shared / "data" / "flowers"
    result = run_simulations(
        SimulateOptions(
            folder / "truth.csv",
            folder / "features.npy",
            strategies=("herding-mix",),
            budget=100,
            seeds=(0, 1),
            processes=1,
        )
    )
    (honesty,) = (row for row in result["summary"][0]["honesty"] if row["labels"] == 100)
    assert honesty["difficulty_bias"] > 0.1
    assert abs(honesty["bias"]) < honesty["difficulty_bias"] / 2
