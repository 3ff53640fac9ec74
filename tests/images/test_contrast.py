"""Images of more than eight bits show their range, steadily over a set; features never change."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotator.images import Crop, ImageFolder
from annotator.images.contrast import Contrast, render_tones
from annotator.items.refs import Box, Item
from annotator.project.display_window import SetWindow
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings

WHOLE = (1000, 1000)
TWO = (ClassInfo("cold"), ClassInfo("hot"))


def frame(place: int, base: int = 29_000, hot_pixel: bool = False) -> np.ndarray[Any, Any]:
    """A thermal frame: a spot of 600 counts on a background of `base`, with noise."""
    y, x = np.mgrid[:60, :80]
    spot = 600 * np.exp(-((x - 20 - 4 * place) ** 2 + (y - 30) ** 2) / 200)
    noise = np.random.default_rng(place).normal(0, 3, (60, 80))
    values = np.rint(base + spot + noise).astype(np.uint16)
    if hot_pixel:
        values[3, 3] = 65_535
    return values


def make_project(folder: Path, **settings: Any) -> ProjectFolder:
    return ProjectFolder.create(folder / "p", Settings(TWO, images="..", **settings))


def shown(project: ProjectFolder, name: str, box: Box | None = None) -> Crop:
    folder = ImageFolder(project.images, find_window=SetWindow(project))
    return folder.crop(Item(name, box), WHOLE)


def grey(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image)[..., 0].astype(int)


def test_a_hot_pixel_does_not_darken_the_next_frame_of_a_camera(tmp_path: Path) -> None:
    for place in range(6):
        Image.fromarray(frame(place, hot_pixel=place == 3)).save(tmp_path / f"{place}.png")
    project = make_project(tmp_path)
    seen = [grey(shown(project, f"{place}.png").image) for place in range(6)]
    backgrounds = [float(np.median(image[:, 70:])) for image in seen[:3]]
    corners = [float(np.median(image[:8, :])) for image in seen]
    assert max(corners) - min(corners) <= 2, "one value is one grey in all frames"
    assert all(image.max() > 230 and image.min() < 25 for image in seen), "in the whole range"
    assert max(backgrounds) < 40


def test_one_value_is_one_grey_whatever_else_is_in_a_frame(tmp_path: Path) -> None:
    """The old rule switched from 4,095 to 65,535 by the largest value of each frame."""
    for place in range(5):
        values = np.linspace(0, 3_900, 48 * 64).reshape(48, 64).astype(np.uint16)
        values[0, 0] = 4_200 if place % 2 else 4_000
        Image.fromarray(values).save(tmp_path / f"{place}.tiff")
    project = make_project(tmp_path)
    middles = {int(grey(shown(project, f"{place}.tiff").image)[24, 32]) for place in range(5)}
    assert len(middles) == 1


def test_a_thermal_crop_uses_the_range_of_the_screen(tmp_path: Path) -> None:
    for place in range(4):
        Image.fromarray(frame(place)).save(tmp_path / f"{place}.png")
    project = make_project(tmp_path)
    crop = shown(project, "2.png", Box(20, 20, 20, 20))
    assert np.ptp(grey(crop.image)) > 150


def test_the_range_is_found_once_and_kept(tmp_path: Path) -> None:
    for place in range(4):
        Image.fromarray(frame(place)).save(tmp_path / f"{place}.png")
    project = make_project(tmp_path)
    before = grey(shown(project, "0.png").image)
    for place in range(1, 4):
        Image.fromarray(frame(place, base=9_000)).save(tmp_path / f"{place}.png")
    assert np.array_equal(grey(shown(project, "0.png").image), before)


@pytest.mark.parametrize("damage", [
    b"", b"[", b'[["PNG I;16", [80, 60], 5, 5]]', b'{"a": NaN}', b'[["a", [1e999, 1], 0, 1]]',
    b'[["a", null, 0, 1' + b"0" * 400 + b"]]",
])  # fmt: skip
def test_a_damaged_file_of_ranges_is_found_anew(tmp_path: Path, damage: bytes) -> None:
    for place in range(4):
        Image.fromarray(frame(place)).save(tmp_path / f"{place}.png")
    project = make_project(tmp_path)
    before = grey(shown(project, "0.png").image)
    (project.folder / ".cache/window.json").write_bytes(damage)
    assert np.array_equal(grey(shown(project, "0.png").image), before)


def test_a_fixed_window_of_the_settings_counts(tmp_path: Path) -> None:
    Image.fromarray(np.array([[900, 1000, 1050, 1100, 1200]], np.uint16)).save(tmp_path / "a.png")
    Image.fromarray(np.array([[0, 50, 255]], np.uint8)).save(tmp_path / "b.png")
    project = make_project(tmp_path, window=(1000.0, 1100.0))
    assert grey(shown(project, "a.png").image).tolist() == [[0, 0, 128, 255, 255]]
    assert grey(shown(project, "b.png").image).tolist() == [[0, 50, 255]], "eight bits stay"


@pytest.mark.parametrize("make", [
    lambda: frame(0), lambda: frame(0, hot_pixel=True),
    lambda: np.linspace(0, 1, 4800, dtype=np.float32).reshape(60, 80),
    lambda: np.linspace(0, 255, 4800).reshape(60, 80).astype(np.uint8),
])  # fmt: skip
def test_features_do_not_depend_on_what_is_shown(tmp_path: Path, make: Any) -> None:
    Image.fromarray(make()).save(tmp_path / "a.tiff")
    project = make_project(tmp_path, window=(29_000.0, 29_100.0))
    item, size = Item("a.tiff", Box(10, 10, 40, 30)), (24, 24)
    plain = ImageFolder(tmp_path).resized_pixels(item, size)
    display = ImageFolder(tmp_path, find_window=SetWindow(project))
    display.crop(item, WHOLE)
    assert np.array_equal(display.resized_pixels(item, size), plain)
    display.crop(item, WHOLE)
    assert np.array_equal(display.resized_pixels(Item("a.tiff"), size),
                          ImageFolder(tmp_path).resized_pixels(Item("a.tiff"), size))  # fmt: skip


def test_contrast_by_the_crop_and_by_the_image(tmp_path: Path) -> None:
    values = np.full((100, 100, 3), 100, np.uint8)
    values[:, 50:] = 140
    values[:10, :10] = 0
    values[90:, 90:] = 255
    values[40:60, 20:30] = 110  # in the left half, barely brighter
    Image.fromarray(values).save(tmp_path / "a.png")
    crop = shown(make_project(tmp_path), "a.png", Box(15, 35, 20, 30))
    assert crop.tones is not None
    look = partial(render_tones, crop.tones)
    assert np.ptp(grey(look(Contrast()))) == 10
    assert np.ptp(grey(look(Contrast("crop")))) == 255
    assert np.ptp(grey(look(Contrast("image")))) == 10, "the image holds black and white"


def test_inverted_and_gamma_change_grey_in_order(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    tones = shown(make_project(tmp_path), "a.png").tones
    assert tones is not None
    inverted = grey(render_tones(tones, Contrast(inverted=True)))
    assert np.array_equal(inverted, 255 - ramp.astype(int))
    brighter = grey(render_tones(tones, Contrast(gamma=0.6))).ravel()
    assert (np.diff(brighter) >= 0).all() and brighter[64] > 64 and brighter[[0, 255]].tolist() == [
        0, 255,
    ]  # fmt: skip


def test_colours_keep_their_hue_under_contrast(tmp_path: Path) -> None:
    values = np.full((20, 20, 3), (90, 90, 90), np.uint8)
    values[5:15, 5:15] = (130, 100, 90)
    Image.fromarray(values).save(tmp_path / "a.png")
    tones = shown(make_project(tmp_path), "a.png").tones
    assert tones is not None
    red, green, blue = np.asarray(render_tones(tones, Contrast("crop")))[10, 10].astype(int)
    assert red > green > blue


def test_values_that_are_no_numbers_do_not_spoil_the_range(tmp_path: Path) -> None:
    values = np.linspace(20, 30, 4800, dtype=np.float32).reshape(60, 80)
    values[:5] = np.nan
    values[5:6] = np.inf
    for place in range(3):
        Image.fromarray(values).save(tmp_path / f"{place}.tiff")
    image = grey(shown(make_project(tmp_path), "0.tiff").image)
    assert np.ptp(image[10:]) > 180
