"""A search for items by file name, class, state, similarity to another item, or words.

A query has terms separated by spaces; an item must match all of them. A term is `part` of a name
or a glob such as `*_top.jpg`; `label:crack`; `open`, `labelled`, `skipped`, `flagged`; `by:ana`;
`like:REF` (or `like:` for the item on screen); `text:"rusty edge"`. A minus in front negates a
term.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.errors import FeatureError, QueryError
from annotator.features.store import FeatureStore
from annotator.features.text import TextTower, explain_no_text
from annotator.items.ref_table import RefTable
from annotator.items.refs import BOX_MARK, make_printable, shell_quoted, split_ref
from annotator.learn.nearest import CosineIndex, top_rows
from annotator.log.entries import Action, LogState
from annotator.session.pool_features import PoolFeatures

ITEM_STATES = ("open", "labelled", "skipped", "flagged")
TERM_KINDS = ("name", "label", "class", "by", "like", "text")
RANKING_KINDS = ("like", "text")
"""The kinds of terms that order the items; all others filter them."""
_IN_A_BOX = frozenset(f"{BOX_MARK}0123456789,.".encode())
_TAIL = rb"(?:" + BOX_MARK.encode() + rb"[0-9.,]+|#)?$"

Mask = NDArray[np.bool_]


class QueryTerm(NamedTuple):
    """A term of a query."""

    kind: str
    """One of `TERM_KINDS`, or "state"."""
    value: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class SearchResults:
    """The items that a query found."""

    rows: NDArray[np.int64]
    """(k,) pool rows, the best first; unranked results keep the pool's order."""
    scores: NDArray[np.float32] | None
    """(k,) cosines; None if the rows are not ranked."""
    total: int
    """The number of matches, also those beyond the limit."""


def parse_query(query: str) -> tuple[QueryTerm, ...]:
    """Return the terms of a query. Raises `QueryError` for a malformed query."""
    try:
        words = shlex.split(query)
    except ValueError as error:
        raise QueryError(f"{make_printable(query)}: {error}. Close the quotation mark.") from error
    terms = tuple(_parse_term(word) for word in words)
    if not terms:
        raise QueryError("The query is empty. Give a part of a file name, label:NAME, open …")
    return terms


def _parse_term(word: str) -> QueryTerm:
    negated = len(word) > 1 and word.startswith("-")
    word = word[negated:]
    if word in ITEM_STATES:
        return QueryTerm("state", word, negated)
    kind, colon, value = word.partition(":")
    if not colon or kind not in TERM_KINDS:
        return QueryTerm("name", word, negated)
    if not value and kind != "like":
        raise QueryError(f"{kind}: has no value. Write {kind}:SOMETHING.")
    if negated and kind in RANKING_KINDS:
        raise QueryError(f"-{kind}: cannot be negated. Leave the minus out.")
    return QueryTerm("label" if kind == "class" else kind, value, negated)


