"""A search for items: by name, what is known of them, what a model says, similarity or words.

The language of queries is that of `query.py`. Terms about the log are answered on the thread of
the session; all others may be answered in another one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annotator.curate.query import (
    MODEL_KINDS,
    RANKING_KINDS,
    QueryTerm,
    explain_no_hit,
    iter_terms,
    parse_query,
)
from annotator.curate.query_items import ItemFacts, ModelFacts
from annotator.curate.query_log import ClassNames, explain_no_annotator, refs_of_term
from annotator.curate.query_values import Mask, Truth, local_zone
from annotator.errors import FeatureError, QueryError
from annotator.features.store import FeatureStore
from annotator.features.text import TextTower, explain_no_text
from annotator.items.ref_table import RefTable
from annotator.items.refs import BOX_MARK, make_printable, plural, shell_quoted, split_ref
from annotator.learn.nearest import CosineIndex, top_rows
from annotator.log.entries import LogState
from annotator.project.project import ProjectFolder
from annotator.project.saved_searches import read_searches
from annotator.session.pool_features import PoolFeatures
from annotator.session.predict import prepare_fit

_IN_A_BOX = frozenset(f"{BOX_MARK}0123456789,.".encode())
_TAIL = rb"(?:#page=[0-9]+)?(?:" + BOX_MARK.encode() + rb"[0-9.,]+|#)?$"
_UNKNOWN = {
    "column": "{} without a value that can be compared in {}",
    "size": "{} of unknown size",
    "brightness": "{} of unknown brightness",
    "predicted": "{} without features",
    "p": "{} without features",
    "margin": "{} without features",
}
"""The words for items that cannot be compared, by the kind of the term."""
MEASURED_KINDS = ("size", "brightness")
"""The kinds of terms for which images may have to be measured."""


@dataclass(frozen=True, slots=True)
class SearchResults:
    """The items that a query found."""

    rows: NDArray[np.int64]
    """(k,) pool rows, the best first; unranked results keep the pool's order."""
    scores: NDArray[np.float32] | None
    """(k,) cosines; None if the rows are not ranked."""
    total: int
    """The number of matches, also those beyond the limit."""
    notes: tuple[str, ...] = ()
    """Facts for the reader: how many items are not known well enough, the zone of times."""


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """A query whose terms about the log are answered."""

    terms: tuple[QueryTerm, ...]
    answers: dict[QueryTerm, Truth]
    """The terms about the log, and about names."""
    tests: dict[QueryTerm, Callable[[str], bool]]
    """The tests for classes of the terms about the model."""
    model: ModelFacts | None
    hint: str = ""
    """A sentence for a query without a match."""


