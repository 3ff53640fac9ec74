"""Accept the model's labels for a set of items that an audit certifies.

The model is frozen at one row of the log, a confidence threshold is chosen, and items above it
are drawn at random and labelled without sight of the prediction. `annotator.learn.audit` judges
the audit; this module stores it, resumes it and writes its labels to the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.curate.audit_attempts import (
    AuditAttempt,
    AuditLog,
    EntrySource,
    attempts_file,
    keep_attempt,
)
from annotator.curate.audit_risks import ClassRisk, classes_at_risk
from annotator.errors import ProjectError
from annotator.items.refs import make_printable, shell_quoted
from annotator.learn.audit import (
    AuditShortfall,
    AuditVerdict,
    audit_order,
    explain_shortfall,
    judge_audit,
    labels_ahead,
    plan_audit,
    plan_next_attempt,
    spent_alpha,
)
from annotator.learn.error_estimate import DrawnLabels
from annotator.learn.set_audit import SetPlan
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.log.store.protocol import Store
from annotator.project.project import ProjectFolder
from annotator.session.mode import AuditMeter
from annotator.session.predict import (
    FittedProject,
    drawn_labels,
    fit,
    predict_pieces,
    unlabelled_rows,
)
from annotator.session.price_list import MOST_ROWS, OpenPool, PriceList, price_list

NOTHING_OPEN = "There is no unlabelled item with features for the model to label."
_WRITTEN_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Audit:
    """An attempt with the predictions that it audits."""

    attempt: AuditAttempt
    project: ProjectFolder
    model: str
    accepted: dict[str, tuple[str, float]]
    """Ref to predicted label and probability, in the random order of the audit."""
    risks: tuple[ClassRisk, ...] = ()
    """The rare classes that the accepted labels may lose."""

    def is_lost(self, state: LogState, ref: str) -> bool:
        """Return whether nothing more is asked, now that `ref` has an answer."""
        return self.verdict(state).more is None

    def verdict(self, state: LogState) -> AuditVerdict:
        """Judge the audit by the labels so far. A skipped item counts as wrong."""
        wrong = [not self.is_right(last.ref, last.label) for last in self.audited(state)]
        return judge_audit(wrong, self.attempt.plan)

    def audited(self, state: LogState) -> list[Entry]:
        """Return the decisions that count on the items drawn so far, in the order of the audit."""
        found = [(first, s[-1]) for s in state.standing.values() if (first := self._first(s))]
        found.sort(key=lambda pair: pair[0].seq)
        return [last for _, last in found]

    def meter(self, state: LogState) -> AuditMeter:
        """Return how far the audit is; it sinks with each wrong label."""
        found = self.verdict(state)
        counts = f"{found.audited:,} audited, {found.wrong:,} wrong"
        if found.certified:
            words = f"{counts}: certified, error ≤ {found.bound:.2%}."
            return AuditMeter(1.0, words, found.audited, 0)
        offer = f" {self.next_offer(state, found)}".rstrip()
        if found.more is None:
            return AuditMeter(0.0, f"{counts}: given up.{offer}")
        share = found.audited / (found.audited + found.more)
        words = f"{counts}; {found.more:,} more certify, which spares {self.spared(found):,}."
        return AuditMeter(share, words + offer, found.audited, found.more)

    def next_offer(self, state: LogState, found: AuditVerdict) -> str:
        """Return the price of a new attempt with a higher threshold; "" if it spares no more.

        It spends confidence of its own, so it must refute more errors than this audit.
        """
        if not found.wrong:
            return ""
        drawn, plan = self.audited(state), self.attempt.plan
        wrong = np.array([not self.is_right(last.ref, last.label) for last in drawn], bool)
        asked = np.array([self.accepted[last.ref][1] for last in drawn], float)
        open_ = (p for ref, (_, p) in self.accepted.items() if ref not in state.standing)
        sure = np.array([*islice(open_, MOST_ROWS)], float)  # they are in random order: a sample
        rest = plan.size - len(drawn)
        alpha = spent_alpha(1 - self.attempt.level, self.attempt.number + 1)
        other = plan_next_attempt(sure, rest, asked, wrong, plan, alpha)
        if other is None:
            return ""
        spared = other.size - other.expected_audit
        left = rest - labels_ahead(wrong, plan)
        if found.more is not None and spared <= left:
            return ""
        return (
            f"Better by now: a new attempt at p ≥ {other.threshold:.3f}, about "
            f"{other.expected_audit:,} labels, which spares {spared:,} (--new-attempt)."
        )

    def is_right(self, ref: str, label: str | None) -> bool:
        """Return whether the predicted class is the label, or a kind of it."""
        predicted = self.accepted[ref][0]
        return label is not None and self.project.settings.tree.is_within(predicted, label)

    def refs_to_ask(self, state: LogState) -> list[str]:
        """Return the refs to label next: enough to certify if the model is right on all of them."""
        found = self.verdict(state)
        return list(islice(self.askable(state), found.audited + (found.more or 0)))

    def askable(self, state: LogState) -> Iterator[str]:
        """Yield all refs that the audit may ask, or has asked, in its random order."""
        # An item that was labelled outside the audit meanwhile no longer needs the model's label.
        return (ref for ref in self.accepted if self._askable(state.standing.get(ref, [])))

    def asked_first(self, state: LogState) -> tuple[str, ...]:
        """Return the refs to ask before those of the sample."""
        return ()

    def _askable(self, stack: list[Entry]) -> bool:
        return not stack or self._first(stack) is not None

    def accept(self, store: Store, state: LogState, at: float) -> int:
        """Write the model's labels for accepted items without a label; return their number.

        They are written in groups of 5,000, each group complete or not at all. After a crash, call
        it again.
        """
        proof = self.verdict(state)
        if not proof.certified:
            raise ProjectError("The audit has not certified the model's labels yet.")
        extra = self.certificate(state, proof)
        entries = (
            Entry(
                0,
                at,
                f"model:{self.model}",
                Action.LABEL,
                ref,
                label,
                proba={label: probability},
                model=self.model,
                picked_by="finish",
                extra=extra,
            )  # fmt: skip
            for ref, (label, probability) in self.certified_labels(state, proof)
        )
        count = 0
        while group := list(islice(entries, _WRITTEN_AT_ONCE)):
            count += len(store.append(*group))
        return count

    def certificate(self, state: LogState, proof: AuditVerdict) -> dict[str, Any]:
        """Return what the `extra` of each label of the model says of the certificate."""
        return {
            "machine": True, "audit": self.attempt.name, "max_error": self.attempt.plan.max_error,
            "level": self.attempt.level, "bound": proof.bound, "audited": proof.audited,
        }  # fmt: skip

    def certified_labels(
        self, state: LogState, proof: AuditVerdict
    ) -> Iterator[tuple[str, tuple[str, float]]]:
        """Yield the items that get the model's label, with it and its probability."""
        return ((ref, found) for ref, found in self.accepted.items() if state.label(ref) is None)

    def spared(self, proof: AuditVerdict) -> int:
        """Return the labels that the audit will spare if it finds no further error."""
        return self.attempt.plan.size - proof.audited - (proof.more or 0)

    def promise_dict(self, state: LogState, proof: AuditVerdict) -> dict[str, Any]:
        """Return what JSON says of the promise, beside the plan and the verdict."""
        return {"of": "accepted"}

    def result_lines(self, state: LogState, proof: AuditVerdict, accepted: int | None) -> list[str]:
        """Return the result so far; `accepted` labels were written, or None if none were to be."""
        lines = describe_audit(self, proof, accepted)
        if not proof.certified and (offer := self.next_offer(state, proof)):
            lines.append(offer)
        return lines

    def _first(self, stack: list[Entry]) -> Entry | None:
        """Return the first decision on an item in this audit; a later one may have corrected it."""
        if stack[-1].ref not in self.accepted:
            return None
        name = self.attempt.name
        ours = (e for e in stack if (e.extra or {}).get("audit") == name and not e.by_machine)
        return next(ours, None)


