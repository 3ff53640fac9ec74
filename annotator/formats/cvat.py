"""CVAT for images 1.1: one XML file, `<box>` for boxes and `<tag>` for classes of whole images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from annotator.errors import RefError
from annotator.formats import xml
from annotator.formats.format import Format
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

_SHAPES = ("polygon", "ellipse", "mask")


def write(source: ExportSource, place: Path) -> None:
    """Write one XML file. Raises `RefError` for a class that XML cannot hold."""
    try:
        labels = "".join(
            f"<label>{xml.format_element('name', name)}<attributes></attributes></label>"
            for name in source.classes
        )
    except RefError as error:
        raise RefError(
            f"Class {error}. Rename it in annotator.toml, or give --format coco."
        ) from None
    with place.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n')
        file.write("  <version>1.1</version>\n")
        file.write(f"  <meta><task><labels>{labels}</labels></task></meta>\n")
        number = 0
        for image in source.image_records():
            size = source.size(image.path)
            if size is None:
                source.leave_out("in images that cannot be read", len(image.records))
                continue
            try:
                file.write(_format_image(source, image, number, size))
                number += 1
            except RefError as error:
                source.note(f"left out: {error}")
                source.leave_out("whose names XML cannot hold", len(image.records))
        file.write("</annotations>\n")


def _format_image(
    source: ExportSource, image: ImageRecords, number: int, size: tuple[int, int]
) -> str:
    subset = f' subset="{xml.escape_xml(image.split)}"' if image.split else ""
    lines = [
        f'  <image id="{number}" name="{xml.escape_xml(image.path)}"{subset} width="{size[0]}" '
        f'height="{size[1]}">'
    ]
    for record in image.records:
        if record.label is None:
            if record.rejected or record.skipped or record.item.box is not None:
                source.leave_out(record.reason_without_label)
            continue
        names = source.names_of(record.label)
        lines += [f"    {_format_shape(source, record, name)}" for name in names]
        if not names:
            source.leave_out("with none of the classes")
    source.written += len(lines) - 1
    return "\n".join([*lines, "  </image>\n"])


def _format_shape(source: ExportSource, record: ExportRecord, name: str) -> str:
    machine = source.log.details(record.row).get("machine")
    head = f'label="{xml.escape_xml(name)}" source="{"auto" if machine else "manual"}"'
    box = record.item.box
    if box is None:
        return f"<tag {head}></tag>"
    sides = (("xtl", box.x), ("ytl", box.y), ("xbr", box.right), ("ybr", box.bottom))
    corners = " ".join(f'{key}="{format_number(value)}"' for key, value in sides)
    return f'<box {head} occluded="0" {corners} z_order="0"></box>'


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield boxes and tags. Raises `RefError` for a file that is not CVAT for images."""
    reading.boxes = "read as left, top, right, bottom in pixels"
    file = reading.path
    if file.is_dir():
        file = file / "annotations.xml"
        reading.root = reading.path / "images"
        if not reading.root.is_dir():
            reading.root = reading.path
    parts = xml.iter_elements(file)
    root = next(parts)
    if root.tag != "annotations":
        raise RefError(
            f"{make_printable(str(file))}, line {root.line}: is not a CVAT file: it begins "
            f"with <{make_printable(root.tag)}>, not with <annotations>"
        )
    seen: dict[str, int] = {}
    for node in parts:
        if node.tag == "track":
            raise RefError(
                f"{make_printable(str(file))}, line {node.line}: holds tracks of a video. "
                "Export it from CVAT as “CVAT for images”."
            )
        if node.tag == "image":
            yield from _read_image(reading, node, seen)


