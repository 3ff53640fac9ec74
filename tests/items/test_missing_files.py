"""Files that do not exist are a message in plain words, not a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LONG = "x" * 300
"""No file can have such a name."""


@pytest.mark.parametrize(
    "words",
    [
        ("status", LONG),
        ("init", "p", "--images", LONG, "--classes", "ok,no"),
        ("init", "p", "--refs", LONG, "--classes", "ok,no"),
    ],
)
def test_a_name_that_no_file_can_have_is_a_failure_in_plain_words(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "annotator", *words]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 1
    assert "File name too long" in ran.stderr
    assert "Traceback" not in ran.stderr
