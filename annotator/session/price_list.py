"""The price list of `finish`: what each promise would cost and spare, for several errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.items.ref_table import RefTable
from annotator.items.refs import format_duration
from annotator.learn.audit import plan_audit
from annotator.learn.set_audit import UnlabelledRows, plan_set_audit
from annotator.log.entries import LogState, label_seconds
from annotator.session.predict import FittedProject, drawn_labels, predict_pieces, unlabelled_rows

ACCEPTED, SET = "accepted", "set"
"""The two promises: on the labels of the model that are accepted, and on the whole finished set."""
OFFERED_ERRORS = (0.01, 0.02, 0.05, 0.1)
USUAL_SECONDS = 2.0  # a label, while no pace is known
MOST_ROWS = 20_000  # open items whose predictions a price list rests on
_HEADS = {
    SET: "The finished set, if you label the rest (--of set), at an error of:",
    ACCEPTED: "The labels that the model gives (--of accepted), at an error of:",
}


@dataclass(frozen=True, slots=True)
class AuditOffer:
    """The result of an audit for one error; all numbers are 0 if it is not worthwhile."""

    max_error: float
    items: int = 0
    """The items that the model would label or the audit ask."""
    audited: int = 0
    """The labels that the audit takes if the expectation is right."""
    spared: int = 0
    left: int = 0
    """The labels that are left for people in all, if they label the rest."""


@dataclass(frozen=True, slots=True)
class PriceList:
    """The offers of both promises, for the labels of one moment."""

    open: int = 0
    """The items without a label of a person."""
    accepted: tuple[AuditOffer, ...] = ()
    whole: tuple[AuditOffer, ...] = ()
    """The offers of the promise on the whole set."""
    seconds: float | None = None
    """The pace of the annotators, in seconds a label; None while it is not known."""
    attempt: int = 1
    """The number of the audit that these prices are of."""

    @property
    def head(self) -> str:
        """The items that the prices are for, and the audit if it is not the first."""
        number = f" (audit {self.attempt}: each costs more)" if self.attempt > 1 else ""
        return f"for {self.open:,} open items{number}:"

    def as_dict(self) -> dict[str, Any]:
        """Return the list as JSON writes it."""
        return {
            "offers": [asdict(offer) for offer in self.accepted],
            "set_offers": [asdict(offer) for offer in self.whole],
            "seconds_per_label": self.seconds,
        }


@dataclass(frozen=True, slots=True)
class OpenPool:
    """The state of a pool at one moment, as far as a price list needs it."""

    open: NDArray[np.bool_]
    """(n,) True for the items without a label."""
    total: int
    """The labels that the finished set will have: all items but the skipped ones."""
    attempt: int
    """The number of the next audit."""
    machine: bool
    """True if labels of a model stand."""
    seconds: float | None
    """The pace of the annotators, in seconds a label; None while it is not known."""

    @classmethod
    def of(cls, refs: RefTable, state: LogState) -> OpenPool:
        """Read the state of a pool."""
        last = [stack[-1] for stack in state.standing.values()]
        audits = {entry.audit or "" for entry in last}
        numbers = [int(name[7:]) for name in audits if re.fullmatch(r"finish-\d+", name)]
        return cls(
            unlabelled_rows(refs, state),
            count_set_labels(refs, state),
            max(numbers, default=0) + 1,
            any(entry.by_machine for entry in last),
            label_seconds(state),
        )


def price_list(
    fitted: FittedProject,
    pool: OpenPool,
    *,
    max_error: float | None = None,
    level: float = 0.95,
) -> PriceList:
    """Return what a new audit would spare for 1, 2, 5 and 10 % error, and for `max_error`.

    The whole set has no offer while labels of a model stand: they would have to be tested, too.
    """
    rows = read_open_rows(fitted, pool.open, most=MOST_ROWS)
    size, drawn = round(len(rows.sure) * rows.scale), drawn_labels(fitted)
    if not size:
        return PriceList()
    accepted, whole = [], []
    for limit in sorted({*OFFERED_ERRORS, max_error or OFFERED_ERRORS[0]}):
        plan = plan_audit(
            rows.sure, drawn, size, max_error=limit, level=level, attempt=pool.attempt
        )  # fmt: skip
        accepted.append(AuditOffer(limit, left=size) if plan is None else AuditOffer(
            limit, plan.size, plan.expected_audit, spared := plan.size - plan.expected_audit,
            size - spared,
        ))  # fmt: skip
        if pool.machine:
            continue
        made = plan_set_audit(
            rows, drawn, pool.total, max_error=limit, level=level, attempt=pool.attempt
        )  # fmt: skip
        whole.append(AuditOffer(limit, left=size) if made is None else AuditOffer(
            limit, made.expected_items, made.first + made.expected_audit, made.expected_spared,
            size - made.expected_spared,
        ))  # fmt: skip
    return PriceList(size, tuple(accepted), tuple(whole), pool.seconds, pool.attempt)


def read_open_rows(
    fitted: FittedProject,
    open_: NDArray[np.bool_],
    classes: Sequence[int] = (),
    most: int | None = None,
) -> UnlabelledRows:
    """Return what the model says of the items of `open_` (n,) that have features, and of `classes`.

    Of more than `most` items it is a uniform sample.
    """
    places = np.flatnonzero(open_)
    if most is not None and len(places) > most:
        chosen = np.random.default_rng(0).choice(places, most, replace=False)
        open_ = np.zeros(len(open_), bool)
        open_[chosen] = True
    targets = fitted.model.targets
    sure = [np.zeros(0)]
    chances: list[list[NDArray[np.float64]]] = [[np.zeros(0)] for _ in classes]
    said: list[list[NDArray[np.bool_]]] = [[np.zeros(0, bool)] for _ in classes]
    for _, proba in predict_pieces(fitted, open_):
        sure.append(targets.confidence(proba))
        for place, c in enumerate(classes):
            chances[place].append(targets.class_proba(proba, c))
            said[place].append(targets.predicted_as(proba, c))
    return UnlabelledRows(
        np.concatenate(sure),
        tuple(map(np.concatenate, chances)),
        tuple(map(np.concatenate, said)),
        tuple(classes),
        len(places) / max(1, int(open_.sum())),
    )


def count_set_labels(refs: RefTable, state: LogState) -> int:
    """Return the labels that the finished set will have: all items but the skipped ones."""
    skipped = [ref for ref in state.standing if state.label(ref) is None]
    return len(refs) - int((refs.rows(skipped) >= 0).sum())


def price_lines(prices: PriceList, seconds: float | None = None) -> list[str]:
    """Return the list, one line for each error; without a known pace at 2 s a label."""
    seconds = seconds or prices.seconds or USUAL_SECONDS
    lines = [f"At {seconds:.1f} s a label, {prices.head}"]
    for name, offers in ((SET, prices.whole), (ACCEPTED, prices.accepted)):
        if offers:
            lines += [_HEADS[name], *(offer_line(offer, seconds) for offer in offers)]
    return lines


def offer_line(offer: AuditOffer, seconds: float) -> str:
    """Return the price of one promise."""
    head = f"  {100 * offer.max_error:>4g} %"
    if not offer.spared:
        return f"{head}: not worth it"
    return (
        f"{head}: {offer.left:,} labels for you, {offer.audited:,} of them audited, "
        f"{format_duration(offer.left * seconds)}; {offer.spared:,} spared "
        f"({format_duration(offer.spared * seconds)})"
    )
