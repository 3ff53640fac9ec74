"""A ref names one item and reads back as the same item, whatever the file is called."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import RefError
from annotator.items.refs import (
    Box,
    Item,
    format_done,
    format_interval,
    format_percent,
    format_share,
    make_printable,
    shell_quoted,
)

paths = st.text(min_size=1, max_size=40) | st.sampled_from(
    ["a b.jpg", "a#b", "a#", "##", "a#xywh=1,2,3,4", "a#xywh=1,2,3,4#", "100%.png", "#xywh=1,2,3"]
)
lengths = st.floats(min_value=1e-3, max_value=1e6) | st.integers(min_value=1, max_value=10**7)
offsets = st.floats(min_value=0, max_value=1e6) | st.integers(min_value=0, max_value=10**7)


@given(paths)
def test_a_whole_image_reads_back(path: str) -> None:
    assert Item.parse(Item(path).ref) == Item(path)


@given(paths, offsets, offsets, lengths, lengths)
def test_a_box_reads_back(path: str, x: float, y: float, w: float, h: float) -> None:
    found = Item.parse(Item(path, Box(x, y, w, h)).ref)
    assert found.path == path
    assert found.box is not None
    for got, given_ in zip(found.box, (x, y, w, h), strict=True):
        assert math.isclose(got, given_, rel_tol=1e-6, abs_tol=1e-9)


def test_two_items_never_share_a_ref() -> None:
    items = [
        Item("a"),
        Item("a#"),
        Item("a", Box(1, 2, 3, 4)),
        Item("a#xywh=1,2,3,4"),
        Item("a#xywh=1,2,3,4#"),
        Item("a#xywh=1,2,3,4", Box(1, 2, 3, 4)),
    ]
    assert len({item.ref for item in items}) == len(items)


def test_a_ref_is_a_media_fragment_in_plain_numbers() -> None:
    assert Item("a/b.jpg", Box(12.0, 7, 30, 4.5)).ref == "a/b.jpg#xywh=12,7,30,4.5"


@pytest.mark.parametrize("ref", ["", "#", "#xywh=1,2,3,4", "a.jpg#xywh=1,2,0,4"])
def test_a_ref_that_names_nothing_is_refused(ref: str) -> None:
    with pytest.raises(RefError):
        Item.parse(ref)


@given(st.text())
def test_no_control_or_bidi_character_reaches_the_terminal(text: str) -> None:
    shown = make_printable(text)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in shown)
    assert not set(shown) & set(
        "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"
    )


def test_ordinary_names_stay_as_they_are() -> None:
    assert make_printable("été 🐈 файл.jpg") == "été 🐈 файл.jpg"
    assert make_printable("\x1b[2Jx") == "\\x1b[2Jx"


@pytest.mark.parametrize("name", ["parts", "my parts", "it's", "$HOME;ls", "-x y"])
def test_a_path_in_a_command_is_one_word_of_a_shell(name: str) -> None:
    assert shlex.split(f"annotator run {shell_quoted(Path(name))}") == ["annotator", "run", name]


def test_a_path_in_a_command_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in shell_quoted("a\x1b[2Jb")


@pytest.mark.parametrize(
    ("part", "whole", "digits", "text"),
    [
        (0, 9, 0, "0%"), (9, 9, 1, "100.0%"), (23, 24, 1, "95.8%"), (9_999, 10_000, 1, "99.9%"),
        (1_999, 2_000, 0, "99%"), (1, 10_000, 1, "<0.1%"), (1, 2_001, 0, "<1%"), (1, 3, 0, "33%"),
    ],
)  # fmt: skip
def test_a_share_is_all_or_nothing_only_if_it_is(
    part: int, whole: int, digits: int, text: str
) -> None:
    assert format_share(part / whole, digits) == text


def test_small_shares_have_a_digit_after_the_point() -> None:
    assert [format_percent(share) for share in (0, 0.0004, 0.042, 0.384, 0.9996, 1)] == [
        "0 %", "<0.1 %", "4.2 %", "38 %", "99 %", "100 %",
    ]  # fmt: skip
    assert format_interval(0.021, 0.079) == "2.1 – 7.9 %"
    assert format_interval(0.001, 0.27) == "<1 – 27 %"


def test_all_is_done_only_if_it_is() -> None:
    assert [format_done(*pair) for pair in ((23, 24), (24, 24), (49_999, 50_000), (0, 0))] == [
        "95.8 %", "100.0 %", "99.9 %", "0.0 %",
    ]  # fmt: skip
