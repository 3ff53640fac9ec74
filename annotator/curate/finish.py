"""Accept the model's labels for a set of items that an audit certifies.

The model is frozen at one row of the log, a confidence threshold is chosen, and items above it
are drawn at random and labelled without sight of the prediction. `annotator.learn.audit` judges
the audit; this module stores it, resumes it and writes its labels to the log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.curate.audit_offers import AuditOffer, ClassRisk, classes_at_risk, list_offers
from annotator.errors import ProjectError
from annotator.items.atomic import read_file, write_atomically
from annotator.items.json_text import parse_json
from annotator.items.refs import make_printable, shell_quoted
from annotator.learn.audit import (
    AuditPlan,
    AuditShortfall,
    AuditVerdict,
    audit_order,
    explain_shortfall,
    judge_audit,
    plan_audit,
)
from annotator.learn.error_estimate import DrawnLabels
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.log.store import Store
from annotator.project.project import ProjectFolder
from annotator.session.predict import (
    FittedProject,
    drawn_labels,
    fit,
    predict_pieces,
    unlabelled_rows,
)

_WRITTEN_AT_ONCE = 5000


class _EntrySource(Protocol):
    """A store to read entries from."""

    def entries(self, after: int = 0) -> Iterator[Entry]: ...


@dataclass(frozen=True, slots=True)
class AuditAttempt:
    """An audit as finish.json stores it, complete enough to resume it later."""

    number: int
    seq: int
    """The last row of the log that the model was trained on."""
    level: float
    """The confidence level of the certificate."""
    plan: AuditPlan

    @property
    def name(self) -> str:
        """The name that marks the audit's labels in the log."""
        return f"finish-{self.number}"


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
        """Return whether the audit is given up, now that `ref` has an answer."""
        if self._is_right(ref, state.label(ref)):
            return False
        found = self.verdict(state)
        return not found.certified and found.more is None

    def verdict(self, state: LogState) -> AuditVerdict:
        """Judge the audit by the labels so far. A skipped item counts as wrong."""
        audited = [(first, s[-1]) for s in state.standing.values() if (first := self._first(s))]
        audited.sort(key=lambda pair: pair[0].seq)
        wrong = [not self._is_right(last.ref, last.label) for _, last in audited]
        return judge_audit(wrong, self.attempt.plan)

    def _is_right(self, ref: str, label: str | None) -> bool:
        """Return whether the predicted class is the label, or a kind of it."""
        predicted = self.accepted[ref][0]
        return label is not None and self.project.settings.tree.is_within(predicted, label)

    def refs_to_ask(self, state: LogState) -> list[str]:
        """Return the refs to label next: enough to certify if the model is right on all of them."""
        found = self.verdict(state)
        count = found.audited + (found.more or 0)
        # An item that was labelled outside the audit meanwhile no longer needs the model's label.
        drawn = (ref for ref in self.accepted if self._askable(state.standing.get(ref, [])))
        return list(islice(drawn, count))

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
        extra = {
            "machine": True, "audit": self.attempt.name, "max_error": self.attempt.plan.max_error,
            "level": self.attempt.level, "bound": proof.bound, "audited": proof.audited,
        }  # fmt: skip
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
            for ref, (label, probability) in self.accepted.items()
            if state.label(ref) is None
        )
        count = 0
        while group := list(islice(entries, _WRITTEN_AT_ONCE)):
            count += len(store.append(*group))
        return count

    def _first(self, stack: list[Entry]) -> Entry | None:
        """Return the first decision on an item in this audit; a later one may have corrected it."""
        if stack[-1].ref not in self.accepted:
            return None
        name = self.attempt.name
        ours = (e for e in stack if (e.extra or {}).get("audit") == name and not e.by_machine)
        return next(ours, None)


def begin_audit(
    project: ProjectFolder,
    store: _EntrySource,
    *,
    max_error: float,
    level: float,
    keep: bool = True,
) -> Audit:
    """Resume the audit with this error and level, or plan a new one.

    Without `keep` a new plan is not stored. A plan without labels spends no confidence; the next
    plan replaces it.

    Raises `ProjectError` if no threshold saves any labels, or if the project changed since the
    audit began; `FeatureError` without features.
    """
    state = replay(store.entries())
    begun = _begun_attempts(project, state)
    same = [a for a in begun if (a.plan.max_error, a.level) == (max_error, level)]
    for attempt in same[-1:]:
        audit = _reopen_audit(project, store, attempt)
        found = audit.verdict(state)
        if found.certified or found.more is not None:
            return audit
    attempt = _plan_attempt(project, state, _next_number(begun), max_error, level)
    if keep:
        _write_attempts(_attempts_file(project), [*begun, attempt])
    return _reopen_audit(project, store, attempt)


