"""Reading YOLO detection: data.yaml, or the folder that holds it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from annotator.errors import ImageError, RefError
from annotator.formats.reading import (
    ImportContext,
    ImportedItem,
    read_utf8,
    require_number,
    require_text,
    validate_box,
)
from annotator.formats.yolo import data_yaml
from annotator.images import ImageFolder
from annotator.items.listing import SkippedFiles, is_file, path_exists, walk_images
from annotator.items.refs import Box, Item, make_printable, plural
from annotator.items.text_files import NOT_UTF8, find_bad_line

DATA_FILES = ("data.yaml", "data.yml", "dataset.yaml")
SPLITS = ("train", "val", "test")


def find_data_yaml(path: Path) -> Path | None:
    """Return data.yaml itself, or the one in a folder, if any."""
    if path.is_file():
        return path
    return next((path / name for name in DATA_FILES if (path / name).is_file()), None)


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield the boxes of every image.

    Raises `RefError` if there is no data.yaml, or if it cannot be understood.
    """
    file = find_data_yaml(reading.path)
    if file is None:
        raise RefError(f"{make_printable(str(reading.path))}: holds no data.yaml.")
    members = read_data_yaml(file)
    names = _read_names(file, members)
    reading.class_ids = {name: key for key, name in names.items()}
    base = file.resolve().parent
    reading.root = base
    reading.boxes = "read as centre and size in shares of the upright image"
    folders = list(dict.fromkeys(_find_folders(file, members, base)))
    if not folders:
        raise RefError(f"{make_printable(str(file))}: names no images. Give train, val or test.")
    sizes = ImageFolder(base)
    for folder in folders:
        for path in _find_images(reading, file, base, folder):
            yield from _read_labels(reading, base, path, names, sizes)


def read_data_yaml(file: Path) -> dict[str, tuple[data_yaml.YamlValue, int]]:
    """Return the members of data.yaml and their lines. Raises `RefError` with file and line."""
    text = read_utf8(file)
    try:
        return data_yaml.load_yaml(text)
    except RefError as error:
        raise RefError(f"{make_printable(str(file))}, {error}") from None


def _read_names(
    file: Path, members: Mapping[str, tuple[data_yaml.YamlValue, int]]
) -> dict[int, str]:
    value, line = members.get("names", ("", 1))
    place = f"{make_printable(str(file))}, line {line}, names"
    if isinstance(value, list):
        value = {str(key): name for key, name in enumerate(value)}
    if not isinstance(value, dict) or not value:
        raise RefError(f"{place}: should list the classes, as [ok, defect] or 0: ok")
    found: dict[int, str] = {}
    seen: set[str] = set()
    for key, name in value.items():
        if not key.isdecimal() or len(key) > 9:
            raise RefError(f"{place}: {make_printable(key)!r} is not the number of a class")
        if int(key) in found or name in seen or not name:
            raise RefError(f"{place}: class {key} {make_printable(name)!r} is blank or repeated")
        try:
            found[int(key)] = require_text(name, "a class")
            seen.add(name)
        except RefError as error:
            raise RefError(f"{place}: {error}") from None
    return found


def _find_folders(
    file: Path, members: Mapping[str, tuple[data_yaml.YamlValue, int]], base: Path
) -> Iterator[str]:
    start, line = members.get("path", ("", 1))
    if not isinstance(start, str):
        raise RefError(f"{make_printable(str(file))}, line {line}, path: should be one folder")
    # A data set may have been moved: a `path` that does not exist is ignored.
    prefix = start if start and path_exists(base / start) else ""
    for split in SPLITS:
        value, line = members.get(split, ("", 1))
        for name in [value] if isinstance(value, str) else value:
            if not name:
                continue
            place = f"{make_printable(str(file))}, line {line}, {split}"
            full = (base / prefix / name).resolve()
            if name.startswith("../") and not full.is_relative_to(base):
                # As Roboflow writes it: its own readers look beside data.yaml, too.
                beside = (base / prefix / name.removeprefix("../")).resolve()
                full = beside if path_exists(beside) else full
            if not full.is_relative_to(base):
                raise RefError(
                    f"{place}: {make_printable(name)!r} leads out of the data set's folder"
                )
            if not path_exists(full):
                raise RefError(f"{place}: there is no {make_printable(str(full))}")
            yield str(full.relative_to(base))


