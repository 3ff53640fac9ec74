"""What a format is, and the dict of all of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from annotator.formats.reading import ImportContext, ImportedItem
    from annotator.formats.source import ExportSource

from annotator.errors import ExtraMissing

Write = Callable[["ExportSource", Path], None]
Read = Callable[["ImportContext"], "Iterator[ImportedItem]"]


@dataclass(frozen=True, slots=True)
class Format:
    """One way in which labels leave or enter a project."""

    name: str
    write: Write | None = None
    """Writes what a source holds to a file or an empty folder that nobody sees yet."""
    read: Read | None = None
    """Yields what a file or folder holds; faults go to the reading."""
    folder: bool = False
    """Whether an export is a folder of files."""
    supported_options: frozenset[str] = frozenset()
    """The options of an export that it has a place for, of `OPTIONS`."""
    preserved: frozenset[str] = frozenset()
    """What comes back when an export is read, of `PRESERVED`; class names and labels always do."""
    accepted: bool = False
    """Whether it holds the boxes that were accepted, where a project has proposals."""


OPTIONS = ("split", "crop", "images", "probabilities", "provenance", "predictions")
PRESERVED = ("boxes", "whole", "order", "columns", "unlabelled", "skips", "paths")
"""Boxes; labels of whole images; the order of items; columns that the program does not know; items
without a label; skipped ones; and the very paths of the images."""

MODULES = {
    "csv": "csv",
    "plain-csv": "csv_jsonl",
    "list": "csv:LIST",
    "jsonl": "csv_jsonl:JSONL",
    "parquet": "parquet",
    "coco": "coco.write",
    "coco-results": "coco.write:RESULTS",
    "yolo": "yolo.write",
    "yolo-cls": "yolo.write:CLASSIFICATION",
    "voc": "voc",
    "imagefolder": "class_folders",
    "huggingface": "huggingface",
    "label-studio": "label_studio.write",
    "cvat": "cvat",
    "imagenet-ab": "imagenet_ab",
}
"""Every format, and where in this package it stands: a module's `FORMAT`, or the constant named."""


def list_formats() -> tuple[str, ...]:
    """The formats that this installation has."""
    return tuple(name for name, module in MODULES.items() if find_spec(_place(module)[0]))


def load_format(name: str) -> Format:
    """Raises `ExtraMissing` where the format's module, or a package that it needs, is absent."""
    try:
        module, constant = _place(MODULES[name])
        found = getattr(importlib.import_module(module), constant)
    except ImportError as error:
        raise ExtraMissing(f"the format {name} is not available here: {error}") from error
    assert isinstance(found, Format)
    return found


def _place(value: str) -> tuple[str, str]:
    """Return the module and the constant that a value of `MODULES` names."""
    module, _, constant = value.partition(":")
    return f"annotator.formats.{module}", constant or "FORMAT"
