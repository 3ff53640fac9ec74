"""Several classes on one item: a set of classes is one label, written `ok|dusty`.

The log and the tables treat such a set as any other label. The model has one part for each class,
which tells whether an item has it, and a threshold for each: what it predicts is again a set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from numpy.typing import NDArray

SEPARATOR = "|"
NO_CLASS = "(none)"
"""The label of an item without any class."""


@dataclass(frozen=True, slots=True)
class ClassSet:
    """The classes of one item; as text, in the log and in tables, `ok|dusty` or `(none)`."""

    names: tuple[str, ...] = ()

    @classmethod
    def from_text(cls, text: str, multi: bool = True) -> ClassSet:
        """Parse a label; without `multi` the whole text is the name of one class."""
        if not multi:
            return cls((text,))
        return cls(() if text == NO_CLASS else tuple(text.split(SEPARATOR)))

    def to_text(self) -> str:
        """Return the set as a label of a multi-label project."""
        return SEPARATOR.join(self.names) or NO_CLASS

    def in_order_of(self, classes: Sequence[str]) -> ClassSet:
        """Return the set in the order of `classes`, without names that are not among them."""
        return ClassSet(tuple(name for name in classes if name in self.names))

    def is_within(self, classes: Collection[str]) -> bool:
        """Return True if all names are among `classes`."""
        return all(name in classes for name in self.names)


def join_label(names: Collection[str], classes: Sequence[str]) -> str:
    """Return the label of a set of classes, written in the order of `classes`."""
    return ClassSet(tuple(names)).in_order_of(classes).to_text()


def split_label(label: str) -> tuple[str, ...]:
    """Return the classes of a label of a multi-label project."""
    return ClassSet.from_text(label).names


def is_known_label(label: str, classes: Collection[str], multi: bool) -> bool:
    """Return True if every class of a label is one of the project's."""
    return label in classes or ClassSet.from_text(label, multi).is_within(classes)


def normalize_label(label: str, classes: Sequence[str], multi: bool) -> str | None:
    """Return a label as the log writes it, in the order of `classes`; None if it is not known."""
    if label in classes:
        return label
    found = ClassSet.from_text(label, multi)
    return found.in_order_of(classes).to_text() if found.is_within(classes) else None


def check_labels(labels: Iterable[str | None], classes: Collection[str], multi: bool) -> None:
    """Raise `ValueError` for a label that the project does not have; None is a skip."""
    for label in set(labels):
        if label is not None and not is_known_label(label, classes, multi):
            raise ValueError(f"{label!r} is not among the classes {tuple(classes)}")


def name_decisions(decided: NDArray[Any], classes: Sequence[str]) -> list[str]:
    """Return the labels of predicted class indices (m,), or of predicted sets (m, C)."""
    if decided.ndim == 1:
        return [classes[c] for c in decided.tolist()]
    places = ((place for place, has in enumerate(row) if has) for row in decided.tolist())
    return [ClassSet(tuple(classes[place] for place in row)).to_text() for row in places]


def class_probabilities(proba: Mapping[str, float], classes: Sequence[str]) -> dict[str, float]:
    """Return the probability of each class.

    Rows of the log that older versions wrote have the probabilities of sets instead: these are
    summed over the sets that contain the class.
    """
    found = dict.fromkeys(classes, 0.0)
    for label, p in proba.items():
        for name in ClassSet.from_text(label).names:
            if name in found:
                found[name] += p
    return found


def set_probability(proba: Mapping[str, float], label: str, classes: Sequence[str]) -> float:
    """Return the probability that an item has exactly the classes of a label."""
    held = ClassSet.from_text(label).names
    return prod(
        proba.get(name, 0.0) if name in held else 1 - proba.get(name, 0.0) for name in classes
    )


def toggle_class(label: str, name: str, classes: Sequence[str]) -> str:
    """Return a label with one class more, or without it if it has it."""
    return join_label(set(split_label(label)) ^ {name}, classes)


def count_classes(counts: Counter[str | None], multi: bool = True) -> Counter[str | None]:
    """Return counts of labels as counts of their classes; the count of None (skips) stays."""
    found: Counter[str | None] = Counter({None: counts[None]})
    for label, count in counts.items():
        for name in ClassSet.from_text(label, multi).names if label is not None else ():
            found[name] += count
    return found
