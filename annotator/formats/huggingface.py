"""Hugging Face `imagefolder`: images beside a `metadata.jsonl` with `file_name`.

Whole images have a `label`; boxes of one image share a line, as `objects` with `bbox`
(x, y, width, height) and `categories`, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from annotator.errors import RefError
from annotator.formats.flat import read_row_box, read_row_size
from annotator.formats.format import Format
from annotator.formats.image_files import ImageExporter, sanitize_path
from annotator.formats.jsontext import dumps, iter_json_lines
from annotator.formats.parquet import iter_parquet
from annotator.formats.reading import (
    ImportContext,
    ImportedItem,
    parse_bbox,
    read_label,
    require_text,
)
from annotator.formats.source import ExportRecord, ExportSource, ImageRecords
from annotator.items.listing import IMAGE_SUFFIXES, SkippedFiles, walk_images
from annotator.items.refs import Item, make_printable
from annotator.items.table_columns import find_row_names
from annotator.items.text_files import iter_records

METADATA_FILE = "metadata.jsonl"
METADATA_FILES = (METADATA_FILE, "metadata.csv", "metadata.parquet")
_OWN_COLUMNS = ("file_name", "label", "objects", "ref", "bbox", "categories")


def write(source: ExportSource, place: Path) -> None:
    """Write a folder of images with a metadata.jsonl; with splits, a folder for each."""
    images = ImageExporter(source, place)
    split = source.options.split
    boxes = not source.options.crop and source.has_boxes
    with ExitStack() as stack:
        files: dict[str, IO[str]] = {}
        for name in split.names if split else ("",):
            (place / name).mkdir(exist_ok=True)
            file = (place / name / METADATA_FILE).open("w", encoding="utf-8")
            files[name] = stack.enter_context(file)
        if source.options.crop:
            for record in source.records():
                _write_crop(source, images, record, files)
        else:
            for image in source.image_records(lambda _: True):  # open boxes are written as null
                _write_image(source, images, image, files, boxes)


def _write_crop(
    source: ExportSource,
    images: ImageExporter,
    record: ExportRecord,
    files: Mapping[str, IO[str]],
) -> None:
    lead = f"{record.split}/" if record.split else ""
    name = images.place_crop(record, lead + sanitize_path(record.item.path))
    if name is None:
        source.leave_out("whose images cannot be read")
        return
    cells = {
        "file_name": name.removeprefix(lead),
        "label": record.label,
        "ref": source.refs[record.row],
    }
    _write_line(files[record.split], {**cells, **_rename_columns(record)})
    source.written += 1


def _write_image(
    source: ExportSource,
    images: ImageExporter,
    image: ImageRecords,
    files: Mapping[str, IO[str]],
    boxes: bool,
) -> None:
    lead = f"{image.split}/" if image.split else ""
    name = images.place_image(image.path, lead + sanitize_path(image.path))
    if name is None:
        source.leave_out("whose images cannot be read", len(image.records))
        return
    inner = [record for record in image.records if record.item.box is not None]
    outer = [record for record in image.records if record.item.box is None]
    for record in outer[1:]:  # the same file under another path
        again = ImageRecords(record.item.path, image.split, [record])
        _write_image(source, images, again, files, boxes)
    cells: dict[str, Any] = {"file_name": name.removeprefix(lead)}
    if outer or not boxes:
        cells["label"] = outer[0].label if outer else None
    if boxes:
        cells["objects"] = {
            "bbox": [list(record.item.box or ()) for record in inner],
            "categories": [record.label for record in inner],
        }
        cells["objects"] |= {
            key: [_rename_columns(record)[key] for record in inner]
            for key in map(_column_key, source.columns)
        }
    if outer or not boxes:
        cells |= _rename_columns(outer[0]) if outer else {}
    _write_line(files[image.split], cells)
    source.written += len(inner) + bool(outer)


def _rename_columns(record: ExportRecord) -> dict[str, str]:
    return {_column_key(name): cell for name, cell in record.columns.items()}


def _column_key(column: str) -> str:
    return f"{column}_" if column in _OWN_COLUMNS else column


def _write_line(file: IO[str], cells: Mapping[str, Any]) -> None:
    file.write(dumps(cells) + "\n")


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield the items of a folder's metadata.jsonl, or of those in its folders."""
    top = reading.path if reading.path.is_dir() else reading.path.parent
    reading.root = top
    reading.boxes = "bbox read as x, y, width, height in pixels"
    files = find_metadata_files(top)
    if not files:
        raise RefError(f"{make_printable(str(top))}: holds no {' or '.join(METADATA_FILES)}")
    listed: set[str] = set()
    for file in files:
        folder = file.parent.relative_to(top).as_posix()
        shown = file.relative_to(top).as_posix()

        def report(line: int, fault: str, shown: str = shown) -> None:
            reading.add_fault(f"line {line}", fault, shown)

        rows = _READERS[file.suffix]
        for line, cells in rows(file, report):
            location = f"{make_printable(shown)}, line {line}"
            try:
                for item in _read_row(reading, location, cells, folder if folder != "." else ""):
                    listed.add(item.item.path)
                    yield item
            except RefError as error:
                report(line, str(error))
    _count_unlisted(reading, {file.parent for file in files}, top, listed)


