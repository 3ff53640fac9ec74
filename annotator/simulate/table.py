"""A simulation's summary for people: a table, and each strategy's curve in one line."""

from __future__ import annotations

from typing import Any

from annotator.simulate.summary import mean_curve

BARS = "▁▂▃▄▅▆▇█"


def format_result(result: dict[str, Any]) -> str:
    """The summary rows, the curves and the error estimates, as text."""
    rows = result["summary"]
    if not rows:
        return "no runs"
    return "\n\n".join([_strategies(rows), _curves(result["runs"], rows), _honesty(rows)])


def _strategies(rows: list[dict[str, Any]]) -> str:
    head = ["strategy", "estimator", "runs", f"mean {rows[0]['metric']}", "at the end"]
    head += ["labels to random's end", "times fewer", "positives found", "ms per label"]
    body = [
        [
            row["strategy"],
            row["estimator"],
            str(row["runs"]),
            _format_value(row["aulc"]) + (f" ± {row['aulc_se']:.3f}" if row["aulc_se"] else ""),
            _format_value(row["last"]),
            str(row["labels_to_random"] or "-"),
            "-" if row["saving"] is None else f"{row['saving']:.2f}",
            "-" if row["positives_found"] is None else f"{row['positives_found']:.0%}",
            f"{row['ms_per_label']:.1f}",
        ]
        for row in rows
    ]
    return align_columns([head, *body])


def _curves(runs: list[dict[str, Any]], rows: list[dict[str, Any]]) -> str:
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


def _honesty(rows: list[dict[str, Any]]) -> str:
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
    """Columns of equal width, the first one flush left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
