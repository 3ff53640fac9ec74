"""XML from unknown sources, read a small tree at a time, and XML that any reader accepts.

Built on expat alone: a document type declaration is refused where it begins, so there are no
entities to expand and none to fetch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from annotator.errors import RefError
from annotator.items.atomic import only_regular
from annotator.items.refs import make_printable

_MAX_DEPTH = 32
_MAX_TEXT = 1 << 16
_MAX_CHILDREN = 1 << 20
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True)
class XmlNode:
    """An element, with the line where it begins."""

    tag: str
    line: int
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: list[XmlNode] = field(default_factory=list)

    def child(self, tag: str) -> XmlNode | None:
        """Return the first child with this tag, if any."""
        return next((node for node in self.children if node.tag == tag), None)

    def all(self, tag: str) -> list[XmlNode]:
        """Return the children with this tag."""
        return [node for node in self.children if node.tag == tag]

    def value(self, *path: str) -> str | None:
        """Return the stripped text of the descendant at a path of tags, None if it is absent."""
        node: XmlNode | None = self
        for tag in path:
            node = node.child(tag) if node else None
        return node.text.strip() if node else None


class _Builder:
    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.root: XmlNode | None = None
        self.ready: list[XmlNode] = []
        self._open: list[XmlNode] = []

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        node = XmlNode(tag, self.parser.CurrentLineNumber, attributes)
        if len(self._open) >= _MAX_DEPTH:
            raise RefError(f"line {node.line}: is nested more than {_MAX_DEPTH} deep")
        self.root = self.root or node
        if len(self._open) > 1:  # the children of the root are yielded instead
            parent = self._open[-1]
            if len(parent.children) >= _MAX_CHILDREN:
                raise RefError(f"line {node.line}: <{tag}> is here more than a million times")
            parent.children.append(node)
        self._open.append(node)

    def _end(self, tag: str) -> None:
        node = self._open.pop()
        if len(self._open) == 1:
            self.ready.append(node)

    def _characters(self, text: str) -> None:
        if self._open:
            node = self._open[-1]
            if len(node.text) + len(text) > _MAX_TEXT:
                raise RefError(f"line {node.line}: <{node.tag}> holds too much text")
            node.text += text

    def _doctype(self, *_: object) -> None:
        raise RefError(
            f"line {self.parser.CurrentLineNumber}: has a document type declaration (<!DOCTYPE), "
            "which may define entities, so it is refused. Remove it."
        )


def iter_elements(path: Path) -> Iterator[XmlNode]:
    """Yield the root without its children, then each child as a whole.

    Raises `RefError` with file and line.
    """
    builder = _Builder()
    try:
        with open(path, "rb", opener=only_regular) as file:  # noqa: PTH123
            root_given = False
            while True:
                data = file.read(1 << 16)
                builder.parser.Parse(data, not data)
                if builder.root is not None and not root_given:
                    root_given = True
                    yield builder.root
                yield from builder.ready
                builder.ready.clear()
                if not data:
                    return
    except OSError as error:
        raise RefError(f"{make_printable(str(path))} cannot be read: {error.strerror}") from error
    except RefError as error:
        raise RefError(f"{make_printable(str(path))}, {error}") from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        line = getattr(error, "lineno", builder.parser.CurrentLineNumber)
        reason = (
            expat.ErrorString(error.code) if isinstance(error, expat.ExpatError) else str(error)
        )
        raise RefError(f"{make_printable(str(path))}, line {line}: is not XML: {reason}") from None


def parse_document(path: Path) -> XmlNode:
    """Return a small document as a whole. Raises `RefError`."""
    parts = iter_elements(path)
    root = next(parts)
    root.children = list(parts)
    return root


def read_root_tag(path: Path) -> str:
    """Return the name of the first element; "" if the file is not XML."""
    try:
        return next(iter_elements(path)).tag
    except (RefError, StopIteration):
        return ""


def escape_xml(text: str) -> str:
    """Return `text` for an element or a quoted attribute.

    Raises `RefError` for a character that XML cannot hold.
    """
    if _FORBIDDEN.search(text):
        raise RefError(f"{make_printable(text)!r} holds a character that XML cannot hold")
    for mark, code in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(mark, code)
    return text.replace("\r", "&#13;").replace("\n", "&#10;").replace("\t", "&#9;")


def format_element(tag: str, text: object) -> str:
    """Return an element that holds only text."""
    return f"<{tag}>{escape_xml(str(text))}</{tag}>"
