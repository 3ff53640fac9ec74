"""Reading COCO JSON: an element at a time, whatever the order of its members."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from annotator.errors import RefError
from annotator.formats.jsontext import JsonDocument, JsonMember
from annotator.formats.reading import (
    ImportContext,
    ImportedItem,
    parse_bbox,
    require_number,
    require_text,
)
from annotator.items.refs import Item, make_printable

_KNOWN = {
    "id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation", "attributes",
    "score", "predicted", "provenance",
}  # fmt: skip


class _ImageEntry(NamedTuple):
    path: str
    size: tuple[float, float] | None


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield annotations as items, then the images without an annotation.

    Raises `RefError` for a file that is not COCO JSON.
    """
    document = JsonDocument(reading.path)
    images: dict[int, _ImageEntry] = {}
    names: dict[int, str] = {}
    members: set[str] = set()
    for piece in document.iter_members():
        members.add(piece.key)
        if piece.key == "images":
            _read_image(reading, piece, images)
        elif piece.key == "categories":
            _read_category(reading, piece, names)
    if missing := {"images", "categories"} - members:
        lacks = f"is not a COCO file: it lacks {' and '.join(sorted(missing))}."
        more = " A list of results does not name its images." if document.is_array else ""
        raise RefError(f"{make_printable(str(reading.path))}: {lacks}{more}")
    reading.class_ids = {name: key for key, name in names.items()}
    reading.boxes = "bbox read as x, y, width, height in pixels"
    if reading.faults:
        return
    yield from _read_annotations(reading, document, images, names)


def _read_annotations(
    reading: ImportContext,
    document: JsonDocument,
    images: Mapping[int, _ImageEntry],
    names: Mapping[int, str],
) -> Iterator[ImportedItem]:
    seen: set[int] = set()
    used: set[int] = set()
    for piece in document.iter_members():
        if piece.key != "annotations":
            continue
        try:
            found = _read_annotation(reading, piece, images, names, seen)
        except RefError as error:
            reading.add_fault(piece.location, str(error))
            continue
        used.add(piece.value["image_id"])
        yield found
    for number, image in images.items():
        if number not in used:
            yield ImportedItem("images", Item(image.path))


def _read_image(reading: ImportContext, piece: JsonMember, images: dict[int, _ImageEntry]) -> None:
    try:
        image = _require_object(piece, "an image")
        key = _require_id(image.get("id"), "id")
        if key in images:
            raise RefError(f"another image has the id {key}, too")
        size = None
        if image.get("width") is not None and image.get("height") is not None:
            size = (
                require_number(image["width"], "width", 1),
                require_number(image["height"], "height", 1),
            )
        images[key] = _ImageEntry(reading.parse_path(image.get("file_name")), size)
    except RefError as error:
        reading.add_fault(piece.location, str(error))


def _read_category(reading: ImportContext, piece: JsonMember, names: dict[int, str]) -> None:
    try:
        category = _require_object(piece, "a category")
        key = _require_id(category.get("id"), "id")
        name = require_text(category.get("name"), "name", plain=True)
        if key in names or name in names.values():
            raise RefError(f"category {key} {make_printable(name)!r} is repeated")
        names[key] = name
    except RefError as error:
        reading.add_fault(piece.location, str(error))


def _read_annotation(
    reading: ImportContext,
    piece: JsonMember,
    images: Mapping[int, _ImageEntry],
    names: Mapping[int, str],
    seen: set[int],
) -> ImportedItem:
    annotation = _require_object(piece, "an annotation")
    key = annotation.get("id")
    if key is not None:
        key = _require_id(key, "id")
        if key in seen:
            raise RefError(f"another annotation has the id {key}, too")
        seen.add(key)
    image = images.get(_require_id(annotation.get("image_id"), "image_id"))
    if image is None:
        raise RefError(f"this file has no image {annotation['image_id']} (image_id)")
    category = _require_id(annotation.get("category_id"), "category_id")
    if category not in names:
        raise RefError(f"this file has no category {category} (category_id)")
    attributes = annotation.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise RefError("attributes should be an object")
    columns = _read_columns(reading, annotation, attributes)
    whole = attributes.get("whole_image") is True or annotation.get("bbox") in (None, [])
    box = None if whole else parse_bbox(annotation["bbox"], "xywh", image.size, reading)
    _count_ignored_members(reading, annotation, box is not None)
    provenance = annotation.get("provenance")
    machine = isinstance(provenance, dict) and provenance.get("machine") is True
    by = provenance.get("annotator") if isinstance(provenance, dict) else None
    predicted = annotation.get("predicted") is True
    if predicted:
        columns |= {"prediction": names[category]}
    return ImportedItem(
        piece.location, Item(image.path, box), None if predicted else names[category],
        machine=machine, labelled_by=by if isinstance(by, str) else None, columns=columns,
    )  # fmt: skip


def _count_ignored_members(
    reading: ImportContext, annotation: Mapping[str, Any], has_box: bool
) -> None:
    if has_box and annotation.get("iscrowd") == 1:
        reading.count_ignored("mark of a crowd (its box is kept)")
    if annotation.get("segmentation") not in (None, [], {}):
        reading.count_ignored("segmentation (its box is kept)")
    for name in annotation.keys() - _KNOWN:
        reading.count_ignored(f"{make_printable(name[:40])!r} of an annotation")


def _read_columns(
    reading: ImportContext, annotation: Mapping[str, Any], attributes: Mapping[str, Any]
) -> dict[str, str]:
    columns = reading.keep_columns(
        {name: value for name, value in attributes.items() if name != "whole_image"}
    )
    if annotation.get("score") is not None:
        columns["score"] = f"{require_number(annotation['score'], 'score'):g}"
    return columns


def _require_object(piece: JsonMember, name: str) -> Mapping[str, Any]:
    if piece.position < 0:
        raise RefError("should be a list")
    if not isinstance(piece.value, dict):
        raise RefError(f"should be {name}, an object")
    return piece.value


def _require_id(value: object, name: str) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise RefError(f"{name} should be a whole number")
    return value
