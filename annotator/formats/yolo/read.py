"""Reading YOLO detection: data.yaml, or the folder that holds it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from annotator.errors import ImageError, RefError
from annotator.formats.reading import (
    ImportContext,
    ImportedItem,
    require_number,
    validate_box,
)
from annotator.formats.yolo import names as names_files
from annotator.images import ImageFolder
from annotator.items.atomic import read_file
from annotator.items.listing import SkippedFiles, is_file, path_exists, walk_images
from annotator.items.refs import Item, make_printable, plural
from annotator.items.text_files import describe_bad_utf8, name_encoding

SPLITS = ("train", "val", "test")
_CLASS_NUMBER = re.compile(r"(\d{1,9})(?:\.0*)?")


@dataclass
class _DataSet:
    """A data set that is read: its classes, and what its lines may hold."""

    base: Path
    names: names_files.Names
    source: str
    """The file that names the classes, for messages."""
    keypoints: int | None = None
    """The numbers of the keypoints of a line (`kpt_shape` in data.yaml)."""
    polygons: bool = False
    """True if data.yaml says that lines hold polygons (`task: segment` or `obb`)."""
    label_files: set[str] = field(default_factory=set)
    """The label files that belong to an image, relative to `base`."""
    label_folders: set[str] = field(default_factory=set)
    moved: list[str] = field(default_factory=list)
    """The folders of data.yaml that are found elsewhere, for the summary."""
    long_lines: int = 0
    doubtful: str = ""
    """The first line that may be a polygon, or a box with keypoints."""
    doubtful_count: int = 0


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield the boxes of every image.

    Raises `RefError` if no file names the classes, or if it cannot be understood.
    """
    file = names_files.find_names_file(reading.path)
    if file is None:
        name = make_printable(str(reading.path))
        raise RefError(
            f"{name}: holds no data.yaml, and no classes.txt or obj.names. Write the names of the "
            f"classes, one a line, into {name}/classes.txt."
        )
    reading.root = base = _find_base(reading.path, file)
    reading.boxes = "read as centre and size in shares of the upright image"
    reading.boxes_fit = True
    if names_files.is_data_yaml(file):
        members = names_files.read_data_yaml(file)
        data = _DataSet(base, names_files.read_names(file, members), "data.yaml")
        names_files.check_count(file, members, data.names)
        _read_kinds(file, members, data)
        folders = list(dict.fromkeys(_find_folders(file, members, base, data)))
        if not folders:
            raise RefError(
                f"{make_printable(str(file))}: names no images. Give train, val or test."
            )
    else:
        data = _DataSet(base, names_files.read_class_list(file), file.name)
        names_files.check_darknet_count(file, data.names)
        folders = ["."]
    reading.notes += [make_printable(f"data.yaml, {text}") for text in data.moved]
    reading.class_ids = {name: key for key, name in data.names.items()}
    sizes = ImageFolder(base)
    for folder in folders:
        data.label_folders.add(_label_path(base, f"{folder}/x").rpartition("/")[0])
        for path in _find_images(reading, base, folder):
            yield from _read_labels(reading, data, path, sizes)
    _report_doubtful_lines(reading, data)
    _count_lone_label_files(reading, data)


def _find_base(path: Path, file: Path) -> Path:
    """Return the folder of the data set; a list of classes may lie in its folder `labels`."""
    base = path if path.is_dir() else file.parent
    if path.is_file() and base.name.lower() == "labels" and not names_files.is_data_yaml(file):
        base = base.parent
    return base.resolve()


def _read_kinds(file: Path, members: names_files.Members, data: _DataSet) -> None:
    """Read what the lines hold: keypoints (`kpt_shape`) or polygons (`task`)."""
    value, line = members.get("kpt_shape", ([], 1))
    data.polygons = members.get("task", ("", 1))[0] in ("segment", "obb")
    if not value:
        return
    numbers = value if isinstance(value, list) else []
    if len(numbers) != 2 or not all(n.isdecimal() and len(n) < 5 for n in numbers):
        raise RefError(
            f"{make_printable(str(file))}, line {line}, kpt_shape: should be two numbers: [17, 3]"
        )
    data.keypoints = int(numbers[0]) * int(numbers[1])


