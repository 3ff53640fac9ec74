"""How far annotators agree: with each other, and each with themselves.

Compared are labels that were given without knowledge of another one: the decision that an item
was first labelled with, that of an annotator who was asked it as open, and second opinions, which
are asked blind. What came of looking at a label (a review, a page, an import over it) is not.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from annotator.items.refs import make_printable
from annotator.log.entries import Action, Entry, LogState

REPEAT = "repeat"
"""picked_by, and the mark in `extra`, of an item that its own annotator is asked once more."""
REPEAT_DISTANCE = 50
"""Decisions that lie between a label and its repeat: less would test the memory."""
_TRIES = 16

LabelPair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class AnnotatorPair:
    """Two annotators, or one and the same, on the items that both labelled."""

    one: str
    other: str
    items: int
    observed: float
    """The share of the items with equal labels."""
    kappa: float | None
    """Cohen's κ; None where both always gave one class, which leaves nothing to agree on."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the log says of agreement."""

    items: int
    """Items with labels of two or more annotators."""
    alpha: float | None
    """Krippendorff's α of all annotators, nominal; None without such items or with one class."""
    pairs: tuple[AnnotatorPair, ...]
    """Every two annotators with items in common, those with most first."""
    repeats: tuple[AnnotatorPair, ...]
    """Each annotator with themselves, on items that were asked twice without saying so."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_agreement(state: LogState) -> Agreement:
    """Of all that stands in the log."""
    units: dict[str, dict[str, str]] = {}
    again: defaultdict[str, list[LabelPair]] = defaultdict(list)
    several = {ref for ref, stack in state.standing.items() if len(stack) > 1}
    for ref in sorted(several | state.opinions.keys()):
        rated, twice = _ratings(state, ref)
        if len(rated) > 1:
            units[ref] = rated
        for name, labels in twice:
            again[name].append(labels)
    both: defaultdict[tuple[str, str], list[LabelPair]] = defaultdict(list)
    for rated in units.values():
        for one, other in combinations(sorted(rated), 2):
            both[one, other].append((rated[one], rated[other]))
    pairs = [_pair(*names, labels) for names, labels in both.items()]
    repeats = [_pair(name, name, labels) for name, labels in again.items()]
    return Agreement(
        len(units),
        krippendorff_alpha([list(rated.values()) for rated in units.values()]),
        tuple(sorted(pairs, key=lambda pair: (-pair.items, pair.one, pair.other))),
        tuple(sorted(repeats, key=lambda pair: pair.one)),
    )


def independent_labels(state: LogState, ref: str) -> list[Entry]:
    """The labels of an item that were given without knowledge of another, oldest first."""
    stack = state.standing.get(ref, [])
    blind = [e for place, e in enumerate(stack) if not place or e.q is not None]
    found = [*blind, *state.opinions.get(ref, [])]
    return [e for e in found if e.action is Action.LABEL and e.label and not e.by_machine]


def is_repeat(entry: Entry) -> bool:
    """Whether the annotator had labelled the item before, and was not told so."""
    return bool((entry.extra or {}).get(REPEAT))


def cohen_kappa(labels: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Cohen's κ of two annotators' labels of the same items (Cohen 1960).

    κ = (p_o − p_e) / (1 − p_e), p_o the share of equal labels and p_e that expected of two who
    give each class as often as these do. None without items, or where p_e is 1.
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
    """Krippendorff's α for nominal data (Krippendorff 2011, "Computing Krippendorff's
    Alpha-Reliability"): any number of annotators, each on any of the items.

    α = 1 − D_o / D_e, with the observed and the expected disagreement of the pairable labels:
    an item with m ≥ 2 labels gives each of its m(m − 1) pairs the weight 1 / (m − 1). None
    without pairable labels, or where all of them are one class.
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


def _pair(one: str, other: str, labels: Sequence[LabelPair]) -> AnnotatorPair:
    observed = sum(a == b for a, b in labels) / len(labels)
    return AnnotatorPair(one, other, len(labels), observed, cohen_kappa(labels))


def _ratings(state: LogState, ref: str) -> tuple[dict[str, str], list[tuple[str, LabelPair]]]:
    """The first label of each annotator; and of each repeat, who it was and both labels."""
    rated: dict[str, str] = {}
    twice = []
    for entry in independent_labels(state, ref):
        label = str(entry.label)
        if entry.annotator in rated and is_repeat(entry):
            twice.append((entry.annotator, (rated[entry.annotator], label)))
        rated.setdefault(entry.annotator, label)
    return rated, twice


class RepeatSampler:
    """Draws an annotator's own labels to be asked once more, unannounced, for self-agreement."""

    def __init__(self, state: LogState, annotator: str, share: float, seed: int) -> None:
        """`share` of the items asked are repeats, as far as there are labels to repeat."""
        self._state, self._annotator, self._share = state, annotator, share
        self._rng = random.Random(f"{seed} {annotator} {state.seq}")

    def draw(self) -> str | None:
        """A ref to ask again, or None: mostly, for `share` is small."""
        history = self._state.history.get(self._annotator, [])
        if self._rng.random() >= self._share or len(history) <= REPEAT_DISTANCE:
            return None
        places = (self._rng.randrange(len(history) - REPEAT_DISTANCE) for _ in range(_TRIES))
        return next((history[at].ref for at in places if self._fit(history[at])), None)

    def _fit(self, entry: Entry) -> bool:
        """A label of one's own that stands, and that was not asked again before."""
        stack = self._state.standing.get(entry.ref, [])
        seen = any(is_repeat(e) for e in self._state.opinions.get(entry.ref, ()))
        return bool(stack) and stack[0] is entry and entry.action is Action.LABEL and not seen


def agreement_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """An agreement as a dictionary, in words for a terminal; nothing where nothing was labelled
    twice."""
    if found["items"]:
        alpha = "" if found["alpha"] is None else f": Krippendorff's alpha {found['alpha']:.2f}"
        yield f"{found['items']:,} items labelled by two or more{alpha}"
    for pair in found["pairs"]:
        one, other = make_printable(pair["one"]), make_printable(pair["other"])
        yield f"  {one} and {other}: {_describe_pair(pair)}"
    for pair in found["repeats"]:
        yield f"{make_printable(pair['one'])} asked again unannounced: {_describe_pair(pair)}"


def _describe_pair(pair: Mapping[str, Any]) -> str:
    kappa = "" if pair["kappa"] is None else f", Cohen's kappa {pair['kappa']:.2f}"
    return f"{pair['observed']:.0%} of {pair['items']:,} alike{kappa}"