def _count_unlisted(
    reading: ImportContext, folders: set[Path], top: Path, listed: set[str]
) -> None:
    """Count the images beside the metadata that no row names."""
    left_out = SkippedFiles()
    for folder in sorted(folders):
        lead = folder.relative_to(top)
        for batch in walk_images(folder, left_out, pages=False):
            paths = {(lead / Item.parse(ref).path).as_posix() for ref in batch}
            reading.count_ignored("image that no row names, so not an item", len(paths - listed))
            listed |= paths


def _iter_csv_rows(
    file: Path, on_fault: Callable[[int, str], None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each line of a metadata.csv and its cells by column; "" is none."""
    records = iter_records(file, on_fault)
    _, header = next(records, (0, list[str]()))
    for line, cells in records:
        if len(cells) > len(header):
            on_fault(line, f"has {len(cells)} cells for {len(header)} columns")
        elif cells:
            pairs = zip(header, cells, strict=False)
            yield line, {name: cell or None for name, cell in pairs if name}


def _iter_parquet_rows(
    file: Path, on_fault: Callable[[int, str], None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Return the number of each row of a metadata.parquet, from 1, and its cells by column."""
    return enumerate(iter_parquet(file), 1)


_READERS = {".csv": _iter_csv_rows, ".parquet": _iter_parquet_rows, ".jsonl": iter_json_lines}


def find_metadata_files(top: Path) -> list[Path]:
    """Return the metadata files of a folder, of its folders, and of those in them, sorted."""
    levels = ("", "*/", "*/*/")
    return sorted(
        file for level in levels for name in METADATA_FILES for file in top.glob(level + name)
        if file.is_file()
    )  # fmt: skip


def _read_row(
    reading: ImportContext, location: str, cells: Mapping[str, Any], folder: str
) -> Iterator[ImportedItem]:
    path = reading.parse_path(cells.get("file_name"))
    if Path(path).suffix.lower() not in IMAGE_SUFFIXES:
        raise RefError(f"{make_printable(path)!r} is not the name of an image")
    path = f"{folder}/{path}" if folder else path
    others, objects = find_row_names(tuple(cells)), cells.get("objects")
    # An export of ours writes `label`, so that a class of another name is a column of the user.
    label_key = "label" if "label" in cells or objects is not None else others.label or "label"
    used = {*_OWN_COLUMNS, *others.sides, label_key}
    own = {key: cell for key, cell in cells.items() if key not in used}
    columns = reading.keep_columns(own)
    reading.note_columns([*others.sides, label_key], own)
    bbox = cells.get("bbox")
    if objects is None and isinstance(bbox, list) and all(isinstance(box, list) for box in bbox):
        # Some data sets have the lists of boxes beside the name of the file.
        names = cells.get("categories", cells.get("category"))
        objects = {"bbox": cells["bbox"], "categories": names}
        columns.pop("category", None)
        label_key = "label"
    label = cells.get(label_key)
    if label is not None or objects is None:
        item = Item(path, read_row_box(cells if objects is None else {}, others, "xywh"))
        size = read_row_size(cells, others, item)
        yield ImportedItem(location, item, read_label(label), columns=columns, size=size)
    if objects is not None:
        for found in _read_objects(reading, location, path, objects, columns):
            yield found._replace(size=read_row_size(cells, others, found.item))


def _read_objects(
    reading: ImportContext, location: str, path: str, objects: object, columns: Mapping[str, str]
) -> Iterator[ImportedItem]:
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
                f"objects: bbox has {len(boxes)} boxes; {key!r} should be a list of that length"
            )
    assert isinstance(names, list)
    for place, (values, name) in enumerate(zip(boxes, names, strict=True)):
        if isinstance(name, int):
            raise RefError(
                f"objects.categories[{place}] is the number {name}, and this file does not name "
                "the classes; write names"
            )
        own = reading.keep_columns({key: value[place] for key, value in others.items()})
        label = None if name is None else require_text(name, f"objects.categories[{place}]")
        spot = f"{location}, objects[{place}]"
        yield ImportedItem(
            spot, Item(path, parse_bbox(values, "xywh")), label or None, columns={**columns, **own}
        )


FORMAT = Format(
    "huggingface", write, read, folder=True,
    supported_options=frozenset({"split", "images", "crop"}),
    preserved=frozenset({"boxes", "whole", "order", "columns", "unlabelled", "paths"}),
)  # fmt: skip
