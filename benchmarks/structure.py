"""The structure of the package in figures: rooms, floors, arrows, circles, files and prose.

A room is a package or module directly under `annotator/`; an arrow is a pair of rooms of which one
imports the other, under TYPE_CHECKING too; a floor is one more than the highest floor that a room
imports. The figures of 0.1.0 stand beside, as this script and the prose test counted them then.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "annotator"
SHORT = 60
"""Lines below which a file needs a reason."""
LAZY = ("annotator", "annotator.api"), ("annotator", "annotator.project.project")
"""Imports that run only when `annotator.open` is called."""

Graph = Mapping[str, set[str]]


@cache
def module_trees(root: Path = ROOT) -> dict[str, ast.Module]:
    """Return the syntax tree of every module of the package, by its dotted name."""
    trees = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[name] = ast.parse(path.read_text(encoding="utf-8"))
    return trees


def imported_modules(tree: ast.Module, known: Iterable[str]) -> set[str]:
    """Return the modules of `known` that a module imports, wherever the import stands."""
    names = set(known)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                found.add(module if module in names else node.module)
    return found & names


def module_graph(root: Path = ROOT) -> Graph:
    """Return which modules each module imports, but for the lazy imports of the API."""
    trees = module_trees(root)
    graph = {name: imported_modules(tree, trees) - {name} for name, tree in trees.items()}
    for module, lazy in LAZY:
        graph.get(module, set()).discard(lazy)
    return graph


def room_of(module: str) -> str:
    """Return the package or module directly under `annotator/` that holds a module."""
    return ".".join(module.split(".")[:2])


def room_graph(graph: Graph) -> Graph:
    """Return which rooms each room imports."""
    rooms: dict[str, set[str]] = defaultdict(set)
    for module, imports in graph.items():
        room = room_of(module)
        rooms[room] |= {room_of(other) for other in imports} - {room}
    return rooms


def find_circle(graph: Graph) -> list[str]:
    """Return the modules of one circle of imports; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(module) for module in error.args[1]]
    return []


def count_floors(graph: Graph) -> int:
    """Return the length of the longest chain of imports. The graph has no circle."""
    floors: dict[str, int] = {}
    for module in TopologicalSorter(graph).static_order():
        floors[module] = 1 + max((floors[other] for other in graph.get(module, ())), default=0)
    return max(floors.values())


def module_lengths(root: Path = ROOT) -> dict[str, int]:
    """Return the lines of every file that holds code, by its path."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if len(ast.parse(text).body) > 1:
            found[str(path.relative_to(root))] = len(text.splitlines())
    return found


def count_code_lines(tree: ast.Module) -> int:
    """Return the lines that hold code: neither blank, nor a comment, nor a docstring."""
    texts = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = {line for node in ast.walk(tree) if (line := getattr(node, "lineno", None))}
    return len(lines - texts)


def main() -> None:
    """Print the figures beside those of 0.1.0 and the goals of 0.2.0."""
    graph = module_graph()
    rooms = room_graph(graph)
    circle = find_circle(graph) or find_circle(rooms)
    lengths = module_lengths()
    arrows = sum(map(len, rooms.values()))
    floors = "a circle" if circle else str(count_floors(rooms))
    rows = [
        ("rooms", "52", str(len(rooms)), "24"),
        ("floors of rooms", "15", floors, "11"),
        ("arrows between rooms", "335", str(arrows), "160"),
        ("circles of files", "4", " -> ".join(circle) or "0", "0"),
        (f"files under {SHORT} lines", "69", str(sum(n < SHORT for n in lengths.values())), "25"),
        ("lines", "43,721", f"{sum(lengths.values()):,}", "fewer"),
        (
            "lines that hold code",
            "30,130",
            f"{sum(map(count_code_lines, module_trees().values())):,}",
            "fewer",
        ),
    ]
    print(f"{'':28}{'0.1.0':>10}{'now':>10}{'goal':>10}")
    for name, before, now, goal in rows:
        print(f"{name:28}{before:>10}{now:>10}{goal:>10}")


if __name__ == "__main__":
    main()
