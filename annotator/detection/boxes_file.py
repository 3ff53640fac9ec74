"""Boxes with scores that another program wrote: COCO results, COCO, our own JSON, JSONL and CSV."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from annotator.detection.detections import Detections, clean_detections
from annotator.detection.results import ImageDetections
from annotator.errors import ImageError, RefError
from annotator.items.atomic import read_file
from annotator.items.json_text import parse_json
from annotator.items.refs import Item, make_printable
from annotator.items.table_columns import find_row_names, join_sides
from annotator.items.text_files import find_delimiter, open_text

_PATHS = ("file_name", "filename", "path", "image", "ref")
_NAMES = ("name", "category_name", "class", "label", "prediction", "category")


class ScoredBox(NamedTuple):
    """A row of a file of boxes."""

    image: str
    name: str
    score: float
    box: tuple[float, float, float, float]
    """Left, top, width, height."""


@dataclass(slots=True)
class BoxesFile:
    """The boxes of another program, image by image, as the answers of a model."""

    file: Path
    images: dict[str, list[ScoredBox]] = field(default_factory=dict)
    """The image as the file names it to its boxes; images without a box among them."""
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The width and height of an image, where the file states them."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Rows that take no part, by reason."""
    answers: dict[str, ImageDetections] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """All names in the file."""
        return tuple(sorted({box.name for boxes in self.images.values() for box in boxes}))

    def get(self, path: str) -> ImageDetections | None:
        """Return the boxes in an image; None if the file does not name it."""
        return self.answers.get(path)

    def match_images(
        self, paths: Iterable[str], size_of: Callable[[str], tuple[int, int]]
    ) -> list[str]:
        """Find the boxes of each image of a project by its path, else by its only file name.

        `size_of` returns the size of an upright image, or raises `ImageError`. Return the images
        that cannot be read, or whose size is not the one that the file states, with the reason.
        """
        listed = list(paths)
        owners = _match_names(self.images, listed)
        faults = []
        for path in listed:
            named = owners.get(path)
            if named is None:
                continue
            try:
                size, stated = size_of(path), self.sizes.get(named)
            except ImageError as error:
                faults.append(f"{make_printable(path)}: {error}")
                continue
            if stated is not None and stated != size:
                faults.append(
                    f"{make_printable(path)}: {make_printable(self.file.name)} has boxes for "
                    f"{stated[0]} x {stated[1]} pixels, the upright image has {size[0]} x {size[1]}"
                )
                continue
            boxes = self.images[named]
            x, y, w, h = np.array([box.box for box in boxes], np.float64).reshape(-1, 4).T
            found = Detections(
                np.stack([x, y, x + w, y + h], 1),
                np.array([box.score for box in boxes], np.float64),
                tuple(box.name for box in boxes),
            )
            good, reasons = clean_detections(found, size)
            self.answers[path] = ImageDetections(path, size, {"plain": good}, reasons)
        lost = len(self.images) - len({owners[path] for path in listed if path in owners})
        if lost:
            self.left_out["in images that the project does not hold"] += lost
        return faults


def _match_names(named: Iterable[str], paths: list[str]) -> dict[str, str]:
    """Return the name in the file of each path: the same, else the only one that ends alike."""
    known = set(named)
    tails = Counter(PurePosixPath(name).name for name in known)
    ends = Counter(PurePosixPath(path).name for path in paths)
    by_tail = {PurePosixPath(name).name: name for name in known}
    found = {}
    for path in paths:
        tail = PurePosixPath(path).name
        if path in known:
            found[path] = path
        elif tails[tail] == ends[tail] == 1:
            found[path] = by_tail[tail]
    return found


def read_boxes_file(file: Path, instances: Path | None = None) -> BoxesFile:
    """Read boxes with scores.

    COCO results need `instances`, the COCO JSON that numbers their images and classes. Raises
    `RefError` with the place of the first fault, or for a file of another kind.
    """
    found = BoxesFile(file)
    try:
        _read_into(found, instances)
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        kind = f"{type(error).__name__}: {make_printable(str(error))}"
        raise RefError(
            f"{make_printable(str(file))} holds no boxes that can be read ({kind}). It should be "
            "COCO results, COCO JSON with a score for each box, or JSONL or CSV with image, bbox, "
            "name and score."
        ) from error
    except OSError as error:
        raise RefError(f"{make_printable(str(file))} cannot be read: {error.strerror}.") from error
    return found


