"""A page of pictures as one: where they lie, what they look like, and the text between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from annotator.images import ImageFolder
from annotator.items.refs import Box, Item
from annotator.terminal.backend import Area
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.terminal.choose import backend_for
from annotator.terminal.kitty import MARKS
from annotator.terminal.sheet import (
    HEAD,
    LEAST_SPOT,
    SIDE,
    Sheet,
    SheetComposer,
    count_fitting,
    lay_out_grid,
    lay_out_strip,
)
from annotator.terminal.text_overlay import TextOverlay, TextRun, TiledBackend
from tests.terminal.memory_terminal import Screen
from tests.terminal.virtual_annotator import KINDS

CELL = (8, 16)
COLOURS = [
    (220, 40, 40),
    (40, 200, 60),
    (50, 60, 230),
    (210, 200, 40),
    (190, 50, 200),
    (30, 190, 190),
]
AREA = Area(1, 1, 42, 16, CELL)


@given(
    st.integers(1, 90),
    st.integers(8, 250),
    st.integers(4, 90),
    st.integers(5, 14),
    st.integers(9, 30),
)
def test_every_picture_has_a_place_of_its_own_and_room_for_its_frame(
    wanted: int, columns: int, rows: int, wide: int, high: int
) -> None:
    count = count_fitting(wanted, columns, rows, (wide, high))
    places = lay_out_grid(count, columns, rows, (wide, high))
    assert len(places) == count
    taken = np.zeros((rows, columns), int)
    for spot in places:
        assert spot.columns >= LEAST_SPOT[0]
        assert spot.rows >= LEAST_SPOT[1]
        top, left = spot.row - HEAD, spot.column - SIDE
        assert top >= 0
        assert left >= 0
        frame = taken[top : spot.row + spot.rows, left : spot.column + spot.columns + SIDE]
        assert frame.shape == (spot.rows + HEAD, spot.columns + 2 * SIDE)
        frame += 1
    assert taken.max(initial=0) <= 1
    if columns >= LEAST_SPOT[0] + 2 * SIDE and rows >= LEAST_SPOT[1] + HEAD:
        assert count > 0


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (64, 48), colour).save(tmp_path / f"{number}.png")
    return tmp_path


def sheet_of(items: list[Item]) -> Sheet:
    return Sheet.of(items, lay_out_grid(len(items), AREA.columns, AREA.rows, CELL), AREA[2:4])


def middles(sheet: Sheet) -> list[tuple[int, int]]:
    """The middle of each picture in cells of the sheet: row, column."""
    return [(s.row + s.rows // 2, s.column + s.columns // 2) for s in sheet.spots]


def test_a_picture_that_cannot_be_read_leaves_the_others_alone(images: Path) -> None:
    (images / "2.png").write_bytes(b"nothing")
    composer = SheetComposer(ImageFolder(images).crop)
    items = [Item(f"{n}.png") for n in range(6)]
    sheet = sheet_of(items)
    whole = np.asarray(composer(sheet, AREA.size).image)
    for place, (row, column) in enumerate(middles(sheet)):
        seen = whole[row * CELL[1], column * CELL[0]]
        assert (np.abs(seen.astype(int) - COLOURS[place]).max() < 12) == (place != 2)
    assert list(composer.broken) == [items[2]]
    Image.new("RGB", (64, 48), COLOURS[2]).save(images / "2.png")
    again = SheetComposer(ImageFolder(images).crop)
    again(sheet, AREA.size)
    assert again.broken == {}


def test_a_box_is_shown_with_what_is_around_it_and_where_it_lies_is_known(images: Path) -> None:
    Image.new("RGB", (400, 300), COLOURS[0]).save(images / "large.png")
    composer = SheetComposer(ImageFolder(images).crop)
    item = Item("large.png", Box(100, 50, 100, 50))
    composer(sheet_of([item]), AREA.size)
    placed = composer.placements[item]
    assert placed.source == (400, 300)
    left, top, width, height = placed.part
    spot = sheet_of([item]).spots[0]
    pixels = width * spot.columns * CELL[0], height * spot.rows * CELL[1]
    assert pixels[0] / pixels[1] == pytest.approx(150 / 100, rel=0.05)  # a quarter on each side
    assert left + width / 2 == pytest.approx(0.5, abs=0.02)
    assert top + height / 2 == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    "technique",
    [t for t in KINDS if t is not Technique.CLASSIC],
)
def test_text_between_pictures_leaves_every_picture_whole(
    technique: Technique, images: Path
) -> None:
    composer = SheetComposer(ImageFolder(images).crop)
    sheet = sheet_of([Item(f"{n}.png") for n in range(6)])
    runs: list[TextRun] = []
    for spot in sheet.spots[::2]:
        runs.append(TextRun(spot.row - 1, spot.column, "tag", (255, 255, 255), (0, 0, 0)))
        for row in range(spot.row, spot.row + spot.rows):
            runs.append(TextRun(row, spot.column - 1, "|", (255, 255, 255), (0, 0, 0)))
            runs.append(TextRun(row, spot.column + spot.columns, "|", (255, 255, 255), (0, 0, 0)))
    backend = TextOverlay(
        backend_for(TerminalCapabilities(technique)),
        lambda a, b: [run for run in runs if a <= run.row < b],
    )
    screen = Screen(46, 20, CELL, KINDS[technique])
    screen.feed(backend.begin(AREA))
    for row in range(AREA.rows):
        text = "".join(
            "\x1b[0;38;2;{};{};{}m{}".format(*(cell.foreground or (0, 0, 0)), cell.text)
            for cell in backend.row_cells(row, AREA, None)
        )
        screen.feed(f"\x1b[{AREA.row + row + 1};{AREA.column + 1}H{text}".encode())
    payload = backend.encode(composer(sheet, AREA.size).image, AREA, backend.ladder[-1])
    for index in range(len(payload.parts)):
        screen.feed(backend.part(2, payload, index, AREA))
    if backend.slots:
        screen.feed(backend.show(2, AREA))
    late = TextRun(
        sheet.spots[1].row + 1, sheet.spots[1].column - 1, "!", (9, 9, 9), (250, 250, 250)
    )
    screen.feed(backend.written([late], AREA))
    pixels = screen.pixels(AREA[:4])
    for place, (row, column) in enumerate(middles(sheet)):
        seen = pixels[row * CELL[1], column * CELL[0]]
        assert np.abs(seen.astype(int) - COLOURS[place]).max() < 30, place
    assert screen.text().count("tag") == 3
    assert "!" in screen.text()
    assert screen.problems == []


def test_text_up_to_the_last_column_is_followed_by_no_mark() -> None:
    """A mark would lie on the text's last character, as a dash over it."""
    backend = TextOverlay(backend_for(TerminalCapabilities(Technique.FRAMES)), lambda a, b: [])
    backend.begin(AREA)
    text = "tag " * 5
    run = TextRun(3, AREA.columns - len(text), text, (9, 9, 9), (250, 250, 250))
    assert text.encode() in backend.written([run], AREA)
    assert not set(MARKS) & set(backend.written([run], AREA).decode())


