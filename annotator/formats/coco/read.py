"""Reading COCO JSON: an element at a time, whatever the order of its members."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from annotator.errors import RefError
from annotator.formats.coco.shapes import read_box_around
from annotator.formats.jsontext import JsonDocument, JsonMember
from annotator.formats.reading import (
    ImportContext,
    ImportedItem,
    parse_bbox,
    require_number,
    require_text,
)
from annotator.items.listing import is_file
from annotator.items.refs import Box, Item, make_printable

_KNOWN = {
    "id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation", "attributes",
    "score", "predicted", "provenance", "bbox_mode",
}  # fmt: skip


CocoId = int | str


class _ImageEntry(NamedTuple):
    path: str
    size: tuple[float, float] | None


_OTHERS = {
    "items": " It is of Datumaro. Convert it: `datum convert -if datumaro -f coco -i DIR`.",
    "shapes": " It is of labelme. Convert its folder: `labelme2coco DIR`.",
    "_via_img_metadata": " It is of VIA. Export it there as COCO.",
    "_via_settings": " It is of VIA. Export it there as COCO.",
    "asset": " It is of VoTT. Export it there as Pascal VOC.",
    "assets": " It is of VoTT. Export it there as Pascal VOC.",
}
"""Members of JSON files of other programs, and how to get a file that is read here."""


@dataclass
class _CocoFile:
    """The images and categories of one file."""

    folder: str = ""
    """The folder of its images, below the images' root; "" for the root itself."""
    images: dict[CocoId, _ImageEntry] = field(default_factory=dict)
    names: dict[CocoId, str] = field(default_factory=dict)


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield annotations as items, then the images without an annotation.

    Raises `RefError` for a file that is not COCO JSON, and a folder in which none is known.
    """
    reading.boxes = "bbox read as x, y, width, height in pixels"
    if not reading.path.is_dir():
        yield from _read_file(reading, reading.path, "")
        return
    reading.root = reading.path
    files = find_coco_files(reading.path)
    if not files:
        raise RefError(f"{make_printable(str(reading.path))}: holds no COCO file that is known")
    for file, folder in files:
        yield from _read_file(reading, file, folder)


def _read_file(reading: ImportContext, path: Path, folder: str) -> Iterator[ImportedItem]:
    document = JsonDocument(path)
    lead = "" if path == reading.path else f"{path.relative_to(reading.path).as_posix()}, "
    file = _CocoFile(folder)
    members: set[str] = set()
    categories: list[JsonMember] = []
    used: set[object] = set()
    faults = reading.fault_count
    for piece in document.iter_members():
        members.add(piece.key)
        if piece.key == "images":
            _read_image(reading, piece, file, lead)
        elif piece.key == "categories":
            categories.append(piece)
        elif piece.key == "annotations" and isinstance(piece.value, dict):
            number = piece.value.get("category_id")
            used |= {number} if isinstance(number, (int, float, str)) else set()
    if missing := {"images", "categories"} - members:
        lacks = f"is not a COCO file: it lacks {' and '.join(sorted(missing))}."
        more = (
            " A list of results does not name its images."
            if document.is_array
            else " For a table of your own, write one object a line: "
            '{"filename": "a.jpg", "label": "ok"} in a .jsonl file.'
        )
        more = next((text for sign, text in _OTHERS.items() if sign in members), more)
        raise RefError(f"{make_printable(str(path))}: {lacks}{more}")
    unused = _find_unused_parents(categories, used)
    for piece in categories:
        _note_parent(reading, piece, piece.position in unused)
        if piece.position not in unused:
            _read_category(reading, piece, file, lead)
    reading.class_ids = _number_classes(reading.class_ids, file.names)
    if reading.fault_count == faults or reading.skip_faulty:
        yield from _read_annotations(reading, document, file, lead)


def _note_parent(reading: ImportContext, piece: JsonMember, is_unused: bool) -> None:
    """Note the class above a category, and a category that is only above others."""
    category = piece.value if isinstance(piece.value, dict) else {}
    try:
        name = require_text(category.get("name"), "name", plain=True)
        if is_unused:
            reading.unused_classes.setdefault(name, _UNUSED_PARENT)
        parent = require_text(category.get("supercategory"), "supercategory", plain=True)
    except RefError:
        return
    if parent not in ("", "none", "None", name):
        reading.note_parent(name, parent)


_UNUSED_PARENT = "category without an annotation that others have as their parent"


def _find_unused_parents(categories: Sequence[JsonMember], used: Collection[object]) -> set[int]:
    """Return the positions of categories that are only the supercategory of others.

    Roboflow writes one as category 0, often with the name of a class.
    """
    found = [(piece.position, piece.value) for piece in categories if isinstance(piece.value, dict)]
    above = [value.get("supercategory") for _, value in found]
    children = Counter(parent for parent in above if isinstance(parent, (int, str)))
    return {
        position
        for (position, value), parent in zip(found, above, strict=True)
        if isinstance(name := value.get("name"), (int, str))
        and children[name] > (parent == name)
        and isinstance(value.get("id"), (int, str))
        and value["id"] not in used
    }


def _number_classes(known: Mapping[str, int], names: Mapping[CocoId, str]) -> dict[str, int]:
    """Return the numbers of classes: those of the file, or new ones if they clash or are texts."""
    found = dict(known)
    whole = all(isinstance(key, int) and key >= 0 for key in names)
    if whole and not any(
        found.get(name, key) != key or (name not in found and key in found.values())
        for key, name in names.items()
    ):
        return found | {name: int(key) for key, name in names.items()}
    for name in names.values():
        found.setdefault(name, max(found.values(), default=0) + 1)
    return found


def _read_annotations(
    reading: ImportContext, document: JsonDocument, file: _CocoFile, lead: str
) -> Iterator[ImportedItem]:
    seen: set[CocoId] = set()
    used: set[CocoId] = set()
    for piece in document.iter_members():
        if piece.key != "annotations":
            continue
        try:
            found = _read_annotation(reading, piece, file, seen)
        except RefError as error:
            reading.add_fault(lead + piece.location, str(error))
            continue
        used.add(_require_id(piece.value["image_id"], "image_id"))
        if found is not None:
            yield found._replace(location=lead + found.location)
    for number, image in file.images.items():
        if number not in used:
            yield ImportedItem(f"{lead}images", Item(image.path))


def _read_image(reading: ImportContext, piece: JsonMember, file: _CocoFile, lead: str) -> None:
    try:
        image = _require_object(piece, "an image")
        key = _require_id(image.get("id"), "id")
        if key in file.images:
            raise RefError(f"another image has the id {key}, too")
        size = None
        # Some tools write 0 for a size that they do not know.
        if image.get("width") and image.get("height"):
            size = (
                require_number(image["width"], "width", 1),
                require_number(image["height"], "height", 1),
            )
        path = reading.parse_path(image.get("file_name"))
        lead_in = file.folder
        if not lead_in and reading.path.is_dir() and not is_file(reading.path / path):
            # Label Studio names some images without the folder that they lie in.
            lead_in = "images" if is_file(reading.path / "images" / path) else ""
        file.images[key] = _ImageEntry(f"{lead_in}/{path}" if lead_in else path, size)
    except RefError as error:
        reading.add_fault(lead + piece.location, str(error))


def _read_category(reading: ImportContext, piece: JsonMember, file: _CocoFile, lead: str) -> None:
    names = file.names
    try:
        category = _require_object(piece, "a category")
        key = _require_id(category.get("id"), "id")
        name = require_text(category.get("name"), "name", plain=True)
        if key in names or name in names.values():
            raise RefError(f"category {key} {make_printable(name)!r} is repeated")
        names[key] = name
    except RefError as error:
        reading.add_fault(lead + piece.location, str(error))


def _read_annotation(
    reading: ImportContext,
    piece: JsonMember,
    file: _CocoFile,
    seen: set[CocoId],
) -> ImportedItem | None:
    """Return the item of an annotation; None for one whose place in the image is not known."""
    annotation = _require_object(piece, "an annotation")
    key = annotation.get("id")
    if key is not None:
        key = _require_id(key, "id")
        if key in seen:
            raise RefError(f"another annotation has the id {key}, too")
        seen.add(key)
    names = file.names
    image = file.images.get(_require_id(annotation.get("image_id"), "image_id"))
    if image is None:
        raise RefError(f"this file has no image {annotation['image_id']} (image_id)")
    category = _require_id(annotation.get("category_id"), "category_id")
    if category not in names:
        raise RefError(f"this file has no category {category} (category_id)")
    attributes = annotation.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise RefError("attributes should be an object")
    columns = _read_columns(reading, annotation, attributes)
    placed, box = _read_place(reading, annotation, attributes.get("whole_image") is True)
    if not placed:
        return None
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
        size=image.size,
    )  # fmt: skip


def _read_place(
    reading: ImportContext, annotation: Mapping[str, Any], whole: bool
) -> tuple[bool, Box | None]:
    """Return whether the place of an annotation is known, and its box; None for a whole image."""
    if whole:
        return True, None
    if annotation.get("bbox") not in (None, []):
        return True, parse_bbox(annotation["bbox"], _read_order(annotation))
    shape = annotation.get("segmentation")
    if shape not in (None, [], {}):
        return True, read_box_around(shape)
    if others := sorted({"keypoints", "num_keypoints", "caption", "segments_info"} & {*annotation}):
        reading.count_ignored(f"annotation with {others[0]} and without a box, so not an item")
        return False, None
    if {"bbox", "segmentation"} & {*annotation}:
        reading.count_ignored("annotation with an empty box, so not an item")
        return False, None
    return True, None  # a class without any place is one of the whole image


def _read_order(annotation: Mapping[str, Any]) -> str:
    """Return the order of a bbox, which Detectron2 writes as a number. Raises `RefError`."""
    mode = annotation.get("bbox_mode", 1)
    if mode not in (0, 1):
        raise RefError(f"bbox_mode is {make_printable(str(mode)[:40])}; 0 and 1 are read")
    return "xywh" if mode else "xyxy"


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


def _require_id(value: object, name: str) -> CocoId:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as tables write a column of whole numbers
    if isinstance(value, str):
        return require_text(value, name)
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise RefError(f"{name} should be a whole number or a text")
    return value


def find_coco_files(folder: Path) -> list[tuple[Path, str]]:
    """Return the COCO files of a data set and the folder of the images of each.

    Known are Roboflow's `_annotations.coco.json` in each split, the `annotations/instances_X.json`
    of COCO itself, and Label Studio's `result.json`.
    """
    found = []
    for file in sorted([*folder.glob("_annotations.coco.json"),
                        *folder.glob("*/_annotations.coco.json")]):  # fmt: skip
        found.append((file, file.parent.relative_to(folder).as_posix().removeprefix(".")))
    for file in sorted((folder / "annotations").glob("instances_*.json")):
        name = file.stem.removeprefix("instances_")
        places = (name, f"images/{name}", "images")
        found += [(file, place) for place in places if (folder / place).is_dir()][:1]
    if not found and (folder / "result.json").is_file() and (folder / "images").is_dir():
        found.append((folder / "result.json", ""))
    return found
