"""The audit of a finished set: how many of the model's labels it may hold, people label the rest.

The promise is on the whole set: at most max_error of all its labels are wrong, those of people
counting as right (PAC labels: Candès, Ilyas & Zrnic, arXiv:2506.10908). So max_error · total labels
may be wrong, and a few accepted labels may be wrong more often than many.

One sample serves every threshold. It is drawn uniformly from the surest rows, and each step, a
threshold, is judged by the draws above it: a bet without replacement against "too many of its rows
are wrong", as in audit.py. The steps are tested from the surest to the largest, up to the first
that is not refuted (fixed-sequence testing), so α is not split: if a step breaks the promise, an
audit goes wrong only by refuting the first such step. For the same reason several promises share α.

A limit on a class is on its true items: at most that share of them has a label without the class.
Each drawn row of the class that is labelled well counts for it, each that is missed against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annotator.learn.audit import (
    ERROR_PRIOR,
    MIN_SPARED,
    AuditPlan,
    AuditVerdict,
    expected_error,
    log_stakes,
    spent_alpha,
    spread_evenly,
)
from annotator.learn.error_estimate import DrawnLabels

Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]

SET_BETS = (0.05, 0.2, 0.5)
"""The errors bet on, as shares of the claim: for every step the same."""
STEPS = 16  # thresholds that one sample serves
TRIED_STEPS = 60  # thresholds from which the planned one is chosen
ROOM = 1.5  # the sample's part of the pool, in sizes of the planned step
GAIN_TO_GO_ON = 0.1  # labels spared for each that an audit takes, to begin it or to continue
MOST_AHEAD = 4_000  # further labels that a forecast looks at
NO_LOOK = 2.0  # a probability that no item has
_STRICTLY = 1e-9  # beyond a limit: a claim is "more than", and is tested as "at least"
_LOOKS = (NO_LOOK, 0.9, 0.7, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01)


@dataclass(frozen=True, slots=True)
class ClassLimit:
    """A promise on one class: the share of its items that may be labelled as something else."""

    name: str
    limit: float
    known: int
    """The items of the class that people had labelled before the audit."""
    look: float = NO_LOOK
    """People label every open item with at least this probability of the class, before the sample
    is drawn."""
    missed: float = 0.0
    """The expected share of the sample's items that are of the class and predicted otherwise."""
    right: float = 0.0
    """The expected share of the sample's items that are of the class and predicted so."""


@dataclass(frozen=True, slots=True)
class AuditStep:
    """A threshold with the rows that it accepts."""

    threshold: float
    size: int
    expected_error: float


@dataclass(frozen=True, slots=True)
class SetPlan(AuditPlan):
    """The rules of an audit of a set; its threshold and size are those of the largest step."""

    total: int = 0
    """The labels of the finished set."""
    steps: tuple[AuditStep, ...] = ()
    """From the surest rows to the largest part."""
    classes: tuple[ClassLimit, ...] = ()
    first: int = 0
    """The items that people look at before the sample, for the sake of a class."""
    expected_items: int = 0
    """The accepted rows if the expectation is right, with those that are audited."""
    expected_spared: int = 0

    @property
    def allowed(self) -> int:
        """The number of labels that may be wrong."""
        return int(self.max_error * self.total + 1e-9)


@dataclass(frozen=True, slots=True)
class SetVerdict(AuditVerdict):
    """The result of an audit of a set so far, for the step that will spare most labels."""

    threshold: float = 1.0
    """Least probability of an accepted prediction."""
    items: int = 0
    """The accepted rows, with those of them that were audited."""
    spared: int = 0
    """The labels that it spares now, or will spare."""
    ready: int = 0
    """The labels that are certified to be spared already now."""
    fill: float = 0.0
    """The share of its labels that the audit has: 1 once it certifies."""
    left_to_look: int = 0
    """The items that people must look at before the sample can certify; `more` includes them."""


