"""The answer to a term for each item: true, false, or unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.curate.query_values import COMPARISONS

Mask = NDArray[np.bool_]


class Truth(NamedTuple):
    """The items that fulfil a term, and those that do not.

    All others are unknown: they match neither the term nor its negation.
    """

    true: Mask
    """(n,)"""
    false: Mask
    """(n,)"""

    @classmethod
    def of(cls, mask: Mask, known: Mask | None = None) -> Truth:
        """Return the answer of a mask (n,), where it is `known` (n,)."""
        if known is None:
            return cls(mask, ~mask)
        return cls(mask & known, ~mask & known)

    @property
    def unknown(self) -> int:
        """The number of items without an answer."""
        return int(len(self.true) - self.true.sum() - self.false.sum())

    def negated(self, negated: bool = True) -> Truth:
        """Return the answer to the opposite."""
        return Truth(self.false, self.true) if negated else self

    def both(self, other: Truth) -> Truth:
        """Return the answer to both terms together."""
        return Truth(self.true & other.true, self.false | other.false)


def compare_values(sign: str, number: float, values: NDArray[np.floating[Any]]) -> Truth:
    """Return the answer for numbers (n,), NaN for those that are not known."""
    with np.errstate(invalid="ignore"):
        return Truth.of(COMPARISONS[sign](values, number), np.isfinite(values))


def compare_texts(
    codes: NDArray[np.int32], texts: Iterable[str], test: Callable[[str], bool | None]
) -> Truth:
    """Return the answer for coded cells (n,); `test` gives None for a text without an answer."""
    answers = [test(text) for text in texts]
    true = np.array([answer is True for answer in answers], bool)
    false = np.array([answer is False for answer in answers], bool)
    return Truth(true[codes], false[codes])
