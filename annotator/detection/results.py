"""What one model found in each image, on disk as it comes: the next run goes on from there."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from annotator.detection.detections import Detections
from annotator.errors import FeatureError
from annotator.items.refs import make_printable
from annotator.items.text_files import read_json_lines

FileStamp = tuple[int, int]
"""Bytes and nanoseconds of an image file: another one makes the answer stale."""


@dataclass(frozen=True, slots=True)
class ImageDetections:
    """What a model found in one image."""

    path: str
    size: tuple[int, int]
    """Width and height of the upright image."""
    passes: dict[str, Detections]
    """By pass: plain, flip, min-max."""
    left_out: dict[str, int]
    """Boxes that were no boxes: why, and how many."""

    def as_dict(self, stamp: FileStamp) -> dict[str, Any]:
        passes = {how: found.as_dict() for how, found in self.passes.items()}
        row = {"path": self.path, "stamp": stamp, "size": self.size, "passes": passes}
        return {**row, "left_out": self.left_out} if self.left_out else row


class DetectionCache:
    """A file of JSON lines: what was asked first, then an answer a line."""

    def __init__(self, folder: Path, described: Mapping[str, Any]) -> None:
        """`described`: the model and its options; others have files of their own.

        Raises `FeatureError` where the file cannot be written.
        """
        text = json.dumps(described, sort_keys=True, ensure_ascii=False)
        name = re.sub(
            r"[^\w.-]+", "-", str(described.get("model", "")).rstrip("/").rpartition("/")[2]
        )
        key = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self.path = folder / f"{name or 'model'}-{key}.jsonl"
        self._places: dict[str, tuple[int, FileStamp]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                self._read(file, text)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def __len__(self) -> int:
        return len(self._places)

    def has(self, path: str, stamp: FileStamp) -> bool:
        """Whether the image as it is now was answered."""
        return path in self._places and self._places[path][1] == stamp

    def get(self, path: str) -> ImageDetections | None:
        """The last answer for an image."""
        if path not in self._places:
            return None
        with self.path.open("rb") as file:
            file.seek(self._places[path][0])
            row = json.loads(file.readline().decode("utf-8", "surrogateescape"))
        passes = {how: Detections.parse(found) for how, found in row["passes"].items()}
        width, height = row["size"]
        return ImageDetections(path, (width, height), passes, row.get("left_out", {}))

    def add(self, answers: Sequence[tuple[ImageDetections, FileStamp]]) -> None:
        """Append answers; after a crash they are there. Raises `FeatureError` for a full disk."""
        places = {}
        try:
            with self.path.open("ab") as file:
                at = file.seek(0, 2)
                for answer, stamp in answers:
                    line = json.dumps(answer.as_dict(stamp), ensure_ascii=False) + "\n"
                    data = line.encode("utf-8", "surrogateescape")
                    file.write(data)
                    places[answer.path] = at, stamp
                    at += len(data)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._places |= places

    def _read(self, file: BinaryIO, described: str) -> None:
        """Where each answer stands; a last line that a crash cut short is taken away."""
        file.seek(0)
        end = 0
        for line in read_json_lines(file):
            end = line.end
            if "path" in line.row:
                size, modified = line.row["stamp"]
                self._places[line.row["path"]] = line.start, (size, modified)
        file.truncate(end)
        if not end:
            file.write(f'{{"asked": {described}}}\n'.encode("utf-8", "surrogateescape"))


def _unwritable(path: Path, error: OSError) -> FeatureError:
    return FeatureError(
        f"{make_printable(str(path))} cannot be written ({error.strerror}); make room or rights there; "
        "the same command goes on where it was"
    )
