"""The panels: what is estimated of the whole pool, apart from the difficulty of what is shown."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.learn.error_estimate import ErrorEstimate, Interval
from annotator.learn.ranking import learn
from annotator.learn.stopping import EstimatePoint, StoppingAdvice
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.session.learner import StrategyChoice
from annotator.session.progress import Progress
from annotator.session.session import LabelSession
from annotator.tui.label.error_panel import (
    PoolErrorState,
    RareClass,
    format_outlook,
    pool_error_state,
)
from annotator.tui.label.progress_panel import DifficultyCurve, PanelState, panel_lines
from annotator.tui.label.top_panel import TopState, top_lines
from annotator.tui.styled_text import line_width

REFS = [f"{number:02d}.png" for number in range(200)]
SHARES = (Interval(0.958, 0.952, 0.964), Interval(0.042, 0.036, 0.048))


def estimate(error: float, low: float, high: float, n_eff: float = 31.0) -> ErrorEstimate:
    return ErrorEstimate(error, low, high, n_eff, 60, SHARES)


def known(**changes: Any) -> PoolErrorState:
    points = tuple(
        EstimatePoint(n, 2 / n, n / 3, 1 / n, min(4 / n, 1.0)) for n in range(30, 130, 10)
    )
    values: dict[str, Any] = {
        "estimate": estimate(0.042, 0.021, 0.079),
        "points": points,
        "classes": ("ok", "defect"),
        "target": 0.02,
        "labels_to_target": 210,
    }
    return PoolErrorState(**(values | changes))


def state(honest: PoolErrorState) -> PanelState:
    wrong = np.full(120, 0.38)
    progress = Progress(4000, 120, 3, 0, 3877, 0, {"ok": 108, "defect": 12})
    curves = (
        DifficultyCurve("wrong", wrong, 0.38, 0.35, True),
        DifficultyCurve("squared", wrong, 0.2, 0.2, False),
    )
    return PanelState(progress, 17.5, curves, honest, "T")


def said(honest: PoolErrorState, cells: int = 34, height: int = 40) -> str:
    lines = panel_lines(state(honest), cells, height)
    assert len(lines) <= height and max(map(line_width, lines)) <= cells
    return "\n".join("".join(text for text, _ in line) for line in lines)


def above(honest: PoolErrorState, cells: int = 34, height: int = 7) -> str:
    """The panel above the classes, at 17.5 labels a minute."""
    lines = top_lines(TopState(honest, left=3877, per_minute=17.5, wait="soon"), cells, height)
    assert len(lines) == height and max(map(line_width, lines)) <= cells
    return "\n".join("".join(text for text, _ in line) for line in lines)


def test_the_estimate_is_named_with_its_interval_and_its_worth() -> None:
    text = above(known())
    assert re.search(r"estimated pool error +n_eff 31", text)
    assert re.search(r"4\.2 % +90 %: 2\.1 – 7\.9 %", text)


def test_below_eight_effective_labels_no_number_is_shown() -> None:
    few = known(estimate=estimate(0.042, 0.021, 0.079, n_eff=7.9), points=())
    text = above(few) + said(few)
    assert "4.2 %" not in text and "defect" not in text
    assert "n_eff 7.9, shown from 8" in text
    assert "soon" in above(PoolErrorState()) and "soon" not in text


@pytest.mark.parametrize("cells", [26, 34])
def test_error_forecast_and_time_stay_where_there_is_little_room(cells: int) -> None:
    text = above(known(), cells, 5)
    assert "pool error" in text and "2.1 – 7.9 %" in text
    assert "≤ 2 %" in text and "210" in text
    assert re.search(r"one by one +3\.7 h", text)


@pytest.mark.parametrize(("cells", "height"), [(26, 14), (34, 29), (26, 4)])
def test_the_progress_stays_and_the_difficulty_is_the_first_to_go(cells: int, height: int) -> None:
    text = said(known(), cells, height)
    assert "123 of 4,000" in text
    assert ("share" in text) == (height >= 14)
    assert ("how hard" in text) == (height >= 29)
    if height >= 29:
        assert text.index("share") < text.index("so far") < text.index("how hard")
    full = said(known(), 34, 40)
    assert "half right is usual" in full.replace("\n", " ")


@pytest.mark.parametrize(
    ("high", "words"),
    [(0.01, "enough for 1 % error"), (0.079, "enough for 10 % error"),
     (0.2, "enough for 20 % error"), (0.21, "not enough for 20 % yet")],
)  # fmt: skip
def test_the_least_round_error_that_the_interval_is_within_is_named(
    high: float, words: str
) -> None:
    without = known(target=None, labels_to_target=None, estimate=estimate(0.005, 0.001, high))
    assert words in above(without)
    assert "enough for" not in above(known())  # with a target it is the forecast


def test_a_long_advice_is_cut_and_never_takes_the_lines_of_the_ways() -> None:
    advice = StoppingAdvice(False, "more labels hardly change the model, but its error is high")
    text = above(known(advice=advice), 26, 5)
    assert "…" in text and "one by one" in text


def test_the_forecast_is_in_labels_and_minutes_at_ones_own_pace() -> None:
    words, _ = format_outlook(known(), 17.5)
    assert words == "about 210 labels more, 12 min at your pace, to ≤ 2 %"
    assert format_outlook(known(), None)[0] == "about 210 labels more to ≤ 2 %"
    assert "too far for" in format_outlook(known(labels_to_target=None), 17.5)[0]


def test_one_may_stop_where_the_whole_interval_is_within_the_target() -> None:
    reached = known(estimate=estimate(0.01, 0.004, 0.018), labels_to_target=0)
    assert format_outlook(reached, 17.5) == ("✓ you may stop: at most 1.8 %", "good")
    near = known(estimate=estimate(0.018, 0.01, 0.03), labels_to_target=0)
    assert "may still be 3.0 %" in format_outlook(near, 17.5)[0]
    agreed = known(
        target=None, labels_to_target=None, advice=StoppingAdvice(True, "models hardly change")
    )
    assert format_outlook(agreed, None) == ("✓ you may stop: models hardly change", "good")
    lost = known(advice=StoppingAdvice(False, "other features may help"))
    assert format_outlook(lost, None) == ("other features may help", "warn")


def test_of_two_classes_the_rarer_ones_share_is_shown() -> None:
    assert re.search(r"defect +4\.2 % ± 0\.6", said(known()))


def test_of_a_rare_class_counts_and_precision_are_shown_and_the_key_that_hunts() -> None:
    rare = RareClass("defect", False, 0.04, 12, Interval(168, 144, 192), Interval(0.78, 0.6, 0.9))
    text = said(known(rare=rare))
    assert "defect: 4.0 % of labels" in text
    assert "T hunts for it" in text
    assert "12 found of about 168" in text
    assert re.search(r"precision 78 % +60 – 90", text)
    often = said(known(rare=replace(rare, of_labels=0.2, of_pool=0.042)))
    assert "defect: 4.2 % of the pool" in often
    assert re.search(r"finding none +error 4\.2 %", often)
    hunted = said(known(rare=RareClass("defect", True, 0.04, 12)))
    assert "hunting defect" in hunted and "hunts for it" not in hunted


def test_a_longer_history_changes_only_the_end_of_its_curve() -> None:
    """Over a slow line each byte counts: what is drawn already stays."""
    points = known().points
    before, after = said(known(points=points[:-1])), said(known(points=points))
    pairs = list(zip(before.splitlines(), after.splitlines(), strict=True))
    differing = [sum(a != b for a, b in zip(*pair, strict=True)) for pair in pairs]
    assert 0 < sum(differing) <= 20


@pytest.fixture
def rare_project(make: Any, give_features: Any) -> Any:
    """60 images; two of the 40 that are labelled already are blue."""
    project = make(60)
    give_features(project, REFS[:60])
    store = SqliteStore(project.labels_file)
    refs = [*REFS[0:60:2], *REFS[1:16:2], REFS[31], REFS[33]]
    names = ["red"] * 38 + ["blue"] * 2
    store.append(
        *(
            Entry(0, 0.0, "import", Action.LABEL, ref, label=name)
            for ref, name in zip(refs, names, strict=True)
        )
    )
    store.close()
    return project


async def test_a_rare_class_is_hunted_for_on_t_and_no_more_on_t(
    rare_project: Any, opened: Any, log: Any
) -> None:
    async with opened(rare_project) as desk:
        await desk.sees("blue: 5.0 % of labels")
        await desk.sees("T hunts for it")
        await desk.press("t")
        await desk.sees("blue is rare: enter hunts for it")
        await desk.press("enter")
        await desk.until(lambda: "hunting blue" in desk.text.splitlines()[0])
        await desk.sees("2 found")
        for _ in range(6):
            await desk.learnt()
            await desk.press("d")
        await desk.press("t")
        await desk.sees("stop hunting")
        await desk.press("enter")
        await desk.until(lambda: "hunting" not in desk.text)
        assert desk.app.session.strategy.find is None
    assert "find" in {row.picked_by for row in log(rare_project)}


async def test_the_history_is_there_again_after_a_restart(
    make: Any, opened: Any, give_features: Any, truth: Any
) -> None:
    """Folded from the log: a fit at every tenth label."""
    project = make(60, strategy="random")
    give_features(project, REFS[:60])
    async with opened(project, size=(120, 40)) as desk:
        for _ in range(32):
            await desk.press("a" if truth(desk.current) == "red" else "d")
            await desk.learnt()
        await desk.until(lambda: re.search(r"pool error +n_eff \d+", desk.text))
    async with opened(project, size=(120, 40)) as desk:
        await desk.until(lambda: re.search(r"pool error +n_eff \d+", desk.text))
        assert desk.app.session.ranking.past.points[0].labels < 32
        await desk.until(lambda: re.search(r"\d+ %┤.*\n(.*│.*\n){2}.*0 %┤", desk.text))


def test_no_more_labels_are_forecast_than_are_left() -> None:
    """Sixty items that nothing can tell apart, forty of them labelled."""
    rng = np.random.default_rng(0)
    refs, X = RefTable(REFS[:60]), rng.normal(size=(60, 6)).astype(np.float32)
    session = LabelSession(SqliteStore(":memory:"), ("ok", "defect"), annotator="ann", ahead=0,
                      strategy=StrategyChoice("random"))  # fmt: skip
    session.extend(refs)
    session.attach_features(FeatureStore(refs, X, {"name": "made up"}, np.ones(60, np.uint8)))
    for _ in range(40):
        session.label(("ok", "defect")[int(rng.integers(2))])
        snapshot = session.snapshot()
        assert snapshot is not None
        session.adopt(learn(snapshot, 0))
    assert pool_error_state(session, 0.99).labels_to_target is not None
    within = pool_error_state(session, 0.2)
    assert within.shown is not None and within.shown.error > 0.3
    assert "too far for" in format_outlook(within, None)[0]
    session.close()
