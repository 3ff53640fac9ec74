"""Labels with several classes that a model contradicts, class by class.

Of a set of classes seldom all are wrong. So each class of each item is judged by itself, and an
item is named with the one class that is most likely wrong.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.targets import Mask, Proba, Rows

CONFIDENT_PROBABILITY = 0.5
"""A neighbour's label counts if the model without it gives it this probability or more."""
MARGIN = 0.3
"""A label is a likely error if another class is likelier by more than this margin."""
TAG_MARGIN = 0.6
"""The same of a tag and its opposite: each of an item's tags may raise a false alarm."""


class OpposedTags(NamedTuple):
    """The tag of each of m items that most of its neighbours contradict."""

    tags: Rows
    """(m,)."""
    counts: Rows
    """(m,) the neighbours that confidently have it where the item lacks it, or lack it."""


def count_opposing_tags(y: Mask, proba: Proba, queried: Rows, near: Rows) -> OpposedTags:
    """Find for the rows `queried` (m,) the tag that most of the nearest (m, K) contradict.

    y (n, C) and proba (n, C), by the model without each row's own label, are of all n items. A
    tag on which the model agrees with the label is not counted.
    """
    sure = np.where(y, proba, 1 - proba) >= CONFIDENT_PROBABILITY
    against = np.zeros((len(queried), y.shape[1]), np.int64)
    for column in near.T:
        against += (y[column] != y[queried]) & sure[column]
    against[sure[queried]] = 0  # the model agrees with the label
    tags = against.argmax(axis=1)
    return OpposedTags(tags, against[np.arange(len(queried)), tags])


def find_tag_errors(y: Mask, proba: Proba) -> tuple[Rows, Rows, NDArray[np.float64]]:
    """Find likely errors in y (n, C) by proba (n, C); return their rows, tags and margins.

    A tag is suspected if the opposite is likelier by `TAG_MARGIN`; of each item only the likeliest
    error is returned, the largest margin first. The only item with a tag is left out: without its
    label the model does not know the tag.
    """
    if not y.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    margins = 1 - 2 * np.where(y, proba, 1 - proba).astype(float)
    margins[y & (y.sum(axis=0) < 2)] = -1
    tags = margins.argmax(axis=1)
    best = margins[np.arange(len(y)), tags]
    rows = np.flatnonzero(best > TAG_MARGIN)
    rows = rows[np.argsort(-best[rows], kind="stable")]
    return rows, tags[rows], best[rows]
