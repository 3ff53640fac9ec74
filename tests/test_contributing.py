"""The paths that CONTRIBUTING.md draws lead through code that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATHS = ("The way of a key", "A label becomes a ranking", "A detection becomes an item")


def _steps() -> list[tuple[str, str]]:
    """Return the names and the files of each step of the three diagrams."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    steps = []
    for heading in PATHS:
        block = text.split(f"## {heading}\n", 1)[1].split("```")[1]
        for line in block.strip().splitlines():
            _, names, files = re.split(r"\s{2,}", line)[:3]
            steps.append((names, files))
    return steps


@pytest.mark.parametrize(("names", "files"), _steps())
def test_every_name_of_a_diagram_stands_in_its_file(names: str, files: str) -> None:
    folder, code = "", ""
    for file in re.findall(r"[\w/]+\.py", files):
        folder, file = (
            (file.rsplit("/", 1)[0], file) if "/" in file else (folder, f"{folder}/{file}")
        )
        code += (ROOT / "annotator" / file).read_text(encoding="utf-8")
    for name in re.findall(r"\w+", re.sub(r"\([^)]*\)|\[[^]]*\]", "", names)):
        assert re.search(rf"\b{name}\b", code), f"{name} is not in {files}"
