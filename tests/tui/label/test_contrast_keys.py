"""Contrast, true pixels and the arrows that move them, on the labelling screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotator.images.contrast import PLAIN
from annotator.project.settings import ClassInfo
from annotator.tui.keymaps import KEYMAPS, make_keymap
from annotator.tui.pages.mosaic import Mosaic
from annotator.tui.widgets.choices import ChoiceScreen
from tests.tui.conftest import state_of


def caption(desk: Any) -> str:
    return str(desk.app.label_screen.caption.text)


def given(desk: Any) -> list[str]:
    """Return the labels on disk."""
    return [str(last.label) for _, last in state_of(desk.app.project).labels()]


def make_grey(project: Any, count: int = 6, size: tuple[int, int] = (24, 32)) -> None:
    """Replace the images by dark ones of little contrast."""
    images = Path(project.images)
    for place in range(count):
        values = np.full((*size, 3), 60, np.uint8)
        values[::2] = 70 + place
        Image.fromarray(values).save(images / f"{place:02d}.png")


def brightest(desk: Any) -> int:
    """Return the brightest red of the picture's half cells on the screen."""
    picture = desk.app.label_screen.picture
    found = [0]
    for y in range(picture.size.height):
        for segment in picture.render_line(y):
            style = segment.style
            for colour in (style.color, style.bgcolor) if style else ():
                if colour is not None and colour.triplet is not None:
                    found.append(colour.triplet.red)
    return max(found)


async def test_the_key_of_contrast_cycles_and_the_state_is_said(make: Any, opened: Any) -> None:
    project = make(6)
    make_grey(project)
    async with opened(project) as desk:
        await desk.press("k")
        await desk.until(lambda: "contrast crop" in caption(desk))
        await desk.until(lambda: brightest(desk) > 200)
        await desk.press("k")
        await desk.until(lambda: "contrast image" in caption(desk))
        await desk.press("ctrl+n")
        await desk.until(lambda: "contrast image · inverted" in caption(desk))
        await desk.press("k")
        await desk.press("ctrl+n")
        await desk.until(lambda: "contrast" not in caption(desk) and brightest(desk) < 90)


async def test_the_next_pictures_have_the_contrast_before_their_keys(
    make: Any, opened: Any
) -> None:
    project = make(6)
    make_grey(project)
    async with opened(project) as desk:
        await desk.press("k")
        picture = desk.app.label_screen.picture
        await desk.until(lambda: picture.ready >= 4)
        await desk.press("a")
        await desk.until(lambda: picture.seen == picture.item)
        assert brightest(desk) > 200 and "contrast crop" in caption(desk)


async def test_palette_has_gamma_and_invert(make: Any, opened: Any) -> None:
    async with opened(make(4)) as desk:
        for word, state in (("gamma", "gamma 0.6"), ("invert", "inverted")):
            await desk.press("ctrl+p")
            await desk.until(lambda: isinstance(desk.app.screen, ChoiceScreen))
            await desk.pilot.press(*word, "enter")
            await desk.until(lambda state=state: state in caption(desk))


@pytest.mark.parametrize("preset", KEYMAPS)
def test_a_class_keeps_its_letter_and_contrast_gives_way(preset: str) -> None:
    classes = (ClassInfo("ok"), ClassInfo("crack", key="k"), ClassInfo("dust", key="+"))
    keymap = make_keymap(preset, classes)
    assert keymap.action_of("k", "k") == ("label", "crack")
    assert keymap.action_of("plus", "+") == ("label", "dust")
    assert keymap.keys("contrast") == [] and keymap.keys("larger") == ["="]
    own = make_keymap(preset, classes[:1], {"contrast": ("x",)})
    assert own.action_of("x", "x") == ("contrast", "")


async def test_without_its_key_contrast_is_in_the_palette(make: Any, opened: Any) -> None:
    classes = (ClassInfo("red"), ClassInfo("blue", key="k"))
    async with opened(make(4, classes)) as desk:
        before = desk.current
        await desk.press("ctrl+p")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceScreen))
        await desk.pilot.press(*"contrast", "enter")
        await desk.until(lambda: "contrast crop" in caption(desk))
        await desk.press("k")
        await desk.until(lambda: desk.current != before)
        assert given(desk) == ["blue"]


