"""The names of the package: each says what it is, and no two things share one."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from benchmarks.structure import module_trees

VERBS = frozenset((
    "add", "answer", "assign", "browse", "check", "cluster", "crop", "decode", "detect", "discover",
    "encode", "export", "finish", "fit", "fuse", "identify", "init", "label", "learn",
    "main", "make", "open", "parse", "predict", "probe", "read", "render", "replay",
    "report", "review", "run", "search", "simulate", "skip", "train", "undo", "write",
))  # fmt: skip
"""Verbs of the field, which stand alone."""
ALGORITHMS = frozenset((
    "badge", "coreset", "dbscan", "entropy", "hdbscan", "iou", "lost", "margin", "nms",
    "otsu", "plural", "sigmoid", "softmax", "tokencut", "typiclust", "uherding",
))  # fmt: skip
"""Algorithms and formulas, which have their names from the literature."""
COMMANDS = frozenset((
    "attach", "completion", "config", "demo", "doctor", "faces", "features", "identities", "import",
    "log", "next", "proposals", "status", "words",
))  # fmt: skip
"""Commands of the command line that are called as they are typed."""
CONTRACTS = frozenset((
    "read", "write",
))  # fmt: skip
"""Functions that every module of a kind has under the same name: the formats."""


def _public_functions() -> Iterator[tuple[str, str]]:
    for module, tree in module_trees().items():
        for node in tree.body:
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if is_function and not node.name.startswith("_"):
                yield module, node.name.rstrip("_")


def _public_classes() -> Iterator[tuple[str, str]]:
    for module, tree in module_trees().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield module, node.name


def test_a_function_is_named_by_a_verb_of_the_field_or_by_more_than_one_word() -> None:
    known = VERBS | ALGORITHMS | COMMANDS
    short = [
        f"{module}.{name}"
        for module, name in _public_functions()
        if "_" not in name and name not in known
    ]
    assert short == []


def test_the_names_of_commands_are_for_the_command_line() -> None:
    used = [f"{module}.{name}" for module, name in _public_functions() if name in COMMANDS]
    assert [name for name in used if not name.startswith("annotator.cli.")] == []


def test_no_two_classes_share_a_name() -> None:
    places = defaultdict(list)
    for module, name in _public_classes():
        places[name].append(module)
    api = {"Session", "Project"}
    shared = {name: found for name, found in places.items() if len(found) > 1 and name not in api}
    assert shared == {}


def test_no_two_functions_share_a_name_but_for_the_contract_of_the_formats() -> None:
    places = defaultdict(list)
    for module, name in _public_functions():
        if not module.startswith("annotator.cli."):
            places[name].append(module)
    shared = {
        name: found for name, found in places.items() if len(found) > 1 and name not in CONTRACTS
    }
    assert shared == {}


def test_no_module_is_imported_under_two_names() -> None:
    trees = module_trees()
    names = defaultdict(set)
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    module = f"{node.module}.{alias.name}"
                    if module in trees:
                        names[module].add(alias.asname or alias.name)
    assert {module: found for module, found in names.items() if len(found) > 1} == {}