def describe_audit(audit: Audit, verdict: AuditVerdict, accepted: int | None) -> list[str]:
    """Return the result of an audit so far, with the command that continues it."""
    plan, level = audit.attempt.plan, audit.attempt.level
    items = f"{plan.size:,} items at p ≥ {plan.threshold:.3f}"
    folder = shell_quoted(audit.project.folder)
    again = f"annotator finish {folder} --max-error {plan.max_error:g} --confidence {level:g}"
    if verdict.certified:
        done = "" if accepted is None else f"{accepted:,} labels accepted; "
        return [
            f"{done}{items}: error ≤ {verdict.bound:.2%} with {level:.0%} confidence, "
            f"{verdict.audited:,} audited, {verdict.wrong:,} of them wrong"
        ]
    if verdict.more is None:
        return [
            f"{items}: {verdict.wrong:,} of {verdict.audited:,} audited were wrong. The audit is "
            f"given up: an error of {100 * plan.max_error:g} % will hardly be certified. Now it is "
            f"at most {verdict.bound:.1%}.",
            "The audit's labels are kept, and the model learns from them. Start a new attempt "
            f"with a higher threshold and fewer items:\n  {again}",
            f"Or allow a larger error: --max-error {min(0.5, 1.2 * verdict.bound):.2g}",
        ]
    outlook = ""
    if verdict.audited < plan.expected_audit:
        outlook = (
            f". With the expected {plan.expected_error:.1%} wrong, the audit takes about "
            f"{plan.expected_audit:,} in all"
        )
    return [
        f"{items}: {verdict.audited:,} audited, {verdict.wrong:,} wrong; {verdict.more:,} more "
        f"without an error will certify them{outlook}. Continue:\n  {again}"
    ]