class Searcher:
    """A search of a pool, with caches that make the next search quick."""

    def __init__(
        self,
        refs: RefTable,
        features: PoolFeatures | None = None,
        tower: Callable[[str], Callable[[str], NDArray[np.float32]]] = TextTower,
        project: ProjectFolder | None = None,
    ) -> None:
        """Search `refs`; `tower` maps an extractor's name to a function from words to features.

        Without a `project`, there are no columns, models and saved searches.
        """
        self.refs, self.features, self.project = refs, features, project
        self._folder = shell_quoted(project.folder) if project else "PROJECT"
        self._items = ItemFacts(refs, project.folder if project else None)
        self._model: tuple[object, ModelFacts] | None = None
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
        return self.finish(self.prepare(query, state, classes), limit, current)

    def parse(self, query: str) -> tuple[QueryTerm, ...]:
        """Return the terms of a query, with those of the project's saved searches."""
        return parse_query(query, read_searches(self.project) if self.project else {})

    def prepare(self, query: str, state: LogState, classes: tuple[str, ...] = ()) -> PreparedQuery:
        """Answer the terms that need the log; call it on the thread that the log belongs to."""
        terms, known = self.parse(query), self._class_names(classes)
        answers, tests = dict[QueryTerm, Truth](), dict[QueryTerm, Callable[[str], bool]]()
        for term in iter_terms(terms):
            plain = term._replace(negated=False)
            if term.kind in MODEL_KINDS and term.value:
                tests[plain] = known.find(term.value, state)
            elif (refs := refs_of_term(term, state, known)) is not None:
                answers[plain] = Truth.of(self._mask(refs, term[:2] == ("state", "open")))
        asks_model = any(term.kind in MODEL_KINDS for term in iter_terms(terms))
        model = self._model_of(state) if asks_model else None
        hints = (explain_no_annotator(term, state) for term in iter_terms(terms))
        return PreparedQuery(terms, answers, tests, model, next(filter(None, hints), ""))

    def finish(
        self, prepared: PreparedQuery, limit: int | None = None, current: str | None = None
    ) -> SearchResults:
        """Answer the other terms, in any thread, and return what matches, the best first."""
        notes: list[str] = []
        mask = self._answer_all(prepared.terms, prepared, notes).true
        spans = [term.span for term in iter_terms(prepared.terms) if term.span is not None]
        if local := [span.start for span in spans if not span.zoned]:
            notes.append(f"times are local: {local_zone(local[0])}")
        ranking = [term for term in iter_terms(prepared.terms) if term.kind in RANKING_KINDS]
        if not ranking:
            rows = np.flatnonzero(mask)
            found = SearchResults(rows[:limit], None, len(rows))
        else:
            found = self._rank(ranking, mask, limit, current)
        if not found.total and (hint := prepared.hint or explain_no_hit(prepared.terms)):
            notes.append(hint)
        return replace(found, notes=tuple(dict.fromkeys(notes)))

    def _rank(
        self, ranking: Sequence[QueryTerm], mask: Mask, limit: int | None, current: str | None
    ) -> SearchResults:
        """Return the items of `mask` (n,), ordered by the ranking terms."""
        scores = self._scores(ranking[0], current)
        for term in ranking[1:]:
            scores = scores + self._scores(term, current)
        scores[~mask] = -np.inf
        total = int((scores > -np.inf).sum())
        found = top_rows(scores, total if limit is None else limit)
        return SearchResults(found.rows, found.scores, total)

    def _answer_all(
        self, terms: Iterable[QueryTerm], prepared: PreparedQuery, notes: list[str]
    ) -> Truth:
        """Return where all filtering terms hold."""
        every = np.ones(len(self.refs), bool)
        found = Truth.of(every)
        for term in terms:
            if term.kind not in RANKING_KINDS:
                found = found.both(self._answer(term, prepared, notes).negated(term.negated))
        return found

    def _answer(self, term: QueryTerm, prepared: PreparedQuery, notes: list[str]) -> Truth:
        if term.kind == "saved":
            return self._answer_all(term.terms, prepared, notes)
        plain = term._replace(negated=False)
        if plain in prepared.answers:
            return prepared.answers[plain]
        if term.kind in ("name", "path"):
            return Truth.of(self._rows_mask(self._named(term.value, term.kind == "path")))
        found = self._items.answer(term)
        if found is None:
            assert prepared.model is not None  # all other terms are about the model
            found = prepared.model.answer(term, prepared.tests.get(plain))
        assert found is not None
        if found.unknown:
            words = _UNKNOWN[term.kind].format(
                plural(found.unknown, "item"), make_printable(term.value)
            )
            measure = ": --measure finds it out" if term.kind in MEASURED_KINDS else ""
            notes.append(f"{words} left out{measure}")
        return found

    def _class_names(self, classes: tuple[str, ...]) -> ClassNames:
        if self.project is None:
            return ClassNames(classes)
        settings = self.project.settings
        return ClassNames(classes, settings.tree, settings.multi_label)

    def _model_of(self, state: LogState) -> ModelFacts:
        """Return the model of the labels so far."""
        if self.features is None or self.project is None:
            raise self._no_features("a query for predictions")
        available = self.features.available
        mark = state.seq, len(self.refs), None if available is None else int(available.sum())
        if self._model is None or self._model[0] != mark:
            fit = prepare_fit(self.project, self.features, self.refs, state)
            self._model = mark, ModelFacts(fit)
        return self._model[1]

    def _no_features(self, what: str) -> FeatureError:
        return FeatureError(
            f"{what} needs features, and there are none yet. Compute them: "
            f"annotator features {self._folder}"
        )

    def _mask(self, refs: Iterable[str], others: bool = False) -> Mask:
        """Return (n,) True for the rows of `refs`, or with `others` for all other rows."""
        rows = self.refs.rows(list(refs))
        return self._rows_mask(rows[rows >= 0]) ^ others

    def _rows_mask(self, rows: NDArray[np.int64]) -> Mask:
        mask = np.zeros(len(self.refs), bool)
        mask[rows] = True
        return mask

    def _named(self, name: str, whole: bool = False) -> NDArray[np.int64]:
        """Return the rows whose file name, or `whole` path, matches a glob or contains a text."""
        # macOS writes accents decomposed, keyboards composed: both name one file.
        forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")} | {name}
        return np.unique(np.concatenate([self._spelled(form, whole) for form in forms]))

    def _spelled(self, name: str, whole: bool) -> NDArray[np.int64]:
        """Return the rows whose file name matches in this spelling of its accents."""
        wanted = name.lower().encode("utf-8", "surrogateescape")
        if any(sign in name for sign in "*?["):
            return self._globbed(wanted, whole)
        rows = self.refs.matching(re.compile(re.escape(wanted)), lower=True)
        if _IN_A_BOX.issuperset(wanted):  # the match may be in the box, not in the name
            paths = (split_ref(self.refs[row])[0] for row in rows.tolist())
            inside = [name.lower() in path.lower() for path in paths]
            rows = rows[np.array(inside, bool)]
        return rows

    def _globbed(self, wanted: bytes, whole: bool) -> NDArray[np.int64]:
        """Return the rows that match a glob; the rarest plain part of it narrows them first."""
        glob = _compile_glob(wanted, whole)
        plain = min(re.split(rb"\[.[^]]*\]|[*?\[]", wanted), key=self.refs.count)
        if self.refs.count(plain) > len(self.refs) // 10:
            return self.refs.matching(glob, lower=True)
        rows = self.refs.matching(re.compile(re.escape(plain)), lower=True)
        return np.asarray(rows[self.refs.take(rows.tolist()).matching(glob, lower=True)])

    def _scores(self, term: QueryTerm, current: str | None) -> NDArray[np.float32]:
        """Return (n,) the cosines of the pool rows; -inf for rows without features."""
        if self.features is None:
            raise self._no_features(f"{term.kind}:")
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


def _compile_glob(wanted: bytes, whole: bool = False) -> re.Pattern[bytes]:
    """Compile a glob for the last part of a path, or for the `whole` path, as if it has a slash."""
    whole = whole or b"/" in wanted
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
