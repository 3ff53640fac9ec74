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


_TRUST, _FLOOR = 0.05, 0.003


class LikelyErrors(NamedTuple):
    """The m labels that are likely errors, the likeliest first."""

    rows: Rows
    """(m,)."""
    suspects: Rows
    """(m,) the class that is likelier than the label, or the tag that is wrong."""
    doubts: NDArray[np.float64]
    """(m,) 1 minus the probability of the label, by all but the label itself."""
    ambiguities: NDArray[np.float64]
    """(m,) the second order: labels that the model takes for possible come first."""


def measure_ambiguity(own: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of labels (n,) as errors between two classes that are alike.

    `own` (n,) is the probability of the label, `other` that of the likeliest other class. A slip of
    the hand has a label that the model takes for impossible, and so have items that the model does
    not know; neither is an error of judgement. Hence a low `own` lowers the margin a little.
    """
    return np.asarray(other - own + _TRUST * np.log(own + _FLOOR))


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


def find_tag_errors(y: Mask, proba: Proba) -> LikelyErrors:
    """Find likely errors in y (n, C) by proba (n, C): of each item its likeliest wrong tag.

    A tag is suspected if the opposite is likelier by `TAG_MARGIN`. The only item with a tag is left
    out: without its label the model does not know the tag.
    """
    if not y.size:
        return LikelyErrors(*np.zeros((2, 0), np.int64), *np.zeros((2, 0)))
    own = np.where(y, proba, 1 - proba).astype(float)
    own[y & (y.sum(axis=0) < 2)] = 1
    tags = own.argmin(axis=1)
    least = own[np.arange(len(y)), tags]
    rows = np.flatnonzero(1 - 2 * least > TAG_MARGIN)
    rows = rows[np.argsort(least[rows], kind="stable")]
    least = least[rows]
    return LikelyErrors(rows, tags[rows], 1 - least, measure_ambiguity(least, 1 - least))
