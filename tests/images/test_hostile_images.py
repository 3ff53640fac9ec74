"""Images that are broken, huge or not images: an error that names them, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.errors import ImageError
from annotator.images import ImageFolder
from annotator.items.refs import Item
from tests.images.shown_pixels import scene, show


def bomb(path: Path, side: int = 50_000) -> None:
    """A PNG whose header claims far more pixels than its few bytes can fill."""
    Image.new("1", (side, 8)).save(path)
    data = bytearray(path.read_bytes())
    data[20:24] = side.to_bytes(4, "big")
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(data)


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    bomb(tmp_path / "bomb.png")
    with pytest.raises(ImageError, match=r"bomb\.png: 50000 x 50000 .* max_pixels"):
        show(tmp_path / "bomb.png")
    with pytest.raises(ImageError, match="max_pixels"):
        ImageFolder(tmp_path).size(Item("bomb.png"))


def test_the_limit_on_pixels_is_a_setting_of_each_folder(tmp_path: Path) -> None:
    scene().save(tmp_path / "a.png")
    assert ImageFolder(tmp_path, 64 * 48).size(Item("a.png")) == (64, 48)
    with pytest.raises(ImageError, match="more than the limit of 3,071"):
        ImageFolder(tmp_path, 64 * 48 - 1).crop(Item("a.png"), (9, 9))


def test_a_photograph_of_100_megapixels_is_shown_in_little_memory(tmp_path: Path) -> None:
    grey = Image.new("L", (12_000, 9_000), 90)
    grey.save(tmp_path / "large.jpg", quality=30)
    script = (
        "import resource, sys; from pathlib import Path; from annotator.images import ImageFolder;"
        "from annotator.items.refs import Item;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "crop = ImageFolder(Path(sys.argv[1])).crop(Item('large.jpg'), (640, 480));"
        "print(*crop.image.size, crop.image.getpixel((5, 5))[0],"
        "(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    said = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    width, height, value, megabytes = map(int, said.stdout.split())
    assert (width, height) == (640, 480)
    assert abs(value - 90) <= 3
    assert megabytes < 100


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "gif", "bmp"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.9])
def test_a_truncated_file_is_an_error_that_names_it(
    tmp_path: Path, suffix: str, part: float
) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (80, 80, 3)).astype(np.uint8)
    path = tmp_path / f"short.{suffix}"
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ImageError, match=rf"short\.{suffix}: "):
        show(path)


def test_damaged_bytes_never_raise_anything_but_an_image_error(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    for suffix in ("jpg", "png", "webp", "tiff", "gif", "bmp"):
        scene().save(tmp_path / f"good.{suffix}")
        good = np.frombuffer((tmp_path / f"good.{suffix}").read_bytes(), np.uint8)
        for _ in range(60):
            bad = good.copy()
            bad[random.integers(0, len(bad), 4)] = random.integers(0, 256, 4)
            (tmp_path / "bad").write_bytes(bad.tobytes())
            try:
                show(tmp_path / "bad", size=(16, 16))
            except ImageError as error:
                assert "bad: " in str(error)  # noqa: PT017


def test_what_is_no_image_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "text.jpg").write_text("<html>not found</html>")
    (tmp_path / "empty.jpg").touch()
    reasons = {
        "folder.jpg": "not a file but a folder",
        "pipe.jpg": "a pipe",
        "loop.jpg": "cannot be opened",
        "text.jpg": "cannot be read as an image",
        "empty.jpg": "empty",
        "gone.jpg": "no such file",
        "a\0b.jpg": "cannot be opened",
    }
    for name, reason in reasons.items():
        with pytest.raises(ImageError, match=reason):
            show(tmp_path / name)


def test_a_file_name_cannot_steer_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        show(tmp_path / "\x1b[2J\u202egpj.exe")
    assert "\\x1b[2J\\u202egpj.exe" in str(caught.value)
    assert str(caught.value).isprintable()


def test_damage_is_never_printed_over_the_screen(tmp_path: Path) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x09\x01\x12\0\x03"
    scene().save(tmp_path / "odd.jpg", exif=exif, quality=95)
    for compression in ("tiff_lzw", "tiff_deflate", "jpeg"):
        path = tmp_path / f"{compression}.tiff"
        scene().save(path, compression=compression)
        data = bytearray(path.read_bytes())
        data[8:60] = bytes(range(200, 252))
        path.write_bytes(data)
    script = (
        "import sys; from pathlib import Path; from annotator.images import ImageFolder;"
        "from annotator.items.refs import Item; from annotator.errors import ImageError\n"
        "folder = ImageFolder(Path(sys.argv[1]))\n"
        "for path in sorted(folder.root.iterdir()):\n"
        "    try: print(path.name, folder.crop(Item(path.name), (99, 99)).image.size)\n"
        "    except ImageError: print(path.name, 'damaged')"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True
    )
    assert "odd.jpg (64, 48)\n" in said.stdout
    assert said.stdout.count("damaged") == 3
    assert said.stderr == ""


def test_pillow_s_own_limit_stays_as_it_was(tmp_path: Path) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    scene().save(tmp_path / "a.png")
    show(tmp_path / "a.png")
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_file_that_one_may_not_read_is_told_apart_from_a_damaged_one(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(file)
    file.chmod(0)
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from annotator.images.decode import open_image\n"
        "if not os.geteuid():\n    os.seteuid(65534)\n"  # root may read all
        "with open_image(Path(sys.argv[1]), 1000):\n    pass\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True)
    assert "ImageError" in ran.stderr and "may not read it (Permission denied)" in ran.stderr
    assert "chmod" in ran.stderr
