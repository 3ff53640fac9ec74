"""A session that asks only a part of the pool: it stays inside, and spoils no estimate."""

from __future__ import annotations

from typing import Any

import numpy as np

from annotator.pages import BrowseSource, PageOrder, PageRequest, SelectionMode
from annotator.session.open import open_in_memory
from annotator.session.session import LabelSession

N = 200


def _session(seed: int = 0, **options: Any) -> tuple[LabelSession, list[str]]:
    rng = np.random.default_rng(seed)
    y = np.arange(N) % 2
    X = rng.normal(0, 0.6, (N, 6)).astype(np.float32)
    X[:, 0] += 2 * y
    session = open_in_memory(
        [f"{n:03}.png" for n in range(N)], X, ("even", "odd"), annotator="ann", seed=seed, **options
    )
    session.learn()
    return session, [("even", "odd")[c] for c in y]


def _answer(session: LabelSession, truth: list[str], count: int) -> list[int]:
    rows = []
    for _ in range(count):
        if session.current is None:
            break
        rows.append(session.queue.row(session.current.ref))
        session.label(truth[rows[-1]])
        session.learn()
    return rows


def test_only_the_part_is_asked_until_it_is_done_and_then_everything() -> None:
    session, truth = _session(ahead=3)
    _answer(session, truth, 20)
    part = np.arange(N) % 10 == 3
    shown = session.current
    session.restrict(part, "three")
    assert session.current == shown  # the item on screen stays
    open_ = [row for row in np.flatnonzero(part) if not session.is_answered(f"{row:03}.png")]
    asked = _answer(session, truth, N)
    assert sorted({*asked[1:]} | ({asked[0]} & {*open_})) == open_
    assert session.current is None and session.progress.remaining == 0
    assert session.progress.items == part.sum()
    session.restrict(None)
    assert session.current is not None and session.within == ""
    assert session.progress.items == N


def test_labels_within_are_learnt_from_but_are_no_draws() -> None:
    session, truth = _session()
    _answer(session, truth, 60)
    before = session.learn()
    session.restrict(np.arange(N) < 100, "first")
    _answer(session, truth, 30)
    inside = [last for first, last in session.state.labels() if first.picked_by == "within"]
    assert len(inside) >= 28 and all(entry.q is None for entry in inside)
    after = session.learn()
    assert before is not None and after is not None
    assert before.estimate is not None and after.estimate is not None
    assert after.estimate.labels <= before.estimate.labels + 2
    assert after.model is not None and after.model.name.endswith(f"@{session.state.seq}")


def test_draws_before_and_after_still_estimate_the_whole_pool() -> None:
    off = []
    for seed in range(3):
        session, truth = _session(seed)
        _answer(session, truth, 40)
        session.restrict(np.arange(N) < 60, "some")
        _answer(session, truth, 30)
        session.restrict(None)
        _answer(session, truth, 40)
        ranking = session.learn()
        assert ranking is not None and ranking.estimate is not None and ranking.model is not None
        assert session.learner.features is not None
        proba = ranking.model.predict_proba(session.learner.features.store.matrix)
        true = np.mean([("even", "odd")[c] != t for c, t in zip(proba.argmax(1), truth)])  # noqa: B905
        assert ranking.estimate.low - 0.03 <= true <= ranking.estimate.high
        off.append(ranking.estimate.error - true)
    assert abs(np.mean(off)) < 0.1


def test_pages_stay_inside_and_random_ones_carry_no_draw() -> None:
    session, truth = _session()
    _answer(session, truth, 20)
    part = np.arange(N) % 5 == 0
    session.restrict(part, "fifth")
    request = PageRequest("odd", SelectionMode.POSITIVES_ONLY, PageOrder.RANDOM, per_page=24)
    source = BrowseSource(session, request)
    page = source.next()
    assert page is not None
    assert all(part[session.queue.row(ref)] for ref in page.refs) and not page.draws


def test_an_empty_part_asks_nothing_more() -> None:
    session, truth = _session(ahead=2)
    _answer(session, truth, 12)
    session.restrict(np.zeros(N, bool), "nothing")
    _answer(session, truth, 1)  # the one on screen
    assert session.current is None
    session.restrict(None)
    assert len(_answer(session, truth, 5)) == 5


def test_items_that_come_later_are_outside() -> None:
    session, truth = _session(ahead=2)
    session.restrict(np.arange(N) < 5, "five")
    session.extend(["later.png"])
    asked = _answer(session, [*truth, "odd"], 20)
    assert N not in asked[1:]
