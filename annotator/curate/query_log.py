"""The terms of queries that the log answers: labels, states, annotators, times, notes, reviews."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from annotator.curate.query import QueryTerm
from annotator.curate.query_values import text_test
from annotator.curate.review_case import QUEUES
from annotator.errors import QueryError
from annotator.items.refs import make_printable
from annotator.log.entries import (
    Action,
    Entry,
    LogState,
    find_confirmations,
    review_queue_of,
    reviewed_labels,
)
from annotator.project.class_tree import ClassTree
from annotator.project.label_sets import split_label


@dataclass(frozen=True, slots=True)
class ClassNames:
    """The classes of a project, as queries name them."""

    names: tuple[str, ...]
    tree: ClassTree | None = None
    multi: bool = False
    """True if a label is a set of classes."""

    def find(self, wanted: str, state: LogState) -> Callable[[str], bool]:
        """Return a test for classes: of this name or path, below it, or matching it as a glob.

        Raises `QueryError` that lists the classes.
        """
        used = (name for label in state.counts if label for name in self.split(label))
        known = list(dict.fromkeys([*self.names, *used]))
        named = [wanted] if wanted in known else list(filter(text_test(wanted), known))
        if not named and self.tree is not None:  # a path, as the lists show it: vehicle/car
            named = [name for name in known if text_test(wanted)(self.tree.path(name))]
        if not named or (len(named) > 1 and not set(wanted) & set("*?")):
            close = difflib.get_close_matches(wanted, known, 1)
            hint = f" Did you mean {make_printable(close[0])}?" if close and not named else ""
            names = make_printable(", ".join(known))
            raise QueryError(
                f"{make_printable(wanted)} is not a class.{hint} The classes are {names}."
            )
        tree = self.tree
        if tree is None or tree.is_flat:
            return frozenset(named).__contains__
        return lambda name: any(tree.is_within(name, above) for above in named)

    def split(self, label: str) -> tuple[str, ...]:
        """Return the classes of a label."""
        return tuple(split_label(label)) if self.multi else (label,)


def refs_of_term(term: QueryTerm, state: LogState, classes: ClassNames) -> Iterable[str] | None:
    """Return the refs that fulfil a term about the log; None for a term about something else.

    For the state "open" they are the refs that are not open. Raises `QueryError` for a class or a
    queue that does not exist.
    """
    find = _FINDERS.get(term.kind)
    return None if find is None else find(term, state, classes)


def _in_state(term: QueryTerm, state: LogState, _: ClassNames) -> Iterable[str]:
    if term.value == "flagged":
        return state.flagged
    if term.value == "open":
        return state.standing
    if term.value == "reviewed":
        return (ref for ref, _ in reviewed_labels(state))
    wanted = Action.SKIP if term.value == "skipped" else Action.LABEL
    return (ref for ref, stack in state.standing.items() if stack[-1].action is wanted)


def _labelled(term: QueryTerm, state: LogState, classes: ClassNames) -> Iterable[str]:
    test = classes.find(term.value, state)
    fits = {label: any(map(test, classes.split(label))) for label in state.counts if label}
    return (ref for ref in state.standing if fits.get(state.label(ref) or "", False))


def explain_no_annotator(term: QueryTerm, state: LogState) -> str:
    """Return a hint if no annotator has the name of a `by:` term; "" otherwise."""
    if term.kind != "by" or _annotators(term, state):
        return ""
    names = make_printable(", ".join(state.history)) or "no answers yet"
    return f"by:{make_printable(term.value)} fits no annotator; the log has {names}"


def _annotators(term: QueryTerm, state: LogState) -> set[str]:
    if term.value in state.history:
        return {term.value}
    return set(filter(text_test(term.value), state.history))


def _answered_by(term: QueryTerm, state: LogState, _: ClassNames) -> Iterable[str]:
    """Return the refs that an annotator labelled or skipped, with second opinions."""
    names = _annotators(term, state)
    return {
        ref
        for kept in (state.standing, state.opinions)
        for ref, stack in kept.items()
        if any(entry.annotator in names for entry in stack)
    }


def _answered_at(term: QueryTerm, state: LogState, _: ClassNames) -> Iterable[str]:
    span = term.span
    assert span is not None  # the parser made it
    return (
        ref for ref, stack in state.standing.items() if span.compare(term.operator, stack[-1].at)
    )


def _noted(term: QueryTerm, state: LogState, _: ClassNames) -> Iterable[str]:
    test = text_test(term.value, part=True)
    return (ref for ref, notes in state.notes.items() if any(test(e.note or "") for e in notes))


def _reviewed(term: QueryTerm, state: LogState, _: ClassNames) -> Iterable[str]:
    """Return the refs whose decision a review confirmed: any, of a queue, or by an annotator."""
    wanted = term.value.casefold()
    rows = {
        ref: found for ref, stack in state.standing.items() if (found := find_confirmations(stack))
    }
    if not wanted:
        return rows
    test, queues = text_test(term.value), wanted in QUEUES
    if not queues and not any(map(test, state.history)):
        names = make_printable(", ".join(state.history)) or "no answers yet"
        raise QueryError(
            f"{make_printable(term.value)} is neither a queue of a review nor an annotator. The "
            f"queues are {', '.join(QUEUES)}; the log has {names}. reviewed: alone finds what any "
            "review decided."
        )

    def fits(entry: Entry) -> bool:
        return review_queue_of(entry) == wanted if queues else test(entry.annotator)

    return (ref for ref, found in rows.items() if any(map(fits, found)))


_FINDERS: dict[str, Callable[[QueryTerm, LogState, ClassNames], Iterable[str]]] = {
    "state": _in_state, "label": _labelled, "by": _answered_by, "at": _answered_at,
    "note": _noted, "reviewed": _reviewed,
}  # fmt: skip