class Searcher:
    """A search of a pool, with caches that make the next search quick."""

    def __init__(
        self,
        refs: RefTable,
        features: PoolFeatures | None = None,
        tower: Callable[[str], Callable[[str], NDArray[np.float32]]] = TextTower,
        folder: str = "PROJECT",
    ) -> None:
        """Search `refs`; `tower` maps an extractor's name to a function from words to features."""
        self.refs, self.features, self._folder = refs, features, shell_quoted(folder)
        self._tower, self._towers = tower, dict[str, Callable[[str], NDArray[np.float32]]]()
        self._nearest: CosineIndex | None = None
        self._rows = np.zeros(0, np.int64)

    def find(
        self,
        query: str,
        state: LogState,
        *,
        limit: int | None = None,
        current: str | None = None,
        classes: tuple[str, ...] = (),
    ) -> SearchResults:
        """Return at most `limit` items that match `query`; `current` is the item of a bare `like:`.

        Raises `QueryError` for a query that this project cannot answer, `FeatureError` and
        `ExtraMissing` for a query that needs other features or weights.
        """
        terms = parse_query(query)
        return self.rank(terms, self.conditions(terms, state, classes), limit, current)

    def conditions(
        self, terms: Sequence[QueryTerm], state: LogState, classes: tuple[str, ...]
    ) -> Mask:
        """Return a mask (n,) of the items that match all filtering terms."""
        mask = np.ones(len(self.refs), bool)
        for term in terms:
            if term.kind not in RANKING_KINDS:
                mask &= self._fulfilling(term, state, classes) ^ term.negated
        return mask

    def rank(
        self,
        terms: Sequence[QueryTerm],
        mask: Mask,
        limit: int | None = None,
        current: str | None = None,
    ) -> SearchResults:
        """Return the items of `mask` (n,), ordered by the ranking terms if there are any."""
        ranking = [term for term in terms if term.kind in RANKING_KINDS]
        if not ranking:
            rows = np.flatnonzero(mask)
            return SearchResults(rows[:limit], None, len(rows))
        scores = self._scores(ranking[0], current)
        for term in ranking[1:]:
            scores = scores + self._scores(term, current)
        scores[~mask] = -np.inf
        total = int((scores > -np.inf).sum())
        found = top_rows(scores, total if limit is None else limit)
        return SearchResults(found.rows, found.scores, total)

    def _fulfilling(self, term: QueryTerm, state: LogState, classes: tuple[str, ...]) -> Mask:
        if term.kind == "name":
            return self._rows_mask(self._named(term.value))
        if term.kind == "state":
            return self._mask(_refs_in_state(state, term.value), term.value == "open")
        if term.kind == "by":
            return self._mask(_refs_by(state, term.value))
        label = _find_class(term.value, state, classes)
        return self._mask(ref for ref in state.standing if state.label(ref) == label)

    def _mask(self, refs: Iterable[str], others: bool = False) -> Mask:
        """Return (n,) True for the rows of `refs`, or with `others` for all other rows."""
        rows = self.refs.rows(list(refs))
        return self._rows_mask(rows[rows >= 0]) ^ others

    def _rows_mask(self, rows: NDArray[np.int64]) -> Mask:
        mask = np.zeros(len(self.refs), bool)
        mask[rows] = True
        return mask

    def _named(self, name: str) -> NDArray[np.int64]:
        """Return the rows whose file name matches a glob, or contains a text in any case."""
        # macOS writes accents decomposed, keyboards composed: both name one file.
        forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")} | {name}
        return np.unique(np.concatenate([self._spelled(form) for form in forms]))

    def _spelled(self, name: str) -> NDArray[np.int64]:
        """Return the rows whose file name matches in this spelling of its accents."""
        wanted = name.lower().encode("utf-8", "surrogateescape")
        if any(sign in name for sign in "*?["):
            return self._globbed(wanted)
        rows = self.refs.matching(re.compile(re.escape(wanted)), lower=True)
        if _IN_A_BOX.issuperset(wanted):  # the match may be in the box, not in the name
            paths = (split_ref(self.refs[row])[0] for row in rows.tolist())
            inside = [name.lower() in path.lower() for path in paths]
            rows = rows[np.array(inside, bool)]
        return rows

    def _globbed(self, wanted: bytes) -> NDArray[np.int64]:
        """Return the rows that match a glob; the rarest plain part of it narrows them first."""
        glob = _compile_glob(wanted)
        plain = min(re.split(rb"\[.[^]]*\]|[*?\[]", wanted), key=self.refs.count)
        if self.refs.count(plain) > len(self.refs) // 10:
            return self.refs.matching(glob, lower=True)
        rows = self.refs.matching(re.compile(re.escape(plain)), lower=True)
        return np.asarray(rows[self.refs.take(rows.tolist()).matching(glob, lower=True)])

    def _scores(self, term: QueryTerm, current: str | None) -> NDArray[np.float32]:
        """Return (n,) the cosines of the pool rows; -inf for rows without features."""
        if self.features is None:
            raise FeatureError(
                f"{term.kind}: needs features, and there are none yet. Compute them: "
                f"annotator features {self._folder}"
            )
        store, wants = self.features.store, term.kind
        vector = self._words(store, term.value) if wants == "text" else self._like(term, current)
        if self._nearest is None or self._nearest.matrix is not store.matrix:
            self._nearest = CosineIndex(store.matrix, grows=self.features.available is not None)
            self._rows = self.features.rows(np.arange(len(self.refs)))
        scores = self._nearest.scores(vector)
        if self.features.available is not None:
            scores[~self.features.available] = -np.inf
        if len(scores) != len(self._rows) or (self._rows != np.arange(len(scores))).any():
            there = self._rows >= 0  # the features have another order, or lack some items
            scores = np.where(there, scores[np.where(there, self._rows, 0)], np.float32(-np.inf))
        if term.kind == "like":  # leave out the item itself
            scores[self._row(term, current)] = -np.inf
        return scores

    def _words(self, store: FeatureStore, text: str) -> NDArray[np.float32]:
        name = str(store.extractor.get("name", ""))
        if store.extractor.get("external") or name == "classic":
            raise FeatureError(explain_no_text(name, self._folder))
        if name not in self._towers:
            self._towers[name] = self._tower(name)
        vector = self._towers[name](text)
        if vector.shape != store.matrix.shape[1:]:
            raise FeatureError(explain_no_text(name, self._folder))
        return vector

    def _like(self, term: QueryTerm, current: str | None) -> NDArray[np.floating]:
        row = self._row(term, current)
        assert self.features is not None
        vector = self.features.vector(row)
        if vector is None:
            raise FeatureError(
                f"{make_printable(self.refs[row])} has no features yet. Compute them: "
                f"annotator features {self._folder}"
            )
        return vector

    def _row(self, term: QueryTerm, current: str | None) -> int:
        """Return the row of a `like:` term: a ref, or the only item with a matching name."""
        wanted = term.value or current
        if not wanted:
            raise QueryError("like: has no item. Write like:REF.")
        row = self.refs.find(wanted)
        if row >= 0:
            return row
        rows = self._named(wanted)
        if len(rows) == 1:
            return int(rows[0])
        count = f"{len(rows):,} items" if len(rows) else "no item"
        raise QueryError(f"like:{make_printable(wanted)} matches {count}. Write a full ref.")


