"""A pipe, a folder, a device or a circle of links in the place of a project's file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.items.kill_steps import run_killed

COMMANDS = (
    "status P", "log P --json", "search P open", "export P -", "report P --json", "doctor P",
    "next P", "add P --class new", "features P --model classic", "doctor P --repair",
)  # fmt: skip
_LIMIT = 20


def _make_folder(place: Path) -> None:
    place.mkdir()
    (place / "inside").touch()


KINDS: Mapping[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": _make_folder,
    "endless device": lambda place: place.symlink_to("/dev/zero"),
    "circle of links": lambda place: place.symlink_to(place.name),
    "link to nothing": lambda place: place.symlink_to("nothing-here"),
}


def find_faults(whole: Path, work: Path, file: Path, kind: str) -> Iterator[str]:
    """Yield each command that blocks or ends in a traceback with that thing in a file's place."""
    for command in COMMANDS:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(whole, work)
        place = work / file
        place.unlink(missing_ok=True)
        place.parent.mkdir(exist_ok=True, parents=True)
        KINDS[kind](place)
        words = [str(work / "p") if word == "P" else word for word in command.split()]
        ran = run_killed(0, work, words, limit=_LIMIT)
        if "Traceback" in ran.said or ran.code not in (0, 1, 2, 3):
            yield f"{file} is a {kind}: {command} ended with {ran.code}: {ran.said[-700:]}"


if __name__ == "__main__":
    import sys
    import tempfile

    from tests.doctor.damage import files_of, make_project
    from tests.items.kill_steps import import_commands

    import_commands()
    with tempfile.TemporaryDirectory() as name:
        made = make_project(Path(name) / "whole").parent
        toml = made / "p/annotator.toml"
        toml.write_text(toml.read_text().replace(str(made / "im"), "../im"))
        files = [Path("p") / file for file in files_of(made / "p")] + [Path("im/00.png")]
        for kind in sys.argv[1:] or KINDS:
            for file in files:
                for fault in find_faults(made, Path(name) / "work", file, kind):
                    print(fault, flush=True)
