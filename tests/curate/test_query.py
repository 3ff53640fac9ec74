"""A query says what it means: words in any case, and never a word that only looks like one."""

from __future__ import annotations

from datetime import datetime

import pytest

from annotator.curate.query import explain_no_hit, parse_query
from annotator.curate.query_values import cell_test, parse_time, text_test
from annotator.errors import QueryError


def test_terms() -> None:
    terms = parse_query('text:"rusty edge" -LABEL:ok Open note: -camera=3 P>=90% margin<0.1')
    assert [(t.kind, t.value, t.negated, t.operator, t.number) for t in terms] == [
        ("text", "rusty edge", False, "", 0), ("label", "ok", True, "", 0),
        ("state", "open", False, "", 0), ("note", "", False, "", 0),
        ("column", "camera=3", True, "", 0), ("p", "", False, ">=", 0.9),
        ("margin", "", False, "<", 0.1),
    ]  # fmt: skip


def test_a_probability_of_a_class_and_columns_with_the_name_of_a_word() -> None:
    chance, column, spaced = parse_query('p:"a>b">0.3 column:size<3 "lens no"=7')
    assert (chance.kind, chance.value, chance.operator, chance.number) == ("p", "a>b", ">", 0.3)
    assert (column.kind, column.value) == ("column", "size<3")
    assert (spaced.kind, spaced.value) == ("column", "lens no=7")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("lable:crack", "Did you mean label:CLASS"),
        ("a:b", "write name:a:b"),
        ("colour:red", "write colour=VALUE"),
        ("p>90", "a share from 0 to 1"),
        ("size<small", "a number"),
        ("at>lately", "Write 2026-11-01"),
        ("at>2026-13-01", "not a time"),
        ("column:size", "column:NAME=VALUE"),
        ("p:crack", "Write p:crack>0.3"),
        ("x:y=3", "write column:x:y=3"),
        ("@night", "none yet"),
    ],
)
def test_an_unknown_word_or_value_names_the_remedy(query: str, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        parse_query(query)


def test_the_error_for_an_unknown_word_lists_the_words() -> None:
    with pytest.raises(QueryError) as raised:
        parse_query("lable:crack")
    listed = "open skipped label: by: note: reviewed: path: predicted: p> margin< size< at> @NAME"
    assert all(word in str(raised.value) for word in listed.split())


def test_a_bare_word_that_looks_like_a_state_is_explained() -> None:
    assert "Did you mean labelled?" in explain_no_hit(parse_query("labeled"))
    assert explain_no_hit(parse_query("cam3 open")) == ""
    assert "Did you mean size<32?" in explain_no_hit(parse_query("size"))
    assert "Did you mean camera=3?" in explain_no_hit(parse_query("camera= 3"))


@pytest.mark.parametrize(
    ("spaced", "query"),
    [
        ("camera = 3 open", "camera=3 open"),
        ("-temp > 20 lens!= 3", "-temp>20 lens!= 3"),
        ("temp >20 p:crack >= 0.3", "temp>20 p:crack>=0.3"),
        ("temp> 20 size <= 32", "temp>20 size<=32"),
        ('"lens no" = 7', '"lens no"=7'),
        ("column:size < 3", "column:size<3"),
        ("at >= 2026-11-01 14:30 open", "at>=2026-11-01T14:30 open"),
        ("-at<2026-11-01 9:05", "-at<2026-11-01T9:05"),
    ],
)
def test_a_comparison_may_have_spaces(spaced: str, query: str) -> None:
    assert parse_query(spaced) == parse_query(query)


def test_saved_searches_stand_for_their_terms_also_negated() -> None:
    saved = {"Night": "camera=3 open", "both": "@night label:crack"}
    (both,) = parse_query("-@BOTH", saved)
    assert (both.kind, both.negated) == ("saved", True)
    night, label = both.terms
    assert [term.kind for term in night.terms] == ["column", "state"]
    assert label.value == "crack"


def test_saved_searches_that_name_each_other_are_refused() -> None:
    with pytest.raises(QueryError, match="in a circle: @a → @b → @a"):
        parse_query("@a", {"a": "@b", "b": "@a"})
    with pytest.raises(QueryError, match="Did you mean @night"):
        parse_query("@nigth", {"night": "open", "day": "open"})
    with pytest.raises(QueryError, match="cannot be negated"):
        parse_query("-@near", {"near": "like:a.jpg"})


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026", datetime(2026, 1, 1), datetime(2027, 1, 1)),
        ("2026-12", datetime(2026, 12, 1), datetime(2027, 1, 1)),
        ("2026-11-01", datetime(2026, 11, 1), datetime(2026, 11, 2)),
        ("2026-11-01T14:30", datetime(2026, 11, 1, 14, 30), datetime(2026, 11, 1, 14, 31)),
        ("yesterday", datetime(2026, 3, 1), datetime(2026, 3, 2)),
    ],
)
def test_a_time_is_as_long_as_it_is_written(text: str, start: datetime, end: datetime) -> None:
    span = parse_time(text, now=datetime(2026, 3, 2, 12))
    assert (span.start, span.end, span.zoned) == (start.timestamp(), end.timestamp(), False)


def test_a_day_is_over_before_what_is_after_it() -> None:
    span, noon = parse_time("2026-11-01"), datetime(2026, 11, 1, 12).timestamp()
    held = [sign for sign in ("=", "!=", "<", "<=", ">", ">=") if span.compare(sign, noon)]
    assert held == ["=", "<=", ">="]
    assert parse_time("2026-11-01T12:00Z").start == parse_time("2026-11-01T13:00+01:00").start


def test_cells_are_compared_as_numbers_if_both_are() -> None:
    assert cell_test("=", "3")("3.0") and not cell_test("=", "3")("30")
    assert cell_test(">", "9")("10") is True and cell_test(">", "9")("warm") is None
    assert cell_test(">", "2026-11-01")("2026-11-03") is True
    assert cell_test("=", "NORTH*")("north 3") and cell_test("!=", "north")("south")
    assert cell_test("=", "")(" ")


def test_texts_match_in_any_case_and_in_both_spellings_of_an_accent() -> None:
    assert text_test("blurred", part=True)("Very BLURRED")
    assert text_test("größe", part=True)("Gro\u0308ße 3")
    assert not text_test("ana")("anna") and text_test("an*a")("Anna")