async def test_arrows_label_until_true_pixels_are_shown_then_they_move_them(
    make: Any, opened: Any
) -> None:
    project = make(4)
    for place in range(4):
        values = np.zeros((400, 600, 3), np.uint8)
        values[:, 300:] = 200
        Image.fromarray(values).save(Path(project.images) / f"{place:02d}.png")
    async with opened(project) as desk:
        first = desk.current
        await desk.press("z")
        await desk.until(lambda: "true pixels x1" in caption(desk))
        picture = desk.app.label_screen.picture
        for _ in range(12):
            await desk.press("right", "up")
        await desk.until(lambda: picture.seen == picture.item)
        assert desk.current == first and not given(desk)
        await desk.sees("no more pixels on this side")
        await desk.press("z", "left")
        await desk.until(lambda: desk.current != first)
        assert given(desk) == ["red"]


async def test_true_pixels_follow_the_next_item_in_whole_squares(make: Any, opened: Any) -> None:
    async with opened(make(4)) as desk:
        first = desk.current
        await desk.press("z")
        await desk.until(lambda: "true pixels x" in caption(desk))
        start = int(caption(desk).split("true pixels x")[1].split()[0])
        await desk.press("-")
        await desk.until(lambda: f"true pixels x{start - 1} " in caption(desk))
        await desk.press("a")
        await desk.until(lambda: desk.current != first)
        await desk.until(lambda: f"true pixels x{start - 1} " in caption(desk))
        await desk.press("+", "+")
        await desk.until(lambda: f"true pixels x{start + 1} " in caption(desk))
        await desk.press("z")
        await desk.until(lambda: "true pixels" not in caption(desk))


async def test_pages_show_the_same_contrast(make: Any, opened: Any, give_features: Any) -> None:
    project = make(6)
    make_grey(project)
    async with opened(project) as desk:
        assert desk.app.contrast == PLAIN
        await desk.press("k")
        await desk.press("g")
        await desk.until(lambda: desk.app.screen is not desk.app.label_screen)
        await desk.press("enter")
        await desk.until(lambda: bool(desk.app.screen.query(Mosaic)))
        mosaic = desk.app.screen.query_one(Mosaic)
        await desk.until(lambda: mosaic.seen is not None)
        reds = [
            colour.triplet.red
            for y in range(mosaic.size.height)
            for segment in mosaic.render_line(y)
            if segment.style and "▀" in segment.text
            for colour in (segment.style.color,)
            if colour is not None and colour.triplet is not None
        ]
        assert max(reds) > 150, "without it, no red is above 76"


async def test_an_animation_says_that_its_first_frame_is_shown(make: Any, opened: Any) -> None:
    project = make(2)
    frames = [Image.new("RGB", (32, 24), (90 * n, 0, 0)) for n in (1, 2)]
    for name in ("00.png", "01.png"):
        (Path(project.images) / name).unlink()
    for place in range(3):
        frames[0].save(
            Path(project.images) / f"{place}.gif", save_all=True, append_images=frames[1:]
        )
    async with opened(project) as desk:
        await desk.press("f")
        await desk.until(lambda: "first frame of an animated GIF" in desk.text)


async def test_the_mouse_drags_true_pixels(make: Any, opened: Any) -> None:
    project = make(2)
    for place in range(2):
        Image.fromarray(np.zeros((400, 600, 3), np.uint8)).save(
            Path(project.images) / f"{place:02d}.png"
        )
    async with opened(project) as desk:
        await desk.press("z")
        await desk.until(lambda: "true pixels x1" in caption(desk))
        picture = desk.app.label_screen.picture
        before = picture.pixels_in_view
        await desk.pilot.mouse_down(picture, offset=(20, 8))
        await desk.pilot.hover(picture, offset=(10, 5))
        await desk.pilot.mouse_up(picture, offset=(10, 5))
        after = picture.pixels_in_view
        assert (after.left, after.top) > (before.left, before.top), "the picture moved up and left"
        await desk.pilot.hover(picture, offset=(3, 3))
        assert picture.pixels_in_view == after, "the button is up"
        assert not given(desk)
