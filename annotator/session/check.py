"""The check of a frozen model: its error and the shares of the classes, valid at every look.

The sample is asked in the order of its draws, without the prediction. The first items up to the
first one without an answer are the values of the confidence sequence. An item that was labelled
elsewhere meanwhile counts with that label, so nothing that is labelled between two looks can
choose the items of the sample.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ProjectError
from annotator.items.ref_table import RefTable
from annotator.items.refs import make_printable, plural, shell_quoted
from annotator.learn.confidence_sequence import KnownGuesses, bound_mean, count_values_needed
from annotator.learn.error_estimate import Interval
from annotator.log.entries import LogState
from annotator.project.item_pool import load_refs
from annotator.project.label_sets import split_label
from annotator.project.project import ProjectFolder
from annotator.session.check_result import (
    CheckResult,
    ClassShare,
    RuleResult,
    StopRules,
    check_panel_lines,
)
from annotator.session.frozen_model import (
    FrozenModel,
    freeze_model,
    load_frozen_model,
    store_frozen_model,
)
from annotator.session.mode import AnsweredByPeople, AuditMeter
from annotator.session.predict import fit

LEVEL = 0.9
"""The confidence of an interval unless another one is asked for."""
_ASKED_AT_ONCE = 500
_PANEL_CLASSES = 3
_MANY_LABELS = 50  # since the model was frozen, before a new check is advised


@dataclass(frozen=True, slots=True)
class _LabelsSoFar:
    """The labels that people have given, as the check counts them."""

    drawn: Sequence[str | None] = ()
    """The labels of the drawn items up to the first one without an answer; None for a skip."""
    since: int = 0
    """The number of items answered since the model was frozen."""
    among: Mapping[str | None, int] = field(default_factory=dict)
    """The labels of those that the sample is drawn from, however they were asked."""
    before: Mapping[str, int] = field(default_factory=dict)
    """The labels, as they are by now, of the items that were answered before."""
    waiting: int = 0
    """The check's answers behind a drawn item that has none."""


