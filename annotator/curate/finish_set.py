"""Accept the model's labels for a finished set: an audit certifies the set, people label the rest.

The promise is on all labels of the set, with those of people counting as right. Promises on classes
may join it. `annotator.learn.set_audit` judges the audit.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from annotator.curate.audit_attempts import AuditAttempt, AuditLog, EntrySource, keep_attempt
from annotator.curate.audit_risks import classes_at_risk
from annotator.curate.finish import NOTHING_OPEN, Audit, draw_order, refuse_beside_set
from annotator.errors import ProjectError
from annotator.items.refs import make_printable, plural, shell_quoted
from annotator.learn.audit import MIN_SPARED, AuditVerdict
from annotator.learn.set_audit import (
    NO_LOOK,
    AuditSample,
    ClassLimit,
    SetPlan,
    SetVerdict,
    judge_set_audit,
    plan_set_audit,
)
from annotator.learn.stopping import rare_share
from annotator.log.entries import Entry, LogState, replay
from annotator.project.label_sets import ClassSet
from annotator.project.project import ProjectFolder
from annotator.session.mode import AuditMeter
from annotator.session.predict import (
    FittedProject,
    drawn_labels,
    fit,
    predict_pieces,
    unlabelled_rows,
)
from annotator.session.price_list import SET, count_set_labels, read_open_rows

NOTHING_READY = "No audit with this promise has begun, so nothing is certified. Begin it:"


@dataclass(frozen=True, slots=True)
class SetPromise:
    """The promise on a finished set, and on classes in it."""

    max_error: float
    level: float
    per_class: bool = False
    """True if `max_error` is a limit for each class by itself, too."""
    max_missed: tuple[tuple[str, float], ...] = ()
    """The limits of single classes: the share that may be labelled as something else."""

    def limits(self, names: Sequence[str]) -> dict[str, float]:
        """Return the limit of each class that has one."""
        each = dict.fromkeys(names, self.max_error) if self.per_class else {}
        return each | dict(self.max_missed)

    def is_of(self, attempt: AuditAttempt, names: Sequence[str]) -> bool:
        """Return whether an attempt is to certify this promise."""
        plan = attempt.plan
        return (
            isinstance(plan, SetPlan)
            and (plan.max_error, attempt.level) == (self.max_error, self.level)
            and {limit.name: limit.limit for limit in plan.classes} == self.limits(names)
        )


@dataclass(frozen=True, slots=True)
class SetAudit(Audit):
    """An audit of a finished set; `accepted` holds all that it may accept, in random order."""

    first: tuple[str, ...] = ()
    """The items that people look at before the sample, for the sake of a class."""
    known: tuple[int, ...] = ()
    """The items of each class with a limit that people had labelled when the audit began."""
    ends: bool = False
    """True if the audit ends with what is certified by now, although more labels would pay."""

    @property
    def plan(self) -> SetPlan:
        """The plan of the attempt."""
        assert isinstance(self.attempt.plan, SetPlan)
        return self.attempt.plan

    @property
    def options(self) -> str:
        """The options of the command that continues this audit."""
        plan = self.plan
        words = [f"--max-error {plan.max_error:g}", f"--confidence {self.attempt.level:g}"]
        limits = {limit.name: limit.limit for limit in plan.classes}
        if len(limits) == len(self.project.settings.names):
            words.append("--per-class")
            limits = {name: share for name, share in limits.items() if share != plan.max_error}
        pairs = (shlex.quote(f"{name}={share:g}") for name, share in limits.items())
        return " ".join([*words, *(f"--max-missed {pair}" for pair in pairs)])

    def is_lost(self, state: LogState, ref: str) -> bool:
        """Return whether nothing more is asked, now that `ref` has an answer."""
        return self.verdict(state).more is None

    def verdict(self, state: LogState) -> SetVerdict:
        """Judge the audit by the labels so far. A skipped item counts as wrong."""
        looked = [stack for ref in self.first if (stack := state.standing.get(ref))]
        left = len(self.first) - len(looked)
        return judge_set_audit(
            self._sample(state), self.plan, self._known(state, looked), left, self.ends
        )

    def _known(self, state: LogState, looked: Sequence[list[Entry]]) -> list[int]:
        """Return the items of each class with a limit that people labelled outside the sample.

        Labels that were taken back or corrected since the audit began no longer count.
        """
        if not self.plan.classes:
            return []
        inside = Counter(entry.label for entry in self.audited(state))
        labels = {label: n - inside[label] for label, n in state.counts.items()}
        return [
            min(
                count + sum(self._has(stack[-1].label, limit.name) for stack in looked),
                sum(n for label, n in labels.items() if n and self._has(label, limit.name)),
            )
            for count, limit in zip(self.known, self.plan.classes, strict=True)
        ]

    def _sample(self, state: LogState) -> AuditSample:
        drawn, limits = self.audited(state), self.plan.classes
        shape = len(drawn), len(limits)
        has, missed = np.zeros(shape, bool), np.zeros(shape, bool)
        for n, entry in enumerate(drawn):
            said = self.accepted[entry.ref][0]
            for k, limit in enumerate(limits):
                found = self._has(said, limit.name)
                # A skipped item may be of any class that the model would have missed.
                has[n, k] = not found if entry.label is None else self._has(entry.label, limit.name)
                missed[n, k] = has[n, k] and not found
        return AuditSample(
            np.array([self.accepted[entry.ref][1] for entry in drawn], float),
            np.array([not self.is_right(entry.ref, entry.label) for entry in drawn], bool),
            has,
            missed,
        )

    def _has(self, label: str | None, name: str) -> bool:
        return label is not None and name in _classes_of(self.project, label)

    def refs_to_ask(self, state: LogState) -> list[str]:
        """Return the refs to label next: those to look at first, then the sample's."""
        found = self.verdict(state)
        count = found.audited + (found.more or 0) - found.left_to_look
        return [*self.asked_first(state), *islice(self.askable(state), count)]

    def asked_first(self, state: LogState) -> tuple[str, ...]:
        """Return the refs that people look at before the sample, for the sake of a class."""
        return tuple(ref for ref in self.first if self._mine(state.standing.get(ref, [])))

    def _mine(self, stack: list[Entry]) -> bool:
        return not stack or any(entry.audit == self.attempt.name for entry in stack)

    def meter(self, state: LogState) -> AuditMeter:
        """Return how far the audit is, and the threshold that is best by now."""
        found = self.verdict(state)
        counts = f"{found.audited:,} audited, {found.wrong:,} wrong"
        asked = len(self.first) - found.left_to_look + found.audited
        if found.certified:
            return AuditMeter(
                1.0, f"{counts}: certified, {found.spared:,} labels spared.", asked, 0
            )
        if found.more is None:
            return AuditMeter(found.fill, f"{counts}: too many are wrong.")
        part = f"{found.items:,} items at p ≥ {found.threshold:.3f}"
        first = f"{found.left_to_look:,} to look at first; " if found.left_to_look else ""
        words = f"{first}{counts}; {found.more:,} more for {part}, which spares {found.spared:,}."
        if found.wrong and found.items < self.plan.expected_items:
            words += " This threshold is better by now than the one that was planned."
        if found.ready >= MIN_SPARED:
            words += f" Certified already: {found.ready:,} spared."
        return AuditMeter(found.fill, words, asked, found.more)

    def certificate(self, state: LogState, proof: AuditVerdict) -> dict[str, Any]:
        """Return what the `extra` of each label of the model says of the certificate."""
        found = {
            **Audit.certificate(self, state, proof), "of": SET, "labels": self.plan.total,
            "rest": self.rest(state, proof),
        }  # fmt: skip
        missed = {limit.name: limit.limit for limit in self.plan.classes}
        return {**found, "max_missed": missed} if missed else found

    def certified_labels(
        self, state: LogState, proof: AuditVerdict
    ) -> Iterator[tuple[str, tuple[str, float]]]:
        """Yield the items that get the model's label; the others stay open, skipped ones too."""
        assert isinstance(proof, SetVerdict)
        return (
            (ref, (label, p)) for ref, (label, p) in self.accepted.items()
            if p >= proof.threshold and ref not in state.standing
        )  # fmt: skip

    def spared(self, proof: AuditVerdict) -> int:
        """Return the labels that the audit will spare if errors come as expected."""
        assert isinstance(proof, SetVerdict)
        return proof.spared

    def promise_dict(self, state: LogState, proof: AuditVerdict) -> dict[str, Any]:
        """Return what JSON says of the promise, beside the plan and the verdict."""
        found = self.certificate(state, proof)
        return {name: found[name] for name in ("of", "labels", "rest")} | {
            "max_missed": found.get("max_missed", {})
        }

    def result_lines(self, state: LogState, proof: AuditVerdict, accepted: int | None) -> list[str]:
        """Return the result so far; `accepted` labels were written, or None if none were to be."""
        assert isinstance(proof, SetVerdict)
        return describe_set_audit(self, state, proof, accepted)

    def rest(self, state: LogState, proof: AuditVerdict) -> int:
        """Return the number of items that are left for people."""
        ours = sum(1 for _ in self.certified_labels(state, proof)) if proof.certified else 0
        machine = sum(s[-1].audit == self.attempt.name and s[-1].by_machine
                      for s in state.standing.values())  # fmt: skip
        people = sum(not s[-1].by_machine and s[-1].label is not None
                     for s in state.standing.values())  # fmt: skip
        return max(0, self.plan.total - people - machine - ours)


