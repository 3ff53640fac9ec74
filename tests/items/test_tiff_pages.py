"""Each page of a TIFF file is an item, whatever the file claims to hold."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from annotator.errors import ImageError
from annotator.images import ImageFolder
from annotator.items.file_names import FileNames
from annotator.items.listing import SkippedFiles, glob_images, walk_images
from annotator.items.ref_keys import ref_key
from annotator.items.refs import Box, Item
from annotator.items.tiff_pages import MOST_PAGES, later_pages, page_path, split_page


def save_pages(path: Path, greys: list[int], **options: object) -> None:
    pages = [Image.fromarray(np.full((20, 30), grey, np.uint8)) for grey in greys]
    pages[0].save(path, save_all=True, append_images=pages[1:], **options)


def refs_of(folder: Path, skipped: SkippedFiles | None = None) -> list[str]:
    return [
        ref
        for batch in walk_images(folder, SkippedFiles() if skipped is None else skipped)
        for ref in batch
    ]


@pytest.mark.parametrize("options", [
    {}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}, {"big_tiff": True},
    {"big_tiff": True, "compression": "tiff_lzw"},
])  # fmt: skip
def test_the_pages_of_a_file_are_listed_and_each_shows_its_own_picture(
    tmp_path: Path, options: dict[str, object]
) -> None:
    save_pages(tmp_path / "scan.TIF", [40, 80, 120], **options)
    refs = refs_of(tmp_path)
    assert refs == ["scan.TIF", "scan.TIF#page=2", "scan.TIF#page=3"]
    folder = ImageFolder(tmp_path)
    greys = [int(np.asarray(folder.crop(Item.parse(r), (99, 99)).image).mean()) for r in refs]
    assert greys == [40, 80, 120]
    assert glob_images(str(tmp_path / "*.TIF"), SkippedFiles()) == [
        f"{tmp_path}/{ref}" for ref in refs
    ]


def test_a_page_and_a_box_in_it_make_one_ref() -> None:
    item = Item("scan.tif#page=3", Box(1, 2, 10, 12))
    assert item.ref == "scan.tif#page=3#xywh=1,2,10,12"
    assert Item.parse(item.ref) == item
    assert split_page(item.path) == ("scan.tif", 3)
    assert page_path("scan.tif", 3) == item.path


@pytest.mark.parametrize("path", ["a.png#page=2", "scan.tif#page=0", "scan.tif#page=x", "#page=2"])
def test_the_mark_is_a_part_of_other_names(path: str) -> None:
    assert split_page(path) == (path, 1)


def test_the_first_page_is_the_file_in_any_spelling(tmp_path: Path) -> None:
    save_pages(tmp_path / "scan.tif", [40, 80])
    assert ref_key("scan.tif#page=1", tmp_path) == "scan.tif"
    assert ref_key("./scan.tif#page=2", tmp_path) == "scan.tif#page=2"
    names = FileNames(tmp_path)
    assert names.find("scan.tif#page=1") == "scan.tif"
    assert names.find("scan.tif#page=2") == "scan.tif#page=2"
    assert names.find("gone.tif#page=2") is None


def test_big_endian_files_have_pages(tmp_path: Path) -> None:
    save_pages(tmp_path / "a.tif", [40, 80])
    little = (tmp_path / "a.tif").read_bytes()
    assert little[:2] == b"II"
    # A file of two directories without pictures, in the other order.
    one = struct.pack(">HHHII", 1, 256, 4, 1, 30)
    data = b"MM\0*" + struct.pack(">I", 8) + one + struct.pack(">I", 8 + len(one) + 4)
    (tmp_path / "b.tif").write_bytes(data + one + struct.pack(">I", 0))
    assert later_pages(str(tmp_path / "b.tif")) == ([2], False)


def test_smaller_copies_and_masks_are_not_pages(tmp_path: Path) -> None:
    large, small = Image.new("L", (64, 48), 90), Image.new("L", (16, 12), 90)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[254] = 1  # a reduced copy of the picture before
    with (tmp_path / "pyramid.tif").open("w+b") as file:
        out = TiffImagePlugin.AppendingTiffWriter(file, True)
        large.save(out, "TIFF")
        out.newFrame()
        small.save(out, "TIFF", tiffinfo=tags)
        out.newFrame()
        large.save(out, "TIFF")
        out.close()
    assert refs_of(tmp_path) == ["pyramid.tif", "pyramid.tif#page=3"]


def chain(count: int, last: int = 0) -> bytes:
    """A TIFF file of `count` directories of one entry; the last one leads to `last`."""
    length = 2 + 12 + 4
    parts = [b"II*\0", struct.pack("<I", 8)]
    for place in range(count):
        following = 8 + (place + 1) * length if place < count - 1 else last
        parts.append(struct.pack("<HHHII", 1, 256, 4, 1, 30) + struct.pack("<I", following))
    return b"".join(parts)


def test_a_file_of_a_hundred_thousand_pages_is_cut_and_said(tmp_path: Path) -> None:
    (tmp_path / "many.tif").write_bytes(chain(100_000))
    skipped = SkippedFiles()
    assert len(refs_of(tmp_path, skipped)) == MOST_PAGES
    assert "many.tif: pages after the first 10,000" in str(skipped)


def test_a_chain_that_leads_back_ends(tmp_path: Path) -> None:
    (tmp_path / "loop.tif").write_bytes(chain(3, last=8))
    assert later_pages(str(tmp_path / "loop.tif")) == ([2, 3], False)
    (tmp_path / "out.tif").write_bytes(chain(3, last=0xFFFFFFF0))
    assert later_pages(str(tmp_path / "out.tif")) == ([2, 3], False)


def test_a_page_that_is_not_there_is_an_error_with_its_number(tmp_path: Path) -> None:
    save_pages(tmp_path / "scan.tif", [40, 80])
    with pytest.raises(ImageError, match=r"scan\.tif#page=7.* only 2 pages"):
        ImageFolder(tmp_path).crop(Item("scan.tif#page=7"), (9, 9))


def test_damaged_pages_are_errors_that_name_the_file(tmp_path: Path) -> None:
    save_pages(tmp_path / "scan.tif", [40, 80, 120], compression="tiff_lzw")
    whole = (tmp_path / "scan.tif").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):
        data = bytearray(whole)
        for place in rng.integers(4, len(data), 6):
            data[place] = rng.integers(256)
        (tmp_path / "b.tif").write_bytes(data)
        for ref in [*refs_of(tmp_path), "b.tif#page=2", "b.tif#page=3"]:
            if ref.startswith("b.tif"):
                try:
                    ImageFolder(tmp_path, max_pixels=1_000_000).crop(Item.parse(ref), (9, 9))
                except ImageError as error:
                    assert "b.tif" in str(error)