@dataclass(frozen=True, slots=True)
class AuditSample:
    """The labelled rows of the sample, in the order in which they were drawn."""

    confidence: Numbers
    wrong: Mask
    has: Mask
    """(n, K) True for rows of each class that has a limit; a skip may be of any class."""
    missed: Mask
    """(n, K) True for rows of each of these classes that are predicted otherwise."""

    def __len__(self) -> int:
        return len(self.wrong)


# --- planning


@dataclass(frozen=True, slots=True)
class UnlabelledRows:
    """The rows without a label, or a uniform sample of them."""

    sure: Numbers
    """(m,) how sure the model is of each."""
    chances: tuple[Numbers, ...] = ()
    """(m,) the probability of each class with a limit."""
    said: tuple[Mask, ...] = ()
    """(m,) True if such a class is predicted."""
    columns: tuple[int, ...] = ()
    """The places of these classes among all."""
    scale: float = 1.0
    """The open rows for each of these."""

    def sampled(self, limits: Sequence[ClassLimit]) -> Mask:
        """Return which rows the sample is drawn from: those that people do not look at first."""
        open_ = np.ones(len(self.sure), bool)
        for limit, chance in zip(limits, self.chances, strict=True):
            open_ &= chance < limit.look
        return open_

    def with_shares(
        self, limits: Sequence[ClassLimit], part: Mask, drawn: DrawnLabels
    ) -> Iterator[ClassLimit]:
        """Yield the limits with the shares of a part of the rows that each is to concern."""
        count = max(int(part.sum()), 1)
        return (
            replace(
                limit,
                missed=float(chance[part & ~said].sum()) / count * _correction(limit, c, drawn),
                right=float(chance[part & said].sum()) / count,
            )
            for limit, c, chance, said in zip(
                limits, self.columns, self.chances, self.said, strict=True
            )
        )


def _correction(limit: ClassLimit, c: int, drawn: DrawnLabels) -> float:
    """Return the missed items of class c among the drawn labels, for each that is expected.

    Only labels that people would not have looked at first count, and one more on either side.
    """
    targets = drawn.targets
    chance = targets.class_proba(drawn.proba, c)
    asked = drawn.random & (chance < limit.look) & ~targets.predicted_as(drawn.proba, c)
    found = float(targets.having(drawn.y, c)[asked].sum())
    return (found + 1) / (float(chance[asked].sum()) + 1)


def plan_set_audit(
    rows: UnlabelledRows,
    drawn: DrawnLabels,
    total: int,
    *,
    max_error: float,
    level: float = 0.95,
    attempt: int = 1,
    limits: Sequence[ClassLimit] = (),
) -> SetPlan | None:
    """Find the steps that spare most labels; None if no audit is worthwhile.

    `total` is the number of labels of the finished set. `limits` are those of the classes of
    `rows`; all whose `look` is 0 get the one that spares most labels.
    """
    blank = SetPlan(
        0.0, 0, 0.0, 0, max_error, spent_alpha(1 - level, attempt), SET_BETS, total
    )  # fmt: skip
    free = any(not limit.look for limit in limits)
    plans = (
        _plan_steps(
            rows, [replace(limit, look=limit.look or look) for limit in limits], blank, drawn
        )
        for look in (_LOOKS if free else (NO_LOOK,))
    )
    return max((plan for plan in plans if plan and _worth(plan) > 0), key=_worth, default=None)


def _worth(plan: SetPlan) -> float:
    """Return the labels that a plan spares, less a part of those that it asks for."""
    return plan.expected_spared - GAIN_TO_GO_ON * (plan.first + plan.expected_audit)