def begin_audit(
    project: ProjectFolder,
    store: EntrySource,
    *,
    max_error: float,
    level: float,
    keep: bool = True,
    anew: bool = False,
) -> Audit:
    """Resume the audit with this error and level, or plan a new one.

    Without `keep` a new plan is not stored. A plan without labels spends no confidence; the next
    plan replaces it. With `anew` no audit is resumed.

    Raises `ProjectError` if no threshold saves any labels, or if the project changed since the
    audit began; `FeatureError` without features.
    """
    log = AuditLog.read(store)
    state, begun = log.state, log.begun(project)
    refuse_beside_set(project, state)
    same = [
        a
        for a in begun
        if (a.plan.max_error, a.level) == (max_error, level) and not isinstance(a.plan, SetPlan)
    ]
    for attempt in [] if anew else same[-1:]:
        audit = _reopen_audit(project, store, attempt)
        found = audit.verdict(state)
        if found.certified or found.more is not None:
            return audit
    attempt = _plan_attempt(project, state, log.next_number(), max_error, level)
    if keep:
        keep_attempt(project, begun, attempt)
    return _reopen_audit(project, store, attempt)


def audit_prices(
    project: ProjectFolder, state: LogState, *, max_error: float, level: float
) -> PriceList:
    """Return the price list: what a new audit would spare for each error.

    Raises as `begin_audit` does, but not if no audit is worthwhile.
    """
    fitted = fit(project, state)
    pool = OpenPool.of(fitted.refs, state)
    found = price_list(fitted, pool, max_error=max_error, level=level)
    if not found.open:
        raise ProjectError(NOTHING_OPEN)
    return found


def refuse_beside_set(project: ProjectFolder, state: LogState, own: str = "") -> None:
    """Raise `ProjectError` if labels stand that a promise on the whole set does not allow.

    Labels of the model beside a set that is certified would break its promise.
    """
    standing = (s[-1] for s in state.standing.values() if s[-1].by_machine)
    if any((e.extra or {}).get("of") == "set" and e.audit != own for e in standing):
        raise ProjectError(
            "A certificate of the whole set stands: it holds only if people label the rest.\n"
            f"  Label the rest: annotator run {shell_quoted(project.folder)}\n"
            f"  Or take the model's labels back: annotator finish {shell_quoted(project.folder)} "
            "--take-back"
        )


def _plan_attempt(
    project: ProjectFolder, state: LogState, number: int, max_error: float, level: float
) -> AuditAttempt:
    fitted = fit(project, state)
    confidence, drawn = _pool_opinion(fitted, state)
    size = len(confidence)
    found = plan_audit(confidence, drawn, size, max_error=max_error, level=level, attempt=number)
    if found is None:
        why = explain_shortfall(
            confidence, drawn, size, max_error=max_error, level=level, attempt=number
        )
        raise ProjectError(_explain_no_plan(project, why, size, len(drawn.y), max_error))
    return AuditAttempt(number, state.seq, level, found, fitted.classes, len(fitted.refs))


