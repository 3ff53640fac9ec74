"""Any image file becomes the right upright RGB pixels, or an error that names it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, features

from annotator.errors import ImageError
from annotator.images import ImageFolder, draw_box
from annotator.items.refs import Box, Item
from tests.images.shown_pixels import pixels, scene, show


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "jpg", "jpeg", "gif"])
def test_every_kind_of_file_shows_its_pixels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scene.{suffix}"
    options: dict[str, Any] = {"quality": 95, "lossless": True, "subsampling": 0}
    scene().save(path, **options)
    close = 12 if suffix in {"jpg", "jpeg"} else 0
    assert np.abs(pixels(path) - np.asarray(scene())).max() <= close


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA", "RGBA", "CMYK", "YCbCr", "I;16", "F"])
def test_every_pixel_format_keeps_its_greys(tmp_path: Path, mode: str) -> None:
    grey = np.zeros((8, 12), np.uint8)
    grey[:4] = 255
    path = tmp_path / "grey.tiff"
    image = Image.fromarray(grey)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "PA":
        path = tmp_path / "grey.png"
        image = image.convert("P").convert("PA").convert("RGBA")
    elif mode == "YCbCr":
        path = tmp_path / "grey.jpg"
        image = image.convert("RGB").convert("YCbCr")
    elif mode == "P":
        path = tmp_path / "grey.png"
        image = image.convert("P")
    else:
        image = image.convert(mode)
    image.save(path)
    assert np.abs(pixels(path) - grey[..., None]).max() <= 3


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, -1)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    assert np.abs(pixels(tmp_path / "ramp.png")[0, :, 0] - np.arange(256)).max() <= 1


def test_twelve_bits_in_sixteen_are_not_black(tmp_path: Path) -> None:
    ramp = np.linspace(0, 4095, 256).astype(np.uint16).reshape(1, -1)
    Image.fromarray(ramp).save(tmp_path / "ramp.tiff")
    assert np.abs(pixels(tmp_path / "ramp.tiff")[0, :, 0] - np.arange(256)).max() <= 1


@pytest.mark.parametrize("unit", [1.0, 1e-30, 3e35])
def test_real_values_of_any_range_show_their_order(tmp_path: Path, unit: float) -> None:
    heights = np.array([[-5.0, np.nan, 0.0, 995.0]], np.float32) * np.float32(unit)
    Image.fromarray(heights).save(tmp_path / "heights.tiff")
    grey = pixels(tmp_path / "heights.tiff")[0, :, 0]
    assert grey[0] == 0
    assert grey[3] == 255
    assert grey[2] == 1


@pytest.mark.parametrize("drawn", [0, 255], ids=["black", "white"])
def test_a_drawing_on_transparency_can_be_seen(tmp_path: Path, drawn: int) -> None:
    logo = Image.new("RGBA", (20, 20), (drawn, drawn, drawn, 0))
    logo.paste((drawn, drawn, drawn, 255), (5, 5, 15, 15))
    logo.save(tmp_path / "logo.png")
    shown = pixels(tmp_path / "logo.png")
    assert (shown[10, 10] == drawn).all()
    assert (np.abs(shown[0, 0] - drawn) > 100).all()


def test_a_transparent_palette_colour_is_not_shown(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "icon.gif", transparency=1)
    assert pixels(tmp_path / "icon.gif")[0, 0].tolist() == [255, 0, 0]
    assert pixels(tmp_path / "icon.gif")[3, 3].tolist() == [128, 128, 128]


def test_the_first_frame_of_an_animation_is_shown(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    for name in ("moving.gif", "moving.webp", "moving.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
        assert pixels(tmp_path / name)[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_exif_orientation_turns_the_image_upright(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    # The turns that EXIF 2.3 asks of a viewer, told by numpy: what is stored -> what is seen.
    turn = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    scene().save(path, exif=exif, quality=95, lossless=True, subsampling=0)
    expected = turn(np.asarray(scene()).astype(int))
    assert ImageFolder(tmp_path).size(Item(path.name)) == expected.shape[1::-1]
    assert np.abs(pixels(path) - expected).max() <= 12
    # A box counts in upright pixels: the last quarter of the upright image.
    height, width = expected.shape[:2]
    box = Box(width // 2, height // 2, width // 2, height // 2)
    corner = pixels(path, box=box, context=0)
    assert np.abs(corner - expected[height // 2 :, width // 2 :]).max() <= 12


def test_a_turned_photograph_is_upright_at_reduced_decoding_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(1600, 1200).save(tmp_path / "photo.jpg", exif=exif, quality=95)
    crop = show(tmp_path / "photo.jpg", size=(90, 120))
    assert crop.image.size == (90, 120)
    assert crop.source == (1200, 1600)
    assert np.abs(np.asarray(crop.image).astype(int)[20, 20] - (20, 20, 220)).max() <= 12


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_box_is_cropped_with_context_and_says_where_it_lies(tmp_path: Path, suffix: str) -> None:
    image = Image.new("RGB", (800, 600), "black")
    image.paste("white", (400, 200, 600, 300))
    image.save(tmp_path / f"part.{suffix}", quality=95)
    crop = show(tmp_path / f"part.{suffix}", box=Box(400, 200, 200, 100), size=(100, 100))
    assert crop.image.size == (100, 67)  # 300 x 200 with 50 of context on every side
    assert crop.scale == pytest.approx(1 / 3)
    assert crop.source == (800, 600)
    assert crop.box is not None
    x, y, w, h = crop.box
    grey = np.asarray(crop.image.convert("L")).astype(int)
    inside = grey[round(y) + 2 : round(y + h) - 2, round(x) + 2 : round(x + w) - 2]
    assert inside.min() > 230
    assert grey[: round(y) - 2].max() < 25
    assert grey[:, : round(x) - 2].max() < 25
    assert grey[round(y + h) + 2 :].max() < 25
    assert grey[:, round(x + w) + 2 :].max() < 25


def test_a_small_box_in_a_large_jpeg_keeps_every_pixel(tmp_path: Path) -> None:
    scene(2000, 1500).save(tmp_path / "large.jpg", quality=95)
    crop = show(tmp_path / "large.jpg", box=Box(980, 730, 40, 40), size=(200, 200), context=0)
    assert crop.image.size == (40, 40)
    assert crop.scale == 1
    expected = np.asarray(scene(2000, 1500).crop((980, 730, 1020, 770))).astype(int)
    assert np.abs(np.asarray(crop.image).astype(int) - expected).mean() < 8


def test_boxes_of_one_image_come_out_the_same_in_any_order(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 90, 3)).astype(np.uint8)
    Image.fromarray(noise).resize((900, 600)).save(tmp_path / "noise.jpg")
    boxes = [Box(0, 0, 900, 600), Box(100, 100, 50, 50), Box(300, 50, 400, 400)]
    alone = [pixels(tmp_path / "noise.jpg", box=box, size=(80, 80)) for box in boxes]
    folder = ImageFolder(tmp_path)
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        for which in order:
            crop = folder.crop(Item("noise.jpg", boxes[which]), (80, 80))
            # A kept image may hold more detail than the draft that would do.
            assert np.abs(np.asarray(crop.image).astype(int) - alone[which]).mean() < 4


def test_a_replaced_file_is_read_again(tmp_path: Path) -> None:
    folder, item = ImageFolder(tmp_path), Item("a.png", Box(1, 1, 5, 5))
    for colour, side in (("red", 20), ("blue", 30)):
        Image.new("RGB", (side, side), colour).save(tmp_path / "a.png")
        seen = folder.crop(item, (9, 9)).image
    assert seen.getpixel((2, 2)) == (0, 0, 255)


def test_small_images_are_enlarged_only_when_asked(tmp_path: Path) -> None:
    scene(8, 6).save(tmp_path / "small.png")
    assert show(tmp_path / "small.png", size=(80, 80)).image.size == (8, 6)
    crop = show(tmp_path / "small.png", box=Box(4, 3, 4, 3), size=(80, 80), context=0, enlarge=True)
    assert crop.image.size == (80, 60)
    assert crop.box == Box(0, 0, 80, 60)
    assert crop.scale == 20


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1)])
def test_the_oddest_shapes_still_show(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (9, 200, 9)).save(tmp_path / "odd.png")
    crop = show(tmp_path / "odd.png", size=(100, 100))
    assert max(crop.image.size) == min(100, max(size))
    assert crop.image.getpixel((0, 0)) == (9, 200, 9)


@pytest.mark.parametrize("box", [Box(-3, -3, 6, 6), Box(60, 40, 100, 100), Box(30, 20, 0.2, 0.2)])
def test_what_lies_inside_of_a_box_is_shown(tmp_path: Path, box: Box) -> None:
    scene().save(tmp_path / "a.png")
    crop = show(tmp_path / "a.png", box=box, size=(30, 30))
    assert crop.box is not None
    assert crop.box.x >= 0
    assert crop.box.y >= 0
    assert crop.box.right <= crop.image.width + 1e-9
    assert crop.box.bottom <= crop.image.height + 1e-9


@pytest.mark.parametrize("box", [Box(64, 0, 5, 5), Box(0, 48, 5, 5), Box(-9, 3, 9, 5)])
def test_a_box_outside_the_image_is_an_error_with_the_image_s_size(
    tmp_path: Path, box: Box
) -> None:
    scene().save(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"a\.png.*outside the image of 64 x 48 pixels"):
        show(tmp_path / "a.png", box=box)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_squeezed_picture_is_all_of_the_crop_at_exactly_the_size(
    tmp_path: Path, suffix: str
) -> None:
    scene(1600, 900).save(tmp_path / f"a.{suffix}", quality=95, subsampling=0)
    folder, box = ImageFolder(tmp_path), Box(800, 0, 800, 450)
    whole = folder.resized_pixels(Item(f"a.{suffix}"), (32, 48)).astype(int)
    assert whole.shape == (48, 32, 3)
    assert (
        np.abs(whole - np.asarray(scene(32, 48)))[:20].max(axis=(0, 2))[[0, 10, 20, 31]].max() < 12
    )
    boxed = folder.resized_pixels(Item(f"a.{suffix}", box), (32, 32), 0).astype(int)
    assert np.abs(boxed[2:-2, 2:-2] - (20, 200, 20)).max() < 12
    assert folder.resized_pixels(Item(f"a.{suffix}", box), (3000, 40)).shape == (40, 3000, 3)


def test_suffixes_do_not_matter_and_absolute_paths_are_taken(tmp_path: Path) -> None:
    scene().save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    elsewhere = ImageFolder(tmp_path / "elsewhere")
    assert elsewhere.size(Item(str(tmp_path / "a.jpg"))) == (64, 48)


def test_many_threads_see_the_same_pixels(tmp_path: Path) -> None:
    scene(400, 300).save(tmp_path / "a.jpg")
    folder, gate = ImageFolder(tmp_path), threading.Barrier(8)
    items = [Item("a.jpg", Box(10 * n, 5 * n, 60, 60)) for n in range(20)] + [Item("a.jpg")]
    alone = [np.asarray(folder.crop(item, (50, 50)).image).mean() for item in items]

    def look(_: int) -> list[float]:
        gate.wait()
        return [float(np.asarray(folder.crop(item, (50, 50)).image).mean()) for item in items]

    with ThreadPoolExecutor(8) as pool:
        for means in pool.map(look, range(8)):
            assert means == pytest.approx(alone, abs=1.0)


@pytest.mark.parametrize("ground", ["black", "white", (128, 128, 128)])
@pytest.mark.parametrize("box", [Box(20, 10, 30, 20), Box(0, 0, 64, 48)])
def test_a_box_is_seen_on_any_background_and_leaves_its_inside(
    tmp_path: Path, ground: Any, box: Box
) -> None:
    Image.new("RGB", (64, 48), ground).save(tmp_path / "plain.png")
    crop = show(tmp_path / "plain.png", box=box, context=1.0)
    before = np.asarray(crop.image).astype(int)
    drawn = np.asarray(draw_box(crop)).astype(int)
    assert (np.asarray(crop.image) == before).all()
    differs = np.abs(drawn - before).max(axis=2) > 100
    assert crop.box is not None
    x, y, w, h = (round(side) for side in crop.box)
    for row in (max(0, y - 2), y + h // 2):
        assert differs[row : row + 4].any()
    assert not differs[y + 3 : y + h - 3, x + 3 : x + w - 3].any()


def test_a_whole_image_has_no_box_to_draw(tmp_path: Path) -> None:
    scene().save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(draw_box(show(tmp_path / "a.png"))), np.asarray(scene()))


def test_compressed_tiffs_turn_once(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[274] = 6
    scene().save(tmp_path / "a.tiff", tiffinfo=tags, compression="tiff_lzw")
    assert np.array_equal(pixels(tmp_path / "a.tiff"), np.rot90(np.asarray(scene()), -1))


def test_real_photographs_open(shared: Path) -> None:
    photos = sorted((shared / "data" / "photos").glob("*.jpg"))
    assert photos
    for photo in photos:
        crop = show(photo, size=(200, 200))
        assert max(crop.image.size) == 200


@pytest.mark.parametrize(
    ("low", "high"), [(0, 255), (0, 1023), (0, 4095), (0, 16383), (29_000, 31_000), (500, 700)]
)
def test_grey_values_of_a_narrow_range_are_seen(tmp_path: Path, low: int, high: int) -> None:
    ramp = np.linspace(low, high, 256).astype(np.uint16).reshape(1, -1)
    Image.fromarray(ramp).save(tmp_path / "ramp.tiff")
    shown = pixels(tmp_path / "ramp.tiff")[0, :, 0].astype(int)
    assert shown.max() - shown.min() >= 250
    assert (np.diff(shown) >= 0).all()


@pytest.mark.parametrize("value", [0, 3, 200, 30_000])
def test_one_grey_value_alone_is_not_stretched(tmp_path: Path, value: int) -> None:
    Image.fromarray(np.full((4, 4), value, np.uint16)).save(tmp_path / "one.tiff")
    shown = pixels(tmp_path / "one.tiff")
    assert shown.min() == shown.max() == (value if value < 256 else round(value * 255 / 65535))


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "avif"])
def test_pictures_of_browsers_are_decoded(tmp_path: Path, suffix: str) -> None:
    kind = "AVIF" if suffix == "avif" else "JPEG"
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    scene().save(tmp_path / f"a.{suffix}", format=kind, quality=95)
    decoded = pixels(tmp_path / f"a.{suffix}").astype(int)
    assert np.abs(decoded - np.asarray(scene())).mean() <= 4