def describe_set_audit(
    audit: SetAudit, state: LogState, proof: SetVerdict, accepted: int | None
) -> list[str]:
    """Return the result of an audit of a set so far, with the command that continues it."""
    plan, folder = audit.plan, shell_quoted(audit.project.folder)
    again = f"annotator finish {folder} --of set {audit.options}"
    asked = f"{proof.audited:,} audited, {proof.wrong:,} of them wrong"
    if proof.certified:
        done = "" if accepted is None else f"{accepted:,} labels accepted; "
        rest = audit.rest(state, proof)
        lines = [
            f"{done}at most {plan.allowed:,} of all {plan.total:,} labels are wrong "
            f"({plan.max_error:.2%}) with {audit.attempt.level:.0%} confidence, {asked}"
        ]
        lines += [
            f"At most {limit.limit:.1%} of {make_printable(limit.name)} have a label without it."
            for limit in plan.classes
        ]
        if rest:
            stay = plural(rest, "item stays", "items stay")
            lines.append(
                f"This holds once people have labelled the rest: {stay} open.\n"
                f"  annotator run {folder}"
            )
        return lines
    if proof.more is None:
        return [
            f"{asked}. The audit is given up: it would spare fewer than {MIN_SPARED} labels.",
            "The audit's labels are kept, and the model learns from them. Start a new attempt, or "
            f"allow a larger --max-error:\n  {again}",
        ]
    return _outlook_lines(audit, proof, asked, again)