def _pool_opinion(
    fitted: FittedProject, state: LogState
) -> tuple[NDArray[np.floating], DrawnLabels]:
    """Return how sure the model is of each unlabelled item, and its labels."""
    wanted = unlabelled_rows(fitted.refs, state)
    sure = fitted.model.targets.confidence
    confidence = [sure(proba) for _, proba in predict_pieces(fitted, wanted)]
    if not confidence:
        raise ProjectError(NOTHING_OPEN)
    return np.concatenate(confidence), drawn_labels(fitted)


def _explain_no_plan(
    project: ProjectFolder, why: AuditShortfall, size: int, labels: int, max_error: float
) -> str:
    """Return a message with the obstacle to a certificate and the ways around it."""
    folder = shell_quoted(project.folder)
    message = (
        f"An audit at {100 * max_error:g} % error is not worthwhile: it would spare few labels or "
        f"none, for any part of the {size:,} unlabelled items.\n  "
    )
    if not why.surest:
        message += (
            f"Even an audit that finds no error takes {why.least_audit:,} labels.\n"
            f"  Label all {size:,} items: annotator run {folder}"
        )
    else:
        message += (
            f"The model is expected to be wrong on {why.error:.1%} of the {why.surest:,} items "
            f"that it is surest of; even an audit that finds no error takes "
            f"{why.least_audit:,} labels.\n  Label more items first"
        )
        if why.labels is not None and labels < why.labels < labels + size:
            message += f", perhaps {why.labels - labels:,}, to improve the model"
        message += f": annotator run {folder}"
    if (other := why.other) is not None:
        message += (
            f"\n  Or allow a larger error: --max-error {other.max_error:g} would accept "
            f"{other.size:,} items for about {other.expected_audit:,} labels, and spare "
            f"{other.size - other.expected_audit:,}."
        )
    return message


def _reopen_audit(project: ProjectFolder, store: EntrySource, attempt: AuditAttempt) -> Audit:
    state = replay(entry for entry in store.entries() if entry.seq <= attempt.seq)
    fitted = fit(attempt.settled(project), state)
    found: dict[str, tuple[str, float]] = {}
    targets = fitted.model.targets
    expected, lost, rest = np.zeros(len(fitted.classes)), np.zeros(len(fitted.classes)), 0
    open_ = attempt.known_rows(unlabelled_rows(fitted.refs, state))
    for rows, proba in predict_pieces(fitted, open_):
        rest += len(rows)
        expected += proba.sum(axis=0)
        confidence = targets.confidence(proba)
        sure = confidence >= attempt.plan.threshold
        lost += np.where(targets.one_hot(proba[sure]), 0, proba[sure]).sum(axis=0)
        labels = zip(fitted.labels(proba[sure]), confidence[sure].tolist(), strict=True)
        found |= zip(map(fitted.refs.__getitem__, rows[sure].tolist()), labels, strict=True)
    accepted = draw_order(project, attempt, found)
    risks = classes_at_risk(
        fitted.classes,
        drawn_labels(fitted),
        attempt.plan,
        rest,
        expected,
        lost,
    )
    return Audit(attempt, project, fitted.model.name, accepted, risks)


def draw_order(
    project: ProjectFolder, attempt: AuditAttempt, found: dict[str, tuple[str, float]]
) -> dict[str, tuple[str, float]]:
    """Return what an attempt would accept in the random order of its audit.

    Raises `ProjectError` if it is not what was planned.
    """
    if len(found) != attempt.plan.size:
        raise ProjectError(
            f"The features or refs of {make_printable(str(project.folder))} changed since the "
            f"audit began: it would accept {len(found):,} items, not {attempt.plan.size:,}. "
            f"Restore them, or start a new audit: rm {shell_quoted(attempts_file(project))}"
        )
    refs = list(found)
    order = audit_order(np.arange(len(refs)), project.settings.seed + attempt.number)
    return {refs[i]: found[refs[i]] for i in order}


def undo_machine_labels(store: Store, state: LogState, annotator: str, at: float) -> int:
    """Undo every label that a model gave; return their number."""
    machine = [s[-1] for s in state.standing.values() if s[-1].by_machine]
    entries = (
        Entry(0, at, annotator, Action.UNDO, entry.ref, extra={"undoes": entry.seq})
        for entry in machine
    )
    while group := list(islice(entries, _WRITTEN_AT_ONCE)):
        store.append(*group)
    return len(machine)
