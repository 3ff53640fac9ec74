"""The charts of the curves screen, and the sentences under them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from annotator.items.refs import format_interval, format_percent, make_printable, plural
from annotator.log.prequential import WINDOW, cumulative_mean, windowed_mean
from annotator.project.label_sets import split_label
from annotator.session.session import LabelSession
from annotator.tui.curves.plot import Chart, Series
from annotator.tui.keymaps import Keymap
from annotator.tui.label.error_panel import (
    PoolErrorState,
    error_chart,
    format_outlook,
)
from annotator.tui.styled_text import clip_end

MOST_CLASSES = 8
FIRST = 4
"""Number of first labels without a point, because the mean of a few labels jumps."""
_ROLES = ("best", "warn", "good", "bad", "curve", "text", "strong", "dim")
_SHOWN = "Difficult items are chosen on purpose, so this is not the error on the pool."


def make_charts(session: LabelSession, known: PoolErrorState, keymap: Keymap) -> tuple[Chart, ...]:
    """Return the charts of error, difficulty, squared error and classes."""
    hard = session.prequential
    return (
        error_chart(known),
        _difficulty("difficulty of what you are shown: error rate", hard.wrong, percent=True),
        _difficulty(
            "difficulty of what you are shown: squared error", hard.squared_errors, percent=False
        ),
        class_chart(given_labels(session), session.classes, keymap, session.multi),
    )


def _difficulty(title: str, values: NDArray[np.float64], *, percent: bool) -> Chart:
    x = np.arange(1.0, len(values) + 1)[FIRST:]
    return Chart(
        title=title,
        series=(
            Series("all so far", x, cumulative_mean(values)[FIRST:], "○", "dim", dashed=True),
            Series(f"last {WINDOW}", x, windowed_mean(values)[FIRST:], "●", "best"),
        ),
        across="predicted",
        percent=percent,
        note=_SHOWN,
        empty="The curve begins with the fifth label that a model predicted.",
    )


def given_labels(session: LabelSession) -> list[str]:
    """Return the labels that people gave and that still hold, in the order asked."""
    return [str(last.label) for _, last in session.state.labels() if not last.by_machine]


def class_chart(
    given: Sequence[str], classes: Sequence[str], keymap: Keymap, multi: bool = False
) -> Chart:
    """Return the chart of the labels of the largest classes over all labels."""
    held = [set(split_label(label)) if multi else {label} for label in given]
    counts = (
        {name: np.cumsum([name in names for names in held]) for name in classes} if given else {}
    )
    largest = sorted(counts, key=lambda name: -int(counts[name][-1]))[:MOST_CLASSES]
    x = np.arange(1.0, len(given) + 1)
    series = []
    for place, name in enumerate(name for name in classes if name in largest):
        title = f"{clip_end(name, 20)} {int(counts[name][-1]):,}"
        y, mark = counts[name].astype(float), _sign(name, classes, keymap)
        series.append(Series(title, x, y, mark, _ROLES[place], dashed=place % 2 == 1))
    left_out = len(classes) - len(largest)
    return Chart(
        title="labels per class",
        series=tuple(series),
        note=f"the {len(largest)} classes with most labels, of {len(classes)}" if left_out else "",
        empty="The curve begins with the first label.",
    )


def _sign(name: str, classes: Sequence[str], keymap: Keymap) -> str:
    """Return the key of a class if it is one character, else a letter by its place."""
    key = keymap.classes.get(name, "")
    return key if len(key) == 1 else "abcdefghijklmnopqrstuvwxyz"[list(classes).index(name) % 26]


def chart_facts(page: int, known: PoolErrorState, per_minute: float | None) -> list[str]:
    """Return the sentences under a chart: its numbers, and their use."""
    if page == 0:
        return [*_error_facts(known), *_outlook_facts(known, per_minute)]
    return _share_facts(known) if page == 3 else []


def _error_facts(known: PoolErrorState) -> list[str]:
    found = known.shown
    if found is None:
        return []
    interval = format_interval(found.low, found.high)
    return [
        f"{format_percent(found.error)} of the whole pool, 90 % interval {interval}; from "
        f"{plural(found.labels, 'label')} drawn with a known probability, worth "
        f"{found.n_eff:.0f} drawn evenly (n_eff)."
    ]


def _outlook_facts(known: PoolErrorState, per_minute: float | None) -> list[str]:
    words, _ = format_outlook(known, per_minute)
    if known.target is None and known.shown is not None:
        aim = "Set target_error in annotator.toml to get a forecast, and advice when to stop."
        return [words, aim] if words else [aim]
    return [words[:1].upper() + words[1:] + "."] if words else []


def _share_facts(known: PoolErrorState) -> list[str]:
    found = known.shown
    if found is None or not found.shares:
        return []
    shares = (
        f"{make_printable(name)} {format_percent(share.value)} "
        f"({format_interval(share.low, share.high)})"
        for name, share in zip(known.classes, found.shares, strict=True)
    )
    return ["Estimated shares of the whole pool, with 90 % intervals: " + ", ".join(shares) + "."]
