"""Hugging Face `imagefolder`: images beside a `metadata.jsonl` with `file_name`.

Whole images have a `label`; boxes stand together on their image's line, as `objects` with `bbox`
(x, y, width, height) and `categories`, by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from annotator.errors import RefError
from annotator.formats.format import Format
from annotator.formats.image_files import Pictures, inside
from annotator.formats.jsontext import dumps, plain_loads
from annotator.formats.reading import Found, Reading, box_of, text_of
from annotator.formats.source import Picture, Record, Source
from annotator.items.listing import SUFFIXES
from annotator.items.refs import Item, printable

METADATA = "metadata.jsonl"
_OWN = ("file_name", "label", "objects", "ref", "bbox", "categories")


def write(source: Source, place: Path) -> None:
    pictures = Pictures(source, place)
    split = source.options.split
    boxes = not source.options.crop and source.has_boxes
    with ExitStack() as stack:
        files: dict[str, IO[str]] = {}
        for name in split.names if split else ("",):
            (place / name).mkdir(exist_ok=True)
            file = (place / name / METADATA).open("w", encoding="utf-8")
            files[name] = stack.enter_context(file)
        if source.options.crop:
            for record in source.records():
                _crop(source, pictures, record, files)
        else:
            for picture in source.pictures():
                _picture(source, pictures, picture, files, boxes)


def _crop(source: Source, pictures: Pictures, record: Record, files: Mapping[str, IO[str]]) -> None:
    lead = f"{record.split}/" if record.split else ""
    name = pictures.crop(record, lead + inside(record.item.path))
    if name is None:
        source.leave_out("whose images cannot be read")
        return
    cells = {"file_name": name.removeprefix(lead), "label": record.label, "ref": record.item.ref}
    _line(files[record.split], {**cells, **_columns(record)})
    source.written += 1


def _picture(
    source: Source, pictures: Pictures, picture: Picture, files: Mapping[str, IO[str]], boxes: bool
) -> None:
    lead = f"{picture.split}/" if picture.split else ""
    name = pictures.whole(picture.path, lead + inside(picture.path))
    if name is None:
        source.leave_out("whose images cannot be read", len(picture.records))
        return
    inner = [record for record in picture.records if record.item.box is not None]
    outer = [record for record in picture.records if record.item.box is None]
    cells: dict[str, Any] = {"file_name": name.removeprefix(lead)}
    if outer or not boxes:
        cells["label"] = outer[0].label if outer else None
    if boxes:
        cells["objects"] = {
            "bbox": [list(record.item.box or ()) for record in inner],
            "categories": [record.label for record in inner],
        }
        cells["objects"] |= {
            key: [_columns(record)[key] for record in inner] for key in map(_key, source.columns)
        }
    if outer or not boxes:
        cells |= _columns(outer[0]) if outer else {}
    _line(files[picture.split], cells)
    source.written += len(picture.records)


def _columns(record: Record) -> dict[str, str]:
    return {_key(name): cell for name, cell in record.columns.items()}


def _key(column: str) -> str:
    return f"{column}_" if column in _OWN else column


def _line(file: IO[str], cells: Mapping[str, Any]) -> None:
    file.write(dumps(cells) + "\n")


def read(reading: Reading) -> Iterator[Found]:
    """The metadata.jsonl of a folder, or those of the folders in it."""
    top = reading.path if reading.path.is_dir() else reading.path.parent
    reading.root = top
    reading.boxes = "bbox read as x, y, width, height in pixels"
    files = metadata_files(top)
    if not files:
        raise RefError(f"{printable(str(top))}: holds no {METADATA}")
    for file in files:
        folder = file.parent.relative_to(top).as_posix()
        shown = file.relative_to(top).as_posix()
        with file.open("rb") as lines:
            for line, data in enumerate(lines, 1):
                where = f"{printable(shown)}, line {line}"
                try:
                    if data.strip():
                        yield from _row(reading, where, data, folder if folder != "." else "")
                except (RefError, ValueError, RecursionError) as error:
                    reason = "is nested too deeply" if isinstance(error, RecursionError) else error
                    reading.fault(f"line {line}", str(reason), shown)


def metadata_files(top: Path) -> list[Path]:
    """metadata.jsonl of a folder, or of each folder in it."""
    return sorted([*top.glob(METADATA), *top.glob(f"*/{METADATA}")])


def _row(reading: Reading, where: str, data: bytes, folder: str) -> Iterator[Found]:
    cells = plain_loads(data.decode("utf-8-sig"))
    if not isinstance(cells, dict):
        raise RefError('should be an object such as {"file_name": "a.jpg"}')
    path = reading.path_of(cells.get("file_name"))
    if Path(path).suffix.lower() not in SUFFIXES:
        raise RefError(f"{printable(path)!r} is no image's name")
    path = f"{folder}/{path}" if folder else path
    columns = {
        text_of(key, "a column"): "" if value is None else text_of(value, f"{key!r}", plain=True)
        for key, value in cells.items() if key not in _OWN
    }  # fmt: skip
    objects = cells.get("objects")
    label = cells.get("label")
    if label is not None or objects is None:
        name = None if label is None else text_of(label, "label")
        yield Found(where, Item(path), name or None, columns=columns)
    if objects is not None:
        yield from _objects(where, path, objects, columns)


def _objects(where: str, path: str, objects: object, columns: Mapping[str, str]) -> Iterator[Found]:
    if not isinstance(objects, dict) or not isinstance(objects.get("bbox"), list):
        raise RefError("objects should hold lists: bbox and categories")
    boxes = objects["bbox"]
    names = objects.get("categories", objects.get("category"))
    others = {
        key: value
        for key, value in objects.items()
        if key not in ("bbox", "categories", "category")
    }
    for key, value in {"categories": names, **others}.items():
        if not isinstance(value, list) or len(value) != len(boxes):
            raise RefError(
                f"objects: bbox has {len(boxes)} boxes, and {key!r} is no list of as many"
            )
    assert isinstance(names, list)
    for place, (values, name) in enumerate(zip(boxes, names, strict=True)):
        if isinstance(name, int):
            raise RefError(
                f"objects.categories[{place}] is the number {name}, and this file does not say of "
                "which class; write names"
            )
        own = {
            key: "" if value[place] is None else text_of(value[place], key, plain=True)
            for key, value in others.items()
        }
        label = None if name is None else text_of(name, f"objects.categories[{place}]")
        spot = f"{where}, objects[{place}]"
        yield Found(
            spot, Item(path, box_of(values, "xywh")), label or None, columns={**columns, **own}
        )


FORMAT = Format(
    "huggingface", write, read, folder=True, takes=frozenset({"split", "images", "crop"}),
    keeps=frozenset({"boxes", "whole", "order", "columns", "unlabelled", "paths"}),
)  # fmt: skip
