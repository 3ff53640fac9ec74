"""JSON on a terminal: no character of a file name, a note or an annotator can control it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from annotator.items.json_text import to_json_text
from tests.cli.command_line import on_terminal

HOSTILE = "a\x9b31mred\u202egnp\u2066\u2028\x7f\x85.png"
RAW = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\u200e\u200f\ufeff]")
CLI = Path(__file__).parents[2] / "annotator" / "cli"


@pytest.mark.parametrize("indent", [None, 1])
def test_json_reads_back_as_it_was_and_holds_nothing_that_controls(indent: int | None) -> None:
    document = {"é🙂" + HOSTILE: ["\x1b[2J", "\udcff", "ok\\u202e", "\ufeff", 5, None]}
    text = to_json_text(document, indent)
    assert json.loads(text) == document
    assert not RAW.search(text)
    assert "é🙂" in text
    text.encode()


def test_no_command_writes_json_of_names_by_other_means() -> None:
    for file in CLI.glob("*.py"):
        assert "ensure_ascii" not in file.read_text(), f"{file.name}: use to_json_text"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "im").mkdir()
    for name in (HOSTILE, "b.png"):
        Image.new("RGB", (9, 9)).save(folder / "im" / name)
    run = [sys.executable, "-m", "annotator"]
    named = ["--annotator", "eve\x9b5m\u202e"]
    for arguments in (
        ["init", "p", "--images", "im", "--classes", "a,b"],
        ["answer", "p", HOSTILE, "a", "--note", "n\x9b\u202e", *named],
    ):
        subprocess.run([*run, *arguments], cwd=folder, check=True, capture_output=True)
    return folder / "p"


@pytest.mark.parametrize(
    "command",
    [
        "log P --json", "log P", "report P --json", "status P --json", "status P", "doctor P",
        "search P png --json", "search P png", "review P --json", "next P --json --annotator z",
        "config show P --json", "doctor P --json", "export P -", "export P - --format jsonl",
    ],
)  # fmt: skip
def test_nothing_of_a_hostile_name_reaches_the_terminal_raw(project: Path, command: str) -> None:
    words = [str(project) if word == "P" else word for word in command.split()]
    written = on_terminal(*words)
    assert written
    assert "Traceback" not in written
    assert not RAW.search(written)
