"""Coefficients of agreement that correct for chance: Cohen's κ and Krippendorff's α."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from numpy.typing import NDArray


def cohen_kappa(labels: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Return Cohen's κ of two annotators' labels of the same items (Cohen 1960).

    κ = (p_o − p_e) / (1 − p_e): p_o is the share of equal labels, p_e the share expected by chance
    from how often each annotator gives each class. None without items, or if p_e is 1.
    """
    if not labels:
        return None
    n = len(labels)
    first, second = (Counter(side) for side in zip(*labels, strict=True))
    chance = sum(first[name] * second[name] for name in first) / n**2
    if chance == 1:
        return None
    return (sum(a == b for a, b in labels) / n - chance) / (1 - chance)


def krippendorff_alpha(units: Iterable[Sequence[str]]) -> float | None:
    """Return Krippendorff's α for nominal data, of any number of annotators on any of the items
    (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability").

    α = 1 − D_o / D_e, with the observed and the expected disagreement of the pairable labels:
    an item with m ≥ 2 labels gives each of its m(m − 1) pairs the weight 1 / (m − 1). None
    without pairable labels, or if all of them are one class.
    """
    totals: Counter[str] = Counter()
    disagreement = 0.0
    for labels in units:
        m = len(labels)
        if m < 2:
            continue
        counts = Counter(labels)
        totals.update(counts)
        disagreement += (m * m - sum(count**2 for count in counts.values())) / (m - 1)
    n = sum(totals.values())
    expected = n * n - sum(count**2 for count in totals.values())
    return 1 - disagreement * (n - 1) / expected if expected else None


def model_agreement(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return Cohen's κ of two models' classes (m,) of the same items; 1 if both give one class."""
    kappa = cohen_kappa(list(zip(first.tolist(), second.tolist(), strict=True)))
    return 1.0 if kappa is None else kappa
