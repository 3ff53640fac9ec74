"""The part of YAML that a data set's data.yaml is written in, read strictly and without a package.

Known: comments, `key: value`, lists and mappings in blocks or in brackets, quoted texts, texts over
several lines (passed over). Tags (`!!python/…`), anchors and aliases are refused, as are tabs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from annotator.errors import RefError

YamlValue = str | list[str] | dict[str, str]
_KEY = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#:'"\[\]{}&*!|>%@`-][^#:]*?|-?\d+)\s*:(?:\s+|$)"""
)
_COMMENT = re.compile(r"\s+#.*$")


class _Line(NamedTuple):
    number: int
    indent: int
    text: str


def load_yaml(text: str) -> dict[str, tuple[YamlValue, int]]:
    """The top-level members: a text, a list of texts or a mapping of texts, and their line.

    Raises `RefError` that begins with the line of whatever is not understood.
    """
    lines = [
        _Line(number, len(line) - len(line.lstrip(" ")), line.strip(" \r"))
        for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1)
    ]
    found: dict[str, tuple[YamlValue, int]] = {}
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.text or line.text.startswith("#") or line.text in ("---", "..."):
            at += 1
            continue
        if line.indent:
            raise RefError(
                f"line {line.number}: is indented, and nothing above it may be continued"
            )
        key, rest = _member(line)
        if key in found:
            raise RefError(f"line {line.number}: {key!r} stands here a second time")
        block = _block(lines, at + 1)
        found[key] = (_value(line, rest, block), line.number)
        at += 1 + len(block)
    return found


def _block(lines: list[_Line], start: int) -> list[_Line]:
    """The lines that belong to a key: indented ones, and list items at its own depth."""
    end = start
    while end < len(lines) and (
        not lines[end].text or lines[end].indent or lines[end].text.startswith(("#", "- "))
        or lines[end].text == "-"
    ):  # fmt: skip
        end += 1
    return lines[start:end]


def _value(line: _Line, rest: str, block: list[_Line]) -> YamlValue:
    if rest[:1] in ("|", ">"):
        return ""  # a script, a licence: of no use here
    inner = [part for part in block if part.text and not part.text.startswith("#")]
    for part in inner:
        _refuse(part, part.text)
    if rest:
        if rest[0] in "[{":
            # A list in brackets may go on over several lines.
            joined = " ".join([rest, *(_COMMENT.sub("", part.text) for part in inner)])
            return _flow(line, joined)
        if inner:
            raise RefError(f"line {inner[0].number}: continues a value that ended above")
        return _scalar(line, rest)
    if not inner:
        return ""
    if inner[0].text.startswith("-"):
        return [_item(part) for part in inner]
    return _mapping(inner)


def _mapping(lines: list[_Line]) -> dict[str, str]:
    depth = lines[0].indent
    found: dict[str, str] = {}
    for line in lines:
        if line.indent != depth:
            raise RefError(f"line {line.number}: mappings within mappings are not known here")
        key, rest = _member(line)
        if key in found:
            raise RefError(f"line {line.number}: {key!r} stands here a second time")
        found[key] = _scalar(line, rest)
    return found


def _item(line: _Line) -> str:
    if not line.text.startswith("- "):
        raise RefError(f"line {line.number}: an item of a list should begin with '- '")
    return _scalar(line, line.text[2:].strip())


def _member(line: _Line) -> tuple[str, str]:
    _refuse(line, line.text)
    found = _KEY.match(line.text)
    if found is None:
        raise RefError(f"line {line.number}: should be `key: value`")
    rest = line.text[found.end() :]
    return _scalar(line, found[1]), "" if rest.startswith("#") else rest


def _scalar(line: _Line, text: str) -> str:
    _refuse(line, text)
    if text[:1] in ("'", '"'):
        value, rest = _quoted(line, text)
        if rest and not rest.startswith("#"):
            raise RefError(f"line {line.number}: something stands behind the closing quote")
        return value
    if text[:1] in ("[", "{"):
        raise RefError(f"line {line.number}: lists within lists are not known here")
    return _COMMENT.sub("", text)


def _quoted(line: _Line, text: str) -> tuple[str, str]:
    """A quoted text at the beginning, and what follows it."""
    if text[0] == "'":
        found = re.match(r"'((?:[^']|'')*)'", text)
        if found:
            return found[1].replace("''", "'"), text[found.end() :].strip()
    else:
        found = re.match(r'"(?:[^"\\]|\\.)*"', text)
        if found:
            try:
                return str(json.loads(found[0])), text[found.end() :].strip()
            except ValueError:
                raise RefError(f"line {line.number}: an escape in quotes is not known") from None
    raise RefError(f"line {line.number}: the closing quote is missing")


def _flow(line: _Line, text: str) -> YamlValue:
    """`[a, b]` or `{0: a, 1: b}`."""
    close = "]" if text[0] == "[" else "}"
    parts, rest = _parts(line, text[1:].strip(), close)
    if rest and not rest.startswith("#"):
        raise RefError(f"line {line.number}: something stands behind the closing {close}")
    if close == "]":
        return parts
    pairs = [part.split(":", 1) for part in parts]
    if any(len(pair) != 2 for pair in pairs):
        raise RefError(f"line {line.number}: should be {{0: name, 1: name}}")
    return {key.strip(): value.strip().strip("'\"") for key, value in pairs}


def _parts(line: _Line, text: str, close: str) -> tuple[list[str], str]:
    found: list[str] = []
    while text:
        if text[0] == close:
            return found, text[1:].strip()
        if text[0] in ("'", '"'):
            value, text = _quoted(line, text)
        else:
            end = re.search(rf"[,{re.escape(close)}]", text)
            if end is None:
                break
            value, text = text[: end.start()].strip(), text[end.start() :]
            _refuse(line, value)
            if value[:1] in ("[", "{"):
                raise RefError(f"line {line.number}: lists within lists are not known here")
        found.append(value)
        text = text.lstrip()
        if text.startswith(","):
            text = text[1:].strip()
        elif not text.startswith(close):
            break
    raise RefError(f"line {line.number}: the closing {close} is missing")


def _refuse(line: _Line, text: str) -> None:
    if text[:1] in ("!", "&", "*", "%", "@", "`"):
        raise RefError(
            f"line {line.number}: tags, anchors and aliases ({text[0]}…) are refused in a data set"
        )
    if "\t" in text:
        raise RefError(f"line {line.number}: holds a tab; YAML is indented with spaces")


def dump_yaml(members: Mapping[str, str | Mapping[int, str]]) -> str:
    """Members as YAML; every text in JSON's quotes, which are YAML's as well."""
    lines = []
    for key, value in members.items():
        if isinstance(value, str):
            lines.append(f"{key}: {json.dumps(value)}")
        else:
            lines.append(f"{key}:")
            lines += [f"  {number}: {json.dumps(name)}" for number, name in value.items()]
    return "\n".join(lines) + "\n"