def _read_image(
    reading: ImportContext, node: xml.XmlNode, seen: dict[str, int]
) -> Iterator[ImportedItem]:
    where = f"line {node.line}"
    try:
        path = reading.parse_path(node.attributes.get("name"))
        if path in seen:
            raise RefError(f"{make_printable(path)!r} stands on line {seen[path]}, too")
        seen[path] = node.line
        size = _read_number(node, "width", 1), _read_number(node, "height", 1)
    except RefError as error:
        reading.add_fault(where, str(error))
        return
    subset = node.attributes.get("subset")
    columns = {"split": subset} if subset and subset.lower() != "default" else {}
    if subset and not reading.has_file(path) and reading.has_file(f"{subset}/{path}"):
        path = f"{subset}/{path}"  # CVAT puts the images of a subset into a folder
    count = 0
    for child in node.children:
        if child.tag not in ("box", "tag", *_SHAPES):
            reading.count_ignored(f"<{make_printable(child.tag[:40])}>")
            continue
        count += 1
        try:
            yield _read_shape(reading, child, path, size, columns)
        except RefError as error:
            reading.add_fault(f"line {child.line}", str(error))
    if not count and not node.children:
        yield ImportedItem(where, Item(path), columns=columns)


def _read_shape(
    reading: ImportContext,
    node: xml.XmlNode,
    path: str,
    size: tuple[float, float],
    columns: dict[str, str],
) -> ImportedItem:
    label = require_text(node.attributes.get("label"), "label")
    if not label:
        raise RefError("has no label")
    if any(child.tag == "attribute" for child in node.children):
        reading.count_ignored("attribute of a box or tag", len(node.children))
    machine = node.attributes.get("source", "manual") == "auto"
    box = None if node.tag == "tag" else _read_box(reading, node)
    return ImportedItem(
        f"line {node.line}", Item(path, box), label, machine=machine, columns=columns, size=size
    )


def _read_box(reading: ImportContext, node: xml.XmlNode) -> Box:
    """Return a box, or the box around a turned one, a polygon, an ellipse or a mask."""
    if node.tag != "box":
        reading.count_ignored(f"{node.tag} (the box around it is kept)")
    if node.tag == "polygon":
        return _read_points_box(node)
    if node.tag == "ellipse":
        x, y, w, h = (_read_number(node, name) for name in ("cx", "cy", "rx", "ry"))
        w, h = 2 * w, 2 * h
    elif node.tag == "mask":
        left, top, w, h = (_read_number(node, name) for name in ("left", "top", "width", "height"))
        x, y = left + w / 2, top + h / 2
    else:
        left, top, right, bottom = (
            _read_number(node, name) for name in ("xtl", "ytl", "xbr", "ybr")
        )
        if not _read_rotation(node):
            return measure_box(left, top, right - left, bottom - top)
        reading.count_ignored("turned box (the box around it is kept)")
        x, y, w, h = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
    measure_box(x - w / 2, y - h / 2, w, h)  # before it is turned, it has an area
    turn = math.radians(_read_rotation(node))
    cos, sin = abs(math.cos(turn)), abs(math.sin(turn))
    across, down = w * cos + h * sin, w * sin + h * cos
    if node.tag == "ellipse":
        across, down = math.hypot(w * cos, h * sin), math.hypot(w * sin, h * cos)
    return measure_box(x - across / 2, y - down / 2, across, down)


def _read_rotation(node: xml.XmlNode) -> float:
    return _read_number(node, "rotation") % 360 if "rotation" in node.attributes else 0.0


def _read_points_box(node: xml.XmlNode) -> Box:
    pairs = [pair.split(",") for pair in node.attributes.get("points", "").split(";")]
    try:
        points = [(require_number(float(x), "x"), require_number(float(y), "y")) for x, y in pairs]
    except ValueError:
        raise RefError("points should be x,y;x,y;…") from None
    if len(points) < 3:
        raise RefError(f"a polygon of {len(points)} points; it should have three or more")
    return box_around(points)


def _read_number(node: xml.XmlNode, name: str, low: float = -1e7) -> float:
    text = node.attributes.get(name)
    if text is None:
        raise RefError(f"<{node.tag}> has no {name}")
    try:
        return require_number(float(text), name, low)
    except ValueError:
        raise RefError(f"{name} = {make_printable(text[:40])!r} is not a number") from None


FORMAT = Format(
    "cvat", write, read, accepted=True, supported_options=frozenset({"split", "partial"}),
    preserved=frozenset({"boxes", "whole", "order", "paths"}),
)  # fmt: skip
