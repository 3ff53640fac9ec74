"""Pascal VOC: `Annotations/*.xml`, `JPEGImages/` and `ImageSets/Main/*.txt`.

Boxes are xmin, ymin, xmax, ymax in pixels counted from 1, the last one included, as in the
challenge's development kit: a box over a whole image of 500 x 375 is 1, 1, 500, 375.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from annotator.errors import RefError
from annotator.formats import xml
from annotator.formats.class_folders import list_folders
from annotator.formats.format import Format
from annotator.formats.image_files import ImageExporter, require_boxes, sanitize_path
from annotator.formats.image_finder import ImageFinder
from annotator.formats.reading import (
    ImportContext,
    ImportedItem,
    box_around,
    measure_box,
    require_number,
    require_text,
)
from annotator.formats.source import ExportRecord, ExportSource, ImageRecords
from annotator.items.refs import Box, Item, format_number, make_printable


def write(source: ExportSource, place: Path) -> None:
    """Write a folder. Raises `ProjectError` for a project without a box."""
    require_boxes(source, "Pascal VOC", "imagefolder")
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (place / folder).mkdir(parents=True)
    images = ImageExporter(source, place, stems=True)
    split = source.options.split
    with ExitStack() as stack:
        lists = {
            name: stack.enter_context(_open_list(place, name))
            for name in (split.names if split else ("default",))
        }
        for image in source.image_records():
            stem = _write_image(source, place, images, image)
            if stem:
                lists[image.split or "default"].write(f"{stem}\n")


def _open_list(place: Path, name: str) -> IO[str]:
    return (place / f"ImageSets/Main/{name}.txt").open("w", encoding="utf-8")


def _write_image(
    source: ExportSource, place: Path, images: ImageExporter, image: ImageRecords
) -> str | None:
    """Write the annotation of an image, and return its id; None if it is left out."""
    records = source.take_boxes(image.records)
    if not records:
        return None
    size = source.size(image.path)
    name = (
        images.place_image(image.path, f"JPEGImages/{sanitize_path(image.path)}") if size else None
    )
    if size is None or name is None:
        source.leave_out("in images that cannot be read", len(records))
        return None
    stem = os.path.splitext(name[len("JPEGImages/") :])[0]  # noqa: PTH122
    try:
        text = _format_document(source, image, name, size, records)
    except RefError as error:
        source.note(f"left out: {make_printable(image.path)}: {error}")
        source.leave_out("whose names XML cannot hold", len(records))
        return None
    target = place / "Annotations" / f"{stem}.xml"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return stem


def _format_document(
    source: ExportSource,
    image: ImageRecords,
    name: str,
    size: tuple[int, int],
    records: list[ExportRecord],
) -> str:
    objects = []
    for record in records:
        if record.label is None:
            source.leave_out("rejected")
        else:
            objects += [
                _format_object(source, record, name) for name in source.names_of(record.label)
            ]
    source.written += len(objects)
    return "\n".join(
        [
            *format_annotation_head(name, "annotator", size),
            *objects,
            "</annotation>\n",
        ]
    )


def format_annotation_head(name: str, database: str, size: tuple[int, int]) -> list[str]:
    """Return the lines of an annotation before its objects; `name` is `folder/file`."""
    folder, _, base = name.rpartition("/")
    return [
        "<annotation>",
        f"  {xml.format_element('folder', folder)}",
        f"  {xml.format_element('filename', base)}",
        f"  <source>{xml.format_element('database', database)}</source>",
        f"  <size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>",
        "  <segmented>0</segmented>",
    ]


def _format_object(source: ExportSource, record: ExportRecord, label: str) -> str:
    box = record.item.box
    assert box is not None
    sides = (("xmin", box.x + 1), ("ymin", box.y + 1), ("xmax", box.right), ("ymax", box.bottom))
    corners = "".join(xml.format_element(tag, format_number(value)) for tag, value in sides)
    provenance = ""
    if record.provenance or source.options.provenance:
        values = {"score": record.score, **record.provenance}
        kept = ((key, value) for key, value in values.items() if value is not None)
        cells = "".join(xml.format_element(key, value) for key, value in kept)
        provenance = f"<provenance>{cells}</provenance>"
    return (
        f"  <object>{xml.format_element('name', label)}"
        "<pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
        f"<bndbox>{corners}</bndbox>{provenance}</object>"
    )


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield the objects of a folder with Annotations/, a folder of .xml files, or one .xml file."""
    top = reading.path if reading.path.is_dir() else reading.path.parent
    notes = _find_folder(top, "Annotations") or top
    reading.root = _find_folder(top, "JPEGImages") or (
        (_find_folder(top, "images") if notes != top else None) or top
    )
    from_one = reading.given_box_order in (None, "voc")
    reading.boxes = (
        "read as xmin, ymin, xmax, ymax counted from 1 (give --bbox-order xyxy if they count "
        "from 0)"
        if from_one
        else "read as xmin, ymin, xmax, ymax counted from 0"
    )
    files = [reading.path] if reading.path.is_file() else _list_files(top, notes)
    if not files:
        raise RefError(f"{make_printable(str(notes))}: holds no .xml file")
    finder = ImageFinder(reading.images or reading.root)
    for file in files:
        shown = file.relative_to(notes).as_posix() if file.is_relative_to(notes) else file.name
        try:
            yield from _read_file(reading, finder, file, shown, from_one)
        except RefError as error:
            text = str(error).removeprefix(f"{make_printable(str(file))}, ")
            reading.add_fault("", text, shown)