def _report_doubtful_lines(reading: ImportContext, data: _DataSet) -> None:
    """Add a fault if each long line may be a box with keypoints as well as a polygon."""
    if data.doubtful and data.doubtful_count == data.long_lines:
        reading.add_fault(
            data.doubtful,
            "may be a polygon, or a box with keypoints. Write into data.yaml `task: segment` for "
            "polygons, or `kpt_shape: [17, 2]` with the number of keypoints.",
        )


def _count_lone_label_files(reading: ImportContext, data: _DataSet) -> None:
    lone = []
    for top in sorted(data.label_folders | {name.rpartition("/")[0] for name in data.label_files}):
        for folder, folders, names in os.walk(data.base / top):
            folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), data.base)  # noqa: PTH118
                if (
                    name.lower().endswith(".txt")
                    and not name.startswith(".")
                    and path not in data.label_files
                    and names_files.holds_label_line(data.base / path)
                ):
                    lone.append(path)
                    data.label_files.add(path)
    if lone:
        first = make_printable(lone[0])
        reading.count_ignored(
            f"label file whose image is not there or not listed, as {first}", len(lone)
        )


def _find_folders(
    file: Path, members: names_files.Members, base: Path, data: _DataSet
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
            name = name if path_exists(base / prefix / name) else name.replace("\\", "/")
            full = (base / prefix / name).resolve()
            if name.startswith("../") and not full.is_relative_to(base):
                # As Roboflow writes it: its own readers look beside data.yaml, too.
                beside = (base / prefix / name.removeprefix("../")).resolve()
                full = beside if path_exists(beside) else full
            if not path_exists(full) and (moved := _find_moved(base, name)):
                data.moved.append(f"{split}: {moved} for {name}")
                full = base / moved
            if not full.is_relative_to(base):
                raise RefError(
                    f"{place}: {make_printable(name)!r} leads out of the data set's folder. Write "
                    f"the path from that folder, such as {split}: images/{split}"
                )
            if not path_exists(full):
                raise RefError(f"{place}: there is no {make_printable(str(full))}")
            yield str(full.relative_to(base))


def _find_moved(base: Path, name: str) -> str | None:
    """Return the part of a path on another machine that is a folder or file of this data set."""
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    tails = ("/".join(parts[at:]) for at in range(1, len(parts)))
    return next((tail for tail in tails if path_exists(base / tail)), None)


def _find_images(reading: ImportContext, base: Path, folder: str) -> Iterator[str]:
    """Yield the paths of images relative to `base`."""
    place = base / folder
    if place.is_file():  # a list of images
        for line, text in enumerate(place.read_text("utf-8", "surrogateescape").split("\n"), 1):
            try:
                if text.strip():
                    name = text.strip().removeprefix("./")
                    if not path_exists(base / name):  # as on another machine
                        name = _find_moved(base, name.replace("\\", "/")) or name
                    yield os.path.normpath(reading.parse_path(name))
            except RefError as error:
                reading.add_fault(f"line {line}", str(error), place.name)
        return
    left_out = SkippedFiles()
    for batch in walk_images(place, left_out, pages=False):  # a label file is of the first page
        for ref in batch:
            yield (
                str(Path(folder) / Item.parse(ref).path) if folder != "." else Item.parse(ref).path
            )
    for lost in left_out.names:
        reading.add_fault("", lost, folder)
    reading.count_others(left_out)


def _read_labels(
    reading: ImportContext, data: _DataSet, path: str, sizes: ImageFolder
) -> Iterator[ImportedItem]:
    name = _label_path(data.base, path)
    label_file, shown = data.base / name, make_printable(name)
    data.label_files.add(name)
    if not is_file(label_file):
        reading.count_ignored("image without a label file, so not an item")
        return
    try:
        size = sizes.size(Item(path))
    except ImageError as error:
        reading.add_fault("", str(error), path)
        return
    content = read_file(label_file)
    try:
        lines = content.decode(name_encoding(content)).splitlines()
    except UnicodeError:
        reading.add_fault("", describe_bad_utf8(label_file), shown)
        return
    if not any(line.strip() for line in lines):
        reading.count_ignored("image with an empty label file, so not an item")
    for line, text in enumerate(lines, 1):
        if text.strip():
            try:
                place = f"{shown}, line {line}"
                yield _parse_line(reading, data, text.split(), size, place, path)
            except RefError as error:
                reading.add_fault(f"line {line}", str(error), shown)


def _label_path(base: Path, path: str) -> str:
    """Return `labels/train/a.txt` for `images/train/a.jpg`; the last folder `images` counts."""
    parts = path.split("/")
    parts[-1] = os.path.splitext(parts[-1])[0] + ".txt"  # noqa: PTH122
    for place in range(len(parts) - 2, -1, -1):
        if parts[place].lower() == "images":
            names = ["labels", "Labels"] if parts[place] == "images" else ["Labels", "labels"]
            lead = base.joinpath(*parts[:place])
            parts[place] = next((name for name in names if path_exists(lead / name)), names[0])
            break
    return os.path.normpath("/".join(parts))


def _parse_line(
    reading: ImportContext, data: _DataSet, cells: list[str], size: tuple[int, int], place: str,
    path: str,
) -> ImportedItem:  # fmt: skip
    """Return the item of a line; a line with a score is a prediction and no label."""
    name = _find_class(data, cells[0])
    count = len(cells) - 1
    is_pose = data.keypoints is not None and count == 4 + data.keypoints
    if data.keypoints is not None and not is_pose and count != 4:
        raise RefError(
            f"has {len(cells)} numbers; kpt_shape of data.yaml says {5 + data.keypoints}"
        )
    if not is_pose and count not in (4, 5) and (count < 6 or count % 2):
        score = ", without a score at the end (save_conf)" if count > 5 else ""
        raise RefError(f"has {len(cells)} numbers; it should be `class x y width height`{score}")
    try:
        shares = [require_number(float(cell), "a coordinate", -1, 2) for cell in cells[1:]]
    except ValueError:
        raise RefError("should be `class x y width height`, numbers from 0 to 1") from None
    if is_pose or count in (4, 5):
        x, y, w, h = shares[:4]
        if is_pose:
            reading.count_ignored("list of keypoints (its box is kept)")
    else:
        _note_long_line(data, shares, place)
        x, y, w, h = _find_box_around(reading, shares)
    left, top = (x - w / 2) * size[0], (y - h / 2) * size[1]
    # Ten digits of a share are a millionth of a pixel, which must not count as over the edge.
    box = validate_box(
        round(left, 4) + 0.0, round(top, 4) + 0.0, w * size[0], h * size[1], size, reading=reading
    )
    if count != 5 or is_pose:
        return ImportedItem(place, Item(path, box), name)
    if not 0 <= shares[4] <= 1:
        raise RefError(f"has the score {shares[4]:g}; it should be from 0 to 1")
    reading.count_ignored("label with a score, so a prediction (columns prediction and score)")
    columns = {"prediction": name, "score": f"{shares[4]:g}"}
    return ImportedItem(place, Item(path, box), columns=columns)


def _find_box_around(
    reading: ImportContext, shares: list[float]
) -> tuple[float, float, float, float]:
    """Return the centre and size of a polygon. Raises `RefError` for one that may be keypoints."""
    if max(shares) > 1.5 or min(shares) < -0.5:
        raise RefError(
            "is a polygon with a point far outside its image, or holds keypoints. Write "
            "`kpt_shape: [17, 3]` with their number into data.yaml, or correct the line."
        )
    reading.count_ignored("polygon or turned box (the box around it is kept)")
    across, down = shares[0::2], shares[1::2]
    w, h = max(across) - min(across), max(down) - min(down)
    return min(across) + w / 2, min(down) + h / 2, w, h


def _find_class(data: _DataSet, text: str) -> str:
    """Return the class of a number. Raises `RefError` for another number or a name."""
    number = _CLASS_NUMBER.fullmatch(text)
    if number is not None and int(number[1]) in data.names:
        return data.names[int(number[1])]
    classes, name = plural(len(data.names), "class", "classes"), make_printable(text[:40])
    raise RefError(f"{name!r} is not a class of {data.source}, which has {classes}")


def _note_long_line(data: _DataSet, shares: list[float], place: str) -> None:
    """Note a line whose first four numbers may be a box around the points that follow."""
    data.long_lines += 1
    x, y, w, h = shares[:4]
    inside = all(
        (abs(a - x) <= w / 2 + 1e-3 and abs(b - y) <= h / 2 + 1e-3) or (a == 0 and b == 0)
        for a, b in zip(shares[4::2], shares[5::2], strict=True)
    )
    if inside and w > 0 and h > 0 and not data.polygons:
        data.doubtful = data.doubtful or place
        data.doubtful_count += 1
