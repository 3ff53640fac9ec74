"""The proposals of a project drawn on its images, and as one COCO file."""

from __future__ import annotations

import colorsys
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from annotator.detection.proposal import strip_file_name
from annotator.errors import ImageError, ProjectError
from annotator.features.decoding import map_pipelined
from annotator.images import ImageFolder
from annotator.items.atomic import write_atomically
from annotator.items.refs import Box, Item, make_printable
from annotator.project.project import ProjectFolder
from annotator.proposals.table import ProposalRow, read_proposals

MAX_RENDER_SIDE = 1600
"""Larger pictures are drawn smaller, in pixels."""
_THREADS = 4
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def group_by_image(
    project: ProjectFolder, model: str | None = None
) -> dict[str, list[ProposalRow]]:
    """Group the proposals of one model, or of all, by image path, in the order of proposals.csv."""
    images: dict[str, list[ProposalRow]] = {}
    for row in read_proposals(project):
        if model in (None, row.model):
            images.setdefault(Item.parse(row.ref).path, []).append(row)
    return images


def get_proposal_box(row: ProposalRow) -> Box:
    """Return the box of a proposal: its own if it has one, else that of its item."""
    own = row.details.get("box") if row.extra else None
    box = Box(*map(float, own)) if own else Item.parse(row.ref).box
    assert box is not None
    return box


def get_class_confidence(row: ProposalRow) -> float | None:
    """Return the probability of a proposal's class, from the classifier that named the box."""
    names = row.details.get("names") if row.extra else None
    return next((float(p) for name, p in names or () if name == row.name), None)


def _caption(row: ProposalRow) -> BoxCaption:
    confidence = get_class_confidence(row)
    score = row.score if confidence is None else confidence
    return BoxCaption(get_proposal_box(row), row.name, score)


def name_drawings(paths: Iterable[str]) -> dict[str, str]:
    """Return the file name of each image's drawing: `sub/bird.jpg` for `sub/bird.png`.

    Of several images with one name but for the ending, all keep their ending: `bird.png.jpg`.
    """
    inside = {path: "/".join(p for p in path.split("/") if p not in ("", "..")) for path in paths}
    stems = {path: str(PurePosixPath(name).with_suffix("")) for path, name in inside.items()}
    same = Counter(stem.casefold() for stem in stems.values())
    return {
        path: f"{stem if same[stem.casefold()] == 1 else inside[path]}.jpg"
        for path, stem in stems.items()
    }


def render_proposals(
    project: ProjectFolder,
    images: Mapping[str, list[ProposalRow]],
    folder: Path,
    failed: Callable[[str], None],
) -> int:
    """Draw each image with its boxes into `folder`, and return the number of images drawn.

    A file has the image's own path, without parts that lead upwards, and ends in `.jpg`. `failed`
    is called with the reason for each image that cannot be read. Raises `ProjectError` for a folder
    that cannot be written.
    """
    source = ImageFolder(project.images, project.settings.max_pixels)
    names = name_drawings(images)

    def draw(path: str) -> str | None:
        try:
            crop = source.crop(Item(path), (MAX_RENDER_SIDE, MAX_RENDER_SIDE))
        except ImageError as error:
            return f"{make_printable(path)}: {strip_file_name(error, source.root / path)}"
        captions = [_caption(row) for row in images[path]]
        target = folder / names[path]
        target.parent.mkdir(parents=True, exist_ok=True)
        draw_captions(crop.image, crop.scale, captions).save(target, quality=90)
        return None

    try:
        faults = list(map_pipelined(ThreadPoolExecutor(_THREADS), draw, images, _THREADS))
    except OSError as error:
        raise ProjectError(
            f"{make_printable(str(folder))} cannot be written: {error.strerror}. "
            "Name another folder."
        ) from error
    for fault in faults:
        if fault is not None:
            failed(fault)
    return faults.count(None)


class BoxCaption(NamedTuple):
    """A box with the name and score drawn beside it."""

    box: Box
    """In pixels of the source image."""
    name: str
    score: float


def draw_captions(
    picture: Image.Image, scale: float, captions: Sequence[BoxCaption]
) -> Image.Image:
    """Draw boxes and names on a copy of `picture`, the best ones on top.

    The picture has `scale` pixels for each pixel of its source. Each class has its own colour.
    """
    image = picture.copy()
    pen = ImageDraw.Draw(image)
    width = max(1, round(max(image.size) / 400))
    font = ImageFont.load_default(max(10.0, max(image.size) / 60))
    for caption in sorted(captions, key=lambda caption: caption.score):
        _draw_caption(pen, caption, scale, width, font)
    return image


def _draw_caption(
    pen: ImageDraw.ImageDraw, caption: BoxCaption, scale: float, width: int, font: _Font
) -> None:
    x, y, w, h = (side * scale for side in caption.box)
    colour = class_color(caption.name)
    pen.rectangle((x, y, max(x, x + w - 1), max(y, y + h - 1)), outline=colour, width=width)
    text = f"{caption.name} {caption.score:.2f}"
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    above = max(0.0, y - (bottom - top) - 2 * width)
    pen.rectangle(
        (x, above, x + right - left + 2 * width, above + bottom - top + 2 * width), colour
    )
    pen.text((x + width - left, above + width - top), text, fill=(0, 0, 0), font=font)


def class_color(name: str) -> tuple[int, int, int]:
    """Return the light colour of a class name, always the same."""
    hue = zlib.crc32(name.encode("utf-8", "surrogateescape")) % 360 / 360
    red, green, blue = colorsys.hls_to_rgb(hue, 0.65, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


# --- COCO


def write_proposals_coco(
    project: ProjectFolder,
    images: Mapping[str, list[ProposalRow]],
    file: Path,
    failed: Callable[[str], None],
) -> int:
    """Write COCO JSON of all proposals, accepted or not, and return its number of boxes.

    Annotations have the `score`, `votes` and `model` of their proposal, and the `confidence` of a
    class that a classifier gave. Images whose size cannot be read are left out, and `failed` is
    called with the reason. Raises `ProjectError` for a file that cannot be written.
    """
    source = ImageFolder(project.images, project.settings.max_pixels)
    names = sorted({row.name for rows in images.values() for row in rows})
    number = {name: place for place, name in enumerate(names, 1)}
    pictures: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for path, rows in images.items():
        try:
            width, height = source.size(Item(path))
        except ImageError as error:
            failed(f"{make_printable(path)}: {strip_file_name(error, source.root / path)}")
            continue
        image = {"id": len(pictures) + 1, "file_name": path, "width": width, "height": height}
        pictures.append(image)
        boxes += _annotations(rows, image["id"], number, len(boxes))
    categories = [{"id": place, "name": name} for name, place in number.items()]
    document = {"images": pictures, "annotations": boxes, "categories": categories}
    try:
        write_atomically(file, json.dumps(document, ensure_ascii=False).encode())
    except OSError as error:
        raise ProjectError(
            f"{make_printable(str(file))} cannot be written: {error.strerror}. Name another file."
        ) from error
    return len(boxes)


def _annotations(
    rows: list[ProposalRow], image: object, number: Mapping[str, int], before: int
) -> Iterator[dict[str, Any]]:
    for place, row in enumerate(rows, before + 1):
        box = get_proposal_box(row)
        confidence = get_class_confidence(row)
        named = {} if confidence is None else {"confidence": confidence}
        yield {
            "id": place, "image_id": image, "category_id": number[row.name],
            "bbox": list(box), "area": round(box.w * box.h, 2), "iscrowd": 0,
            "score": row.score, **named, "votes": row.votes, "model": row.model,
        }  # fmt: skip
