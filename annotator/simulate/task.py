"""A labelled set of features, split into a pool to label and a test set to measure on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.errors import FeatureError, ProjectError, RefError, bullet_list
from annotator.features.store import map_matrix
from annotator.items.listing import read_table
from annotator.items.refs import make_printable, plural
from annotator.simulate.options import SimulateOptions

OTHERS = "others"


@dataclass(frozen=True, slots=True)
class TruthTable:
    """The refs (n,) and labels (n,) of a truth.csv: images, or boxes in them."""

    refs: list[str]
    labels: list[str]

    @classmethod
    def read(cls, path: Path) -> TruthTable:
        """Read a table of refs (see `listing.read_table`) with labels; boxes are x, y, w, h.

        Raises `ProjectError` with every faulty line.
        """
        bad: list[str] = []
        try:
            rows = list(read_table(path, "xywh", bad))
        except RefError as error:
            raise ProjectError(str(error)) from error
        seen: set[str] = set()
        for row in rows:
            name = make_printable(row.item.ref)
            if not row.label:
                bad.append(f"line {row.line}: {name} has no label")
            elif row.item.ref in seen:
                bad.append(f"line {row.line}: {name} is listed already")
            seen.add(row.item.ref)
        if bad or not rows:
            heading = f"{make_printable(str(path))} (columns filename,label, and bbox for boxes):"
            raise ProjectError(bullet_list(bad or ["the file has no rows"], heading))
        return cls([row.item.ref for row in rows], [row.label for row in rows])


@dataclass(frozen=True, slots=True)
class SimulationTask:
    """The pool and the test set of a seed. The positive class, if any, is the last class."""

    classes: tuple[str, ...]
    refs: list[str]
    X: NDArray[np.floating]
    y: NDArray[np.int64]
    unseen: NDArray[np.floating]
    unseen_y: NDArray[np.int64]


def load_truth(options: SimulateOptions) -> tuple[TruthTable, NDArray[np.floating]]:
    """Return the truth and the memory-mapped features. Raises `ProjectError`, `FeatureError`."""
    truth, matrix = TruthTable.read(options.truth), map_matrix(options.features)
    if len(truth.refs) != len(matrix):
        raise FeatureError(
            f"{options.features} has {plural(len(matrix), 'row')}, but {options.truth} has "
            f"{plural(len(truth.refs), 'line')}. Row i must belong to line i."
        )
    if options.positive is not None and options.positive not in truth.labels:
        names = ", ".join(sorted(set(truth.labels)))
        raise ProjectError(f"No item is labelled {options.positive!r}. The classes are {names}.")
    return truth, matrix


def make_task(
    truth: TruthTable, matrix: NDArray[np.floating], options: SimulateOptions, seed: int
) -> SimulationTask:
    """Draw a stratified split for `seed`, after thinning to the prevalence in the options."""
    rng = np.random.default_rng([seed, 1])
    if options.positive is None:
        classes = tuple(sorted(set(truth.labels)))
        y = np.array([classes.index(label) for label in truth.labels])
    else:
        classes = (OTHERS, options.positive)
        y = np.array([int(label == options.positive) for label in truth.labels])
    kept = thin_to_prevalence(y, options.prevalence, rng)
    test = np.sort(hold_out_rows(y[kept], options.test_fraction, rng))
    pool_rows, test_rows = np.delete(kept, test), kept[test]
    return SimulationTask(
        classes,
        [truth.refs[row] for row in pool_rows],
        matrix[pool_rows],
        y[pool_rows],
        matrix[test_rows],
        y[test_rows],
    )


def thin_to_prevalence(
    y: NDArray[np.int64], prevalence: float | None, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the rows to keep so that `prevalence` of them are of class 1; all for None."""
    if prevalence is None:
        return np.arange(len(y))
    positives, others = (
        rng.permutation(np.flatnonzero(y == 1)),
        rng.permutation(np.flatnonzero(y != 1)),
    )
    wanted = max(1, round(len(others) * prevalence / (1 - prevalence)))
    if wanted <= len(positives):
        positives = positives[:wanted]
    else:
        others = others[: max(1, round(len(positives) * (1 - prevalence) / prevalence))]
    return np.sort(np.concatenate([positives, others]))


def hold_out_rows(
    y: NDArray[np.int64], fraction: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the test rows: the same share of every class."""
    parts = []
    for c in np.unique(y):
        places = rng.permutation(np.flatnonzero(y == c))
        parts.append(places[: round(fraction * len(places))])
    return np.concatenate(parts)