def _compile_glob(wanted: bytes) -> re.Pattern[bytes]:
    """Compile a glob for the last part of a path, or for the whole path if it has a slash."""
    whole = b"/" in wanted
    open_ = not whole and wanted.startswith(b"*")  # then it may start anywhere in the last part
    wanted = wanted.lstrip(b"*") if open_ else wanted
    any_ = rb"[^\n]" if whole else rb"[^\n/]"
    parts, place = [], 0
    while place < len(wanted):
        sign, place = wanted[place : place + 1], place + 1
        end = wanted.find(b"]", place + 1)
        if sign == b"*":
            parts.append(any_ + b"*")
        elif sign == b"?":
            parts.append(any_)
        elif sign == b"[" and end > 0:
            inner = wanted[place:end].replace(b"\\", b"\\\\").replace(b"[", b"\\[")
            parts.append(b"[" + (b"^" + inner[1:] if inner[:1] == b"!" else inner) + b"]")
            place = end + 1
        else:
            parts.append(re.escape(sign))
    start = b"" if open_ else b"^" if whole else rb"^(?:[^\n]*/)?"
    try:
        return re.compile(start + b"".join(parts) + _TAIL, re.MULTILINE)
    except re.error as error:
        text = make_printable(wanted.decode("utf-8", "replace"))
        raise QueryError(f"{text} is not a glob: {error}. Use * ? and [a-z].") from error


def _refs_in_state(state: LogState, name: str) -> Iterable[str]:
    """Return the refs in a state; for "open" the refs that are not: those answered."""
    if name == "flagged":
        return state.flagged
    if name == "open":
        return state.standing
    wanted = Action.SKIP if name == "skipped" else Action.LABEL
    return (ref for ref, stack in state.standing.items() if stack[-1].action is wanted)


def _refs_by(state: LogState, name: str) -> set[str]:
    """Return the refs that an annotator labelled or skipped, with second opinions."""
    return {
        ref
        for kept in (state.standing, state.opinions)
        for ref, stack in kept.items()
        if any(entry.annotator == name for entry in stack)
    }


def _find_class(name: str, state: LogState, classes: tuple[str, ...]) -> str:
    """Return the class of a name in any case. Raises `QueryError` that lists the classes."""
    known = list(dict.fromkeys([*classes, *(label for label in state.counts if label)]))
    if name in known:
        return name
    alike = [label for label in known if label.lower() == name.lower()]
    if len(alike) == 1:
        return alike[0]
    names = make_printable(", ".join(known))
    raise QueryError(f"{make_printable(name)} is not a class. The classes are {names}.")
