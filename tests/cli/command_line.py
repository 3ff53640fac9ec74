"""The commands, run as a user runs them, for tests."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from PIL import Image


def annotator(*args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "annotator", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def good(*args: object, cwd: Path | None = None) -> str:
    ran = annotator(*args, cwd=cwd)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def bad(*args: object, code: int = 1, cwd: Path | None = None) -> str:
    ran = annotator(*args, cwd=cwd)
    assert ran.returncode == code, (ran.stdout, ran.stderr)
    assert "Traceback" not in ran.stderr
    return ran.stderr


def on_terminal(*args: object) -> str:
    """Return what a command writes to a terminal."""
    main, other = pty.openpty()
    command = [sys.executable, "-m", "annotator", *map(str, args)]
    with subprocess.Popen(command, stdin=other, stdout=other, stderr=other):
        os.close(other)
        data = b""
        try:
            while piece := os.read(main, 65536):
                data += piece
        except OSError:
            pass  # the other end is closed
    os.close(main)
    return data.decode("utf-8", "replace")


def make_images(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 40), (number * 20 % 256, 90, 120)).save(path)