class Check:
    """A check of a project: what it asks, and what it shows. Belongs to one thread."""

    def __init__(
        self,
        project: ProjectFolder,
        frozen: FrozenModel,
        refs: RefTable,
        *,
        level: float = LEVEL,
        rules: StopRules | None = None,
    ) -> None:
        """Bind a frozen model to the project's items and classes of today."""
        self.project, self.frozen, self.level = project, frozen, level
        self.rules = rules or StopRules()
        self.refs: Sequence[str] = ()
        """The refs to ask next, in the order of their draws; `choose_refs` chooses them."""
        self.answered_refs: Sequence[str] = ()
        """The drawn refs that have an answer: an undo may bring them back."""
        self._alpha, self._pool = 1 - level, len(refs)
        rows = refs.rows(frozen.refs)
        self._gone = {ref for ref, row in zip(frozen.refs, rows.tolist(), strict=True) if row < 0}
        self._tree, self._multi = project.settings.tree, project.settings.multi_label
        self._seq = -1
        self._so_far = _LabelsSoFar()
        self._result: CheckResult | None = None
        self._lines: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """The name that marks the check's labels in the log."""
        return self.frozen.name

    @property
    def command(self) -> str:
        """The command that continues the check with the same rules."""
        words = [f"annotator check {shell_quoted(self.project.folder)}"]
        if self.rules.max_error is not None:
            words.append(f"--max-error {self.rules.max_error:g}")
        rules = [f"{name}={share:g}" for name, share in self.rules.min_found.items()]
        words += [f"--min-found {shell_quoted(rule)}" for rule in rules]
        if self.level != LEVEL:
            words.append(f"--confidence {self.level:g}")
        return " ".join(words)

    def choose_refs(self, state: LogState, most: int = _ASKED_AT_ONCE) -> None:
        """Choose the next refs to ask: those in the project without a person's answer."""
        answered = AnsweredByPeople(state)
        still = (ref for ref in self.frozen.refs if ref not in answered and ref not in self._gone)
        self.refs = tuple(islice(still, most))
        self.answered_refs = tuple(ref for ref in self.frozen.refs if ref in answered)

    def is_over(self, state: LogState, ref: str = "") -> bool:
        """Return whether all stop rules are met."""
        has_rules = self.rules.max_error is not None or bool(self.rules.min_found)
        return has_rules and self.result(state).done

    def result(self, state: LogState) -> CheckResult:
        """Return the error of the frozen model on all items that the sample is drawn from."""
        labels = self._read(state).drawn
        if self._result is None:
            error = self._error(labels)
            wrong = int(self._wrong(labels).sum())
            skipped = sum(label is None for label in labels)
            found = [
                *self._judge_error(error),
                *(self._judge_class(state, *rule) for rule in self.rules.min_found.items()),
            ]
            self._result = CheckResult(
                self.name, self.frozen.model, self.level, len(self.frozen.items), len(labels),
                wrong, skipped, error, tuple(found), self._caveats(), self._so_far.waiting,
            )  # fmt: skip
        return self._result

    def class_share(self, state: LogState, name: str) -> ClassShare:
        """Return the share of a class among all items, and the part of it that is found."""
        so_far = self._read(state)
        size, before = len(self.frozen.items), sum(so_far.before.values())
        values = np.array([self._has(label, name) for label in so_far.drawn], float)
        rest = bound_mean(values, *self._guesses(name, len(values)), self._alpha)
        known, among = self._count(so_far.before, name), self._count(so_far.among, name)
        found, most = known + among, size - sum(so_far.among.values()) + among
        # What is labelled is certain, also if it was not drawn.
        ends = [
            known + min(max(size * end, among), most) for end in (rest.value, rest.low, rest.high)
        ]
        share = Interval(*(end / (before + size) for end in ends))
        value, high, low = (min(1.0, found / end) if end > 0 else 1.0 for end in ends)
        return ClassShare(name, share, found, Interval(value, low, high))

    def class_shares(self, state: LogState, most: int | None = None) -> list[ClassShare]:
        """Return the shares of the classes; with `most`, of those in rules and the largest."""
        names = self.project.settings.names
        if most is not None and len(names) > most:
            expected = dict(
                zip(self.frozen.classes, (k.mean for k in self.frozen.known[1:]), strict=True)
            )
            ranked = sorted(names, key=lambda name: -expected.get(name, 0.0))
            first = sorted(ranked, key=lambda name: name not in self.rules.min_found)[:most]
            names = tuple(name for name in names if name in first)
        return [self.class_share(state, name) for name in names]

    def count_open(self, state: LogState) -> int:
        """Return the number of items that the next one is drawn from."""
        return len(self.frozen.items) - sum(self._read(state).among.values())

    def count_more(self, state: LogState) -> int:
        """Return about how many more answers the rules need: all that are left if there is no rule,
        or if the error is likely larger than its limit."""
        result = self.result(state)
        left = len(self.frozen.refs) - result.checked
        if result.done or not left:
            return 0
        needs = [self._count_for(rule, state) for rule in result.rules if not rule.met]
        return min(left, max([1, *needs] if needs else [left]))

    def _count_for(self, rule: RuleResult, state: LogState) -> int:
        """Return about how many more answers a rule needs that is not met."""
        if rule.rule != "max-error":  # the bound is 1 once all are labelled
            share = (rule.limit - rule.bound) / max(1 - rule.bound, 1e-9)
            return ceil(self.count_open(state) * share)
        result, known = self.result(state), self.frozen.known[0]
        count = result.checked
        return count_values_needed(count, result.error, rule.limit, known, self._alpha) - count

    def meter(self, state: LogState) -> AuditMeter:
        """Return how far the check is on its way to its rules."""
        result, more = self.result(state), self.count_more(state)
        share = result.checked / (result.checked + more) if result.checked + more else 0.0
        words = ""
        if result.rules and more:
            words = f"About {plural(more, 'more answer')} until the rules are met."
            if (
                result.checked
                and self.rules.max_error
                and result.error.value >= self.rules.max_error
            ):
                words = "The error is likely above the limit: the rule may never be met."
        return AuditMeter(share, words, result.checked, more)

    def _caveats(self) -> tuple[str, ...]:
        """Return what has changed since the model was frozen, and what then holds."""
        frozen, names = self.frozen, self.project.settings.names
        notes = []
        if (came := self._pool - frozen.pool) > 0:
            notes.append(f"{plural(came, 'item')} came since: the check says nothing about them.")
        if frozen.featureless:
            count = plural(frozen.featureless, "item")
            notes.append(f"{count} had no features: the check says nothing about them.")
        so_far = self._so_far
        if gone := sum(ref in self._gone for ref in frozen.refs[: len(so_far.drawn)]):
            notes.append(f"{plural(gone, 'drawn item')} left the project: each counts as wrong.")
        if new := [name for name in names if name not in frozen.classes]:
            words = "a class that came", "classes that came"
            notes.append(f"{_listed(new)}: {words[len(new) > 1]} since. The model misses it.")
        if lost := [name for name in frozen.classes if name not in names]:
            words = "is a class", "are classes"
            notes.append(f"{_listed(lost)} {words[len(lost) > 1]} no more. To predict it is wrong.")
        if so_far.since >= _MANY_LABELS:
            folder, model = shell_quoted(self.project.folder), make_printable(frozen.model)
            notes.append(
                f"{so_far.since:,} labels came since {model} was frozen, the check's among them. "
                f"To check the model of now: annotator check {folder} --new"
            )
        return tuple(notes)

    def lines(self, state: LogState) -> tuple[str, ...]:
        """Return the result so far, for the panel."""
        result = self.result(state)
        if self._lines is None:
            shares = self.class_shares(state, _PANEL_CLASSES) if result.checked else []
            self._lines = check_panel_lines(result, shares)
        return self._lines

    def _read(self, state: LogState) -> _LabelsSoFar:
        if self._seq != state.seq:
            self._seq, self._result, self._lines = state.seq, None, None
            answered = AnsweredByPeople(state)
            labels: list[str | None] = []
            for ref in self.frozen.refs:
                if ref not in answered and ref not in self._gone:
                    break
                labels.append(state.label(ref) if ref in answered else None)
            since, before = [], Counter[str]()
            for ref, stack in state.standing.items():
                if stack[-1].by_machine:
                    continue
                if stack[-1].seq > self.frozen.seq:
                    since.append(ref)
                first = next(entry for entry in stack if not entry.by_machine)
                if first.seq <= self.frozen.seq and stack[-1].label is not None:
                    before[stack[-1].label] += 1
            places = np.flatnonzero(self.frozen.has_items(since)).tolist()
            among = Counter(state.label(since[place]) for place in places)
            behind = (state.decision(ref) for ref in self.frozen.refs[len(labels) :])
            waiting = sum(last is not None and last.audit == self.name for last in behind)
            self._so_far = _LabelsSoFar(labels, len(since), among, before, waiting)
        return self._so_far

    def _error(self, labels: Sequence[str | None]) -> Interval:
        doubt = self.frozen.guesses[: len(labels), 0].astype(float)
        return bound_mean(
            self._wrong(labels).astype(float), doubt, self.frozen.known[0], self._alpha
        )

    def _wrong(self, labels: Sequence[str | None]) -> NDArray[np.bool_]:
        pairs = zip(self.frozen.predicted, labels, strict=False)
        return np.array([not self._is_right(guess, label) for guess, label in pairs], bool)

    def _is_right(self, predicted: str, label: str | None) -> bool:
        """Return whether the predicted class is the label, or a kind of it."""
        if label is None:
            return False
        if self._multi:
            return set(split_label(predicted)) == set(split_label(label))
        return self._tree.is_within(predicted, label)

    def _has(self, label: str | None, name: str) -> bool:
        """Return whether a label is the class, is below it or has it among others."""
        if label is None:
            return False
        return name in split_label(label) if self._multi else self._tree.is_within(label, name)

    def _count(self, labels: Mapping[Any, int], name: str) -> int:
        return sum(count for label, count in labels.items() if self._has(label, name))

    def _guesses(self, name: str, count: int) -> tuple[NDArray[np.float64], KnownGuesses]:
        """Return the guesses of a class for the checked items; 0 for a class that came since."""
        frozen = self.frozen
        if name not in frozen.classes:
            return np.zeros(count), KnownGuesses.none(len(frozen.items))
        column = 1 + frozen.classes.index(name)
        return frozen.guesses[:count, column].astype(float), frozen.known[column]

    def _judge_error(self, error: Interval) -> list[RuleResult]:
        limit = self.rules.max_error
        if limit is None:
            return []
        return [RuleResult("max-error", limit, error.high, error.high <= limit)]

    def _judge_class(self, state: LogState, name: str, limit: float) -> RuleResult:
        bound = self.class_share(state, name).found_share.low
        return RuleResult(f"min-found {name}", limit, bound, bound >= limit)


