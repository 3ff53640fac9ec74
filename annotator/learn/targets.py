"""Labels as a model sees them: one class, or a set of tags.

Labels y are (n,) class indices, or (n, C) True for each tag of an item. The probabilities (m, C) of
a row add up to 1 over classes; those of tags are independent, each by itself. All other parts of
learning ask these two kinds of targets how sure a model is, and what it predicts.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[Any]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Proba = NDArray[Any]

RARE_TAG_SHARE = 0.05
MAX_COLD_LABELS = 20  # of a project with tags: each label teaches all tags


class Targets(Protocol):
    """A kind of label: how it is counted, predicted and compared."""

    def codes(self, y: Labels) -> Rows:
        """Return numbers (n,) that are equal for equal labels."""
        ...

    def counts(self, y: Labels, C: int) -> Rows:
        """Return the number of labels (C,) that have each class."""
        ...

    def having(self, y: Labels, c: int) -> Mask:
        """Return which labels (n,) have class c."""
        ...

    def share(self, y: Labels, proba: Proba, c: int) -> NDArray[np.float64]:
        """Return how much of each label (n,) is class c: 1 or 0, or for a label that does not tell,
        the model's opinion."""
        ...

    def class_proba(self, proba: Proba, c: int) -> Proba:
        """Return the probability (m,) of class c."""
        ...

    def decide(self, proba: Proba) -> Labels:
        """Return the predicted labels of rows (m, C): the likeliest class, or a set of tags."""
        ...

    def one_hot(self, proba: Proba) -> Mask:
        """Return (m, C) True for each predicted class."""
        ...

    def is_wrong(self, proba: Proba, y: Labels) -> Mask:
        """Return which predictions (n, C) differ from the labels."""
        ...

    def predicted_as(self, proba: Proba, c: int) -> Mask:
        """Return which rows (m,) are predicted as class c, alone or among others."""
        ...

    def confidence(self, proba: Proba) -> Proba:
        """Return the probability (m,) that the whole predicted label is right."""
        ...

    def margin(self, proba: Proba) -> Proba:
        """Return the uncertainty (m,) from 0 to 1 by the margin of the prediction."""
        ...

    def entropy(self, proba: Proba) -> Proba:
        """Return the entropy (m,)."""
        ...

    def inner(self, C: int) -> Mask:
        """Return (C,) True for classes that have others below them."""
        ...

    def rare_share(self, C: int) -> float | None:
        """Return the share of labels below which the strategy searches for a class unasked."""
        ...

    def cold_labels(self, C: int) -> int:
        """Return the number of labels of the cold start."""
        ...


class OneClass:
    """Each item has one class."""

    def codes(self, y: Labels) -> Rows:
        """Return the classes themselves."""
        return y

    def counts(self, y: Labels, C: int) -> Rows:
        """Return the number of labels of each class."""
        return np.bincount(y, minlength=C)

    def having(self, y: Labels, c: int) -> Mask:
        """Return which labels are class c."""
        return np.asarray(y == c)

    def share(self, y: Labels, proba: Proba, c: int) -> NDArray[np.float64]:
        """Return 1 for labels with class c, else 0."""
        return self.having(y, c).astype(float)

    def class_proba(self, proba: Proba, c: int) -> Proba:
        """Return the column of class c."""
        return np.asarray(proba[:, c])

    def decide(self, proba: Proba) -> Labels:
        """Return the likeliest class (m,)."""
        return np.asarray(proba.argmax(axis=1))

    def one_hot(self, proba: Proba) -> Mask:
        """Return (m, C) True for the likeliest class."""
        return np.asarray(proba.argmax(axis=1)[:, None] == np.arange(proba.shape[1]))

    def is_wrong(self, proba: Proba, y: Labels) -> Mask:
        """Return where the likeliest class is not the label."""
        return np.asarray(proba.argmax(axis=1) != y)

    def predicted_as(self, proba: Proba, c: int) -> Mask:
        """Return where class c is the likeliest."""
        return np.asarray(proba.argmax(axis=1) == c)

    def confidence(self, proba: Proba) -> Proba:
        """Return the probability of the likeliest class."""
        return np.asarray(proba.max(axis=1))

    def margin(self, proba: Proba) -> Proba:
        """Return 1 − (p₁ − p₂) of the two likeliest classes."""
        if proba.shape[1] == 1:
            return np.zeros(len(proba), dtype=proba.dtype)
        if proba.shape[1] == 2:
            return np.asarray(1 - np.abs(proba[:, 0] - proba[:, 1]))
        top = np.partition(proba, -2, axis=1)[:, -2:]
        return np.asarray(1 - (top[:, 1] - top[:, 0]))

    def entropy(self, proba: Proba) -> Proba:
        """Return −Σ p log p."""
        p = np.maximum(proba, np.finfo(proba.dtype).tiny)
        return np.asarray(-(p * np.log(p)).sum(axis=1))

    def inner(self, C: int) -> Mask:
        """Return False for every class."""
        return np.zeros(C, bool)

    def rare_share(self, C: int) -> float | None:
        """Return None: the usual share."""
        return None

    def cold_labels(self, C: int) -> int:
        """Return two labels a class, and at least 10."""
        return max(10, 2 * C)