def _find_folder(top: Path, name: str) -> Path | None:
    """Return the folder of a name in any case, if there is one."""
    found = [place for place in list_folders(top) if place.name.lower() == name.lower()]
    return next((place for place in found if place.name == name), found[0] if found else None)


def list_annotations(top: Path) -> list[Path]:
    """Return the .xml files of a folder with Annotations/, or beside images in its folders."""
    notes = _find_folder(top, "Annotations")
    places = [notes] if notes else [top, *list_folders(top)]
    found = (file for place in places for file in place.glob("*.[xX][mM][lL]"))
    return sorted(file for file in found if not file.name.startswith("."))


def _list_files(top: Path, notes: Path) -> list[Path]:
    """Return the .xml files in the order of the image sets, then the unlisted ones by name.

    Hidden files are skipped, and so are those that macOS adds to archives.
    """
    found = sorted(
        path for path in notes.rglob("*.[xX][mM][lL]")
        if path.is_file() and not any(
            part.startswith(".") or part == "__MACOSX" for part in path.relative_to(notes).parts
        )
    )  # fmt: skip
    lists = sorted((top / "ImageSets/Main").glob("*.txt"))
    order: dict[str, int] = {}
    for file in lists:
        for text in file.read_text("utf-8", "replace").split("\n"):
            order.setdefault(
                text.split(" ")[0] if text.endswith((" 1", " -1", " 0")) else text, len(order)
            )
    place = {path: path.relative_to(notes).as_posix()[: -len(".xml")] for path in found}
    return sorted(found, key=lambda path: order.get(place[path], len(order)))


def _read_file(
    reading: ImportContext, finder: ImageFinder, file: Path, shown: str, from_one: bool
) -> Iterator[ImportedItem]:
    root = xml.parse_document(file)
    if root.tag != "annotation":
        raise RefError(
            f"line {root.line}: is not Pascal VOC: it begins with <{make_printable(root.tag)}>, "
            "not with <annotation>"
        )
    path = _read_path(reading, finder, root, shown[: -len(".xml")])
    size = _read_size(root)
    objects = root.all("object")
    if not objects:
        reading.count_ignored("image without an object, so not an item")
    for place in objects:
        where = f"{make_printable(shown)}, line {place.line}"
        try:
            label = require_text(place.value("name") or "", "<name>")
            if not label:
                raise RefError("an <object> has no <name>")
            if place.child("part") is not None:
                reading.count_ignored("part of an object")
            if (place.value("difficult") or "0") != "0":
                reading.count_ignored("mark difficult (its box is kept)")
            box = _read_box(reading, place, from_one)
            yield ImportedItem(where, Item(path, box), label, size=size)
        except RefError as error:
            reading.add_fault(f"line {place.line}", str(error), shown)


