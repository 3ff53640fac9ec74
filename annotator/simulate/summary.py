"""A summary of a simulation's runs over seeds, as figures and as a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from annotator.items.refs import format_share
from annotator.simulate.options import CEILING

SUMMARY_LABELS = (50, 100, 200, 300)
RunResult = dict[str, Any]
BARS = "▁▂▃▄▅▆▇█"


def summarize_runs(runs: list[RunResult]) -> list[dict[str, Any]]:
    """Return a row for each strategy and estimator, in the order of the runs.

    `aulc` is the mean of the metric over the curve. `labels_to_random` is the number of labels at
    which the mean curve first reaches the last value of `random` with the same estimator;
    `saving` is the ratio of labels saved by that (None without runs of `random`; below 1 if it is
    never reached). `share_of_ceiling` is the gain of `aulc` over `random` as a share of the
    oracle's gain, over the seeds of both. `honesty` compares the estimated with the true error.
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
            "share_of_ceiling": _share_of_ceiling(group, groups, estimator),
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
    """Return the label counts and the mean values, up to the end of the shortest run."""
    n = min(len(run["labels"]) for run in group)
    return group[0]["labels"][:n], np.mean([run["value"][:n] for run in group], axis=0).tolist()


def _saving(group: list[RunResult], random: list[RunResult] | None) -> dict[str, Any]:
    if not random:
        return {"labels_to_random": None, "saving": None}
    labels, curve = mean_curve(group)
    ends, target = mean_curve(random)[0][-1], mean_curve(random)[1][-1]
    reached = next((n for n, value in zip(labels, curve, strict=True) if value >= target), None)
    return {"labels_to_random": reached, "saving": ends / (reached or ends + 10)}


def _share_of_ceiling(
    group: list[RunResult], groups: dict[tuple[str, str], list[RunResult]], estimator: str
) -> float | None:
    random, ceiling = (groups.get((name, estimator)) for name in ("random", CEILING))
    if not random or not ceiling:
        return None
    least, most = _mean(random, "value"), _mean(ceiling, "value")
    return (_mean(group, "value") - least) / (most - least) if most > least else None


def _share_found(group: list[RunResult]) -> float | None:
    shares = [run["positives_found"][-1] / run["positives"] for run in group if run["positives"]]
    return float(np.mean(shares)) if shares else None


def _honesty(group: list[RunResult], n: int) -> dict[str, Any] | None:
    rows = [(run, run["labels"].index(n)) for run in group if n in run["labels"]]
    calibration = [run["calibration_error"][i] for run, i in rows]
    raw = [
        run["prequential_error"][i] - run["true_error"][i]
        for run, i in rows
        if run["prequential_error"][i] is not None
    ]
    shown = [(run, i) for run, i in rows if run["interval"][i] is not None]
    if not rows:
        return None
    off = np.array([run["estimated_error"][i] - run["true_error"][i] for run, i in shown])
    ends = np.array([run["interval"][i] for run, i in shown]).reshape(-1, 2)
    true = np.array([run["true_error"][i] for run, i in shown])
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


def format_result(result: dict[str, Any]) -> str:
    """Return the summary, the curves and the error estimates as text."""
    rows = result["summary"]
    if not rows:
        return "no runs"
    return "\n\n".join(
        [_strategy_table(rows), _curve_table(result["runs"], rows), _error_table(rows)]
    )


def _strategy_table(rows: list[dict[str, Any]]) -> str:
    head = ["strategy", "estimator", "runs", f"mean {rows[0]['metric']}", "at the end"]
    head += ["labels to random's end", "times fewer", "of the ceiling's gain", "positives found"]
    head += ["ms per label"]
    body = [
        [
            row["strategy"],
            row["estimator"],
            str(row["runs"]),
            _format_value(row["aulc"]) + (f" ± {row['aulc_se']:.3f}" if row["aulc_se"] else ""),
            _format_value(row["last"]),
            str(row["labels_to_random"] or "-"),
            "-" if row["saving"] is None else f"{row['saving']:.2f}",
            "-" if row["share_of_ceiling"] is None else format_share(row["share_of_ceiling"]),
            "-" if row["positives_found"] is None else format_share(row["positives_found"]),
            f"{row['ms_per_label']:.1f}",
        ]
        for row in rows
    ]
    return align_columns([head, *body])


def _curve_table(runs: list[dict[str, Any]], rows: list[dict[str, Any]]) -> str:
    curves = {}
    for row in rows:
        key = (row["strategy"], row["estimator"])
        group = [run for run in runs if (run["strategy"], run["estimator"]) == key]
        curves[" ".join(key)] = mean_curve(group)
    values = [value for _, curve in curves.values() for value in curve]
    low, high = min(values), max(values)
    lines = [
        [name, _sparkline(curve, low, high), f"{labels[0]} to {labels[-1]} labels"]
        for name, (labels, curve) in curves.items()
    ]
    return align_columns(lines) + f"\n{rows[0]['metric']} from {low:.3f} (low) to {high:.3f} (high)"


def _sparkline(curve: list[float], low: float, high: float) -> str:
    step = max(high - low, 1e-9) / (len(BARS) - 1)
    return "".join(BARS[round((value - low) / step)] for value in curve)


def _error_table(rows: list[dict[str, Any]]) -> str:
    head = ["estimated error", "labels", "shown", "bias", "RMSE", "90 % covers", "width"]
    head += ["bias of the difficulty curve", "calibration error"]
    body = [
        [
            f"{row['strategy']} {row['estimator']}",
            str(part["labels"]),
            f"{part['shown']}/{row['runs']}",
            _format_value(part["bias"], "+.3f"),
            _format_value(part["rmse"]),
            _format_value(part["coverage"], ".0%"),
            _format_value(part["width"]),
            _format_value(part["difficulty_bias"], "+.3f"),
            _format_value(part["calibration_error"]),
        ]
        for row in rows
        for part in row["honesty"]
    ]
    return align_columns([head, *body])


def _format_value(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)


def align_columns(rows: list[list[str]]) -> str:
    """Return rows of cells as aligned columns, the first one flush left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
