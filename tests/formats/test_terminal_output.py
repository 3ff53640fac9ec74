"""An export to a terminal cannot steer it; an export to a pipe is written as it is."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

import annotator
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings

NAME = "a\x1b]0;owned\x07.png"


def test_escape_sequences_of_a_name_reach_a_pipe_and_no_terminal(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    Image.new("RGB", (4, 4)).save(images / NAME, format="PNG")
    settings = Settings(classes=(ClassInfo("ok"),), images=str(images))
    project = ProjectFolder.create(tmp_path / "p", settings)
    with annotator.open(project.folder).session("ann") as session:
        session.decide({session.current.ref: "ok"} if session.current else {})
    command = [sys.executable, "-m", "annotator", "export", str(project.folder), "-",
               "--format", "plain-csv"]  # fmt: skip
    piped = subprocess.run(command, capture_output=True, check=True).stdout
    assert NAME.encode() in piped
    ours, theirs = os.openpty()
    subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, check=True)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the error of a terminal whose writer has closed it
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert b"owned" in shown
    assert b"\x1b" not in shown and b"\x07" not in shown
