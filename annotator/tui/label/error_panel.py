"""The part of the panel about the whole pool: error, forecast, class shares, rare class.

All of it rests on labels whose probability of being drawn is known. None of it is the difficulty
of the shown items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from annotator.items.refs import (
    format_duration,
    format_interval,
    format_percent,
    format_share,
    plural,
)
from annotator.learn.strategies import DRAWING_STRATEGIES
from annotator.tui.styled_text import (
    Line,
    clip_end,
    justify_line,
    line_width,
    wrap_text,
)

if TYPE_CHECKING:
    from annotator.learn.error_estimate import ErrorEstimate, Interval
    from annotator.learn.ranking import Ranking
    from annotator.learn.stopping import (
        EstimatePoint,
        StoppingAdvice,
    )
    from annotator.session.session import LabelSession
    from annotator.tui.curves.plot import Chart

ESTIMATED = "estimated error, whole pool"
NARROW = ("estimated pool error", "est. pool error")
ROUND_ERRORS = (0.01, 0.02, 0.05, 0.1, 0.2)
"""The errors that the panel names as those that the model is good enough for."""


@dataclass(frozen=True, slots=True)
class RareClass:
    """A class that is hunted for, or that the annotator might hunt for."""

    name: str
    hunted: bool
    of_labels: float
    """The share of the labels that have the class."""
    found: int
    expected: Interval | None = None
    """The estimated number of its items in the whole pool, with those found."""
    precision: Interval | None = None
    """The share of its items among those that the model assigns to it."""
    of_pool: float | None = None
    """The estimated share of the pool."""


@dataclass(frozen=True, slots=True)
class PoolErrorState:
    """The state of the model on the whole pool, after the last fit."""

    estimate: ErrorEstimate | None = None
    points: tuple[EstimatePoint, ...] = ()
    classes: tuple[str, ...] = ()
    target: float | None = None
    labels_to_target: int | None = None
    """Labels until the target, by forecast; None if the forecast fails or the pool is too small."""
    advice: StoppingAdvice | None = None
    rare: RareClass | None = None
    drawn: dict[tuple[int, int], list[Line]] = field(default_factory=dict, compare=False)
    """The curve of the estimates by columns and rows: drawn once for each fit, not for each key."""

    @property
    def shown(self) -> ErrorEstimate | None:
        """The estimate; None if it rests on too few labels."""
        return self.estimate if self.estimate is not None and self.estimate.shown else None

    @property
    def reached(self) -> bool:
        """True if even the upper end of the interval is within the target."""
        found = self.shown
        return found is not None and self.target is not None and found.high <= self.target


def pool_error_state(session: LabelSession, target: float | None) -> PoolErrorState:
    """Return the state after a session's last fit; nothing in an audit, which is blind."""
    ranking = session.ranking
    if ranking is None or session.blind:
        return PoolErrorState(classes=session.classes, target=target)
    from annotator.learn.stopping import advise_stopping, forecast_labels

    points = ranking.past.points
    labels = forecast_labels(points, target) if target is not None else None
    missing = labels - points[-1].labels if labels is not None else None
    left = session.progress.remaining
    return PoolErrorState(
        estimate=ranking.estimate,
        points=points,
        classes=ranking.classes,
        target=target,
        labels_to_target=missing if missing is None or missing < left else None,
        advice=advise_stopping(ranking.estimate, ranking.past.kappas, target),
        rare=_rare(session, ranking),
    )


def find_rare_class(session: LabelSession) -> str | None:
    """Return the rare class that a hunt is advised for; None if the session asks no such labels."""
    name = session.ranking.suggestion if session.ranking else None
    return name if name in session.classes else None


def _rare(session: LabelSession, ranking: Ranking) -> RareClass | None:
    name = session.strategy.find or find_rare_class(session)
    if name is None:
        return None
    progress = session.progress
    found = session.learner.tree.counts(progress.classes).get(name, 0)
    estimate = ranking.estimate
    expected = of_pool = None
    if estimate is not None and estimate.shown and estimate.shares:
        share = estimate.shares[ranking.classes.index(name)]
        of_pool = share.value
        from annotator.learn.error_estimate import Interval

        # The pool has at least the items that were found.
        counts = (
            max(progress.items * value, found) for value in (share.value, share.low, share.high)
        )
        expected = Interval(*counts)
    return RareClass(
        name=name,
        hunted=session.strategy.find is not None,
        of_labels=found / max(progress.labelled, 1),
        found=found,
        of_pool=of_pool,
        expected=expected,
        precision=ranking.precision,
    )


