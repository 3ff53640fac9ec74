"""Several classes on one item: a set of classes is one label, written `ok|dusty`.

The log, the tables and the model treat such a set as any other label. To the model each set in
use is a class of its own (label powerset: Tsoumakas & Katakis, "Multi-label classification: an
overview", 2007), so its error estimate counts an item as right only if the whole set is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

SEPARATOR = "|"
NO_CLASS = "(none)"
"""The label of an item without any class."""


def join_label(names: Collection[str], classes: Sequence[str]) -> str:
    """Return the label of a set of classes, written in the order of `classes`."""
    return SEPARATOR.join(name for name in classes if name in names) or NO_CLASS


def split_label(label: str) -> tuple[str, ...]:
    """Return the classes of a label."""
    return () if label == NO_CLASS else tuple(label.split(SEPARATOR))


def is_known_label(label: str, classes: Collection[str], multi: bool) -> bool:
    """Return True if every class of a label is one of the project's."""
    return label in classes or (multi and set(split_label(label)) <= set(classes))


def normalize_label(label: str, classes: Sequence[str], multi: bool) -> str | None:
    """Return a label as the log writes it, in the order of `classes`; None if it is not known."""
    if label in classes:
        return label
    return (
        join_label(split_label(label), classes) if is_known_label(label, classes, multi) else None
    )


def check_labels(labels: Iterable[str | None], classes: Collection[str], multi: bool) -> None:
    """Raise `ValueError` for a label that the project does not have; None is a skip."""
    for label in set(labels):
        if label is not None and not is_known_label(label, classes, multi):
            raise ValueError(f"{label!r} is not among the classes {tuple(classes)}")


def powerset_classes(labels: Iterable[str], classes: Sequence[str]) -> tuple[str, ...]:
    """Return the classes of the model: each class alone, no class, and every other set in use."""
    return tuple(dict.fromkeys([*classes, NO_CLASS, *labels]))


def class_probabilities(proba: Mapping[str, float], classes: Sequence[str]) -> dict[str, float]:
    """Return the probability of each class, summed over the sets that contain it."""
    found = dict.fromkeys(classes, 0.0)
    for label, p in proba.items():
        for name in split_label(label):
            if name in found:
                found[name] += p
    return found


def count_classes(counts: Counter[str | None]) -> Counter[str | None]:
    """Return counts of labels as counts of their classes; the count of None (skips) stays."""
    found: Counter[str | None] = Counter({None: counts[None]})
    for label, count in counts.items():
        for name in split_label(label) if label is not None else ():
            found[name] += count
    return found