def _find_images(reading: ImportContext, file: Path, base: Path, folder: str) -> Iterator[str]:
    """Yield the paths of images relative to `base`."""
    place = base / folder
    if place.is_file():  # a list of images
        for line, text in enumerate(place.read_text("utf-8", "surrogateescape").split("\n"), 1):
            try:
                if text.strip():
                    yield os.path.normpath(reading.parse_path(text.strip().removeprefix("./")))
            except RefError as error:
                reading.add_fault(f"line {line}", str(error), place.name)
        return
    left_out = SkippedFiles()
    for batch in walk_images(place, left_out):
        for ref in batch:
            yield (
                str(Path(folder) / Item.parse(ref).path) if folder != "." else Item.parse(ref).path
            )
    for lost in left_out.names:
        reading.add_fault("", lost, folder)


def _read_labels(
    reading: ImportContext, base: Path, path: str, names: Mapping[int, str], sizes: ImageFolder
) -> Iterator[ImportedItem]:
    label_file = base / _label_path(path)
    shown = make_printable(str(label_file.relative_to(base)))
    if not is_file(label_file):
        reading.count_ignored("image without a label file, so not an item")
        return
    try:
        size = sizes.size(Item(path))
    except ImageError as error:
        reading.add_fault("", str(error), path)
        return
    data = label_file.read_bytes()
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        reading.add_fault(f"line {find_bad_line(data, error)}", NOT_UTF8, shown)
        return
    if not any(line.strip() for line in lines):
        reading.count_ignored("image with an empty label file, so not an item")
    for line, text in enumerate(lines, 1):
        if text.strip():
            try:
                label, box = _parse_line(reading, text.split(), names, size)
                yield ImportedItem(f"{shown}, line {line}", Item(path, box), label)
            except RefError as error:
                reading.add_fault(f"line {line}", str(error), shown)


def _label_path(path: str) -> str:
    """Return `labels/train/a.txt` for `images/train/a.jpg`; the last folder `images` counts."""
    stem = os.path.splitext(path)[0] + ".txt"  # noqa: PTH122
    head, mark, tail = f"/{stem}".rpartition("/images/")
    return f"{head}/labels/{tail}".lstrip("/") if mark else stem


def _parse_line(
    reading: ImportContext, cells: list[str], names: Mapping[int, str], size: tuple[int, int]
) -> tuple[str, Box]:
    if not cells[0].isdecimal() or len(cells[0]) > 9 or int(cells[0]) not in names:
        classes = plural(len(names), "class", "classes")
        name = make_printable(cells[0][:40])
        raise RefError(f"{name!r} is not a class of data.yaml, which has {classes}")
    count = len(cells) - 1
    if count not in (4, 5) and (count < 6 or count % 2):
        raise RefError(f"has {len(cells)} numbers; it should be `class x y width height`")
    try:
        shares = [require_number(float(cell), "a coordinate", -1, 2) for cell in cells[1:]]
    except ValueError:
        raise RefError("should be `class x y width height`, numbers from 0 to 1") from None
    if count in (4, 5):
        x, y, w, h = shares[:4]
        if count == 5:
            reading.count_ignored("confidence (its box is kept)")
    else:
        reading.count_ignored("polygon (the box around it is kept)")
        across, down = shares[0::2], shares[1::2]
        w, h = max(across) - min(across), max(down) - min(down)
        x, y = min(across) + w / 2, min(down) + h / 2
    left, top = (x - w / 2) * size[0], (y - h / 2) * size[1]
    # Ten digits of a share are a millionth of a pixel, which must not count as over the edge.
    return names[int(cells[0])], validate_box(
        round(left, 4) + 0.0, round(top, 4) + 0.0, w * size[0], h * size[1], size, reading=reading
    )
