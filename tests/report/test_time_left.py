"""The minutes that are left by each way, in status and on the report's page."""

from __future__ import annotations

import pytest

from annotator.learn.remaining_work import RemainingWork
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.report.estimate import minutes_left, time_lines

WORK = RemainingWork(180, 15.0, None, 0.01, 0.05)


def answered(seconds: float, count: int = 10) -> LogState:
    """A log of labels that came `seconds` after each other."""
    return replay(
        Entry(n, 1000 + n * seconds, "ann", Action.LABEL, f"{n}.png", label="ok")
        for n in range(1, count + 1)
    )


def test_the_minutes_follow_the_pace_of_the_log() -> None:
    left = minutes_left(WORK, 600, answered(6.0))
    assert left is not None
    assert left["one_by_one"] == pytest.approx(60)
    assert left["pages"] is not None and 0 < left["pages"] < 10
    assert left["finish"] is None and left["page_target"] == 0.01
    slow = minutes_left(WORK, 600, answered(12.0))
    assert slow is not None and slow["one_by_one"] == pytest.approx(120)


def test_the_line_names_each_way_and_the_error_that_it_leads_to() -> None:
    (line,) = time_lines(minutes_left(WORK, 600, answered(6.0)))
    assert "one by one 60 min" in line and "pages to 1 % error" in line
    assert "finish" not in line


def test_without_a_model_only_one_by_one_is_left_and_without_a_pace_nothing_is_said() -> None:
    (line,) = time_lines(minutes_left(None, 600, answered(6.0)))
    assert line.endswith("one by one 60 min")
    assert minutes_left(None, 600, answered(6.0, count=1)) is None
    assert time_lines(None) == [] == time_lines(minutes_left(None, 0, answered(6.0)))
