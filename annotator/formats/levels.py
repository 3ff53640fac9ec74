"""An export at one level of the hierarchy of classes: `--level 1`, `--level leaf`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ProjectError
from annotator.items.refs import make_printable, plural
from annotator.project.class_tree import LEAF, ClassTree


@dataclass(frozen=True, slots=True)
class ClassLevel:
    """A level of a tree, and the classes that stand for the others on it."""

    tree: ClassTree
    number: int | None
    """1 for the classes without a parent; None for the leaves."""

    @classmethod
    def parse(cls, text: str, tree: ClassTree) -> ClassLevel | None:
        """Return the level that an option names, None for "".

        Raises `ProjectError` for one that is not there. A flat project has one level, which is that
        of the leaves, too.
        """
        if not text:
            return None
        if text == LEAF:
            return cls(tree, None)
        if text.isascii() and text.isdigit() and 1 <= int(text) <= tree.depth:
            return cls(tree, int(text))
        levels = plural(tree.depth, "level")
        raise ProjectError(
            f"--level {make_printable(text)}: the classes have {levels}. Give "
            f"{'1' if tree.depth == 1 else f'1 to {tree.depth}'}, or {LEAF}."
        )

    def __str__(self) -> str:
        return f"level-{LEAF if self.number is None else self.number}"

    def name(self, label: str) -> str | None:
        """Return the class on this level that a label stands for; None if it is not refined so far.

        A label that is no longer a class stands for itself.
        """
        return self.tree.at_level(label, self.number)

    def names(self, classes: Iterable[str]) -> tuple[str, ...]:
        """Return the classes on this level that `classes` stand for, each once."""
        found = (self.name(label) for label in classes)
        return tuple(dict.fromkeys(name for name in found if name is not None))

    def proba(self, proba: Mapping[str, float]) -> dict[str, float]:
        """Return the probability of each class on this level; it sums those of the classes below.

        The probability of a class that is not refined so far belongs to no class of the level.
        """
        found: dict[str, float] = {}
        for label, p in proba.items():
            if (name := self.name(label)) is not None:
                found[name] = found.get(name, 0.0) + p
        return found

    def matrix(self, classes: Sequence[str]) -> NDArray[np.float64]:
        """Return (C, k) 1 for each class and the one of the k names that it counts for."""
        names = self.names(classes)
        return np.array([[self.name(label) == name for name in names] for label in classes], float)

    @property
    def reason(self) -> str:
        """The reason that an export gives for leaving out a label that is not refined so far."""
        level = "a leaf" if self.number is None else f"level {self.number}"
        return f"not refined to {level}"