def _plan_steps(
    rows: UnlabelledRows, limits: Sequence[ClassLimit], plan: SetPlan, drawn: DrawnLabels
) -> SetPlan | None:
    """Return the plan whose best step spares most labels, for classes with these limits."""
    open_, scale = rows.sampled(limits), rows.scale
    first = round(float((~open_).sum()) * scale)
    known = [
        limit.known + float(chance[~open_].sum()) * scale
        for limit, chance in zip(limits, rows.chances, strict=True)
    ]
    best: tuple[float, AuditStep, float] = (0.0, AuditStep(0.0, 0, 0.0), 0.0)
    least, tried = plan.allowed + MIN_SPARED, TRIED_STEPS if not limits else STEPS
    for step in _make_steps(rows.sure[open_], drawn, scale, least, tried):
        share = _step_ahead(np.zeros(0, bool), step, plan) / step.size
        shared = rows.with_shares(limits, open_ & (rows.sure >= step.threshold), drawn)
        for limit, count in zip(shared, known, strict=True):
            share = max(share, _expected_class_share(limit, count, step.size, plan))
            if share >= 1:
                break
        spared = step.size * (1 - share)
        worth = max(MIN_SPARED, GAIN_TO_GO_ON * share * step.size)
        if spared >= worth and spared > best[0]:
            best = spared, step, share
    spared, step, share = best
    if not step.size:
        return None
    # A limit on a class is tested on the whole sample: it is no larger than it must be.
    room = step.size if limits else ROOM * step.size
    top = np.sort(rows.sure[open_])[::-1][min(round(room / scale), int(open_.sum())) - 1]
    largest = open_ & (rows.sure >= min(float(top), step.threshold))
    steps = _make_steps(rows.sure[largest], drawn, scale, max(1, plan.allowed), STEPS)
    return replace(
        plan,
        threshold=steps[-1].threshold, size=steps[-1].size, expected_error=step.expected_error,
        expected_audit=int(np.ceil(share * steps[-1].size)), steps=tuple(steps), first=first,
        classes=tuple(rows.with_shares(limits, largest, drawn)), expected_items=step.size,
        expected_spared=int(spared),
    )  # fmt: skip


def _make_steps(
    sure: Numbers, drawn: DrawnLabels, scale: float, least: int, count: int
) -> list[AuditStep]:
    """Return steps of evenly spaced sizes, from `least` rows to all of them."""
    order = np.sort(sure)[::-1]
    if not len(order):
        return []
    sizes = np.linspace(min(least / scale, len(order)), len(order), count).round().astype(int)
    thresholds = np.unique(order[np.maximum(sizes, 1) - 1])[::-1]
    rest = round(len(order) * scale)
    return [
        AuditStep(
            float(threshold),
            round(float((order >= threshold).sum()) * scale),
            expected_error(sure, drawn, rest, float(threshold)),
        )
        for threshold in thresholds
    ]


def _expected_class_share(limit: ClassLimit, known: float, size: int, plan: SetPlan) -> float:
    """Return the share of a sample that the promise on a class takes."""
    claim = limit.limit * (known + size) + _STRICTLY
    found = _labels_ahead(
        np.zeros(0), limit.missed, limit.right, limit.limit, claim, size, plan
    )  # fmt: skip
    return found / size


# --- judging


