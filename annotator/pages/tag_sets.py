"""Predicted sets of classes as pages see them, where an item may have several classes.

A page whose items all get one label asks about a whole set. So each predicted set is a column here:
a row holds how sure the model is of its set, and 0 for all others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from annotator.learn.targets import TagSets
from annotator.project.label_sets import name_decisions

MAX_SETS = 500
"""The most sets at once; the items of others come when these are answered."""


def predicted_sets(
    rows: NDArray[np.int64],
    proba: NDArray[np.float32],
    targets: TagSets,
    classes: Sequence[str],
    excluded: Mapping[int, Collection[str]],
    label: str = "",
) -> tuple[NDArray[np.int64], NDArray[np.float32], tuple[str, ...]]:
    """Return the rows (m,), their probabilities (m, S), and the labels of the S sets.

    `excluded` rows get a likely set that is not ruled out for them; `label` is one of the sets.
    """
    decided, sure = targets.decide(proba).copy(), targets.confidence(proba).astype(np.float32)
    labels = name_decisions(decided, classes)
    for place in np.flatnonzero(np.isin(rows, list(excluded))).tolist():
        gone = excluded[int(rows[place])]
        for tag in np.argsort(np.abs(proba[place] - targets.thresholds)).tolist():
            if labels[place] not in gone:
                break
            decided[place, tag] ^= True
            labels[place] = name_decisions(decided[place : place + 1], classes)[0]
        sure[place] = np.where(decided[place], proba[place], 1 - proba[place]).prod()
    found, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    common = np.argsort(-counts, kind="stable")[:MAX_SETS]
    names = tuple(dict.fromkeys([*([label] if label else []), *found[common].tolist()]))
    column = np.array([names.index(name) if name in names else -1 for name in found.tolist()])
    columns = column[codes.reshape(-1)]
    kept = np.flatnonzero(columns >= 0)
    sets = np.zeros((len(kept), len(names)), np.float32)
    sets[np.arange(len(kept)), columns[kept]] = np.maximum(sure[kept], 1e-6)
    return rows[kept], sets, names