# --- lines for the panel


def describe_wait(session: LabelSession) -> str:
    """Return when there will be an estimate."""
    if not session.has_features:
        return "comes with features"
    if session.strategy.name not in DRAWING_STRATEGIES:
        return f"not with {session.strategy.name}"
    return "after some 25 labels"


def error_lines(
    state: PoolErrorState, cells: int, wait: str = "", *, brief: bool = False
) -> list[Line]:
    """Return the lines of the estimate, its interval and its effective number of labels.

    Before there is an estimate they say when it comes: that is `wait`, until labels are drawn.
    """
    found = state.shown
    title = next((name for name in NARROW if len(name) + 11 <= cells), NARROW[-1])
    if found is None:
        soon = wait
        if state.estimate is not None:
            from annotator.learn.error_estimate import LEAST_N_EFF

            soon = f"n_eff {state.estimate.n_eff:.1f}, shown from {LEAST_N_EFF:.0f}"
        return [[(f" {title}", "title")], [(f" {clip_end(soon, cells - 2)}", "dim")]]
    worth: Line = [(f"n_eff {found.n_eff:.0f} ", "dim")]
    if line_width(worth) + len(title) + 2 > cells:
        worth = [(f"n {found.n_eff:.0f} ", "dim")]
    number: Line = [(f" {format_percent(found.error)}", "strong")]
    lines = [
        justify_line([(f" {title}", "title")], worth, cells),
        justify_line(number, [(f"90 %: {format_interval(found.low, found.high)} ", "text")], cells),
    ]
    if found.tags is None:
        return lines
    each: Line = [(f" {format_percent(found.tags.value)}", "strong"), (" of classes", "text")]
    ends = f"90 %: {format_interval(found.tags.low, found.tags.high)} "
    between: list[Line] = [] if brief else [[(" of whole sets; class by class:", "dim")]]
    return [*lines, *between, justify_line(each, [(ends, "text")], cells)]


def history_lines(state: PoolErrorState, cells: int, rows: int) -> list[Line]:
    """Return a title, and the estimates over the labels as a curve in its band, with a scale."""
    if len(state.points) < 2:
        return []
    if (cells, rows) not in state.drawn:
        state.drawn[cells, rows] = _history(state, cells, rows)
    return state.drawn[cells, rows]


def _history(state: PoolErrorState, cells: int, rows: int) -> list[Line]:
    from annotator.tui.curves.plot import axis_ticks, plot_curves

    whole = error_chart(state)
    chart = replace(whole, series=(replace(whole.series[0], mark=""),))  # too low for signs
    # The first intervals are wide; the scale fits the last ones.
    high = max(state.points[-1].high, *(1.5 * point.error for point in state.points))
    top = axis_ticks(min(high, 1.0), 2)[-1]
    right = axis_ticks(chart.right, 6)[-1]
    scale = [f"{100 * top:.0f} %", *[""] * (rows - 2), "0 %"]
    left = max(map(len, scale)) + 1
    area = plot_curves(chart, cells - left - 2, rows, right, top)
    return [[(" estimated error so far", "title")]] + [
        [(f"{label:>{left}}", "dim"), ("┤" if label else "│", "track"), *line]
        for label, line in zip(scale, area, strict=True)
    ]


def outlook_lines(state: PoolErrorState, per_minute: float | None, cells: int) -> list[Line]:
    """Return what the model is enough for, without a target; the advice to stop or the forecast."""
    words, role = format_outlook(state, per_minute, brief=cells < 32)
    lines: list[Line] = []
    if state.shown is not None and state.target is None:
        lines.append([(f" {format_enough(state.shown.high)}", "text")])
    return lines + [[(f" {line}", role)] for line in wrap_text(words, cells - 2) if line]


def format_enough(high: float) -> str:
    """Return the least round error that the upper end of the interval is within."""
    found = next((error for error in ROUND_ERRORS if high <= error), None)
    if found is None:
        return f"not enough for {100 * ROUND_ERRORS[-1]:g} % yet"
    return f"enough for {100 * found:g} % error"