def _outlook_lines(audit: SetAudit, proof: SetVerdict, asked: str, again: str) -> list[str]:
    """Return what an audit that can continue will certify, and what it could accept now."""
    looks = f"{proof.left_to_look:,} items to look at first; " if proof.left_to_look else ""
    lines = [
        f"{looks}{asked}; about {proof.more:,} more labels will certify {proof.items:,} items at "
        f"p ≥ {proof.threshold:.3f} and spare {proof.spared:,}. Continue:\n  {again}"
    ]
    if audit.ends:
        lines.insert(0, "Nothing is certified yet, so no label is accepted.")
    elif proof.ready >= MIN_SPARED:
        lines.append(
            f"{proof.ready:,} labels are certified already. End the audit and accept them:\n"
            f"  {again} --accept-ready"
        )
    return lines


def _classes_of(project: ProjectFolder, label: str) -> set[str]:
    """Return the classes of a label, and those above them."""
    names = ClassSet.from_text(label, project.settings.multi_label).names
    tree = project.settings.tree
    return {above for name in names if name in tree.parents for above in tree.line(name)}


def begin_set_audit(
    project: ProjectFolder,
    store: EntrySource,
    promise: SetPromise,
    *,
    keep: bool = True,
    anew: bool = False,
    ends: bool = False,
) -> SetAudit:
    """Resume the audit with this promise, or plan a new one, stored if `keep`.

    With `anew` no audit is resumed. With `ends` the audit is one that ends with what it has
    certified by now.

    Raises as `begin_audit` does, and `ProjectError` while labels of a model stand.
    """
    log, names = AuditLog.read(store), project.settings.names
    _check_names(promise, names)
    state, begun = log.state, log.begun(project)
    same = [one for one in begun if promise.is_of(one, names)][-1:]
    for attempt in [] if anew else same:
        refuse_beside_set(project, state, attempt.name)
        audit = replace(_reopen(project, store, attempt), ends=ends)
        found = audit.verdict(state)
        if not found.certified:
            # What is accepted is no longer drawn, so the sample cannot be continued.
            _refuse_machine_labels(project, state)
        if found.certified or found.more is not None:
            return audit
    if ends:
        raise ProjectError(
            f"{NOTHING_READY}\n  annotator finish {shell_quoted(project.folder)} --of set"
        )
    refuse_beside_set(project, state)
    _refuse_machine_labels(project, state)
    attempt = _plan_attempt(project, state, log.next_number(), promise)
    if keep:
        keep_attempt(project, begun, attempt)
    return _reopen(project, store, attempt)


