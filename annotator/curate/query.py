"""The language of queries: its words, and the terms that a text has.

A query has terms separated by spaces; an item must match all of them. A minus in front negates a
term. Words and values are compared in any case.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from annotator.curate.query_values import TimeSpan, parse_number, parse_time
from annotator.errors import QueryError
from annotator.items.refs import make_printable

ITEM_STATES = ("open", "labelled", "skipped", "flagged", "reviewed")
TEXT_WORDS = {
    "label": "label:CLASS", "class": "class:CLASS", "predicted": "predicted:CLASS",
    "by": "by:NAME", "note": "note:TEXT", "reviewed": "reviewed:NAME", "path": "path:GLOB",
    "name": "name:TEXT", "like": "like:REF", "text": 'text:"WORDS"',
}  # fmt: skip
"""The words with a colon after them, and the way to write them."""
NUMBER_WORDS = {
    "p": "p>0.9", "margin": "margin<0.1", "size": "size<32", "brightness": "brightness<0.2",
    "at": "at>=2026-11-01",
}  # fmt: skip
"""The words with a comparison after them, and the way to write them."""
RANKING_KINDS = ("like", "text")
"""The kinds of terms that order the items; all others filter them."""
MODEL_KINDS = ("predicted", "p", "margin")
"""The kinds of terms that need a model."""
_MAY_BE_EMPTY = ("like", "note", "reviewed", "column")
_SIGN = re.compile("<=|>=|!=|==|[≤≥=<>]")
_COMPARISON = re.compile(rf"(.+?)\s*({_SIGN.pattern})\s*(.*)", re.DOTALL)
_LAST_COMPARISON = re.compile(rf"(.+?)\s*({_SIGN.pattern})\s*([^<>=!≤≥]*)", re.DOTALL)
"""A comparison at the end of a text: the name of a class may hold a sign."""
_SPELLINGS = {"==": "=", "≤": "<=", "≥": ">="}
_CLOCK = re.compile(r"\d\d?:\d\d(:\d\d)?")
_DAY = re.compile(r"-?at[<>=!≤≥:]+\d{4}-\d\d?-\d\d?", re.IGNORECASE)
_WORD = re.compile(r"([^\W\d]\w*):(.*)", re.DOTALL)
SAVED_NAME = re.compile(r"[^\W\d][\w-]*")
"""The names that a saved search can have."""
_MOST_NESTED = 20


class QueryTerm(NamedTuple):
    """A term of a query."""

    kind: str
    """A word of the language, "state", "column" or "saved"."""
    value: str = ""
    """The text behind the word; of a column the whole comparison, such as `camera=3`."""
    negated: bool = False
    operator: str = ""
    """The sign of a comparison."""
    number: float = 0.0
    """The number behind the sign."""
    span: TimeSpan | None = None
    """The time behind the sign."""
    terms: tuple[QueryTerm, ...] = ()
    """The terms of a saved search."""


def parse_query(query: str, saved: Mapping[str, str] | None = None) -> tuple[QueryTerm, ...]:
    """Return the terms of a query; `saved` maps the names of saved searches to their queries.

    Raises `QueryError` for a malformed query, and for a word that the language does not have.
    """
    return _parse(query, saved or {}, ())


def iter_terms(terms: tuple[QueryTerm, ...]) -> Iterator[QueryTerm]:
    """Yield all terms, those of saved searches included."""
    for term in terms:
        yield from iter_terms(term.terms) if term.kind == "saved" else (term,)


def uses_features(terms: tuple[QueryTerm, ...]) -> bool:
    """Return whether a query needs the features of the items."""
    return any(term.kind in (*RANKING_KINDS, *MODEL_KINDS) for term in iter_terms(terms))


def split_comparison(text: str, names: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Return the column, the sign and the value of a comparison such as `camera=3`.

    `names` maps the columns in small letters to their names. A name may hold a sign itself, so the
    longest that fits counts. None is returned for a text that begins with no column.
    """
    folded = text.casefold()
    for name in sorted(names, key=len, reverse=True):
        if folded.startswith(name):
            found = _split(_COMPARISON, "x" + text[len(name) :])
            if found and found[0] == "x":
                return (names[name], *found[1:])
    return None


def _split(comparison: re.Pattern[str], text: str) -> tuple[str, str, str] | None:
    """Return the name, the sign in one spelling, and the value; None for no comparison."""
    found = comparison.fullmatch(text)
    return (found[1], _SPELLINGS.get(found[2], found[2]), found[3]) if found else None


def explain_no_hit(terms: tuple[QueryTerm, ...]) -> str:
    """Return a hint for a query without a hit: bare words that look like words of the language."""
    for before, term in zip((None, *terms), terms, strict=False):
        shown = make_printable(term.value)
        if term.kind == "name" and (close := _closest(term.value)):
            return f"{shown} was searched for in the paths. Did you mean {close}?"
        if term.kind == "name" and before and before.kind == "column" and before.value[-1] == "=":
            blank = make_printable(before.value)
            return f"{blank} finds blank cells, and {shown} paths. Did you mean {blank}{shown}?"
    return ""


def _parse(query: str, saved: Mapping[str, str], inside: tuple[str, ...]) -> tuple[QueryTerm, ...]:
    try:
        words = _join_comparisons(shlex.split(query))
    except ValueError as error:
        raise QueryError(f"{make_printable(query)}: {error}. Close the quotation mark.") from error
    terms = tuple(_parse_term(word, saved, inside) for word in words)
    if not terms:
        raise QueryError("The query is empty. Give a part of a file name, label:NAME, open …")
    return terms


