"""The layers hold, statically and at run time, and nothing has outgrown its room."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.structure import (
    SHORT,
    count_floors,
    find_circle,
    module_graph,
    module_lengths,
    room_graph,
)

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "annotator"
HEAVY = ("textual", "torch", "transformers", "sklearn", "scipy", "cv2", "rich", "textual_image")
CORE = [
    "annotator", "annotator.errors", "annotator.items.refs", "annotator.items.ref_table",
    "annotator.items.listing", "annotator.images", "annotator.project.project",
    "annotator.log.entries", "annotator.log.store.sqlite", "annotator.project.item_pool",
    "annotator.features.store", "annotator.learn.ranking", "annotator.terminal",
    "annotator.session.queue", "annotator.session.session", "annotator.report.status",
    "annotator.doctor", "annotator.formats.csv",
]  # fmt: skip


def test_layers() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("module", CORE)
def test_importing_the_core_loads_no_screen_and_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_no_modules_and_no_packages_import_each_other_in_a_circle() -> None:
    graph = module_graph()
    assert find_circle(graph) == []
    assert find_circle(room_graph(graph)) == []


def test_the_package_has_few_rooms_and_few_small_files() -> None:
    rooms = room_graph(module_graph())
    assert len(rooms) <= 24
    assert count_floors(rooms) <= 11
    small = [name for name, lines in module_lengths().items() if lines < SHORT]
    assert len(small) <= 25, small


def _sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_no_file_and_no_function_outgrows_its_room() -> None:
    """Files up to 500 lines, bodies up to 40: beyond that a thing wants a room of its own."""
    too_long = []
    for path in _sources():
        text = path.read_text()
        name = path.relative_to(ROOT)
        if (lines := len(text.splitlines())) > 500:
            too_long.append(f"{name}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno is not None
                if (lines := node.end_lineno - node.body[0].lineno + 1) > 40:
                    too_long.append(f"{name}:{node.lineno} {node.name}: {lines} lines")
    assert too_long == []


def test_nothing_unpickles_or_runs_remote_code() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {mark}"
        for path in _sources()
        for mark in ("import pickle", "allow_pickle=True", "trust_remote_code=True", "torch.load(")
        if mark in path.read_text()
    ]
    assert found == []
