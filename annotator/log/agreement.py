"""Agreement of annotators: with each other, and of each with themselves.

Only labels given without knowledge of another label are compared: the first decision on an item,
that of another annotator who was asked it as open, and second opinions, which are asked blind.
Labels given after a look at another one (in a review, on a page, by an import) are left out.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from annotator.items.refs import format_percent, make_printable, plural
from annotator.learn.reliability import cohen_kappa, krippendorff_alpha
from annotator.log.entries import Action, Entry, LogState

REPEAT = "repeat"
"""The value of `picked_by`, and the key in `extra`, of an item asked of its annotator again."""
REPEAT_DISTANCE = 50
"""Decisions between a label and its repeat: fewer would test the memory."""
_TRIES = 16

LabelPair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class AnnotatorPair:
    """Two annotators on the items that both labelled, or one on the items labelled twice."""

    one: str
    other: str
    items: int
    observed: float
    """The share of the items with equal labels."""
    kappa: float | None
    """Cohen's κ; None if both always gave one class, which leaves nothing to agree on."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of all annotators in a log."""

    items: int
    """Items with labels of two or more annotators."""
    alpha: float | None
    """Krippendorff's α of all annotators, nominal; None without such items or with one class."""
    pairs: tuple[AnnotatorPair, ...]
    """Every two annotators with items in common; pairs with most items first."""
    repeats: tuple[AnnotatorPair, ...]
    """Each annotator with themselves, on items that were asked again unannounced."""

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return asdict(self)


LevelOut = Callable[[Sequence[str]], Sequence[str]]
"""A function from the labels of an item to labels that can be compared."""


def measure_agreement(state: LogState, level_out: LevelOut = list) -> Agreement:
    """Measure the agreement of all labels that stand in the log.

    In a hierarchy `level_out` makes a label that is within another one equal to it.
    """
    units: dict[str, dict[str, str]] = {}
    again: defaultdict[str, list[LabelPair]] = defaultdict(list)
    several = {ref for ref, stack in state.standing.items() if len(stack) > 1}
    for ref in sorted(several | state.opinions.keys()):
        rated, twice = _ratings(state, ref)
        if len(rated) > 1:
            units[ref] = rated
        for name, labels in twice:
            first, second = level_out(labels)
            again[name].append((first, second))
    both: defaultdict[tuple[str, str], list[LabelPair]] = defaultdict(list)
    for rated in units.values():
        for one, other in combinations(sorted(rated), 2):
            first, second = level_out((rated[one], rated[other]))
            both[one, other].append((first, second))
    pairs = [_pair(*names, labels) for names, labels in both.items()]
    repeats = [_pair(name, name, labels) for name, labels in again.items()]
    return Agreement(
        len(units),
        krippendorff_alpha([level_out([*rated.values()]) for rated in units.values()]),
        tuple(sorted(pairs, key=lambda pair: (-pair.items, pair.one, pair.other))),
        tuple(sorted(repeats, key=lambda pair: pair.one)),
    )


def independent_labels(state: LogState, ref: str) -> list[Entry]:
    """Return the labels of an item given without knowledge of another label, oldest first.

    Of a second opinion that its annotator corrected, only the correction counts.
    """
    stack, opinions = state.standing.get(ref, []), state.opinions.get(ref, [])
    blind = [e for place, e in enumerate(stack) if not place or e.q is not None]
    corrected = {e.corrects for e in opinions}
    found = [*blind, *(e for e in opinions if e.seq not in corrected)]
    return [e for e in found if e.action is Action.LABEL and e.label and not e.by_machine]


def find_dispute(state: LogState, ref: str) -> dict[str, list[str]]:
    """Return each label of a disputed item, and who wants it by now; empty for any other item.

    A label is disputed if one annotator replaced it and it was given again, or if two or more
    annotators want it and two or more want another one. A mere correction is not a dispute.
    """
    decided = [e for e in state.standing.get(ref, ()) if not e.by_machine]
    if not decided or decided[-1].label is None:
        return {}
    given = sorted([*decided, *state.opinions.get(ref, ())], key=lambda entry: entry.seq)
    votes = defaultdict[str, list[str]](list)
    for name, label in {e.annotator: e.label for e in given}.items():
        if label is not None:
            votes[label].append(name)
    label = decided[-1].label
    before = [e.label for e in decided].index(label)
    came_back = any(e.label != label for e in decided[before:])
    sides = sum(len(who) >= 2 for who in votes.values()) >= 2 and len(votes.get(label, ())) >= 2
    return dict(votes) if len(votes) >= 2 and (came_back or sides) else {}


