"""The parts of a format, and the table of all formats."""

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
    """The function that writes a source to a new file or empty folder, moved to its place later."""
    read: Read | None = None
    """The function that reads a file or folder and reports faults to the import's context."""
    folder: bool = False
    """True if an export is a folder of files."""
    supported_options: frozenset[str] = frozenset()
    """The options of an export that the format has a place for, among `OPTIONS`."""
    preserved: frozenset[str] = frozenset()
    """The parts that survive export and import, among `PRESERVED`; names and labels always do."""
    accepted: bool = False
    """True if accepted proposals are written with their classes, not as yes and no."""


OPTIONS = (
    "split", "crop", "images", "probabilities", "provenance", "predictions", "unreviewed",
    "partial",
)  # fmt: skip
PRESERVED = ("boxes", "whole", "order", "columns", "unlabelled", "skips", "paths")
"""Boxes; labels of whole images; the order of items; unknown columns; items without a label;
skipped items; and the exact paths of the images."""

WITHOUT_LEVELS = ("imagenet-ab",)
"""The formats that hold the log's own labels, at no level of a hierarchy."""

FORMAT_MODULES = {
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
"""Format to its module in this package; the constant is `FORMAT`, or the one after the colon."""


def list_formats() -> tuple[str, ...]:
    """Return the names of the formats that this installation has."""
    return tuple(name for name, module in FORMAT_MODULES.items() if find_spec(_place(module)[0]))


def load_format(name: str) -> Format:
    """Return a format by its name.

    Raises `ExtraMissing` if its module, or a package that it needs, is absent.
    """
    try:
        module, constant = _place(FORMAT_MODULES[name])
        found = getattr(importlib.import_module(module), constant)
    except ImportError as error:
        raise ExtraMissing(f"The format {name} is not available here: {error}.") from error
    assert isinstance(found, Format)
    return found


def _place(value: str) -> tuple[str, str]:
    """Return the module and the constant that a value of `FORMAT_MODULES` names."""
    module, _, constant = value.partition(":")
    return f"annotator.formats.{module}", constant or "FORMAT"
