"""The orders of the four numbers of a box, and how to read and write them."""

from __future__ import annotations

import re

from annotator.errors import RefError
from annotator.items.refs import Box, format_number, make_printable

BOX_ORDERS = ("xywh", "xyxy", "r1-c1-r2-c2")
"""The orders of the bbox column of refs.csv; the last is `top-left-bottom-right` with dashes."""

_NUMBER = r"-?\d+(?:\.\d+)?"
_DASHED = re.compile("-".join([rf"({_NUMBER})"] * 4))
_LISTED = re.compile(r"\s*" + r"[ ,;]+".join([rf"({_NUMBER})"] * 4) + r"\s*")


def arrange_box(numbers: tuple[float, float, float, float], order: str) -> Box:
    """Return the box of four numbers in one of `BOX_ORDERS`; its size may be below 0."""
    a, b, c, d = numbers
    if order == "r1-c1-r2-c2":
        return Box(b, a, d - b, c - a)
    return Box(a, b, c - a, d - b) if order == "xyxy" else Box(a, b, c, d)


def parse_box(text: str, order: str) -> Box:
    """Return the box of a bbox cell. Four numbers with dashes are top-left-bottom-right anyway.

    Raises `RefError` for anything that is not four numbers with an area.
    """
    dashed = _DASHED.fullmatch(text)
    found = dashed or _LISTED.fullmatch(text.strip("[]()"))
    shown = repr(make_printable(text))
    if found is None:
        raise RefError(f"{shown} is not four numbers such as 10,20,64,48")
    order = "r1-c1-r2-c2" if dashed else order
    a, b, c, d = map(float, found.groups())
    box = arrange_box((a, b, c, d), order)
    if box.w <= 0 or box.h <= 0:
        raise RefError(f"{shown} has no area (read as {order})")
    if box.x < 0 or box.y < 0:
        raise RefError(f"{shown} begins outside the image (below 0)")
    return box


def format_box(box: Box, order: str) -> str:
    """Return the text that `parse_box` reads as `box` in this order."""
    if order == "xywh":
        return ",".join(map(format_number, box))
    if order == "xyxy":
        return ",".join(map(format_number, (box.x, box.y, box.right, box.bottom)))
    return "-".join(map(format_number, (box.y, box.x, box.bottom, box.right)))
