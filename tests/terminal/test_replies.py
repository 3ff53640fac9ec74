"""Answers that no terminal gives: bounded, or no answer; never memory, time or a traceback."""

from __future__ import annotations

import random

import pytest

from annotator.terminal.replies import LARGEST_CELL, LARGEST_PICTURE, parse_replies
from annotator.terminal.transport import GraphicsReply, ReplyFilter

LONG = b"9" * 5000


@pytest.mark.parametrize(
    "size", [b"99999;99999", b"0;8", b"16;0", LONG + b";8", b"16;" + LONG, b"513;8", b"16;513"]
)
def test_a_cell_of_a_size_that_no_terminal_has_is_no_answer(size: bytes) -> None:
    assert parse_replies(b"\x1b[6;" + size + b"t").cell is None


def test_the_largest_cell_is_one() -> None:
    size = b"%d;%d" % (LARGEST_CELL, LARGEST_CELL)
    assert parse_replies(b"\x1b[6;" + size + b"t").cell == (LARGEST_CELL, LARGEST_CELL)


@pytest.mark.parametrize("number", [b"10000000000", b"999999999", LONG])
def test_sizes_of_pictures_and_palettes_are_bounded(number: bytes) -> None:
    answers = parse_replies(b"\x1b[?2;0;%b;%bS\x1b[?1;0;%bS" % (number, number, number))
    assert answers.sixel is None or max(answers.sixel) <= LARGEST_PICTURE
    assert answers.registers <= 65_536


@pytest.mark.parametrize("mode", [LONG + b";1", b"2026;" + LONG, b"2026;" + b"0" * 5000])
def test_modes_of_five_thousand_digits_are_no_answer(mode: bytes) -> None:
    answers = parse_replies(b"\x1b[?" + mode + b"$y")
    assert not answers.sync
    assert not answers.mouse_pixels


def test_the_name_of_a_terminal_is_short_and_has_nothing_that_controls() -> None:
    answers = parse_replies(b"\x1bP>|kitty\x9b(\x07" + b"x" * 100_000 + b"\x1b\\")
    assert answers.version.startswith("kitty")
    assert answers.version.isprintable()
    assert len(answers.version) <= 80


def test_attributes_of_five_thousand_digits_close_the_answers() -> None:
    answers = parse_replies(b"\x1b[?62;" + LONG + b";4c")
    assert answers.closed
    assert answers.attributes == {62, 4}


@pytest.mark.parametrize("seed", range(50))
def test_no_bytes_raise(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  noise, not a secret
    pieces = [
        b"\x1b[?",
        b"\x1b[6;",
        b"\x1bP>|",
        b"\x1b_G",
        b"\x1b\\",
        b";",
        b"c",
        b"t",
        b"S",
        b"$y",
    ]
    pieces += [b"1", b"2", b"0", LONG, b"\xff", b"\x1b", b"\x9b", b"OK", b"i=32"]
    parse_replies(b"".join(rng.choice(pieces) for _ in range(200)))


def test_replies_to_graphics_commands_never_become_keys_wherever_they_are_cut() -> None:
    text = "a\x1b_Gi=5;OK\x1b\\b\x1b_Gi=77,p=1;ENOENT:image not found\x1b\\\x1b[3;4Rc\x1b"
    for cut in range(len(text) + 1):
        replies = ReplyFilter()
        found = [*replies.feed(text[:cut]), *replies.feed(text[cut:]), replies.flush()]
        keys = "".join(piece for piece in found if isinstance(piece, str))
        assert keys == "ab\x1b[3;4Rc\x1b"
        answers = [piece for piece in found if isinstance(piece, GraphicsReply)]
        assert answers == [GraphicsReply(5, fine=True), GraphicsReply(77, fine=False)]


def test_the_rest_of_a_reply_that_comes_late_is_waited_for_and_one_without_end_is_dropped() -> None:
    replies = ReplyFilter()
    assert list(replies.feed("\x1b_Gi=5;ENO")) == []
    assert [replies.flush() for _ in range(10)] == [""] * 10
    assert list(replies.feed("ENT\x1b\\d")) == [GraphicsReply(5, fine=False), "d"]
    assert list(replies.feed("\x1b_Gi=5;dddd")) == []
    assert {replies.flush() for _ in range(1000)} == {""}
    assert list(replies.feed("a")) == ["a"]


def test_late_answers_to_the_first_questions_never_become_keys_wherever_they_are_cut() -> None:
    answers = "\x1bP>|kitty(0.48.1)\x1b\\a\x1b[6;20;10t\x1b[?1;0;256S\x1b[?62;4cb\x1b[98;;98u"
    for cut in range(len(answers) + 1):
        replies = ReplyFilter()
        found = [*replies.feed(answers[:cut]), *replies.feed(answers[cut:]), replies.flush()]
        assert "".join(map(str, found)) == "ab\x1b[98;;98u"


@pytest.mark.parametrize("rest", ["_Gi=5;OK\x1b\\", "P>|kitty(0.48.1)\x1b\\"])
def test_a_reply_whose_escape_came_alone_is_no_key_and_the_escape_key_is_one(rest: str) -> None:
    replies = ReplyFilter()
    assert list(replies.feed("\x1b")) == []
    assert replies.flush() == "\x1b"
    assert [piece for piece in replies.feed(rest) if isinstance(piece, str)] == []
    assert list(replies.feed("\x1b")) == []
    assert replies.flush() == "\x1b"
    assert {replies.flush() for _ in range(20)} == {""}
    assert list(replies.feed("_G")) == ["_G"]  # much later: keys


def test_the_escape_key_and_alt_with_an_underscore_stay_keys() -> None:
    replies = ReplyFilter()
    for keys in ("\x1b", "\x1b_"):
        assert list(replies.feed(keys)) == []
        assert replies.flush() == keys
