"""Every file of a project, cut and flipped: no traceback, and nothing is silent."""

from __future__ import annotations

from pathlib import Path

from tests.doctor.damage import survey


def test_no_damage_ends_in_a_traceback_or_changes_figures_in_silence(tmp_path: Path) -> None:
    counts, faults = survey(tmp_path, range(6))
    assert faults == []
    assert counts["tried"] >= 6 * 8
    assert counts["said"] > 10
