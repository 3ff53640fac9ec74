"""The figures of a hierarchy of classes, for `annotator status` and the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from annotator.items.refs import make_printable, shell_quoted
from annotator.log.entries import LogState
from annotator.project.class_tree import ClassTree
from annotator.session.refine import count_to_refine


def hierarchy_figures(
    state: LogState, tree: ClassTree, counts: Mapping[str, int]
) -> dict[str, Any] | None:
    """Return the parents, the labels of each inner class and all below it, and what is left to
    refine; None for classes without parents. `counts` are labels of each class alone."""
    if tree.is_flat:
        return None
    sums = tree.counts(counts)
    return {
        "parents": {name: parent for name, parent in tree.parents.items() if parent is not None},
        "order": list(tree.order),
        "labels": {name: sums.get(name, 0) for name in tree.inner},
        "to_refine": count_to_refine(state, tree),
    }


def hierarchy_lines(
    project: str, counts: Mapping[str, int], figures: Mapping[str, Any], most: int
) -> Iterator[str]:
    """Yield a line for each class, below its parent; with more than `most`, for those with labels.

    Labels of inner classes are left to refine: the command follows.
    """
    tree = ClassTree({name: figures["parents"].get(name) for name in counts})
    sums = {**counts, **figures["labels"]}
    for name in tree.order:
        if not sums[name] and len(counts) > most:
            continue
        indent = "  " * tree.level(name)
        own = "" if tree.is_leaf(name) else f", {counts[name]:,} no finer"
        yield f"{indent}{make_printable(name)}: {sums[name]:,}{own}"
    for name, count in figures["to_refine"].items():
        command = f"annotator run {shell_quoted(project)} --refine {shell_quoted(name)}"
        yield f"{count:,} {make_printable(name)} left to refine: {command}"
