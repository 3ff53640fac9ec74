"""Human time in simulation: all is labelled, and the error is that of all labels."""

from __future__ import annotations

import numpy as np
import pytest

from annotator.learn.remaining_work import PAGE_SECONDS, SINGLE_SECONDS
from annotator.simulate.human import MODES, label_all


def easy(n: int = 240) -> tuple[list[str], np.ndarray, list[str]]:
    """Three classes that lie apart."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    X = rng.normal(size=(n, 8)).astype(np.float32) * 0.15 + 2 * np.eye(8, dtype=np.float32)[y]
    return [f"{i}.jpg" for i in range(n)], X, [("a", "b", "c")[k] for k in y]


@pytest.mark.parametrize("mode", MODES)
def test_everything_is_labelled_nearly_right(mode: str) -> None:
    spent = label_all(*easy(), mode, target=0.02)
    assert spent.error <= 0.04
    assert spent.seconds > 0
    assert spent.by_people <= 240


def test_pages_of_what_is_easy_take_less_time_than_one_by_one() -> None:
    refs, X, labels = easy()
    pages = label_all(refs, X, labels, "pages", target=0.002)
    assert pages.seconds < SINGLE_SECONDS * len(refs)
    assert pages.seconds >= PAGE_SECONDS * pages.by_people


def test_where_features_say_nothing_people_label_everything() -> None:
    refs, X, _ = easy(90)
    rng = np.random.default_rng(1)
    noise = [("a", "b", "c")[k] for k in rng.integers(3, size=90)]
    spent = label_all(refs, rng.normal(size=X.shape).astype(np.float32), noise, "single")
    assert spent.by_people == 90
    assert spent.seconds >= 90 * SINGLE_SECONDS
    assert spent.error < 0.15