def _check_names(promise: SetPromise, names: Sequence[str]) -> None:
    for name, _ in promise.max_missed:
        if name not in names:
            raise ProjectError(
                f"There is no class {make_printable(name)}. The classes: "
                f"{', '.join(map(make_printable, names))}."
            )


def _refuse_machine_labels(project: ProjectFolder, state: LogState) -> None:
    count = sum(stack[-1].by_machine for stack in state.standing.values())
    if count:
        raise ProjectError(
            f"{plural(count, 'label')} of a model stand already. A promise on the whole set must "
            "test them, too.\n  Take them back first: "
            f"annotator finish {shell_quoted(project.folder)} --take-back"
        )


def _known_labels(project: ProjectFolder, state: LogState, names: Sequence[str]) -> list[int]:
    """Return how many items of each class people have labelled."""
    labels = Counter(
        s[-1].label for s in state.standing.values() if s[-1].label and not s[-1].by_machine
    )
    found: Counter[str] = Counter()
    for label, count in labels.items():
        found.update(dict.fromkeys(_classes_of(project, label or ""), count))
    return [found[name] for name in names]


def _plan_attempt(
    project: ProjectFolder, state: LogState, number: int, promise: SetPromise
) -> AuditAttempt:
    fitted = fit(project, state)
    limits = _class_limits(project, state, promise)
    columns = [fitted.classes.index(limit.name) for limit in limits]
    rows = read_open_rows(fitted, _open_rows(fitted, state), columns)
    if not len(rows.sure):
        raise ProjectError(NOTHING_OPEN)
    drawn, total = drawn_labels(fitted), count_set_labels(fitted.refs, state)
    for max_error in (promise.max_error, 0.02, 0.05, 0.1, 0.2, 0.3):
        found = plan_set_audit(
            rows, drawn, total, max_error=max_error, level=promise.level, attempt=number,
            limits=limits,
        )  # fmt: skip
        if found is not None and max_error == promise.max_error:
            return AuditAttempt(
                number, state.seq, promise.level, found, fitted.classes, len(fitted.refs)
            )
        if found is not None and max_error > promise.max_error:
            break
    raise ProjectError(_explain_no_plan(project, promise, len(rows.sure), found))


