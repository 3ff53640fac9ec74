"""Cuts and flips of a project's files, and what the commands then say of it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from annotator.cli.app import app
from annotator.errors import AnnotatorError
from annotator.log.entries import Action, Entry
from annotator.log.store.protocol import Byproduct
from annotator.log.store.sqlite import SqliteStore

COMMANDS = (
    "status P",
    "log P --json",
    "search P open",
    "export P -",
    "report P --json",
    "next P",
    "cluster P --count 2",
    "doctor P",
)


_TALKING = ("export P -", "cluster P --count 2")
"""Commands that write to stderr when all is well."""


@dataclass(slots=True)
class Outcome:
    """The result of the commands on a damaged project."""

    tracebacks: list[str] = field(default_factory=list)
    said: bool = False
    """True if a command failed with a message, or the doctor named a problem."""
    figures: tuple[str, ...] = ()
    """The figures of the labels that the commands print."""


def make_project(folder: Path) -> Path:
    """A project of 12 images with all kinds of files; a killed program left a write-ahead log."""
    (folder / "im").mkdir(parents=True)
    rng = random.Random(5)  # noqa: S311  colours
    for number in range(12):
        colour = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
        Image.new("RGB", (16, 16), colour).save(folder / "im" / f"{number:02}.png")
    rows = "".join(f'{n:02}.png,"0,0,{9 + n % 5},9"\n' for n in range(12))
    (folder / "im" / "list.csv").write_text("filename,bbox\n" + rows)
    for words in (
        f"init {folder}/p --refs {folder}/im/list.csv --classes good,bad",
        f"features {folder}/p --model classic",
    ):
        _run_whole(words)
    store = SqliteStore(folder / "p" / "labels.db")
    refs = [line.split('"')[1] for line in rows.splitlines()]
    for number, box in enumerate(refs[:9]):
        ref = f"{number:02}.png#xywh={box}"
        label = ("good", "bad")[number % 2]
        store.append(
            Entry(0, 1.7e9 + number, "ann", Action.LABEL, ref, label, {"good": 0.5}, q=0.5, pool=9)
        )
    store.append_byproducts(*(Byproduct(n, "key", "page", {"n": n}) for n in range(5)))
    store.close()
    for words in (
        f"cluster {folder}/p --count 2 --queue typical",
        f"hits make {folder}/p --class bad --pages 1 --images 3 --gold 1",
        f"export {folder}/p {folder}/coco.json --format coco",
    ):
        _run_whole(words)
    _leave_log(folder / "p", f"03.png#xywh={refs[3]}")
    return folder / "p"


def _run_whole(words: str) -> None:
    code, _, said = run_command(words)
    assert code == 0, (words, said)


def _leave_log(project: Path, ref: str) -> None:
    """Append a row, and leave it in the write-ahead log, as a killed program does."""
    file, log = project / "labels.db", project / "labels.db-wal"
    store = SqliteStore(file)
    store.append(Entry(0, 1.7e9 + 99, "ann", Action.LABEL, ref, "good"))
    kept = {place: place.read_bytes() for place in (file, log)}
    store.close()
    for place, data in kept.items():
        place.write_bytes(data)


def files_of(project: Path) -> list[Path]:
    """The files of a project, each of which is damaged in turn."""
    return sorted(path.relative_to(project) for path in project.rglob("*") if path.is_file())


def damage(file: Path, seed: int) -> None:
    """Cut the file, or flip bits of it."""
    rng = random.Random(f"{file.name}{seed}")  # noqa: S311  damage, not a secret
    data = bytearray(file.read_bytes())
    if not data:
        return
    if seed % 3 == 0:
        del data[rng.randrange(len(data)) :]
    for _ in range((0, 1, 8)[seed % 3]):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.unlink()  # may be a link to the file of the project that is whole
    file.write_bytes(data)


def run_command(words: str) -> tuple[int, str, str]:
    """Run a command in this process; return its exit code, its output and the last error line."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            app(words.split(), prog_name="annotator")
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        except AnnotatorError as error:
            code = 1
            print(error, file=err)
    out.flush()
    written = out.buffer.getvalue()  # type: ignore[attr-defined]
    return code, written.decode("utf-8", "replace"), err.getvalue()


def examine(project: Path) -> Outcome:
    """Run the commands that read a project."""
    found, figures = Outcome(), []
    for command in COMMANDS:
        try:
            code, out, err = run_command(command.replace("P", str(project)))
        except OSError as error:
            if error.filename is None:
                found.tracebacks.append(f"{command}: {traceback.format_exc(limit=-3)}")
            continue
        except Exception:
            found.tracebacks.append(f"{command}: {traceback.format_exc(limit=-3)}")
            continue
        warned = [line for line in err.splitlines() if "export: wrote" not in line]
        found.said |= code not in (0, 3) or bool(warned and command not in _TALKING)
        if command.startswith("doctor"):
            found.said |= any(_is_problem(line) for line in out.splitlines())
        elif command.startswith(("log", "search", "export")):
            figures.append(out)
    found.figures = tuple(figures)
    return found


def _is_problem(line: str) -> bool:
    ours = ("extra", "weights", "terminal", "GPU", "file system", "model", "packages")
    mark, _, rest = line.partition("  ")
    return mark in ("STOP", "note") and not rest.strip().startswith(ours)


def try_damage(
    whole: Path, work: Path, file: Path | None, seeds: range
) -> Iterator[tuple[int, Outcome]]:
    """Damage a file of a copy of the project with each seed, and examine the copy."""
    for seed in seeds:
        copy = work / whole.name
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(whole.parent, work)
        toml = copy / "annotator.toml"
        toml.write_text(toml.read_text().replace(str(whole.parent), str(work)))
        if file is not None:
            damage(copy / file, seed)
        yield seed, examine(copy)


def survey(folder: Path, seeds: range) -> tuple[Counter[str], list[str]]:
    """Damage every file of a project with every seed; return counts, and the faults in words."""
    whole = make_project(folder / "whole")
    _, first = next(try_damage(whole, folder / "copy", None, range(1)))
    assert not first.said, "a whole project has no problems"
    usual = first.figures
    counts, faults = Counter[str](), list[str]()
    for file in files_of(whole):
        for seed, outcome in try_damage(whole, folder / "copy", file, seeds):
            counts["tried"] += 1
            counts["tracebacks"] += len(outcome.tracebacks)
            faults += [f"{file}, seed {seed}: {text}" for text in outcome.tracebacks]
            changed = outcome.figures != usual and not outcome.tracebacks
            counts["said"] += outcome.said
            counts["no difference"] += not changed and not outcome.said
            if changed and not outcome.said:
                counts["silent"] += 1
                faults.append(f"{file}, seed {seed}: other figures, and nothing is said")
    return counts, faults


if __name__ == "__main__":
    import sys
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        os.environ["NO_COLOR"] = "1"
        print(json.dumps(survey(Path(name), range(int(sys.argv[1]))), indent=1))