def format_outlook(
    state: PoolErrorState, per_minute: float | None, *, brief: bool = False
) -> tuple[str, str]:
    """Return the advice or the forecast, with its role; "" without either."""
    found, target = state.shown, state.target
    if state.reached and found is not None and target is not None:
        return f"✓ you may stop: at most {format_percent(found.high)}", "good"
    if state.advice is not None:
        sign = "✓ you may stop: " if state.advice.stop else ""
        return sign + state.advice.reason, "good" if state.advice.stop else "warn"
    if found is None or target is None:
        return "", "dim"
    aim = f"≤ {100 * target:g} %"
    if state.labels_to_target is None:
        return f"{aim}: too far for a forecast", "dim"
    if state.labels_to_target <= 0:
        return f"{aim} is near, but the error may still be {format_percent(found.high)}", "text"
    time = format_duration(60 * state.labels_to_target / per_minute) if per_minute else ""
    if brief:
        return f"{aim}: ~{state.labels_to_target:,} more" + (f", {time}" if time else ""), "text"
    pace = f", {time} at your pace," if time else ""
    return f"about {plural(state.labels_to_target, 'label')} more{pace} to {aim}", "text"


def rare_lines(state: PoolErrorState, cells: int, key: str) -> list[Line]:
    """Return the lines of a rare class: items found, and the precision of the model."""
    rare = state.rare
    if rare is None:
        return []
    from annotator.learn.stopping import RARE_SHARE

    name = clip_end(rare.name, cells - 12)
    if rare.hunted:
        lines: list[Line] = [[(f" hunting {name}", "title")]]
    else:
        share = f"{format_percent(rare.of_labels)} of labels"
        if rare.of_labels >= RARE_SHARE and rare.of_pool is not None:
            share = f"{format_percent(rare.of_pool)} of the pool"
        lines = [
            [(f" {name}", "title"), (f": {share}", "text")],
            [(" ", "text"), (key, "key"), (" hunts for it", "text")] if key else [],
        ]
    about = ""
    if rare.expected is not None:
        about = f" of about {rare.expected.value:,.0f}"
    lines.append(justify_line([(f" {rare.found:,} found", "strong"), (about, "dim")], [], cells))
    if rare.precision is not None:
        number: Line = [(" precision ", "text"), (format_percent(rare.precision.value), "strong")]
        spanned = format_interval(rare.precision.low, rare.precision.high).removesuffix(" %")
        lines.append(justify_line(number, [(f"{spanned} ", "dim")], cells))
    if rare.of_pool is not None:  # a model that finds none has this error
        never = f"error {format_percent(rare.of_pool)} "
        lines.append(justify_line([(" finding none", "dim")], [(never, "dim")], cells))
    return [line for line in lines if line]


def share_lines(state: PoolErrorState, cells: int, most: int) -> list[Line]:
    """Return the estimated share of each class in the pool; for two classes, of the rarer one."""
    found = state.shown
    if found is None or not found.shares or most < 2:
        return []
    pairs = list(zip(state.classes, found.shares, strict=True))
    if len(pairs) == 2:
        pairs = [min(pairs, key=lambda pair: pair[1].value)]
    lines: list[Line] = [[(" estimated share of pool", "title")]]
    for name, share in pairs[: most - 1]:
        digits = 1 if share.value < 0.0995 else 0
        half = format_share((share.high - share.low) / 2, digits, "")
        number = f"{format_percent(share.value)} ± {half} "
        lines.append(
            justify_line(
                [(f" {clip_end(name, cells - len(number) - 2)}", "text")], [(number, "text")], cells
            )
        )
    return lines


# --- the same, drawn


def error_chart(state: PoolErrorState) -> Chart:
    """Return the chart of the estimates over the labels, in their 90 % intervals."""
    from annotator.tui.curves.plot import Chart, Series

    points: Sequence[EstimatePoint] = state.points
    columns = ((p.labels, p.error, p.low, p.high) for p in points)
    x, y, low, high = np.array(list(columns), float).reshape(-1, 4).T
    target = state.target
    return Chart(
        title=ESTIMATED,
        series=(Series("estimate", x, y, low=low, high=high),),
        percent=True,
        level=target,
        level_name=f"target {100 * target:g} %" if target is not None else "",
        band_name="90 % interval",
        empty="The estimate begins at an n_eff of 8, after some 25 labels.",
    )
