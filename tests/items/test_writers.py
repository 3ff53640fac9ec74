"""Every place that writes files is on the list in docs/log.md, and a kill leaves none half done."""

from __future__ import annotations

import ast
import re
from itertools import islice
from pathlib import Path

import pytest

from tests.items.kill_scenarios import SCENARIOS, try_kills

ROOT = Path(__file__).parents[2]
_NAMES = {
    "write_atomically", "write_text", "write_bytes", "hardlink_to", "mkstemp", "NamedTemporaryFile",
    "lock_file", "rename", "posix_fallocate", "pwrite",
}  # fmt: skip
_MODES = re.compile(r"[wax]b?\+?|r\+b?")
_CHECKED = ["import", "add a class", "detect", "export --overwrite", "repair", "hits"]
"""Scenarios of the test; `make bench ARGS=reliability` kills all commands at every step."""


def find_writers() -> set[str]:
    """The modules of the package that open files for writing, or put them into place."""
    found = set()
    for path in (ROOT / "annotator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _writes(node):
                found.add(str(path.relative_to(ROOT / "annotator")))
    return found


def _writes(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name == "open":
        words = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
        return any(isinstance(word, str) and _MODES.fullmatch(word) for word in words)
    place = getattr(call.func, "value", None)
    return name in _NAMES and not (name == "rename" and getattr(place, "attr", "") == "source")


def read_list() -> dict[str, str]:
    """The modules of the list, and what makes their files whole."""
    text = (ROOT / "docs/log.md").read_text("utf-8").partition("## Files that are written")[2]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)[1:]
    return {
        name: how for modules, _, how in rows for name in re.findall(r"`([\w/]+\.py)`", modules)
    }


def test_every_writer_is_on_the_list_and_nothing_else() -> None:
    listed = read_list()
    assert find_writers() - set(listed) == set()
    assert {name for name in listed if not (ROOT / "annotator" / name).is_file()} == set()


@pytest.mark.parametrize("name", _CHECKED)
def test_a_kill_between_two_changes_loses_nothing(tmp_path: Path, name: str) -> None:
    assert name in SCENARIOS
    outcomes = list(islice(try_kills(tmp_path, name), 12))
    assert outcomes, "nothing was killed"
    assert [fault for outcome in outcomes for fault in outcome.faults] == []