def _read_into(found: BoxesFile, instances: Path | None) -> None:
    if found.file.suffix.lower() in (".csv", ".tsv"):
        _add_rows(found, _read_csv(found.file))
        return
    text = read_file(found.file).decode("utf-8-sig")
    if found.file.suffix.lower() == ".jsonl":
        _add_rows(found, (parse_json(line) for line in text.splitlines() if line.strip()))
        return
    data = parse_json(text)
    if isinstance(data, list):
        _read_coco(found, data, _load_instances(found.file, instances, data))
    elif "annotations" in data:
        _read_coco(found, data["annotations"], data)
    else:
        for route in data["routes"]:
            found.images.setdefault(route["path"], [])
            _add_rows(found, ({**box, "path": route["path"]} for box in route["boxes"]))


def _load_instances(file: Path, instances: Path | None, rows: list[Any]) -> Mapping[str, Any]:
    if instances is not None:
        data = parse_json(read_file(instances).decode("utf-8-sig"))
        return {"images": data["images"], "categories": data["categories"]}
    if all(_first(row, _PATHS) and _first(row, _NAMES) for row in rows):
        return {"images": [], "categories": []}
    raise RefError(
        f"{make_printable(str(file))} numbers its images and classes. Name the COCO JSON that says "
        "which they are, with --instances."
    )


def _read_coco(found: BoxesFile, rows: list[Any], document: Mapping[str, Any]) -> None:
    names = {str(row["id"]): str(row["name"]) for row in document["categories"]}
    images = {str(row["id"]): str(row["file_name"]) for row in document["images"]}
    for row in document["images"]:
        found.images.setdefault(str(row["file_name"]), [])
        if row.get("width") and row.get("height"):
            found.sizes[str(row["file_name"])] = int(row["width"]), int(row["height"])

    def named() -> Iterator[dict[str, Any]]:
        for place, row in enumerate(rows):
            image = _first(row, _PATHS) or images.get(str(row.get("image_id")))
            name = _first(row, _NAMES) or names.get(str(row.get("category_id")))
            if image is None or name is None:
                raise ValueError(f"row {place} has an image_id or category_id that is not listed")
            yield {**row, "path": image, "name": name, "file_name": image}

    _add_rows(found, named())


def _read_csv(file: Path) -> Iterator[dict[str, Any]]:
    with open_text(file) as lines:
        delimiter = find_delimiter(lines)
        for row in csv.DictReader(lines, delimiter=delimiter):
            yield {(key or "").strip().lower(): cell for key, cell in row.items()}


def _add_rows(found: BoxesFile, rows: Iterable[Mapping[str, Any]]) -> None:
    for place, row in enumerate(rows):
        try:
            image = _first(row, _PATHS)
            if image is None:
                raise ValueError("it names no image")
            box = _box_of(row, image)
            path = Item.parse(image).path if "#xywh=" in image else image
            found.images.setdefault(path, [])
            name, score = _first(row, _NAMES), row.get("score", row.get("confidence"))
            if box is None or name is None or score in (None, ""):
                lacks = "box" if box is None else "class" if name is None else "score"
                found.left_out[f"without a {lacks}"] += 1
            else:
                found.images[path].append(ScoredBox(path, name, parse_score(score), box))
        except (ValueError, TypeError, RefError) as error:
            raise ValueError(f"row {place}: {error}") from error


def parse_score(value: Any) -> float:
    """Return a score as a number. Raises `ValueError` for true and false."""
    if isinstance(value, bool):
        raise ValueError(f"the score is {str(value).lower()}; give a number from 0 to 1")
    return float(value)


def _first(row: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    return next((str(row[key]) for key in keys if row.get(key) not in (None, "")), None)


def _box_of(row: Mapping[str, Any], image: str) -> tuple[float, float, float, float] | None:
    """Return left, top, width and height; None for a row without a box."""
    cells = row.get("bbox")
    if isinstance(cells, str):
        cells = cells.strip("[]() ").split(",")
    if cells:
        x, y, w, h = map(float, cells)
        return x, y, w, h
    names = find_row_names(tuple(row))
    if sides := join_sides([row.get(name) for name in names.sides]):
        x, y, w, h = map(float, sides.split(","))
        return (x, y, w - x, h - y) if names.order == "xyxy" else (x, y, w, h)
    box = Item.parse(image).box if "#xywh=" in image else None
    return None if box is None else (box.x, box.y, box.w, box.h)
