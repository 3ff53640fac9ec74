"""Which images a long run has been through, so that the next one goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from annotator.errors import ProjectError
from annotator.items.refs import make_printable
from annotator.project.project import ProjectFolder


class ProcessedImages:
    """`.cache/done-….txt`: one image path a line, for one command with one set of options.

    Write an image's proposals first, then `add` the image: after a crash it is looked at again,
    and the writer passes over what it made before.
    """

    def __init__(self, project: ProjectFolder, options: Mapping[str, Any]) -> None:
        """`options`: all that the proposals depend on, as plain JSON; other options start anew.

        Raises `ProjectError` where the file cannot be written.
        """
        text = json.dumps(options, sort_keys=True, ensure_ascii=False)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._path = project.folder / ".cache" / f"done-{key}.txt"
        try:
            self._path.parent.mkdir(exist_ok=True)
            self._file = self._path.open("a+b", buffering=0)
        except OSError as error:
            raise self._unwritable(error) from error
        self._file.seek(0)
        before = self._file.read()
        whole = before[: before.rfind(b"\n") + 1]  # a crash may cut the last line short
        self._file.truncate(len(whole))
        self._images = set(whole.decode("utf-8", "surrogateescape").split("\n")[:-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._file.close()

    def __contains__(self, image: str) -> bool:
        return image in self._images

    def __len__(self) -> int:
        return len(self._images)

    def add(self, image: str) -> None:
        """Raises `ProjectError` for a full disk."""
        line = f"{image}\n".encode("utf-8", "surrogateescape")
        try:
            # Cut short, or not written at all: the next run looks at this image again.
            self._file.write(line)
        except OSError as error:
            raise self._unwritable(error) from error
        self._images.add(image)

    def _unwritable(self, error: OSError) -> ProjectError:
        return ProjectError(
            f"{make_printable(str(self._path))} cannot be written: {error.strerror}; make room there: "
            "the same command goes on where it was"
        )