class TagSets:
    """Each item has any number of tags; a tag is predicted from its threshold on."""

    def __init__(
        self,
        thresholds: NDArray[np.float64] | float = 0.5,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        """Predict each tag from its threshold (C,) on; `weights` (C,) are those of `margin`."""
        self.thresholds, self.weights = thresholds, weights

    def codes(self, y: Labels) -> Rows:
        """Return the number of each different set of tags."""
        if not y.size:
            return np.zeros(len(y), np.int64)
        packed = np.ascontiguousarray(np.packbits(y.astype(bool), axis=1))
        whole = packed.view(np.dtype((np.void, packed.shape[1])))[:, 0]
        return np.asarray(np.unique(whole, return_inverse=True)[1].reshape(-1), np.int64)

    def counts(self, y: Labels, C: int) -> Rows:
        """Return the number of labels with each tag."""
        return np.asarray(y.sum(axis=0, dtype=np.int64))

    def having(self, y: Labels, c: int) -> Mask:
        """Return which sets hold tag c."""
        return np.asarray(y[:, c], bool)

    def share(self, y: Labels, proba: Proba, c: int) -> NDArray[np.float64]:
        """Return 1 for sets with tag c, else 0."""
        return self.having(y, c).astype(float)

    def class_proba(self, proba: Proba, c: int) -> Proba:
        """Return the column of tag c."""
        return np.asarray(proba[:, c])

    def decide(self, proba: Proba) -> Labels:
        """Return (m, C) True for each tag whose probability reaches its threshold."""
        return np.asarray(proba >= self.thresholds)

    def one_hot(self, proba: Proba) -> Mask:
        """Return the predicted sets, as `decide` does."""
        return self.decide(proba)

    def is_wrong(self, proba: Proba, y: Labels) -> Mask:
        """Return where the predicted set differs from the label in any tag."""
        return np.asarray((self.decide(proba) != y).any(axis=1))

    def predicted_as(self, proba: Proba, c: int) -> Mask:
        """Return where tag c is predicted."""
        return np.asarray(self.decide(proba)[:, c])

    def confidence(self, proba: Proba) -> Proba:
        """Return the product of the probabilities of all decisions, each tag by itself."""
        return np.asarray(np.where(self.decide(proba), proba, 1 - proba).prod(axis=1))

    def margin(self, proba: Proba) -> Proba:
        """Return the weighted mean over the tags of 1 − |2p − 1|."""
        margins = 1 - np.abs(2 * proba - 1)
        if self.weights is None:
            return np.asarray(margins.mean(axis=1))
        return np.asarray(margins @ (self.weights / self.weights.sum()).astype(proba.dtype))

    def entropy(self, proba: Proba) -> Proba:
        """Return the sum over the tags of the entropies of yes and no."""
        tiny = np.finfo(proba.dtype).tiny
        yes, no = np.maximum(proba, tiny), np.maximum(1 - proba, tiny)
        return np.asarray(-(yes * np.log(yes) + no * np.log(no)).sum(axis=1))

    def inner(self, C: int) -> Mask:
        """Return False for every tag."""
        return np.zeros(C, bool)

    def rare_share(self, C: int) -> float | None:
        """Return a twentieth: a rare tag needs items as much as any other."""
        return RARE_TAG_SHARE

    def cold_labels(self, C: int) -> int:
        """Return 10 to 20 labels: each teaches all tags."""
        return int(np.clip(C, 10, MAX_COLD_LABELS))


ONE_CLASS = OneClass()


def number_labels(y: Labels) -> Rows:
    """Return numbers (n,) by which labels can be compared from call to call."""
    if y.ndim == 1:
        return y
    return np.asarray(y @ np.random.default_rng(0).integers(1 << 52, size=y.shape[1]), np.int64)


def expand_classes(proba: NDArray[Any], seen: NDArray[np.int64], n: int, C: int) -> NDArray[Any]:
    """Return columns (m, C) for all classes; a class without labels gets 1/(n + C)."""
    if len(seen) == C:
        return proba
    floor = 1 / (n + C)
    expanded = np.full((len(proba), C), floor, dtype=proba.dtype)
    expanded[:, seen] = proba * (1 - floor * (C - len(seen)))
    return expanded
