"""The bytes of each technique, checked as pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from annotator.terminal.backend import Area, Quality
from annotator.terminal.caps import Technique, TerminalCapabilities, Tmux
from annotator.terminal.choose import backend_for
from annotator.terminal.fit import scale_image
from annotator.terminal.redrawn import overpaints_area
from tests.terminal.memory_terminal import Screen
from tests.terminal.virtual_annotator import KINDS

AREA = Area(2, 1, 40, 15, (8, 17))


def photograph() -> Image.Image:
    """Smooth shades, edges and grain, as photographs have them; wider than the area."""
    y, x = np.mgrid[:240, :480]
    rng = np.random.default_rng(1)
    red = 128 + 100 * np.sin(x / 50) * np.cos(y / 40)
    green = 200 * ((x // 60 + y // 60) % 2) + 20
    blue = 255 * y / 240
    grain = rng.normal(0, 4, (240, 480, 3))
    return Image.fromarray(np.clip(np.dstack([red, green, blue]) + grain, 0, 255).astype(np.uint8))


def drawn(technique: Technique, rung: Quality, image: Image.Image, area: Area = AREA) -> Screen:
    """A screen on which a backend, used as the stage uses it, has put an image."""
    backend = backend_for(TerminalCapabilities(technique))
    screen = Screen(50, 20, area.cell, KINDS[technique])
    screen.feed(backend.begin(area))
    for row in range(area.rows):
        cells = "".join(f"\x1b[0;38;2;%d;%d;%dm{cell.text}" % (cell.foreground or (0, 0, 0)) for cell in backend.row_cells(row, area, None))  # fmt: skip  # noqa: E501
        screen.feed(f"\x1b[{area.row + row + 1};{area.column + 1}H{cells}".encode())
    payload = backend.encode(image, area, rung)
    for index in range(len(payload.parts)):
        screen.feed(backend.part(3, payload, index, area))
    if backend.slots:
        screen.feed(backend.show(3, area))
    assert screen.problems == []
    return screen


def near(screen: Screen, image: Image.Image, area: Area = AREA) -> float:
    """PSNR in dB between the area on the screen and the image fitted into it."""
    wanted = scale_image(image, area.size)
    left, top = (area.size[0] - wanted.width) // 2, (area.size[1] - wanted.height) // 2
    seen = screen.pixels(area[:4])[top : top + wanted.height, left : left + wanted.width]
    error = np.asarray(wanted, float) - seen.astype(float)
    return float(20 * np.log10(255 / np.sqrt(max((error**2).mean(), 1e-6))))


@pytest.mark.parametrize("technique", KINDS)
def test_a_better_rung_is_nearer_to_the_picture(technique: Technique) -> None:
    ladder = backend_for(TerminalCapabilities(technique)).ladder
    quality = [near(drawn(technique, rung, photograph()), photograph()) for rung in ladder]
    floor = {Technique.HALFCELL: 16, Technique.SIXEL: 30}.get(technique, 40)
    assert quality[-1] > floor
    assert quality == sorted(quality)


@pytest.mark.parametrize("technique", [Technique.FRAMES, Technique.CLASSIC, Technique.ITERM])
@pytest.mark.parametrize("size", [(30, 300), (300, 30), (5, 5), (640, 480)])
def test_any_shape_fills_the_area_in_one_direction_and_keeps_its_aspect(
    technique: Technique, size: tuple[int, int]
) -> None:
    rung = backend_for(TerminalCapabilities(technique)).ladder[-1]
    screen = drawn(technique, rung, Image.new("RGB", size, (250, 40, 60)))
    red = screen.pixels(AREA[:4])[..., 0] > 125
    rows, columns = red.any(1).sum(), red.any(0).sum()
    assert abs(columns / rows / (size[0] / size[1]) - 1) < 0.1
    assert abs(rows - AREA.size[1]) < 8 or abs(columns - AREA.size[0]) < 8


def test_a_palette_picture_ahead_is_small_and_good() -> None:
    area = Area(0, 0, 65, 23, (8, 17))
    rung = backend_for(TerminalCapabilities(Technique.FRAMES)).ladder[1]
    payload = backend_for(TerminalCapabilities(Technique.FRAMES)).encode(photograph(), area, rung)
    assert payload.size < 100_000


def test_a_small_crop_costs_little() -> None:
    area = Area(0, 0, 65, 23, (8, 17))
    backend = backend_for(TerminalCapabilities(Technique.FRAMES))
    small = photograph().resize((64, 48))
    exact = backend.encode(small, area, backend.ladder[-1])
    assert exact.size < 60_000


def test_graphics_are_wrapped_inside_tmux_and_text_is_not() -> None:
    caps = TerminalCapabilities(Technique.FRAMES, multiplexer="tmux", tmux=Tmux("3.5a", True))
    backend = backend_for(caps)
    begun = backend.begin(AREA)
    assert begun.count(b"\x1bPtmux;") == begun.count(b"\x1b\x1b_G") > 0
    payload = backend.encode(photograph(), AREA, backend.ladder[0])
    sent = b"".join(backend.part(0, payload, n, AREA) for n in range(len(payload.parts)))
    shown = backend.show(0, AREA)
    assert b"\x1b_G" not in (sent + shown).replace(b"\x1b\x1b_G", b"")
    assert "\U0010eeee".encode() in shown


def test_old_tmux_gets_every_placeholder_written_out() -> None:
    for version, repeats in (("3.3a", False), ("3.5a", True)):
        caps = TerminalCapabilities(
            Technique.PLACEHOLDERS, multiplexer="tmux", tmux=Tmux(version, True)
        )
        backend = backend_for(caps)
        backend.begin(AREA)
        assert (b"\x1b[38b" in backend.show(0, AREA)) is repeats


def test_half_cells_without_true_colour_use_the_palette() -> None:
    backend = backend_for(TerminalCapabilities(Technique.HALFCELL, truecolor=False))
    payload = backend.encode(photograph(), AREA, backend.ladder[-1])
    sent = b"".join(part.data for part in payload.parts)
    assert b"8;2;" not in sent
    assert b"38;5;" in sent


def test_text_beside_the_picture_is_told_from_text_over_it() -> None:
    assert not overpaints_area("\x1b[1;1Hstatus\x1b[20;1Hfooter", AREA)
    assert not overpaints_area("\x1b[3;43Hpanel", AREA)
    assert overpaints_area("\x1b[3;1H\x1b[38;2;1;2;3mtoo long", AREA)
    assert overpaints_area("\x1b[3;10H \x1b[0m", AREA)
    assert not overpaints_area("\x1b[3;10H\x1b[0m\x1b[?25l", AREA)
    assert overpaints_area("\x1b[2J", AREA)