def _listed(names: Sequence[str]) -> str:
    return make_printable(", ".join(names))


def open_check(
    project: ProjectFolder,
    state: LogState,
    *,
    level: float = LEVEL,
    rules: StopRules | None = None,
    new: bool = False,
) -> Check:
    """Resume a project's last check, or freeze a model for a new one.

    Raises `ProjectError` for a rule about a class that the project lacks or without an item to
    check; `FeatureError` without features.
    """
    _require_classes(project, rules)
    frozen = None if new else load_frozen_model(project.folder)
    if frozen is None:
        made = freeze_model(fit(project, state), state, project, time.time())
        frozen = store_frozen_model(project.folder, made)
    return Check(project, frozen, load_refs(project), level=level, rules=rules)


def find_check(
    project: ProjectFolder,
    refs: RefTable,
    *,
    level: float = LEVEL,
    rules: StopRules | None = None,
) -> Check | None:
    """Return a project's last check; None if there is none."""
    _require_classes(project, rules)
    frozen = load_frozen_model(project.folder)
    return None if frozen is None else Check(project, frozen, refs, level=level, rules=rules)


def _require_classes(project: ProjectFolder, rules: StopRules | None) -> None:
    unknown = set(rules.min_found if rules else ()) - set(project.settings.names)
    if unknown:
        raise ProjectError(
            f"{_listed(sorted(unknown))} is not a class. The classes are "
            f"{_listed(project.settings.names)}."
        )
