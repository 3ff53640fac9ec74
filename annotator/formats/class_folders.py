"""A folder for each class: the layout that ImageFolder and YOLO classification share."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from annotator.errors import ProjectError, RefError
from annotator.formats.format import Format
from annotator.formats.image_files import ImageExporter, flatten_path, require_crops
from annotator.formats.reading import SPLITS, ImportContext, ImportedItem, require_text
from annotator.formats.source import ExportSource
from annotator.items.listing import SkippedFiles, walk_images
from annotator.items.refs import Item, make_printable

_NO_FOLDERS = ("__MACOSX",)
_ESCAPED = re.compile(r"%(?=[0-9A-Fa-f]{2})|/|\\|[\x00-\x1f\x7f]|^\.|[. ]$")


def class_to_folder(name: str) -> str:
    """Return a class as a folder's name; characters that no folder may have become %2F.

    Raises `ProjectError` for a name that is too long.
    """
    text = _ESCAPED.sub(lambda found: f"%{ord(found.group()):02X}", name)
    if len(text.encode()) > 255:
        raise ProjectError(
            f"Class {make_printable(name[:40])}… is too long for a folder's name. Shorten it in "
            "annotator.toml, or give --format huggingface."
        )
    return text


def folder_to_class(folder: str) -> str:
    """Return the class whose folder has this name: the inverse of `class_to_folder`."""
    return unquote(folder)


def write(source: ExportSource, place: Path, format_title: str, default_split: str = "") -> None:
    """Write `class/image`, or `split/class/image`; `default_split` is used without --split."""
    require_crops(source, format_title)
    if source.project.settings.multi_label:
        raise ProjectError(
            f"{format_title} holds one class for each image, and this project has several. Give "
            "--format huggingface, jsonl or coco."
        )
    images = ImageExporter(source, place)
    splits = source.options.split.names if source.options.split else (default_split,)
    for split in splits:
        for name in source.classes:
            # A class without an image keeps its place, and so its number.
            (place / split / class_to_folder(name)).mkdir(parents=True, exist_ok=True)
    for record in source.records():
        if record.label is None:
            source.leave_out(record.reason_without_label)
            continue
        split = record.split or default_split
        lead = f"{split}/" if split else ""
        to = f"{lead}{class_to_folder(record.label)}/{flatten_path(record.item.path)}"
        done = (
            images.place_crop(record, to)
            if source.options.crop
            else images.place_image(record.item.path, to)
        )
        if done is None:
            source.leave_out("whose images cannot be read")
        else:
            source.written += 1


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield every image below a class's folder; folders named train, val, test hold classes."""
    top = reading.path
    reading.root = top
    folders = [place.name for place in list_folders(top)]
    splits = [name for name in folders if is_split(name) and list_folders(top / name)]
    if folders and splits == folders:
        for split in splits:
            for place in list_folders(top / split):
                yield from _read_class_folder(reading, f"{split}/{place.name}", place.name, split)
    elif splits:
        others = make_printable(", ".join(name for name in folders if name not in splits))
        reading.add_fault(
            "", f"{make_printable(splits[0])} holds folders of classes, and {others} lies beside "
            "it, which is not a split. Move it away."
        )  # fmt: skip
    else:
        for name in folders:
            yield from _read_class_folder(reading, name, name, "")


def is_split(name: str) -> bool:
    """Return True for the name of a folder that holds one part of a data set."""
    return name.lower() in SPLITS


def _read_class_folder(
    reading: ImportContext, folder: str, name: str, split: str
) -> Iterator[ImportedItem]:
    try:
        label = require_text(folder_to_class(name), "a folder's name")
    except RefError as error:
        reading.add_fault("", str(error), folder)
        return
    reading.class_ids.setdefault(label, len(reading.class_ids))
    left_out = SkippedFiles()
    # A file has one label: later pages have files of their own.
    for batch in walk_images(reading.path / folder, left_out, pages=False):
        for ref in batch:
            path = f"{folder}/{Item.parse(ref).path}"
            columns = {"split": split} if split else {}
            yield ImportedItem(make_printable(path), Item(path), label, columns=columns)
    for lost in left_out.names:
        reading.add_fault("", lost, folder)
    reading.count_others(left_out)


def list_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted, without hidden ones and those of macOS archives.

    A folder that cannot be read has none.
    """
    names: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    return [folder / name for name in names if name not in _NO_FOLDERS]


def write_image_folder(source: ExportSource, place: Path) -> None:
    """Write ImageFolder, as torchvision reads it: images are linked, copied or cropped."""
    write(source, place, "ImageFolder")


FORMAT = Format(
    "imagefolder", write_image_folder, read, folder=True,
    supported_options=frozenset({"split", "images", "crop"}), preserved=frozenset({"whole"}),
)  # fmt: skip