def judge_set_audit(
    sample: AuditSample,
    plan: SetPlan,
    known: Sequence[int],
    left_to_look: int = 0,
    ends: bool = False,
) -> SetVerdict:
    """Judge an audit of a set by the rows of its sample that have a label, in their order.

    `known` has the items of each class with a limit that people labelled outside the sample;
    `left_to_look` of those that they look at first have no answer yet. With `ends` it certifies
    what it can by now, also if more labels would pay: the certificate holds whenever it is taken.
    """
    if left_to_look:  # the limits on classes are not known before
        return _planned_verdict(sample, plan, left_to_look)
    share, refuted = 0.0, True
    now = target = (0.0, 0.0, plan.steps[0])  # what is spared, the share asked, and the step
    for step in plan.steps:
        inside = sample.confidence >= step.threshold
        needs = [(int(inside.sum()), _step_ahead(sample.wrong[inside], step, plan), step.size)]
        for k, count in enumerate(known):
            needs.append((len(sample), _class_ahead(sample, inside, plan, k, count), plan.size))
        share = max(share, *((seen + more) / size for seen, more, size in needs))
        refuted &= not any(more for _, more, _ in needs)
        spared = step.size - needs[0][0] if refuted else step.size * (1 - share)
        now = (spared, share, step) if refuted else now
        target = (spared, share, step) if spared >= target[0] else target
    more = max(int(np.ceil(target[1] * plan.size)) - len(sample), 0)
    done = now[0] >= MIN_SPARED and (ends or target[0] - now[0] < max(1.0, GAIN_TO_GO_ON * more))
    spared, _, step = now if done else target
    hopeless = not done and spared < MIN_SPARED
    return SetVerdict(
        audited=len(sample), wrong=int(sample.wrong.sum()), certified=done,
        bound=plan.allowed / plan.total if done else 1.0,
        more=None if done or hopeless else max(more, 1),
        threshold=step.threshold, items=step.size, spared=int(spared), ready=int(now[0]),
        fill=1.0 if done else (plan.first + len(sample)) / max(plan.first + len(sample) + more, 1),
    )  # fmt: skip


def _planned_verdict(sample: AuditSample, plan: SetPlan, left_to_look: int) -> SetVerdict:
    """Return the verdict before people have looked at all items that come before the sample."""
    more = left_to_look + max(plan.expected_audit - len(sample), 0)
    done = plan.first - left_to_look + len(sample)
    return SetVerdict(
        audited=len(sample), wrong=int(sample.wrong.sum()), certified=False, bound=1.0, more=more,
        threshold=plan.threshold, items=plan.expected_items, spared=plan.expected_spared,
        fill=done / (done + more), left_to_look=left_to_look,
    )  # fmt: skip


def _step_ahead(wrong: Mask, step: AuditStep, plan: SetPlan) -> int:
    """Return how many further rows of a step must be drawn; 0 once its claim is refuted."""
    rate = (wrong.sum() + ERROR_PRIOR * step.expected_error) / (len(wrong) + ERROR_PRIOR)
    return _labels_ahead(
        wrong.astype(float), float(rate), 0.0, 0.0, plan.allowed + 1, step.size, plan
    )


def _class_ahead(sample: AuditSample, inside: Mask, plan: SetPlan, k: int, known: int) -> int:
    """Return how many further rows of the sample the promise on a class needs at a step."""
    limit = plan.classes[k]
    missed = sample.missed[:, k] & inside
    right = sample.has[:, k] & ~missed
    values = np.where(missed, 1.0, np.where(right, 0.0, limit.limit))
    weight = len(sample) + ERROR_PRIOR
    return _labels_ahead(
        values,
        float(missed.sum() + ERROR_PRIOR * limit.missed) / weight,
        float(right.sum() + ERROR_PRIOR * limit.right) / weight,
        limit.limit,
        limit.limit * (known + plan.size) + _STRICTLY,
        plan.size,
        plan,
    )


def _labels_ahead(
    values: Numbers,
    wrong: float,
    right: float,
    usual: float,
    claim: float,
    size: int,
    plan: SetPlan,
) -> int:
    """Return the labels until "`size` values add up to `claim`" is refuted, after these `values`.

    A share `wrong` of the further ones is expected to be 1, a share `right` 0, and others `usual`.
    It is 0 if the claim was refuted at any time, and all rows that are left if none is enough.
    """
    left = size - len(values)
    if claim > size:
        return 0
    ones, zeros = (
        spread_evenly(wrong, min(left, MOST_AHEAD)),
        spread_evenly(right, min(left, MOST_AHEAD)),
    )
    ahead = np.where(ones, 1.0, np.where(zeros, 0.0, usual))
    stakes = log_stakes(np.append(values, ahead), claim, size, plan.bets)
    enough = stakes >= np.log(1 / plan.alpha) - 1e-9
    if enough[: len(values)].any():
        return 0
    found = enough[len(values) :]
    return int(found.argmax()) + 1 if found.any() else left
