"""Text in the place of some cells of a picture."""

from __future__ import annotations

import pytest
from rich.segment import Segment
from textual.strip import Strip

from annotator.terminal.placeholders import PLACEHOLDER, placeholders
from annotator.terminal.text_overlay import Run
from annotator.tui.picture.strips import spliced


@pytest.mark.parametrize("width", range(60, 160, 7))
def test_the_cells_beside_text_still_name_their_place_in_the_picture(width: int) -> None:
    whole = placeholders(0, width)
    room = width // 4
    runs = [Run(0, 1 + i * room, "x" * (room - 1), (1, 2, 3), (4, 5, 6)) for i in range(4)]
    text = spliced(Strip([Segment(whole)]), runs).text
    cells = [PLACEHOLDER + marks for marks in whole.split(PLACEHOLDER)[1:]]
    for run in runs:
        cells[run.column : run.column + len(run.text)] = list(run.text)
    assert text == "".join(cells)
