"""Several classes on one item: a set of classes is one label, written `ok|dusty`.

The log, the tables and the model know such a set as they know any other label. To the model
each set that was used is a class of its own (label powerset: Tsoumakas & Katakis, "Multi-label
classification: an overview", 2007), so its error estimate counts an item as right only where
the whole set is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

SEPARATOR = "|"
NO_CLASS = "(none)"
"""The label of an item that has none of the classes."""


def join_label(names: Collection[str], classes: Sequence[str]) -> str:
    """The label of a set of classes, in the order of `classes`."""
    return SEPARATOR.join(name for name in classes if name in names) or NO_CLASS


def split_label(label: str) -> tuple[str, ...]:
    """The classes of a label."""
    return () if label == NO_CLASS else tuple(label.split(SEPARATOR))


def is_known_label(label: str, classes: Collection[str], multi: bool) -> bool:
    """Whether a label is one of the project's."""
    return label in classes or (multi and set(split_label(label)) <= set(classes))


def normalize_label(label: str, classes: Sequence[str], multi: bool) -> str | None:
    """A label of the project as the log writes it, in the order of `classes`; None for another."""
    if label in classes:
        return label
    return (
        join_label(split_label(label), classes) if is_known_label(label, classes, multi) else None
    )


def check_labels(labels: Iterable[str | None], classes: Collection[str], multi: bool) -> None:
    """Raise `ValueError` for a label that is none of the project's; None is a skip."""
    for label in set(labels):
        if label is not None and not is_known_label(label, classes, multi):
            raise ValueError(f"{label!r} is not among the classes {tuple(classes)}")


def powerset_classes(labels: Iterable[str], classes: Sequence[str]) -> tuple[str, ...]:
    """What the model tells apart: each class alone, none, and every other set, as it came."""
    return tuple(dict.fromkeys([*classes, NO_CLASS, *labels]))


def class_probabilities(proba: Mapping[str, float], classes: Sequence[str]) -> dict[str, float]:
    """The probability of each class: that of all sets that hold it."""
    found = dict.fromkeys(classes, 0.0)
    for label, p in proba.items():
        for name in split_label(label):
            if name in found:
                found[name] += p
    return found


def count_classes(counts: Counter[str | None]) -> Counter[str | None]:
    """Counts of labels as counts of their classes; that of None (skips) stays."""
    found: Counter[str | None] = Counter({None: counts[None]})
    for label, count in counts.items():
        for name in split_label(label) if label is not None else ():
            found[name] += count
    return found