def _read_path(reading: ImportContext, finder: ImageFinder, root: xml.XmlNode, stem: str) -> str:
    """Return the image of an annotation, whose own file is `stem` without its suffix.

    That is the file that <filename> names, the only one that has this name in another case or with
    an ending, or the only one that has the name of the annotation.
    """
    node, folder = root.child("filename"), stem.rpartition("/")[0]
    given = ""
    # Spaces around the name belong to it only if such a file is there.
    for name in (node.text, node.text.strip()) if node else ():
        path = f"{folder}/{name}" if folder else name
        if name.strip() and (name == name.strip() or reading.has_file(path)):
            base = re.sub(r"^([A-Za-z]:)?[/\\].*[/\\]", "", name)  # a path of another machine
            path = f"{folder}/{base}" if folder else base
            reading.count_ignored("folders before a <filename> (its name is taken)", base != name)
            given = reading.parse_path(path)
            break
    beside = finder.find(stem, any_suffix=True)
    if given and reading.has_file(given):
        own = given.rpartition("/")[2].rpartition(".")[0] == stem.rpartition("/")[2]
        if beside is not None and beside != given and not own:
            raise RefError(
                f"<filename> names {make_printable(given)!r}, and the name of this file names "
                f"{make_printable(beside)!r}, which is there as well. Correct <filename>."
            )
        return given
    if given and (found := finder.find(given) or finder.find(given, any_suffix=True)):
        reading.count_ignored("case or ending of a <filename> (the only such image is taken)")
        return found
    if beside is not None:
        kind = "<filename> of a lost image" if given else "annotation without a <filename>"
        reading.count_ignored(f"{kind} (the image with the name of the .xml file is taken)")
        return beside
    if not given:
        raise RefError("has no <filename>")
    return given


def _read_size(root: xml.XmlNode) -> tuple[float, float] | None:
    width, height = root.value("size", "width"), root.value("size", "height")
    if not width or not height:
        return None
    try:
        found = require_number(float(width), "width", 0), require_number(float(height), "height", 0)
    except ValueError:
        raise RefError("<size> is not given in numbers") from None
    return found if found[0] and found[1] else None  # some tools write 0 for unknown


def _read_box(reading: ImportContext, place: xml.XmlNode, from_one: bool) -> Box:
    texts = [place.value("bndbox", tag) for tag in ("xmin", "ymin", "xmax", "ymax")]
    if place.child("bndbox") is None and (shape := _read_shape(reading, place)) is not None:
        return shape
    if None in texts:
        raise RefError("<bndbox> should hold xmin, ymin, xmax and ymax")
    left, top, right, bottom = _read_numbers(texts, "bndbox")
    if from_one:
        if left < 1 or top < 1:
            raise RefError("begins below 1, so this file counts from 0. Give --bbox-order xyxy.")
        left, top = left - 1, top - 1
    return measure_box(left, top, right - left, bottom - top)


def _read_shape(reading: ImportContext, place: xml.XmlNode) -> Box | None:
    """Return the box around an object's turned box or polygon, None if it has neither."""
    if turned := place.child("robndbox"):
        tags = ("cx", "cy", "w", "h", "angle")
        x, y, w, h, angle = _read_numbers([turned.value(tag) for tag in tags], "robndbox")
        reading.count_ignored("turned box (the box around it is kept)")
        cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
        across, down = w * cos + h * sin, w * sin + h * cos
        return measure_box(x - across / 2, y - down / 2, across, down)
    polygon = place.child("polygon")
    if polygon is None:
        return None
    nodes = [inner for node in polygon.children for inner in (node.children or [node])]
    sides = {
        axis: _read_numbers([n.text.strip() for n in nodes if n.tag[:1] == axis], "polygon")
        for axis in "xy"
    }
    if len(sides["x"]) < 3 or len(sides["x"]) != len(sides["y"]):
        raise RefError("<polygon> should hold x and y of three points or more")
    reading.count_ignored("polygon (the box around it is kept)")
    return box_around(zip(sides["x"], sides["y"], strict=True))


def _read_numbers(texts: Sequence[str | None], name: str) -> list[float]:
    try:
        return [require_number(float(text or "x"), name) for text in texts]
    except ValueError:
        count = "four" if len(texts) == 4 else "its"
        shown = make_printable(str(list(texts))[:80])
        raise RefError(f"{shown} are not {count} numbers") from None


FORMAT = Format(
    "voc", write, read, folder=True, accepted=True,
    supported_options=frozenset({"split", "images", "provenance", "partial"}),
    preserved=frozenset({"boxes", "order", "paths"}),
)  # fmt: skip
