"""A program of the user's own as a detector: it gets an image's path, and prints boxes as JSON."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from annotator.detection.boxes_file import parse_score
from annotator.detection.detections import Detections, clean_detections
from annotator.detection.results import ImageDetections
from annotator.errors import FeatureError, ImageError
from annotator.images.decode import open_image
from annotator.items.json_text import parse_json
from annotator.items.refs import make_printable

PLACE = "{image}"
_MAX_OUTPUT = 16 << 20
"""Bytes of output of one image that are read."""
_SCRIPTS = (".py", ".sh", ".js", ".rb", ".pl", ".r", ".lua", ".jl")
"""Endings of files whose change makes earlier answers stale."""
_MAX_SECONDS = 600.0


class BoxProgram:
    """A command line that prints `[{"bbox": [x, y, w, h], "name": …, "score": …}, …]`."""

    def __init__(self, command: str) -> None:
        """Split a command as a shell does, without running one.

        Raises `FeatureError` for a command that does not name the image's place.
        """
        self.command = command
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise FeatureError(f"cmd:{make_printable(command)}: {error}.") from error
        if not any(PLACE in word for word in self._words):
            raise FeatureError(
                f"cmd:{make_printable(command)} does not say where the image's path goes. "
                f"Write {PLACE} there: cmd:./boxes.py {PLACE}"
            )

    def describe(self) -> dict[str, Any]:
        """Return all that its answers depend on, as plain JSON."""
        stamps = []
        for word in self._words:
            file = Path(word)
            if word.lower().endswith(_SCRIPTS) and file.is_file():
                found = file.stat()
                stamps.append([word, found.st_size, found.st_mtime_ns])
        return {"model": self._words[0], "command": self.command, "files": stamps}

    def detect(self, path: str, file: Path, max_pixels: int) -> ImageDetections | str:
        """Return the boxes in an image, or why there are none."""
        try:
            with open_image(file, max_pixels) as (source, _):
                size = source.size
            found = _parse_answer(self._run(file))
        except ImageError as error:
            return str(error).removeprefix(f"{make_printable(str(file))}: ")
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"{make_printable(self._words[0])}: {make_printable(str(error))}"
        good, reasons = clean_detections(found, size)
        return ImageDetections(path, size, {"plain": good}, reasons)

    def _run(self, file: Path) -> bytes:
        words = [word.replace(PLACE, str(file)) for word in self._words]
        with tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                start_new_session=True,
            )  # fmt: skip
            timer = threading.Timer(_MAX_SECONDS, _kill_group, [child.pid])
            timer.start()
            answer = b""
            try:
                assert child.stdout is not None
                with child.stdout:
                    answer = child.stdout.read(_MAX_OUTPUT + 1)
            finally:
                if len(answer) > _MAX_OUTPUT:
                    _kill_group(child.pid)
                code = child.wait()
                timer.cancel()
            if len(answer) > _MAX_OUTPUT:
                raise ValueError(f"it prints more than {_MAX_OUTPUT >> 20} MB for an image")
            if code:
                errors.seek(max(0, errors.seek(0, os.SEEK_END) - 2000))
                last = errors.read().decode(errors="replace").strip().splitlines()
                raise ValueError(f"it ended with {code}" + (f" ({last[-1]})" if last else ""))
        return answer


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _parse_answer(answer: bytes) -> Detections:
    try:
        rows = parse_json(answer)
    except ValueError as error:
        raise ValueError(f"it does not print JSON ({error})") from error
    if isinstance(rows, dict):
        rows = rows["boxes"]
    if absent := [key for row in rows for key in ("bbox", "name", "score") if key not in row]:
        raise ValueError(f"it prints a box without {absent[0]!r}")
    if any(len(row["bbox"]) != 4 for row in rows):
        raise ValueError("it prints a bbox that is not [left, top, width, height]")
    boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    scores = np.array([parse_score(row["score"]) for row in rows], np.float64)
    return Detections(boxes, scores, tuple(str(row["name"]) for row in rows))