def test_pictures_aside_are_drawn_and_are_no_part_of_the_page(images: Path) -> None:
    items, places = [Item(f"{n}.png") for n in range(4)], lay_out_grid(2, AREA.columns, 8, CELL)
    page = [spot._replace(row=spot.row + 6) for spot in places]
    beside = list(zip(items[2:], lay_out_strip(2, AREA.columns, 6, CELL), strict=True))
    composer = SheetComposer(ImageFolder(images).crop)
    sheet = Sheet.of(items[:2], page, AREA[2:4], aside=beside)
    whole = np.asarray(composer(sheet, AREA.size).image)
    for place, spot in enumerate([*page, *(spot for _, spot in beside)]):
        row, column = spot.row + spot.rows // 2, spot.column + spot.columns // 2
        seen = whole[row * CELL[1], column * CELL[0]].astype(int)
        assert np.abs(seen - COLOURS[place]).max() < 12
    assert set(composer.placements) == set(items[:2])


def test_as_many_stand_in_a_strip_as_fit() -> None:
    found = lay_out_strip(50, 40, 4, CELL)
    assert 0 < len(found) < 50
    assert all(spot.column + spot.columns <= 40 for spot in found)
    assert all(a.column + a.columns < b.column for a, b in zip(found, found[1:], strict=False))


def test_without_placeholders_the_new_page_is_placed_before_the_last_one_is_removed() -> None:
    caps = TerminalCapabilities(Technique.CLASSIC)
    backend = TiledBackend(caps, (0, 0, 0), lambda: [(0, 0, 4, 2), (6, 0, 4, 2)])
    payload = backend.encode(Image.new("RGB", (40, 32)), AREA, backend.ladder[-1])
    for slot in (0, 1):
        for index in range(len(payload.parts)):
            backend.part(slot, payload, index, AREA)
    backend.show(0, AREA)
    data = backend.show(1, AREA)
    assert 0 < data.rfind(b"a=p,") < data.find(b"a=d,")
    assert b"a=d," not in backend.show(1, AREA)
