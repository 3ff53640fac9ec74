"""ImageFolder, as torchvision reads it: a folder a class, images linked, copied or cropped."""

from __future__ import annotations

from pathlib import Path

from annotator.formats import class_folders
from annotator.formats.format import Format
from annotator.formats.source import Source


def write(source: Source, place: Path) -> None:
    class_folders.write(source, place, "ImageFolder")


FORMAT = Format(
    "imagefolder", write, class_folders.read, folder=True,
    takes=frozenset({"split", "images", "crop"}), keeps=frozenset({"whole"}),
)  # fmt: skip
