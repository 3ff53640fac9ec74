"""One identity for everything that can be labelled: an image, or a box in one; orders of boxes.

A ref is `path` or `path#xywh=x,y,w,h`: pixels of the upright image, in COCO's order, written as a
W3C media fragment. It is the key in refs files, features, the log and every export. The path of a
page of a TIFF file ends in its number: see `tiff_pages.py`.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import NamedTuple

from annotator.errors import RefError

BOX_MARK = "#xywh="
"""The text between the path and the box in a ref."""
_FOUR_NUMBERS = re.compile(",".join([r"\d+(?:\.\d+)?"] * 4))
BOX_ORDERS = ("xywh", "xyxy", "r1-c1-r2-c2")
"""The orders of the bbox column of refs.csv; the last is `top-left-bottom-right` with dashes."""

_SIGNED = r"-?\d+(?:\.\d+)?"
_DASHED = re.compile("-".join([rf"({_SIGNED})"] * 4))
_LISTED = re.compile(r"\s*" + r"[ ,;]+".join([rf"({_SIGNED})"] * 4) + r"\s*")


class Box(NamedTuple):
    """A rectangle in pixels of the upright image: left, top, width, height."""

    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.w

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.h


@dataclass(frozen=True, slots=True)
class Item:
    """The unit that is labelled: an image file, or one box in it."""

    path: str
    """Relative to the project's images root, or absolute; `/` between its parts."""
    box: Box | None = None

    @property
    def ref(self) -> str:
        """The one name of this item. `Item.parse(item.ref) == item` for every item."""
        if self.box is not None:
            return f"{self.path}{BOX_MARK}{','.join(map(format_number, self.box))}"
        # An empty fragment keeps a path that looks like a ref with a box, or ends in #, apart.
        return self.path if split_ref(self.path) == (self.path, "") else f"{self.path}#"

    @classmethod
    def parse(cls, ref: str) -> Item:
        """Return the item that a ref names. Raises `RefError` for an empty path or box."""
        path, numbers = split_ref(ref)
        if not path:
            raise RefError(
                f"{ref!r} does not name a file. Write a ref as `path` or `path#xywh=x,y,w,h`."
            )
        if not numbers:
            return cls(path)
        box = Box(*map(float, numbers.split(",")))
        if not (box.w > 0 and box.h > 0):
            raise RefError(f"{ref!r} has an empty box. Its width and height must be above 0.")
        return cls(path, box)


def split_ref(ref: str) -> tuple[str, str]:
    """Return the path of a ref, and the numbers of its box, unread; "" for a whole image."""
    path, mark, numbers = ref.rpartition(BOX_MARK)
    if mark and _FOUR_NUMBERS.fullmatch(numbers):
        return path, numbers
    return ref.removesuffix("#"), ""


def arrange_box(numbers: tuple[float, float, float, float], order: str) -> Box:
    """Return the box of four numbers in one of `BOX_ORDERS`; its size may be below 0."""
    a, b, c, d = numbers
    if order == "r1-c1-r2-c2":
        return Box(b, a, d - b, c - a)
    return Box(a, b, c - a, d - b) if order == "xyxy" else Box(a, b, c, d)


def parse_box(text: str, order: str, *, may_be_outside: bool = False) -> Box:
    """Return the box of a bbox cell. Four numbers with dashes are top-left-bottom-right anyway.

    Raises `RefError` for anything that is not four numbers with an area, and for a box that begins
    below 0 unless it `may_be_outside` its image, to be cut later.
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
    if min(box.x, box.y) < 0 and not may_be_outside:
        raise RefError(f"{shown} begins outside the image (below 0)")
    return box


def format_box(box: Box, order: str) -> str:
    """Return the text that `parse_box` reads as `box` in this order."""
    if order == "xywh":
        return ",".join(map(format_number, box))
    if order == "xyxy":
        return ",".join(map(format_number, (box.x, box.y, box.right, box.bottom)))
    return "-".join(map(format_number, (box.y, box.x, box.bottom, box.right)))


def format_number(value: float) -> str:
    """Return a short plain decimal: 12, not 12.0 or 1e+16, with at most 10 decimals."""
    return f"{value:.10f}".rstrip("0").rstrip(".")


def make_printable(text: str) -> str:
    """Return `text` with everything that could control a terminal made visible.

    Control characters, lone surrogates and the bidirectional overrides (Unicode TR 9) become
    escapes such as `\\x1b` and `\\u202e`; all else, accents and emoji included, stays.
    """
    return _UNSAFE.sub(lambda found: _escape(found.group()), text)


def plural(count: int, singular: str, plural_form: str | None = None) -> str:
    """Return `1 item`, `2 items`."""
    return f"{count:,} {singular if count == 1 else plural_form or singular + 's'}"


def format_share(share: float, digits: int = 0, sign: str = "%") -> str:
    """Return `96%`; never 100 % unless it is all, nor 0 % unless it is nothing."""
    step = 10.0 ** -(digits + 2)
    text = f"{100 * share:.{digits}f}"
    if float(text) >= 100 and share < 1:
        text = f"{100 * (1 - step):.{digits}f}"
    if float(text) == 0 and share > 0:
        text = f"<{100 * step:.{digits}f}"
    return text + sign


def format_percent(share: float) -> str:
    """Return `4.2 %` or `38 %`: one rule for the screens, the report and the command line."""
    return format_share(share, _digits(share) if share > 0 else 0, " %")


def format_interval(low: float, high: float) -> str:
    """Return `2.1 – 7.9 %` or `11 – 27 %`: a digit after the point only if both ends are small."""
    digits = _digits(high)
    return f"{format_share(low, digits, '')} – {format_share(high, digits, ' %')}"


def format_done(done: int, of: int) -> str:
    """Return the share of the items that are answered: `100.0 %` if all of them are."""
    return format_share(done / of if of else 0.0, 1, " %")


def format_duration(seconds: float) -> str:
    """Return `45 s`, `12 min` or `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _digits(share: float) -> int:
    return 1 if share < 0.0995 else 0


def shell_quoted(path: object) -> str:
    """Return a path as it is typed in a command: quoted if a shell needs it."""
    return make_printable(shlex.quote(str(path)))


_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