def _join_comparisons(words: list[str]) -> list[str]:
    """Join comparisons with spaces in them, such as `temp > 20` and `at>2026-11-01 14:30`."""
    joined: list[str] = []
    is_open = False
    for word in words:
        goes_on = joined and (is_open or _SIGN.match(word))
        if goes_on or (joined and _CLOCK.fullmatch(word) and _DAY.fullmatch(joined[-1])):
            joined[-1] += word if goes_on else f"T{word}"
        else:
            joined.append(word)
        is_open = bool(_SIGN.fullmatch(word) or re.search("[<>≤≥]=?$", word))
    return joined


def _parse_term(word: str, saved: Mapping[str, str], inside: tuple[str, ...]) -> QueryTerm:
    negated = len(word) > 1 and word.startswith("-")
    word = word[negated:]
    if word.startswith("@"):
        return _expand(word[1:], negated, saved, inside)
    if word.casefold() in ITEM_STATES:
        return QueryTerm("state", word.casefold(), negated)
    if found := _WORD.fullmatch(word):
        return _parse_word(found[1].casefold(), found[2], negated)
    if comparison := _split(_COMPARISON, word):
        name, sign, value = comparison
        if name.casefold() in NUMBER_WORDS:
            return _compare(name.casefold(), "", sign, value, negated)
        return QueryTerm("column", word, negated)
    return QueryTerm("name", word, negated)


def _parse_word(kind: str, value: str, negated: bool) -> QueryTerm:
    """Return the term of a word with a colon."""
    if kind == "column":
        if not _COMPARISON.fullmatch(value):
            raise QueryError("column: needs a comparison. Write column:NAME=VALUE.")
        return QueryTerm("column", value, negated)
    if kind == "p":
        if found := _split(_LAST_COMPARISON, value):
            return _compare(kind, *found, negated)
        shown = make_printable(value or "CLASS")
        raise QueryError(f"p:{shown} needs a comparison. Write p:{shown}>0.3.")
    if kind in NUMBER_WORDS:  # at:2026-11-01
        return _compare(kind, "", "=", value, negated)
    if kind not in TEXT_WORDS:
        raise QueryError(_explain_unknown(kind, value))
    if not value and kind not in _MAY_BE_EMPTY:
        raise QueryError(f"{kind}: has no value. Write {kind}:SOMETHING.")
    if negated and kind in RANKING_KINDS:
        raise QueryError(f"-{kind}: cannot be negated. Leave the minus out.")
    return QueryTerm("label" if kind == "class" else kind, value, negated)


def _compare(kind: str, name: str, sign: str, value: str, negated: bool) -> QueryTerm:
    if kind == "at":
        return QueryTerm(kind, name, negated, sign, span=parse_time(value))
    number = parse_number(value)
    if number is None or (kind != "size" and not 0 <= number <= 1):
        what = "a number" if kind == "size" else "a share from 0 to 1, or 0% to 100%"
        raise QueryError(
            f"{kind} is compared with {what}, and {make_printable(value)!r} is not one. "
            f"Write {NUMBER_WORDS[kind]}."
        )
    return QueryTerm(kind, name, negated, sign, number)


def _expand(
    name: str, negated: bool, saved: Mapping[str, str], inside: tuple[str, ...]
) -> QueryTerm:
    folded = name.casefold()
    known = {key.casefold(): key for key in saved}
    if folded not in known:
        shown = make_printable(name)
        if not known:
            raise QueryError(
                f"@{shown} is not a saved search: there is none yet. Save one: "
                f"annotator search PROJECT 'QUERY' --save {shown}"
            )
        close = difflib.get_close_matches(folded, known, 1)
        hint = f" Did you mean @{known[close[0]]}?" if close else ""
        names = ", ".join(f"@{key}" for key in sorted(saved))
        raise QueryError(f"@{shown} is not a saved search.{hint} Saved are {names}.")
    if folded in inside or len(inside) >= _MOST_NESTED:
        circle = " → ".join(f"@{one}" for one in (*inside, folded))
        raise QueryError(f"Saved searches name each other in a circle: {circle}. Save one anew.")
    terms = _parse(saved[known[folded]], saved, (*inside, folded))
    if negated and any(term.kind in RANKING_KINDS for term in iter_terms(terms)):
        raise QueryError(f"-@{name} cannot be negated: it orders the items by like: or text:.")
    return QueryTerm("saved", known[folded], negated, terms=terms)


def _closest(word: str) -> str:
    """Return the word of the language that is nearest to `word`, as it is written; "" for none."""
    spelled = {state: state for state in ITEM_STATES} | TEXT_WORDS | NUMBER_WORDS
    close = difflib.get_close_matches(word.casefold(), spelled, 1, 0.75)
    is_state = word.casefold() in ITEM_STATES
    return spelled[close[0]] if close and not is_state else ""


def _explain_unknown(kind: str, value: str) -> str:
    shown, whole = make_printable(kind), make_printable(f"{kind}:{value}")
    close = _closest(kind)
    hint = f" Did you mean {close}?" if close else ""
    column = f"column:{whole}" if _COMPARISON.fullmatch(value) else f"{shown}=VALUE"
    words = ", ".join((*ITEM_STATES, *TEXT_WORDS.values(), *NUMBER_WORDS.values()))
    return (
        f"{shown}: is not a word of a query.{hint} The words are {words}, and @NAME for a saved "
        f"search. For a column of refs.csv write {column}; for a part of a path write "
        f"name:{whole}"
    )
