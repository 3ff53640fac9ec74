"""COCO JSON: images, annotations with `[x, y, width, height]`, categories by number.

The label of a whole image is an annotation of its whole area, with `"whole_image": true` among its
`attributes`. Unknown columns of refs.csv are attributes as well.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from annotator.formats.class_ids import COCO_IDS, assign_class_ids
from annotator.formats.coco import read
from annotator.formats.format import Format
from annotator.formats.jsontext import dumps, write_element
from annotator.formats.source import ExportRecord, ExportSource, ImageRecords
from annotator.project.class_tree import ClassTree


def write(source: ExportSource, place: Path) -> None:
    """Write one file; with splits, a folder with `instances_NAME.json` for each."""
    ids, tree = assign_class_ids(source, COCO_IDS, 1), source.project.settings.tree
    split = source.options.split
    with ExitStack() as stack:
        if split is None:
            files = {"": stack.enter_context(_CocoFile(place, ids, tree))}
        else:
            place.mkdir(exist_ok=True)
            files = {
                name: stack.enter_context(_CocoFile(place / f"instances_{name}.json", ids, tree))
                for name in split.names
            }
        for image in source.image_records():
            size = source.size(image.path)
            if size is not None:
                files[image.split].add(source, image, size)
            else:
                source.leave_out("in images that cannot be read", len(image.records))


class _CocoFile:
    """One COCO file; the annotations wait in a second one until all images are written."""

    def __init__(self, place: Path, ids: Mapping[str, int], tree: ClassTree) -> None:
        self._ids, self._place, self._tree = ids, place, tree
        self._images, self._annotations = 0, 0
        self._out: IO[str]
        self._rest: IO[str]

    def __enter__(self) -> _CocoFile:
        self._rest_place = self._place.with_name(self._place.name + ".annotations")
        self._out = self._place.open("w", encoding="utf-8")
        self._rest = self._rest_place.open("w+", encoding="utf-8")
        categories = [
            _build_category(name, number, self._tree) for name, number in self._ids.items()
        ]
        info = dumps({"description": "exported by annotator"})
        self._out.write(f'{{"info": {info},\n"licenses": [],\n')
        self._out.write(f'"categories": {dumps(categories)},\n"images": [')
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._out.write('],\n"annotations": [')
            self._rest.seek(0)
            shutil.copyfileobj(self._rest, self._out)
            self._out.write("]}\n")
        self._out.close()
        self._rest.close()
        self._rest_place.unlink()

    def add(self, source: ExportSource, image: ImageRecords, size: tuple[int, int]) -> None:
        width, height = size
        image_id = source.image_id(image.records[0])
        entry = {"id": image_id, "file_name": image.path, "width": width, "height": height}
        write_element(self._out, self._images, entry)
        self._images += 1
        for record in image.records:
            for found in build_annotations(source, record, self._ids, size):
                write_element(self._rest, self._annotations, found)
                self._annotations += 1
                source.written += 1


def _build_category(name: str, number: int, tree: ClassTree) -> dict[str, Any]:
    """Return a category, with the class above it as its `supercategory`."""
    found: dict[str, Any] = {"id": number, "name": name}
    parent = tree.parents.get(name)
    return found if parent is None else {**found, "supercategory": parent}


def build_annotations(
    source: ExportSource, record: ExportRecord, ids: Mapping[str, int], size: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    """Yield an annotation for each class of an item; an item without a class is left out."""
    names = source.names_of(record.label or record.predicted)
    if not names:
        if record.label:
            source.leave_out("with none of the classes")
        elif record.rejected or record.skipped or record.item.box is not None:
            source.leave_out(record.reason_without_label)
    for place, name in enumerate(names):
        # These numbers are the same in every export of the project.
        yield _build_annotation(
            source, record, ids[name], record.row + 1 + place * len(source.refs), size
        )


def _build_annotation(
    source: ExportSource, record: ExportRecord, category: int, number: int, size: tuple[int, int]
) -> dict[str, Any]:
    box = record.item.box or (0, 0, *size)
    found: dict[str, Any] = {
        "id": number, "image_id": source.image_id(record), "category_id": category,
        "bbox": [_shorten(value) for value in box], "area": _shorten(box[2] * box[3]), "iscrowd": 0,
    }  # fmt: skip
    if record.score is not None:
        found["score"] = record.score
    if record.label is None:
        found["predicted"] = True
    attributes = dict(record.columns)
    if record.item.box is None:
        attributes["whole_image"] = True  # type: ignore[assignment]
    if attributes:
        found["attributes"] = attributes
    if record.provenance:
        found["provenance"] = {
            key: value for key, value in record.provenance.items() if value is not None
        }
    return found


def _shorten(value: float) -> float:
    return int(value) if value == int(value) else value


def write_results(source: ExportSource, place: Path) -> None:
    """Write the list of detections that `COCO.loadRes` reads: all items with a score."""
    ids = assign_class_ids(source, COCO_IDS, 1)
    with place.open("w", encoding="utf-8") as file:
        file.write("[")
        for record in source.records():
            size = (0, 0) if record.item.box else source.size(record.item.path)
            if record.score is None or size is None:
                source.leave_out("without a score" if size else "in images that cannot be read")
                continue
            for found in build_annotations(source, record, ids, size):
                kept = {key: found[key] for key in ("image_id", "category_id", "bbox", "score")}
                write_element(file, source.written, kept)
                source.written += 1
        file.write("]\n")


FORMAT = Format(
    "coco", write, read.read, accepted=True,
    supported_options=frozenset({"split", "provenance", "predictions", "unreviewed", "partial"}),
    preserved=frozenset({"boxes", "whole", "order", "columns", "paths"}),
)  # fmt: skip

RESULTS = Format(
    "coco-results",
    write_results,
    accepted=True,
    supported_options=frozenset({"predictions", "unreviewed"}),
)
"""Results: `[{"image_id", "category_id", "bbox", "score"}]`, numbered as in coco."""
