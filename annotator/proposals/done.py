"""Which images a long run has been through, so that the next one goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from annotator.project import Project


class Done:
    """`.cache/done-….txt`: one image path a line, for one command with one set of options.

    Write an image's proposals first, then `add` the image: after a crash it is looked at again,
    and the writer passes over what it made before.
    """

    def __init__(self, project: Project, options: Mapping[str, Any]) -> None:
        """`options`: all that the proposals depend on, as plain JSON; other options start anew."""
        text = json.dumps(options, sort_keys=True, ensure_ascii=False)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._path = project.folder / ".cache" / f"done-{key}.txt"
        self._path.parent.mkdir(exist_ok=True)
        before = self._path.read_bytes() if self._path.exists() else b""
        whole = before[: before.rfind(b"\n") + 1]  # a crash may cut the last line short
        lines = whole.decode("utf-8", "surrogateescape").splitlines()
        self._images = set(lines)
        if len(whole) < len(before):
            self._path.write_bytes(whole)
        self._file = self._path.open("ab")

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
        self._images.add(image)
        self._file.write(f"{image}\n".encode("utf-8", "surrogateescape"))
        self._file.flush()
