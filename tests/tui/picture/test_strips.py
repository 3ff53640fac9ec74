"""Text in the place of some cells of a picture."""

from __future__ import annotations

import pytest
from rich.segment import Segment
from textual.strip import Strip

from annotator.terminal.kitty import PLACEHOLDER, placeholder_row
from annotator.terminal.text_overlay import TextRun
from annotator.tui.picture.strips import splice_runs


@pytest.mark.parametrize("width", range(60, 160, 7))
def test_the_cells_beside_text_still_name_their_place_in_the_picture(width: int) -> None:
    whole = placeholder_row(0, width)
    room = width // 4
    runs = [TextRun(0, 1 + i * room, "x" * (room - 1), (1, 2, 3), (4, 5, 6)) for i in range(4)]
    text = splice_runs(Strip([Segment(whole)]), runs).text
    cells = [PLACEHOLDER + marks for marks in whole.split(PLACEHOLDER)[1:]]
    for run in runs:
        cells[run.column : run.column + len(run.text)] = list(run.text)
    assert text == "".join(cells)
