"""Refining: items that have a label of an inner class get a finer one, a kind of it.

The finer label is one more decision on the item, so the first one stays in its history. An item
that cannot get a finer one keeps its label, by a row that says so, and is not asked again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from annotator.errors import ProjectError
from annotator.items.refs import make_printable, shell_quoted
from annotator.log.entries import Entry, LogState
from annotator.project.class_tree import ClassTree
from annotator.project.project import ProjectFolder
from annotator.session.progress import Progress

REFINE = "refine"
"""The value of `picked_by` of a label that was asked to be finer."""
REFINES = "refines"
"""The key in `extra` with the class whose kinds were asked for."""


def is_refinement(entry: Entry) -> bool:
    """Return True if an entry answers an item that was asked for a finer label."""
    return REFINES in (entry.extra or {})


def is_to_refine(state: LogState, ref: str, name: str) -> bool:
    """Return True if the label of an item is `name`, and no one has said that it stays so."""
    stack = state.standing.get(ref)
    return stack is not None and stack[-1].label == name and not is_refinement(stack[-1])


def refs_labelled(state: LogState, name: str) -> list[str]:
    """Return the items whose label is exactly `name`, those that stay so included."""
    return [ref for ref, stack in state.standing.items() if stack[-1].label == name]


def count_to_refine(state: LogState, tree: ClassTree) -> dict[str, int]:
    """Return how many items are left to refine, for each inner class with some."""
    counts = dict.fromkeys(tree.inner, 0)
    for stack in state.standing.values():
        if stack[-1].label in counts and not is_refinement(stack[-1]):
            counts[stack[-1].label] += 1
    return {name: count for name, count in counts.items() if count}


@dataclass(frozen=True, slots=True)
class RefinedItems:
    """The items that a session which refines does not ask: all but those left to refine."""

    state: LogState
    name: str

    def __contains__(self, ref: object) -> bool:
        return ref in self.state.standing and not is_to_refine(self.state, str(ref), self.name)

    def __iter__(self) -> Iterator[str]:
        return (ref for ref in self.state.standing if ref in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True)
class Refinement:
    """The way that answers are written while items of a class are refined; None for other ways."""

    name: str | None

    @property
    def extra(self) -> dict[str, Any]:
        """The mark of an answer in the log."""
        return {} if self.name is None else {REFINES: self.name}

    def label(self, given: str | None) -> str | None:
        """Return the label of an answer; a skip leaves an item that is refined as it is."""
        return self.name if given is None else given

    def may_undo(self, entry: Entry) -> bool:
        """Return whether an answer was given in the same way."""
        return self.name is None or is_refinement(entry)

    def skips(self, state: LogState) -> list[Entry]:
        """Return the answers that leave an item without what was asked for."""
        if self.name is None:
            return state.skips()
        last = (stack[-1] for stack in state.standing.values())
        return [entry for entry in last if entry.label == self.name and is_refinement(entry)]

    def recount(self, progress: Progress, state: LogState) -> Progress:
        """Return the counts with the items that stay as they are for skipped ones, at the end."""
        if self.name is None or progress.remaining:
            return progress  # to count them takes time, and only then are they asked again
        return replace(progress, skipped=len(self.skips(state)))


def narrow_probabilities(
    proba: Mapping[str, float], classes: tuple[str, ...]
) -> dict[str, float] | None:
    """Return probabilities of `classes` alone, adding up to 1; None if the model does not tell."""
    found = {name: proba.get(name, 0.0) for name in classes}
    whole = sum(found.values())
    return {name: p / whole for name, p in found.items()} if whole > 0 else None


def require_items(project: ProjectFolder, state: LogState, name: str) -> list[str]:
    """Return the items labelled exactly `name`. Raises `ProjectError` if there are none."""
    tree, shown = project.settings.tree, make_printable(repr(name))
    folder = shell_quoted(project.folder)
    if name not in tree.inner:
        known = name in tree.parents
        problem = f"{shown} has no classes below it" if known else f"{shown} is not a class"
        inner = make_printable(", ".join(tree.inner))
        remedy = f"Refine one of {inner}" if inner else 'Give classes a parent = "…" first'
        raise ProjectError(f"{problem}. {remedy}: see {folder}/annotator.toml.")
    if not (found := refs_labelled(state, name)):
        raise ProjectError(
            f"No item is labelled {shown} and no finer. `annotator status {folder}` counts what "
            "is left to refine."
        )
    return found
