"""The terms of queries that the items themselves answer: columns, sizes, and what a model says."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.curate.query import MODEL_KINDS, QueryTerm, split_comparison
from annotator.curate.query_values import (
    Truth,
    cell_test,
    compare_texts,
    compare_values,
    parse_number,
)
from annotator.errors import QueryError
from annotator.items.refs import make_printable
from annotator.learn.class_levels import ancestor_lines
from annotator.learn.model import out_of_sample_proba
from annotator.project.item_measures import ItemMeasures
from annotator.session.predict import FittedProject, predict_pieces


class ItemFacts(ItemMeasures):
    """The answers of a project's items to terms about their columns, sizes and brightness."""

    def answer(self, term: QueryTerm) -> Truth | None:
        """Return the answer to a term about a column or a measure; None for another term."""
        if term.kind == "column":
            return self._compare_column(term.value)
        if term.kind in ("size", "brightness"):
            values = self.sizes if term.kind == "size" else self.brightness
            return compare_values(term.operator, term.number, values)
        return None

    def _compare_column(self, text: str) -> Truth:
        names = {name.casefold(): name for name in reversed(self.columns.names)}
        found = split_comparison(text, names) if self.folder is not None else None
        if found is None:
            raise QueryError(self._explain_no_column(text, names))
        name, sign, value = found
        column = self.columns.column(name).resized(len(self.refs))
        if sign not in ("=", "!=") and parse_number(value) is None and _holds_numbers(column.texts):
            raise QueryError(
                f"{make_printable(name)} holds numbers, and {make_printable(value)!r} is not one. "
                f"Write {make_printable(name)}{sign}20."
            )
        return compare_texts(column.codes, column.texts, cell_test(sign, value))

    def _explain_no_column(self, text: str, names: dict[str, str]) -> str:
        wanted = re.split(r"[<>=!≤≥]", text)[0].strip()
        shown = make_printable(wanted)
        close = difflib.get_close_matches(wanted.casefold(), names, 1)
        hint = f" Did you mean {make_printable(names[close[0]])}?" if close else ""
        listed = make_printable(", ".join(self.columns.names)) if names else "none but the paths"
        return (
            f"{shown} is not a column of refs.csv.{hint} Its columns are {listed}. For a part of a "
            f"path write name:{make_printable(text)}"
        )


def _holds_numbers(texts: Sequence[str]) -> bool:
    filled = [text for text in texts if text.strip()]
    return 2 * sum(parse_number(text) is not None for text in filled) > len(filled)


@dataclass(frozen=True, slots=True)
class PoolOpinions:
    """The opinions of a model on all items; NaN for items without features.

    On a labelled item it is the opinion of a model that was fitted without its label.
    """

    p: NDArray[np.float32]
    """(n,) the probability of the predicted class."""
    margin: NDArray[np.float32]
    """(n,) the difference between the two largest probabilities."""
    predicted: NDArray[np.bool_]
    """(k, n) True if one of the classes of a group is predicted."""
    chance: NDArray[np.float32]
    """(k, n) the probability of a group of classes."""


def form_opinions(fitted: FittedProject, groups: Sequence[Sequence[int]]) -> PoolOpinions:
    """Predict all items; `groups` are the classes, by their places, that are asked about."""
    n, targets = len(fitted.refs), fitted.model.targets
    p, margin = np.full((2, n), np.nan, np.float32)
    predicted, chance = np.zeros((len(groups), n), bool), np.full((len(groups), n), np.nan, "f4")

    def note(rows: NDArray[np.int64], proba: NDArray[np.floating]) -> None:
        p[rows], margin[rows] = targets.confidence(proba), 1 - targets.margin(proba)
        if groups:
            hot = targets.one_hot(proba)
        for place, group in enumerate(groups):
            predicted[place, rows] = hot[:, group].any(axis=1)
            chance[place, rows] = np.minimum(proba[:, group].sum(axis=1), 1)

    for rows, proba in predict_pieces(fitted, np.ones(n, bool)):
        note(rows, proba)
    refs = [fitted.features.store.refs[row] for row in fitted.snapshot.rows.tolist()]
    own = out_of_sample_proba(fitted.model, fitted.labelled, fitted.snapshot.y)
    labelled = fitted.refs.rows(refs)
    note(labelled[labelled >= 0], own[labelled >= 0])
    return PoolOpinions(p, margin, predicted, chance)


class ModelFacts:
    """The opinions of a model on all items of a pool, formed when a query first asks."""

    def __init__(self, fit: Callable[[], FittedProject]) -> None:
        """Take the function that makes the model, in the thread that asks first."""
        self._fit = fit
        self._fitted: FittedProject | None = None
        self._known: dict[tuple[int, ...] | None, PoolOpinions] = {}

    def answer(self, term: QueryTerm, test: Callable[[str], bool] | None) -> Truth | None:
        """Return the answer to a term about the model; None for another term.

        `test` tells the classes that the term names; None for a term that names none.
        """
        if term.kind not in MODEL_KINDS:
            return None
        found = self._opinions(test)
        if term.kind == "predicted":
            return Truth.of(found.predicted[0], np.isfinite(found.p))
        values = found.margin if term.kind == "margin" else found.p
        values = values if test is None else found.chance[0]
        return compare_values(term.operator, term.number, values)

    def _opinions(self, test: Callable[[str], bool] | None) -> PoolOpinions:
        if self._fitted is None:
            self._fitted = self._fit()
        if test is None and self._known:  # any pass knows how sure the model is
            return next(iter(self._known.values()))
        names, groups = self._fitted.classes, list[tuple[int, ...]]()
        if test is not None:
            lines = ancestor_lines(self._fitted.snapshot.parents or (-1,) * len(names))
            groups = [  # a class covers those below it
                tuple(c for c, line in enumerate(lines) if any(test(names[up]) for up in line))
            ]
        key = groups[0] if groups else None
        if key not in self._known:
            self._known[key] = form_opinions(self._fitted, groups)
        return self._known[key]
