"""What the runs of each strategy and estimator add up to."""

from __future__ import annotations

from typing import Any

import numpy as np

SUMMARY_LABELS = (50, 100, 200, 300)
RunResult = dict[str, Any]


def summarize_runs(runs: list[RunResult]) -> list[dict[str, Any]]:
    """One row per strategy and estimator, in the order of the runs.

    `aulc` is the mean of the metric over the curve; `labels_to_random` the first number of
    labels at which the mean curve reaches what `random` ends with, by the same estimator, and
    `saving` how many times fewer that is (None without such runs; below 1 where it is never
    reached). `honesty` compares estimated and true error where the estimate is shown.
    """
    groups = _groups(runs)
    return [
        {
            "strategy": strategy,
            "estimator": estimator,
            "metric": group[0]["metric"],
            "runs": len(group),
            "aulc": _mean(group, "value"),
            "aulc_se": _standard_error(group),
            "last": float(np.mean([run["value"][-1] for run in group])),
            **_saving(group, groups.get(("random", estimator))),
            "positives_found": _share_found(group),
            "honesty": [row for n in SUMMARY_LABELS if (row := _honesty(group, n))],
            "ms_per_label": float(np.median([run["ms_per_label"] for run in group])),
        }
        for (strategy, estimator), group in groups.items()
    ]


def _groups(runs: list[RunResult]) -> dict[tuple[str, str], list[RunResult]]:
    found: dict[tuple[str, str], list[RunResult]] = {}
    for run in runs:
        found.setdefault((run["strategy"], run["estimator"]), []).append(run)
    return found


def _mean(group: list[RunResult], name: str) -> float:
    return float(np.mean([np.mean(run[name]) for run in group]))


def _standard_error(group: list[RunResult]) -> float | None:
    areas = [np.mean(run["value"]) for run in group]
    return float(np.std(areas, ddof=1) / np.sqrt(len(areas))) if len(areas) > 1 else None


def mean_curve(group: list[RunResult]) -> tuple[list[int], list[float]]:
    """Labels and mean value, as far as all runs go."""
    n = min(len(run["labels"]) for run in group)
    return group[0]["labels"][:n], np.mean([run["value"][:n] for run in group], axis=0).tolist()


def _saving(group: list[RunResult], random: list[RunResult] | None) -> dict[str, Any]:
    if not random:
        return {"labels_to_random": None, "saving": None}
    labels, curve = mean_curve(group)
    ends, target = mean_curve(random)[0][-1], mean_curve(random)[1][-1]
    reached = next((n for n, value in zip(labels, curve, strict=True) if value >= target), None)
    return {"labels_to_random": reached, "saving": ends / (reached or ends + 10)}


def _share_found(group: list[RunResult]) -> float | None:
    shares = [run["positives_found"][-1] / run["positives"] for run in group if run["positives"]]
    return float(np.mean(shares)) if shares else None


def _honesty(group: list[RunResult], n: int) -> dict[str, Any] | None:
    rows = [(run, run["labels"].index(n)) for run in group if n in run["labels"]]
    calibration = [run["calibration_error"][at] for run, at in rows]
    raw = [
        run["prequential_error"][at] - run["true_error"][at]
        for run, at in rows
        if run["prequential_error"][at] is not None
    ]
    shown = [(run, at) for run, at in rows if run["interval"][at] is not None]
    if not rows:
        return None
    off = np.array([run["estimated_error"][at] - run["true_error"][at] for run, at in shown])
    ends = np.array([run["interval"][at] for run, at in shown]).reshape(-1, 2)
    true = np.array([run["true_error"][at] for run, at in shown])
    return {
        "labels": n,
        "shown": len(shown),
        "bias": float(off.mean()) if len(off) else None,
        "rmse": float(np.sqrt((off**2).mean())) if len(off) else None,
        "coverage": float(((ends[:, 0] <= true) & (true <= ends[:, 1])).mean())
        if len(off)
        else None,
        "width": float((ends[:, 1] - ends[:, 0]).mean()) if len(off) else None,
        "difficulty_bias": float(np.mean(raw)) if raw else None,
        "calibration_error": float(np.mean(calibration)),
    }