def audit_offers(
    project: ProjectFolder, state: LogState, *, max_error: float, level: float
) -> list[AuditOffer]:
    """Return the price list: what a new audit would spare for each error.

    Raises as `begin_audit` does, but not if no audit is worthwhile.
    """
    number = _next_number(_begun_attempts(project, state))
    confidence, drawn = _pool_opinion(fit(project, state), state)
    return list_offers(
        confidence, drawn, len(confidence), max_error=max_error, level=level, attempt=number
    )


def _begun_attempts(project: ProjectFolder, state: LogState) -> list[AuditAttempt]:
    used = {entry.audit for stack in state.standing.values() for entry in stack}
    return [attempt for attempt in _read_attempts(_attempts_file(project)) if attempt.name in used]


def _next_number(begun: Sequence[AuditAttempt]) -> int:
    return max((attempt.number for attempt in begun), default=0) + 1


def _plan_attempt(
    project: ProjectFolder, state: LogState, number: int, max_error: float, level: float
) -> AuditAttempt:
    confidence, drawn = _pool_opinion(fit(project, state), state)
    size = len(confidence)
    found = plan_audit(confidence, drawn, size, max_error=max_error, level=level, attempt=number)
    if found is None:
        why = explain_shortfall(
            confidence, drawn, size, max_error=max_error, level=level, attempt=number
        )
        raise ProjectError(_explain_no_plan(project, why, size, len(drawn.y), max_error))
    return AuditAttempt(number, state.seq, level, found)


def _pool_opinion(
    fitted: FittedProject, state: LogState
) -> tuple[NDArray[np.floating], DrawnLabels]:
    """Return how sure the model is of each unlabelled item, and its labels."""
    wanted = unlabelled_rows(fitted.refs, state)
    sure = fitted.model.targets.confidence
    confidence = [sure(proba) for _, proba in predict_pieces(fitted, wanted)]
    if not confidence:
        raise ProjectError("There is no unlabelled item with features for the model to label.")
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


def _reopen_audit(project: ProjectFolder, store: _EntrySource, attempt: AuditAttempt) -> Audit:
    state = replay(entry for entry in store.entries() if entry.seq <= attempt.seq)
    fitted = fit(project, state)
    found: dict[str, tuple[str, float]] = {}
    targets = fitted.model.targets
    expected, lost, rest = np.zeros(len(fitted.classes)), np.zeros(len(fitted.classes)), 0
    for rows, proba in predict_pieces(fitted, unlabelled_rows(fitted.refs, state)):
        rest += len(rows)
        expected += proba.sum(axis=0)
        confidence = targets.confidence(proba)
        sure = confidence >= attempt.plan.threshold
        lost += np.where(targets.one_hot(proba[sure]), 0, proba[sure]).sum(axis=0)
        labels = zip(fitted.labels(proba[sure]), confidence[sure].tolist(), strict=True)
        found |= zip(map(fitted.refs.__getitem__, rows[sure].tolist()), labels, strict=True)
    if len(found) != attempt.plan.size:
        raise ProjectError(
            f"The features or refs of {make_printable(str(project.folder))} changed since the "
            f"audit began: it would accept {len(found):,} items, not {attempt.plan.size:,}. "
            f"Restore them, or start a new audit: rm {shell_quoted(_attempts_file(project))}"
        )
    refs = list(found)
    order = audit_order(np.arange(len(refs)), project.settings.seed + attempt.number)
    risks = classes_at_risk(
        fitted.classes,
        drawn_labels(fitted),
        attempt.plan,
        rest,
        expected,
        lost,
    )
    accepted = {refs[i]: found[refs[i]] for i in order}
    return Audit(attempt, project, fitted.model.name, accepted, risks)


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


def _attempts_file(project: ProjectFolder) -> Path:
    return project.folder / "finish.json"


def _read_attempts(file: Path) -> list[AuditAttempt]:
    try:
        tables = parse_json(read_file(file))["attempts"]
        return [_parse_attempt(table) for table in tables]
    except FileNotFoundError:
        return []
    except OSError as error:
        why = str(error.strerror)
    except (ValueError, KeyError, TypeError, AttributeError):
        why = "it is not a list of audits"
    raise ProjectError(
        f"{make_printable(str(file))} cannot be read: {why}. Start a new audit: "
        f"mv {shell_quoted(file)} {shell_quoted(file)}.moved"
    )


def _parse_attempt(table: dict[str, Any]) -> AuditAttempt:
    found = dict(table["plan"])
    return AuditAttempt(
        table["number"], table["seq"], table["level"],
        AuditPlan(**{**found, "bets": tuple(found["bets"])}),
    )  # fmt: skip


def _write_attempts(file: Path, attempts: Sequence[AuditAttempt]) -> None:
    tables: Iterable[dict[str, Any]] = map(asdict, attempts)
    write_atomically(file, json.dumps({"attempts": list(tables)}, indent=1).encode())
