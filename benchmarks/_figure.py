"""The figure of docs/honest-error.md, drawn as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

W, H, LEFT, TOP, PLOT_W, PLOT_H = 640, 500, 46, 34, 250, 170
STYLE = "@media(prefers-color-scheme:dark){text{fill:#bbb}.true{stroke:#eee}.band{fill:#1d3a5f}}"
TEXT = 'font-family="sans-serif" font-size="11" fill="#555"'
LINES = {  # attributes, since not every viewer reads a style sheet
    "axis": 'stroke="#999" stroke-width="1"',
    "hard": 'stroke="#d1495b" stroke-width="2"',
    "est": 'stroke="#2a7de1" stroke-width="2"',
    "true": 'class="true" stroke="#222" stroke-width="2" stroke-dasharray="5 3"',
}


class Panel(NamedTuple):
    """One data set: labels, and means over the runs; NaN where nothing is shown."""

    title: str
    labels: list[int]
    true: list[float]
    estimated: list[float]
    low: list[float]
    high: list[float]
    difficulty: list[float]


def panel(title: str, runs: list[dict[str, Any]]) -> Panel:
    """Means over the runs; the estimate only where at least half of them show one."""

    def mean(values: Sequence[float | None]) -> float:
        found = [value for value in values if value is not None]
        return float(np.mean(found)) if len(found) * 2 >= len(values) and found else float("nan")

    def curve(name: str) -> list[float]:
        return [mean([run[name][i] for run in runs]) for i in range(len(runs[0]["labels"]))]

    ends = [
        [
            mean([run["interval"][i][k] if run["interval"][i] else None for run in runs])
            for k in (0, 1)
        ]
        for i in range(len(runs[0]["labels"]))
    ]
    return Panel(
        title, runs[0]["labels"], curve("true_error"), curve("estimated_error"),
        [low for low, _ in ends], [high for _, high in ends], curve("prequential_error"),
    )  # fmt: skip


def draw(panels: Sequence[Panel], path: Path) -> None:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {H}"><style>{STYLE}</style>'
    ]
    for i, one in enumerate(panels):
        x, y = LEFT + (i % 2) * (PLOT_W + 62), TOP + (i // 2) * (PLOT_H + 46)
        parts.append(f'<g transform="translate({x},{y})">{_panel(one)}</g>')
    legend = [("hard", "error on what was shown"), ("est", "estimated, 90 %"), ("true", "true")]
    for x, (kind, text) in zip((LEFT, LEFT + 250, LEFT + 420), legend, strict=True):
        parts.append(
            f'<polyline fill="none" {LINES[kind]} points="{x},{H - 12} {x + 24},{H - 12}"/>'
            f'<text x="{x + 30}" y="{H - 8}">{text}</text>'
        )
    path.write_text("".join([*parts, "</svg>\n"]), encoding="utf-8")


def _panel(one: Panel) -> str:
    top = max(v for v in [*one.high, *one.difficulty, *one.true] if v == v)
    top = np.ceil(top * 10) / 10

    def point(n: int, value: float) -> str:
        return f"{n / one.labels[-1] * PLOT_W:.1f},{PLOT_H - value / top * PLOT_H:.1f}"

    def line(kind: str, values: list[float]) -> str:
        points = " ".join(point(n, v) for n, v in zip(one.labels, values, strict=True) if v == v)
        return f'<polyline fill="none" {LINES[kind]} points="{points}"/>'

    ends = [(n, a, b) for n, a, b in zip(one.labels, one.low, one.high, strict=True) if a == a]
    outline = [point(n, b) for n, _, b in ends] + [point(n, a) for n, a, _ in reversed(ends)]
    axis = f"0,0 0,{PLOT_H} {PLOT_W},{PLOT_H}"
    return (
        f'<polygon class="band" fill="#cfe2fa" points="{" ".join(outline)}"/>'
        f'<polyline fill="none" {LINES["axis"]} points="{axis}"/>'
        + line("hard", one.difficulty) + line("est", one.estimated) + line("true", one.true)
        + f'<text font-weight="bold" x="4" y="-8">{one.title}</text>'
        + f'<text x="-8" y="6" text-anchor="end">{top:.0%}</text>'
        + f'<text x="-8" y="{PLOT_H}" text-anchor="end">0</text>'
        + f'<text x="{PLOT_W}" y="{PLOT_H + 15}" text-anchor="end">{one.labels[-1]} labels</text>'
    )  # fmt: skip