def _class_limits(project: ProjectFolder, state: LogState, promise: SetPromise) -> list[ClassLimit]:
    """Return the limits with what is known. Raises `ProjectError` for a class without a label.

    People look first at the likeliest items of a class that is rare or named in the promise.
    """
    limits = promise.limits(project.settings.names)
    known = _known_labels(project, state, list(limits))
    if unknown := [name for name, count in zip(limits, known, strict=True) if not count]:
        shown = ", ".join(map(make_printable, unknown[:5]))
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        raise ProjectError(
            f"No label of {shown}{more} yet: nothing can be promised of the class.\n"
            f"  Label some items of it: annotator run {shell_quoted(project.folder)}"
        )
    rare = rare_share(len(project.settings.names)) * sum(state.counts.values())
    named = dict(promise.max_missed)
    return [
        ClassLimit(name, limit, count, 0.0 if name in named or count < rare else NO_LOOK)
        for (name, limit), count in zip(limits.items(), known, strict=True)
    ]


def _explain_no_plan(
    project: ProjectFolder, promise: SetPromise, size: int, other: SetPlan | None
) -> str:
    folder = shell_quoted(project.folder)
    message = (
        f"An audit of the whole set at {100 * promise.max_error:g} % error is not worthwhile: it "
        f"would spare few of the {size:,} unlabelled items, or none.\n"
        f"  Label more items first, to improve the model: annotator run {folder}"
    )
    if promise.limits(project.settings.names):
        message += "\n  Or allow a larger share for the classes, or fewer of them."
    if other is not None:
        message += (
            f"\n  Or allow a larger error: --max-error {other.max_error:g} would accept "
            f"{other.expected_items:,} items, and spare {other.expected_spared:,} labels."
        )
    return message


def _open_rows(fitted: FittedProject, state: LogState) -> Any:
    """Return (n,) True for items without any answer: a skipped one is not a part of the set."""
    open_ = unlabelled_rows(fitted.refs, state)
    rows = fitted.refs.rows([ref for ref in state.standing if state.label(ref) is None])
    open_[rows[rows >= 0]] = False
    return open_


def _reopen(project: ProjectFolder, store: EntrySource, attempt: AuditAttempt) -> SetAudit:
    state = replay(entry for entry in store.entries() if entry.seq <= attempt.seq)
    fitted, plan = fit(attempt.settled(project), state), attempt.plan
    assert isinstance(plan, SetPlan)
    targets, C = fitted.model.targets, len(fitted.classes)
    columns = [fitted.classes.index(limit.name) for limit in plan.classes]
    found: dict[str, tuple[str, float]] = {}
    first: list[tuple[float, str]] = []
    expected, lost, rest = np.zeros(C), np.zeros(C), 0
    for rows, proba in predict_pieces(fitted, attempt.known_rows(_open_rows(fitted, state))):
        rest += len(rows)
        expected += proba.sum(axis=0)
        looks = np.zeros(len(rows))
        for c, limit in zip(columns, plan.classes, strict=True):
            chance = targets.class_proba(proba, c)
            looks = np.maximum(looks, np.where(chance >= limit.look, chance, 0))
        likely = np.flatnonzero(looks)
        first += ((-float(looks[i]), fitted.refs[rows[i]]) for i in likely)
        confidence = targets.confidence(proba)
        sure = (confidence >= plan.threshold) & (looks == 0)
        lost += np.where(targets.one_hot(proba[sure]), 0, proba[sure]).sum(axis=0)
        labels = zip(fitted.labels(proba[sure]), confidence[sure].tolist(), strict=True)
        found |= zip(map(fitted.refs.__getitem__, rows[sure].tolist()), labels, strict=True)
    accepted = draw_order(project, attempt, found)
    limited = {limit.name for limit in plan.classes}
    risks = classes_at_risk(fitted.classes, drawn_labels(fitted), plan, rest, expected, lost)
    return SetAudit(
        attempt, project, fitted.model.name, accepted,
        tuple(risk for risk in risks if risk.name not in limited),
        tuple(ref for _, ref in sorted(first)),
        tuple(_known_labels(project, state, [limit.name for limit in plan.classes])),
    )  # fmt: skip