def is_repeat(entry: Entry) -> bool:
    """Return whether an entry answers an item that its annotator was asked again unannounced."""
    return bool((entry.extra or {}).get(REPEAT))


def latest_answer(state: LogState, answer: Entry) -> Entry | None:
    """Return what counts now in place of an answer, or the answer itself; None if nothing does.

    Of a second opinion it is the last of its annotator's own that corrects it.
    """
    if not answer.second:
        return state.decision(answer.ref)
    kind = answer.annotator, is_repeat(answer)
    opinions = state.opinions.get(answer.ref, [])
    return next((e for e in reversed(opinions) if (e.annotator, is_repeat(e)) == kind), None)


def _pair(one: str, other: str, labels: Sequence[LabelPair]) -> AnnotatorPair:
    observed = sum(a == b for a, b in labels) / len(labels)
    return AnnotatorPair(one, other, len(labels), observed, cohen_kappa(labels))


def _ratings(state: LogState, ref: str) -> tuple[dict[str, str], list[tuple[str, LabelPair]]]:
    """Return each annotator's first label, and the annotator and both labels of each repeat."""
    rated: dict[str, str] = {}
    twice = []
    for entry in independent_labels(state, ref):
        label = str(entry.label)
        if entry.annotator in rated and is_repeat(entry):
            twice.append((entry.annotator, (rated[entry.annotator], label)))
        rated.setdefault(entry.annotator, label)
    return rated, twice


class RepeatSampler:
    """A sampler of an annotator's own labels to ask again, unannounced, for self-agreement."""

    def __init__(self, state: LogState, annotator: str, share: float, seed: int) -> None:
        """Make `share` of the items asked repeats, as far as there are labels to repeat."""
        self._state, self._annotator, self._share = state, annotator, share
        self._rng = random.Random(f"{seed} {annotator} {state.seq}")

    def draw(self) -> str | None:
        """Return a ref to ask again, or None; mostly None, because `share` is small."""
        decided = self._state.history.get(self._annotator, {})
        if self._rng.random() >= self._share or len(decided) <= REPEAT_DISTANCE:
            return None
        history = list(decided.values())
        places = (self._rng.randrange(len(history) - REPEAT_DISTANCE) for _ in range(_TRIES))
        return next(
            (history[place].ref for place in places if self._is_repeatable(history[place])), None
        )

    def _is_repeatable(self, entry: Entry) -> bool:
        """Return whether a label is the annotator's own, stands, and was not asked again before."""
        stack = self._state.standing.get(entry.ref, [])
        seen = any(is_repeat(e) for e in self._state.opinions.get(entry.ref, ()))
        return bool(stack) and stack[0] is entry and entry.action is Action.LABEL and not seen


def agreement_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of `Agreement.as_dict` for a terminal; none if nothing was labelled twice."""
    if found["items"]:
        alpha = "" if found["alpha"] is None else f": Krippendorff's alpha {found['alpha']:.2f}"
        yield f"{plural(found['items'], 'item')} labelled by two or more annotators{alpha}"
    for pair in found["pairs"]:
        one, other = make_printable(pair["one"]), make_printable(pair["other"])
        yield f"  {one} and {other}: {_describe_pair(pair)}"
    for pair in found["repeats"]:
        name = make_printable(pair["one"])
        yield f"{name}, asked again without notice: {_describe_pair(pair)}"


def _describe_pair(pair: Mapping[str, Any]) -> str:
    kappa = "" if pair["kappa"] is None else f", Cohen's kappa {pair['kappa']:.2f}"
    return f"{format_percent(pair['observed'])} of {plural(pair['items'], 'label')} equal{kappa}"
