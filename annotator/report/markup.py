"""HTML and SVG as values: whatever is text is escaped, whoever wrote it."""

from __future__ import annotations

import html
from dataclasses import dataclass

from annotator.items.refs import make_printable


@dataclass(frozen=True, slots=True)
class Markup:
    """Finished markup; anything else that is put into an element is text."""

    text: str


Content = Markup | str | int | float | None


def html_element(tag: str, *content: Content, **attributes: object) -> Markup:
    """`<tag …>content</tag>`; underscores in attribute names stand for dashes."""
    given = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    words = "".join(
        f' {name}="{escape_html(str(value))}"' for name, value in given.items() if value is not None
    )
    return Markup(f"<{tag}{words}>{join_markup(*content).text}</{tag}>")


def join_markup(*content: Content) -> Markup:
    """All of it, one after the other."""
    return Markup(
        "".join(one.text if isinstance(one, Markup) else _content_text(one) for one in content)
    )


def _content_text(value: str | int | float | None) -> str:
    return "" if value is None else escape_html(str(value))


def escape_html(text: str) -> str:
    """Text as HTML, its control and bidi characters made visible."""
    return html.escape(make_printable(text), quote=True)
