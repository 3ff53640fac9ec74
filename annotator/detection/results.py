"""The detections of one model on disk, image by image, so that the next run resumes there."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from annotator.detection.detections import Detections
from annotator.errors import FeatureError
from annotator.items.atomic import only_regular
from annotator.items.json_text import parse_json
from annotator.items.refs import make_printable
from annotator.items.text_files import add_line_sum, check_line_sums, read_json_lines

FileStamp = tuple[int, int]
"""Size in bytes and time in nanoseconds of an image file; a change makes the answer stale."""


def stamp_file(file: Path) -> FileStamp:
    """Return the stamp of an image file, one of its own if there is none."""
    try:
        found = file.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


@dataclass(frozen=True, slots=True)
class ImageDetections:
    """The detections of a model in one image."""

    path: str
    size: tuple[int, int]
    """Width and height of the upright image."""
    passes: dict[str, Detections]
    """The detections of each pass: plain, flip, min-max."""
    left_out: dict[str, int]
    """Number of boxes that were not valid, by reason."""

    def as_dict(self, stamp: FileStamp) -> dict[str, Any]:
        """Return plain JSON, with the stamp of the image file."""
        passes = {how: found.as_dict() for how, found in self.passes.items()}
        row = {"path": self.path, "stamp": stamp, "size": self.size, "passes": passes}
        return {**row, "left_out": self.left_out} if self.left_out else row


class DetectionAnswers(Protocol):
    """The answers of a model, image by image."""

    def get(self, path: str) -> ImageDetections | None:
        """Return the answer for an image; None without one."""
        ...


class DetectionCache:
    """A file of JSON lines: the model and its options, then an answer per line."""

    def __init__(self, folder: Path, described: Mapping[str, Any]) -> None:
        """Open the file of a model and its options, `described`; others have other files.

        Raises `FeatureError` for a file that cannot be written.
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
            with open(self.path, "a+b", opener=only_regular) as file:  # noqa: PTH123
                self._read(file, text)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def __len__(self) -> int:
        return len(self._places)

    def has_answer(self, path: str, stamp: FileStamp) -> bool:
        """Return whether the image, as it is now, has an answer."""
        return path in self._places and self._places[path][1] == stamp

    def get(self, path: str) -> ImageDetections | None:
        """Return the last answer for an image."""
        if path not in self._places:
            return None
        with self.path.open("rb") as file:
            file.seek(self._places[path][0])
            (line,) = check_line_sums([file.readline()])
        return _parse_answer(parse_json(line.decode("utf-8", "surrogateescape")))

    def add(self, answers: Sequence[tuple[ImageDetections, FileStamp]]) -> None:
        """Append answers, safe against a crash. Raises `FeatureError` if the disk is full."""
        places = {}
        try:
            with self.path.open("ab") as file:
                at = file.seek(0, 2)
                for answer, stamp in answers:
                    line = json.dumps(answer.as_dict(stamp), ensure_ascii=False)
                    data = add_line_sum(line).encode("utf-8", "surrogateescape")
                    file.write(data)
                    places[answer.path] = at, stamp
                    at += len(data)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._places |= places

    def _read(self, file: BinaryIO, described: str) -> None:
        """Find the place of each answer; cut off a last line that a crash left incomplete.

        Lines that are damaged, or that hold no answer, are skipped: the model answers again.
        """
        file.seek(0)
        end = 0
        for line in read_json_lines(check_line_sums(file)):
            end = line.end
            with suppress(ValueError, TypeError, KeyError, AttributeError, OverflowError):
                size, modified = map(int, line.row["stamp"])
                answer = _parse_answer(line.row)
                self._places[answer.path] = line.start, (size, modified)
        file.truncate(end)
        if not end:
            file.write(f'{{"asked": {described}}}\n'.encode("utf-8", "surrogateescape"))


def _parse_answer(row: Mapping[str, Any]) -> ImageDetections:
    """Return the answer in a row; anything may be raised for a row that is none."""
    passes = {str(how): Detections.parse(found) for how, found in row["passes"].items()}
    width, height = map(int, row["size"])
    left_out = {str(why): int(number) for why, number in row.get("left_out", {}).items()}
    return ImageDetections(str(row["path"]), (width, height), passes, left_out)


def _unwritable(path: Path, error: OSError) -> FeatureError:
    return FeatureError(
        f"{make_printable(str(path))} cannot be written ({error.strerror}). Free some space or "
        "change its permissions, then run the same command to resume."
    )
