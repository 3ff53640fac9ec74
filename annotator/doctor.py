"""What works here and what does not, each fault with the line that fixes it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from annotator import __version__
from annotator.errors import AnnotatorError
from annotator.features.store import FeatureStore
from annotator.pool import load
from annotator.project import Project
from annotator.refs import Item, printable
from annotator.store import NETWORK_FILE_SYSTEMS, SqliteStore, file_system
from annotator.terminal.facts import facts

_LOW_SPACE = 200_000_000
_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    blocks: bool = False
    """Whether nothing can be labelled until it is mended."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine(folder: Path | None = None) -> list[Finding]:
    """Look at everything; at a project, too, where one is given."""
    findings = [*_program(), *_terminal(), *_models()]
    if folder is not None:
        findings += _project(folder)
    return findings


def as_text(findings: list[Finding]) -> str:
    """A line for each finding, and below a fault the line that fixes it."""
    lines = []
    for finding in findings:
        mark = "ok  " if finding.ok else "STOP" if finding.blocks else "note"
        lines.append(f"{mark}  {finding.name}: {finding.detail}")
        lines += [f"      fix: {line}" for line in finding.fix.splitlines()]
    return "\n".join(lines)


def _program() -> Iterator[Finding]:
    yield Finding("annotator", True, f"{__version__}, Python {platform.python_version()}")
    try:
        found = ", ".join(f"{n} {importlib.metadata.version(n)}" for n in ("textual", "pillow"))
        yield Finding("packages", True, f"{found}, SQLite {sqlite3.sqlite_version}")
    except importlib.metadata.PackageNotFoundError as error:
        fix = "pip install --force-reinstall annotator-tui"
        yield Finding("packages", False, f"{error.name} is missing", fix, blocks=True)


def _terminal() -> Iterator[Finding]:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        fix = "run it in the terminal that you label in; over ssh with `ssh -t`"
        yield Finding("terminal", False, "standard input or output is no terminal", fix)
        return
    for fact in facts():
        yield Finding(fact.name, fact.ok, fact.detail, fact.fix)


def _models() -> Iterator[Finding]:
    """Whether learnt features can be had: by metadata alone, importing torch takes seconds."""
    try:
        torch, transformers = map(importlib.metadata.version, ("torch", "transformers"))
    except importlib.metadata.PackageNotFoundError as error:
        detail = f"{error.name} is not installed: features are `classic`"
        yield Finding("models", False, detail, "pip install 'annotator-tui[models]'")
        return
    yield Finding("models", True, f"torch {torch}, transformers {transformers}, {_device()}")
    if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
        yield Finding("hub", True, "offline (HF_HUB_OFFLINE): only cached weights are used")


def _device() -> str:
    if shutil.which("nvidia-smi"):
        return "an NVIDIA driver is here (--device cuda)"
    return "features on the CPU" if sys.platform != "darwin" else "features on mps or the CPU"


def _project(folder: Path) -> Iterator[Finding]:
    try:
        project = Project.open(folder)
    except AnnotatorError as error:
        yield Finding("project", False, "cannot be opened", str(error), blocks=True)
        return
    yield from _disk(project)
    yield from _labels(project)
    yield from _items(project)
    yield from _features(project)


def _disk(project: Project) -> Iterator[Finding]:
    kind = file_system(project.folder)
    if kind in NETWORK_FILE_SYSTEMS:
        fix = "fine for one annotator; for several keep the project on a local disk"
        yield Finding("file system", False, f"{kind}: a rollback journal takes WAL's place", fix)
    else:
        yield Finding("file system", True, kind or "unknown")
    free = shutil.disk_usage(project.folder).free
    fix = "" if free > _LOW_SPACE else f"free some space on the disk of {project.folder}"
    yield Finding("free space", not fix, f"{free / 1e9:.1f} GB", fix, blocks=free < 1_000_000)
    if not os.access(project.folder, os.W_OK):
        fix = f"chmod u+w {project.folder}"
        yield Finding("permissions", False, "the project cannot be written", fix, blocks=True)


def _labels(project: Project) -> Iterator[Finding]:
    if not project.labels_file.exists():
        yield Finding("labels", True, "none yet")
        return
    try:
        store = SqliteStore(project.labels_file)
        count = sum(1 for _ in store.entries())
        store.close()
        yield Finding("labels", True, f"{count:,} rows in the log")
    except AnnotatorError as error:
        yield Finding("labels", False, "cannot be read", str(error), blocks=True)


def _items(project: Project) -> Iterator[Finding]:
    if not project.images.is_dir():
        fix = f"mend `images` in {project.folder / 'annotator.toml'}"
        detail = f"the images' folder {printable(str(project.images))} is not there"
        yield Finding("images", False, detail, fix, blocks=True)
        return
    try:
        refs = load(project)
    except AnnotatorError as error:
        yield Finding("refs", False, "cannot be read", str(error), blocks=True)
        return
    sample = [Item.parse(ref) for ref in refs[:: max(1, len(refs) // _SAMPLE)]]
    absent = [item for item in sample if not (project.images / item.path).is_file()]
    detail = f"{len(refs):,} items; {len(absent)} of {len(sample)} looked at have no file"
    fix = f"put back {printable(str(project.images / absent[0].path))}" if absent else ""
    yield Finding("items", not absent, detail, fix)


def _features(project: Project) -> Iterator[Finding]:
    again = f"annotator features {project.folder}"
    if not (project.features_folder / "meta.json").exists():
        yield Finding("features", False, "none yet; without them the order is random", again)
        return
    try:
        store = FeatureStore.open(project.features_folder)
    except AnnotatorError as error:
        yield Finding("features", False, str(error), again)
        return
    missing = int((store.rows(load(project)) < 0).sum())
    detail = f"{store.name}, {len(store.matrix):,} rows; {missing:,} items have none"
    yield Finding("features", not missing, detail, again if missing else "")
