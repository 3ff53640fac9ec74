"""The review queues: doubtful items, each with a reason and a score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from annotator.curate.review_boxes import (
    BOX_QUEUES,
    BoxComparison,
    compare_boxes,
    find_box_cases,
    why_no_boxes,
)
from annotator.curate.review_case import DOUBTFUL_QUEUES, ORDERS, ReviewCase
from annotator.curate.review_evidence import Evidence
from annotator.hits.scores import GoldAnswer, gold_answers
from annotator.images.near_duplicates import Fingerprints, connected_components, feature_duplicates
from annotator.learn.label_conflicts import MIN_VOTES, find_likely_errors
from annotator.learn.outliers import NEAREST
from annotator.learn.tag_conflicts import find_tag_errors
from annotator.log.agreement import find_dispute, independent_labels, is_repeat
from annotator.log.entries import (
    Action,
    Entry,
    LogState,
    find_confirmations,
    is_settled,
    review_queue_of,
)
from annotator.log.store.protocol import ProjectStore
from annotator.project.class_tree import ClassTree
from annotator.project.label_sets import toggle_class
from annotator.project.project import ProjectFolder


@dataclass(frozen=True, slots=True)
class ReviewQueues:
    """The cases to review, queue by queue."""

    cases: Mapping[str, Sequence[ReviewCase]]
    """Queue to its cases, the most doubtful first; a queue that cannot be made is missing."""
    why_not: Mapping[str, str] = field(default_factory=dict)
    """Queue to the reason why it cannot be made."""
    order: str = next(iter(ORDERS))
    """One of `ORDERS`, in which the cases are."""

    @property
    def counts(self) -> dict[str, int]:
        """Queue to its number of cases."""
        return {queue: len(cases) for queue, cases in self.cases.items()}


def sort_cases(cases: Iterable[ReviewCase], order: str = "likely") -> list[ReviewCase]:
    """Return the cases of a queue in one of `ORDERS`, the most doubtful first."""
    if order == "ambiguous":
        return sorted(cases, key=lambda c: -(c.score if c.ambiguity is None else c.ambiguity))
    return sorted(cases, key=lambda case: -case.score)


@dataclass(frozen=True, slots=True)
class QueueInputs:
    """The inputs of all queues."""

    state: LogState
    evidence: Evidence
    prints: Fingerprints
    gold: Sequence[GoldAnswer] = ()
    tree: ClassTree = field(default_factory=lambda: ClassTree({}))
    boxes: Sequence[BoxComparison] = ()
    """The labelled boxes beside the proposals, image by image."""


def _make_case(queue: str, entry: Entry, reason: str, score: float = 0.0) -> ReviewCase:
    return ReviewCase(queue, entry.ref, entry.label, entry.annotator, reason, score)


def find_cases(
    project: ProjectFolder,
    store: ProjectStore,
    state: LogState,
    evidence: Evidence,
    prints: Fingerprints,
    queues: Sequence[str] = DOUBTFUL_QUEUES,
    order: str = "likely",
) -> ReviewQueues:
    """Find the cases of `queues` that no review has settled, in one of `ORDERS`."""
    gold = tuple(gold_answers(project, store)) if "gold" in queues else ()
    wants_boxes = any(queue in BOX_QUEUES for queue in queues)
    boxes = list(compare_boxes(project, state)) if wants_boxes else []
    material = QueueInputs(state, evidence, prints, gold, project.settings.tree, boxes)
    cases, why_not = {}, {}
    for queue in queues:
        if queue in ("errors", "neighbours", "outliers") and evidence.why_not:
            why_not[queue] = evidence.why_not
            continue
        if queue in BOX_QUEUES and (reason := why_no_boxes(project, state)):
            why_not[queue] = reason
            continue
        found = _FINDERS[queue](material)
        open_ = [c for c in found if not is_settled(state, c.ref, queue, c.since)]
        cases[queue] = sort_cases(open_, order)
    return ReviewQueues(cases, why_not, order)


def _flagged(material: QueueInputs) -> Iterator[ReviewCase]:
    """Yield flagged items, the latest flag first."""
    for ref, flag in material.state.flagged.items():
        notes = material.state.notes.get(ref, [])
        note = f": {notes[-1].note}" if notes else ""
        decision = material.state.decision(ref) or replace(flag, label=None)
        reason = f"flagged by {flag.annotator}{note}"
        yield _make_case("flagged", decision, reason, float(flag.seq))


def _skipped(material: QueueInputs) -> Iterator[ReviewCase]:
    """Yield skipped items, the oldest skip first."""
    for ref, stack in material.state.standing.items():
        if stack[-1].action is Action.SKIP:
            notes = material.state.notes.get(ref, [])
            note = f": {notes[-1].note}" if notes else ""
            first = next((e for e in reversed(stack) if review_queue_of(e) is None), stack[-1])
            reason = f"skipped by {first.annotator}{note}"
            yield _make_case("skipped", stack[-1], reason, -float(first.seq))


def _disagreements(material: QueueInputs) -> Iterator[ReviewCase]:
    """Yield items with different labels, those with most labels against the standing one first."""
    state = material.state
    several = {ref for ref, stack in state.standing.items() if len(stack) > 1}
    for ref in sorted(several | state.opinions.keys()):
        decision, given = state.decision(ref), independent_labels(state, ref)
        votes = Counter(str(entry.label) for entry in given)
        if decision is None or material.tree.all_agree(votes):
            continue
        others = {name: count for name, count in votes.items() if name != decision.label}
        words = " · ".join(f"{e.annotator}{_describe_answer(e)}: {e.label}" for e in given)
        case = _make_case("disagreements", decision, words, float(sum(others.values())))
        yield replace(case, suggestion=max(others, key=lambda name: others[name]))


def _disputed(material: QueueInputs) -> Iterator[ReviewCase]:
    """Yield items that annotators dispute, those with most of them against the label first."""
    for ref in material.state.standing:
        decision, votes = material.state.decision(ref), find_dispute(material.state, ref)
        if decision is None or not votes or material.tree.all_agree(Counter([*votes])):
            continue
        others = {name: who for name, who in votes.items() if name != decision.label}
        against = sum(map(len, others.values()))
        words = " · ".join(f"{name}: {', '.join(who)}" for name, who in votes.items())
        doubt = against + 1 - material.evidence.label_probability(ref, str(decision.label))
        case = _make_case("disputed", decision, words, float(doubt))
        yield replace(case, suggestion=max(others, key=lambda name: len(others[name])))


def _outliers(material: QueueInputs) -> Iterator[ReviewCase]:
    """Yield labelled items that are far from everything, the farthest first."""
    found = material.evidence.outliers()
    for row, distance in zip(found.rows.tolist(), found.distances.tolist(), strict=True):
        decision = material.state.decision(material.evidence.refs[row])
        assert decision is not None
        reason = f"{NEAREST} nearest items up to {distance:.2f} away, usual is {found.usual:.2f}"
        yield _make_case("outliers", decision, reason, distance)


def _unreviewed(material: QueueInputs) -> Iterator[ReviewCase]:
    """Yield all labels that no review has confirmed, the least probable first."""
    evidence = material.evidence
    for ref, stack in material.state.standing.items():
        if stack[-1].action is Action.LABEL and not find_confirmations(stack):
            row = evidence.row(ref)
            own = None if row < 0 or evidence.has_sets else evidence.own_probability(row)
            said = (
                "" if own is None else f"; without this label its chance is {_format_chance(own)}"
            )
            doubt = 0.0 if own is None else 1 - own
            yield _make_case("unreviewed", stack[-1], f"no review has confirmed it{said}", doubt)


def _box_finder(queue: str) -> Callable[[QueueInputs], Iterator[ReviewCase]]:
    return lambda material: find_box_cases(queue, material.boxes, material.evidence.classes)


def _describe_answer(entry: Entry) -> str:
    return " again" if is_repeat(entry) else ""


def _errors(material: QueueInputs) -> Iterator[ReviewCase]:
    evidence = material.evidence
    if evidence.has_sets:
        yield from _set_errors(material)
        return
    found = find_likely_errors(evidence.y, evidence.proba, evidence.under, evidence.nearest.rows)
    for row, suspect, *doubts in zip(*(column.tolist() for column in found), strict=True):
        decision = material.state.decision(evidence.refs[row])
        assert decision is not None
        name, own = evidence.classes[suspect], evidence.own_probability(row)
        reason = (
            f"without this label the model predicts {name} "
            f"{_format_chance(evidence.proba[row, suspect])}, "
            f"{decision.label} {_format_chance(own)}"
        )
        case = _make_case("errors", decision, reason, doubts[0])
        yield replace(case, suggestion=name, ambiguity=doubts[1])


def _set_errors(material: QueueInputs) -> Iterator[ReviewCase]:
    """Yield items with one class too many or too few, by the model without their labels."""
    evidence = material.evidence
    found = find_tag_errors(evidence.y, evidence.proba)
    for row, tag, *doubts in zip(*(column.tolist() for column in found), strict=True):
        decision = material.state.decision(evidence.refs[row])
        assert decision is not None
        name, p = evidence.classes[tag], _format_chance(evidence.proba[row, tag])
        reason = f"without this label the model gives {name} {p}, and the label " + (
            "has it" if evidence.y[row, tag] else "lacks it"
        )
        suggestion = toggle_class(evidence.label(row), name, evidence.classes)
        case = _make_case("errors", decision, reason, doubts[0])
        yield replace(case, suggestion=suggestion, ambiguity=doubts[1])


def _set_neighbours(material: QueueInputs) -> Iterator[ReviewCase]:
    """Yield items with one class too many or too few, by their nearest labelled neighbours."""
    evidence = material.evidence
    tags, counts = evidence.opposed_tags()
    for row in np.flatnonzero(counts >= MIN_VOTES).tolist():
        decision = material.state.decision(evidence.refs[row])
        assert decision is not None
        name, near = evidence.classes[int(tags[row])], len(evidence.nearest.rows[row])
        lacks = "lack" if evidence.y[row, tags[row]] else "have"
        reason = f"{counts[row]} of the {near} nearest labelled items {lacks} {name}"
        score = float(counts[row]) + float(evidence.nearest.cosines[row].mean())
        case = _make_case("neighbours", decision, reason, score)
        yield replace(case, suggestion=toggle_class(evidence.label(row), name, evidence.classes))


def _format_chance(p: float) -> str:
    """Return a probability as a percentage, but never as 0 or 100 %: no model is that certain."""
    return "<1 %" if p < 0.005 else ">99 %" if p > 0.995 else f"{100 * p:.0f} %"


def _neighbours(material: QueueInputs) -> Iterator[ReviewCase]:
    evidence = material.evidence
    if evidence.has_sets:
        yield from _set_neighbours(material)
        return
    against = evidence.contradictions()
    for row in np.flatnonzero(against >= MIN_VOTES).tolist():
        decision = material.state.decision(evidence.refs[row])
        assert decision is not None
        near = evidence.nearest.rows[row]
        others = Counter(
            evidence.classes[int(evidence.y[neighbour])]
            for neighbour in near
            if not material.tree.agree(
                evidence.classes[int(evidence.y[neighbour])], str(decision.label)
            )
        )
        name, count = others.most_common(1)[0]
        reason = describe_opposing(others.total(), len(near), count, name)
        score = float(against[row]) + float(evidence.nearest.cosines[row].mean())
        case = _make_case("neighbours", decision, reason, score)
        yield replace(case, suggestion=name)


def describe_opposing(against: int, nearest: int, count: int, name: str) -> str:
    """Return how many of the nearest items have other labels, and how many of them `name`."""
    if against == count:
        return f"{count} of the {nearest} nearest labelled items are {name}"
    return (
        f"{against} of the {nearest} nearest labelled items have other labels, {count} are {name}"
    )


def _duplicates(material: QueueInputs) -> Iterator[ReviewCase]:
    """Yield a case for each group of near-duplicates: the label with most contradiction."""
    state, refs = material.state, material.prints.refs
    labelled = [ref for ref in state.standing if state.label(ref) is not None]
    rows = refs.rows(labelled)
    place = {row: ref for ref, row in zip(labelled, rows.tolist(), strict=True) if row >= 0}
    pairs = [material.prints.pairs(rows[rows >= 0])]
    if len(material.evidence.refs):
        pairs.append(feature_duplicates(material.evidence.unit, refs.rows(material.evidence.refs)))
    for group in connected_components(np.concatenate(pairs)):
        members = [place[row] for row in group if row in place]
        votes = Counter(str(state.label(ref)) for ref in members)
        if not material.tree.all_agree(votes):
            yield _group_case(material, members, votes)


def _group_case(material: QueueInputs, members: list[str], votes: Counter[str]) -> ReviewCase:
    def doubt(ref: str) -> float:
        label = str(material.state.label(ref))
        return material.evidence.label_probability(ref, label) + votes[label]

    odd = min(members, key=doubt)
    decision = material.state.decision(odd)
    assert decision is not None
    words = ", ".join(f"{count} {name}" for name, count in votes.most_common())
    reason = f"{len(members)} near-duplicates: {words}"
    most = next(name for name, _ in votes.most_common() if name != decision.label)
    case = _make_case("duplicates", decision, reason, float(len(members)))
    return replace(case, suggestion=most, group=(odd, *(ref for ref in members if ref != odd)))


def _gold(material: QueueInputs) -> Iterator[ReviewCase]:
    """Yield a case for each known answer that workers missed: the answer itself may be wrong."""
    missed: dict[str, list[GoldAnswer]] = {}
    for answer in material.gold:
        if not answer.right:
            missed.setdefault(answer.ref, []).append(answer)
    for ref, answers in missed.items():
        last = answers[-1]
        decision = material.state.decision(ref)
        known = decision or Entry(0, last.at / 1000, "", Action.LABEL, ref)
        workers = len({answer.worker for answer in answers})
        verb = "did not select it as" if last.wanted else "selected it as"
        reason = f"known answer: {workers} worker{'s' * (workers > 1)} {verb} {last.asked}"
        case = _make_case("gold", known, reason, float(workers))
        yield replace(case, since=last.at / 1000, suggestion=None if last.wanted else last.asked)


_FINDERS: Mapping[str, Callable[[QueueInputs], Iterator[ReviewCase]]] = {
    "gold": _gold,
    "disagreements": _disagreements,
    "duplicates": _duplicates,
    "errors": _errors,
    "neighbours": _neighbours,
    "disputed": _disputed,
    "outliers": _outliers,
    **{queue: _box_finder(queue) for queue in BOX_QUEUES},
    "flagged": _flagged,
    "skipped": _skipped,
    "unreviewed": _unreviewed,
}
