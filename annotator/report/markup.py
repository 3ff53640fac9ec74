"""HTML and SVG as values: whatever is text is escaped, whoever wrote it."""

from __future__ import annotations

import html
from dataclasses import dataclass

from annotator.items.refs import printable


@dataclass(frozen=True, slots=True)
class Markup:
    """Finished markup; anything else that is put into an element is text."""

    text: str


Content = Markup | str | int | float | None


def element(tag: str, *content: Content, **attributes: object) -> Markup:
    """`<tag …>content</tag>`; underscores in attribute names stand for dashes."""
    given = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    words = "".join(
        f' {name}="{escaped(str(value))}"' for name, value in given.items() if value is not None
    )
    return Markup(f"<{tag}{words}>{joined(*content).text}</{tag}>")


def joined(*content: Content) -> Markup:
    """All of it, one after the other."""
    return Markup("".join(one.text if isinstance(one, Markup) else _text(one) for one in content))


def _text(value: str | int | float | None) -> str:
    return "" if value is None else escaped(str(value))


def escaped(text: str) -> str:
    """Text as HTML, its control and bidi characters made visible."""
    return html.escape(printable(text), quote=True)
