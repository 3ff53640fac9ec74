"""The part of YAML that data.yaml and files of classes need, read strictly by PyYAML's parser.

Known: texts, lists and mappings in any style, with anchors, aliases and merge keys (`<<`). A data
set's data.yaml is a mapping of texts, lists of texts and mappings of texts. Tags (`!!python/…`) are
refused; no object is ever constructed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, NoReturn, TypeVar

from annotator.errors import RefError
from annotator.items.refs import make_printable

Value = TypeVar("Value")
YamlValue = str | list[str] | dict[str, str]
_CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that YAML does not allow in a document."""
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""Characters that JSON leaves as they are, and YAML refuses or takes for a line break."""
_SURROGATES = re.compile(
    r"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)
"""A character above U+FFFF as JSON escapes it, and as version 0.1 of this program wrote it."""
_READ = frozenset(("path", "train", "val", "test", "names", "nc", "kpt_shape", "task"))
"""The members whose values are read; others may have any shape."""
_MOST_REPEATED = 1 << 20
"""The number of events that all aliases together may repeat."""
_NULLS = ("null", "Null", "NULL", "~")
_FRAME = ("StreamStart", "StreamEnd", "DocumentStart", "DocumentEnd")


_DEEPEST = 20
"""Lists and mappings within each other."""


class YamlNode(NamedTuple):
    """A value of a document, and the line where it begins."""

    value: str | list[YamlNode] | dict[str, YamlNode]
    line: int


class _Event(NamedTuple):
    kind: str
    """The name of PyYAML's class without "Event": Scalar, MappingStart, SequenceEnd, …"""
    text: str
    line: int
    anchor: str | None = None


def load_yaml(text: str) -> dict[str, tuple[YamlValue, int]]:
    """Return the top-level members, each a text, a list or a mapping of texts, and their line.

    Raises `RefError` that begins with the line of the first fault.
    """
    events = _open_document(text)
    found = _read_document(events)
    _require_end(events)
    return found


def load_yaml_tree(text: str) -> YamlNode | None:
    """Return a document of any shape; None for an empty one. Raises `RefError` as `load_yaml`."""
    events = _open_document(text)
    first = next(events, None)
    found = None if first is None else _read_node(first, events, 0)
    _require_end(events)
    return found


def _open_document(text: str) -> Iterator[_Event]:
    text = text.removeprefix("\ufeff")
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        raise RefError(
            f"line {line}: {make_printable(control[0])} is a control character; remove it"
        )
    text = _SURROGATES.sub(lambda pair: pair[1] + json.loads(f'"{pair[2]}"'), text)
    return _resolve_aliases(_parse_events(text))


def _require_end(events: Iterator[_Event]) -> None:
    for event in events:
        _fault(event.line, "a second document begins here; the file may hold only one")


def _read_node(first: _Event, events: Iterator[_Event], depth: int) -> YamlNode:
    if depth > _DEEPEST:
        _fault(first.line, "is nested too deeply")
    if first.kind == "SequenceStart":
        items = []
        while (event := next(events)).kind != "SequenceEnd":
            items.append(_read_node(event, events, depth + 1))
        return YamlNode(items, first.line)
    if first.kind != "MappingStart":
        return YamlNode(_read_scalar(first), first.line)
    found = _read_mapping(events, lambda _: _read_node(next(events), events, depth + 1))
    return YamlNode(
        {key: YamlNode(node.value, line) for key, (node, line) in found.items()}, first.line
    )


def _parse_events(text: str) -> Iterator[_Event]:
    """Yield the events of a document, without its beginning and end. Raises `RefError`."""
    import yaml  # here, so that only a data.yaml pays for loading it

    try:
        for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            line = event.start_mark.line + 1
            if getattr(event, "tag", None):
                _fault(line, "tags (!) are refused")
            kind = type(event).__name__.removesuffix("Event")
            if kind not in _FRAME:
                text_ = str(getattr(event, "value", ""))
                plain = kind == "Scalar" and not event.style
                text_ = "" if plain and text_ in _NULLS else text_
                kind = "Merge" if plain and text_ == "<<" else kind
                yield _Event(kind, text_, line, getattr(event, "anchor", None))
    except yaml.YAMLError as error:
        raise RefError(_describe_error(error, text)) from None


def _resolve_aliases(events: Iterator[_Event]) -> Iterator[_Event]:
    """Yield events with each alias replaced by what its anchor marks."""
    known: dict[str, list[_Event]] = {}
    open_: list[tuple[str, int, list[_Event]]] = []
    depth = repeated = 0
    for event in events:
        if event.kind == "Alias":
            if event.anchor not in known:
                _fault(
                    event.line, f"*{make_printable(str(event.anchor))} is not marked before by &"
                )
            found = known[event.anchor]
            repeated += len(found)
            if repeated > _MOST_REPEATED:
                _fault(event.line, "aliases repeat more than such a file can hold")
        else:
            found = [event]
            if event.anchor:
                open_.append((event.anchor, depth, []))
        for one in found:
            yield one
            depth += one.kind.endswith("Start") - one.kind.endswith("End")
            for _, _, kept in open_:
                kept.append(one)
        while open_ and open_[-1][1] == depth:
            anchor, _, kept = open_.pop()
            known[anchor] = kept


def _read_document(events: Iterator[_Event]) -> dict[str, tuple[YamlValue, int]]:
    first = next(events, None)
    if first is None:
        return {}
    if first.kind != "MappingStart":
        _fault(first.line, "should be `key: value`")
    return _read_mapping(
        events, lambda key: _read_value(events) if key in _READ else _skip_value(events)
    )


def _read_mapping(
    events: Iterator[_Event], read_value: Callable[[str], Value]
) -> dict[str, tuple[Value, int]]:
    """Return the members of a mapping and their lines; its own count before merged ones (`<<`)."""
    found: dict[str, tuple[Value, int]] = {}
    merged: dict[str, tuple[Value, int]] = {}
    while (event := next(events)).kind != "MappingEnd":
        if event.kind != "Merge":
            key = _read_key(event, found)
            found[key] = (read_value(key), event.line)
            continue
        first = next(events)
        inner = first if first.kind != "SequenceStart" else next(events)
        while inner.kind == "MappingStart":
            merged = _read_mapping(events, read_value) | merged
            inner = next(events) if first.kind == "SequenceStart" else first._replace(kind="")
        if inner.kind not in ("", "SequenceEnd"):
            _fault(inner.line, "<< should name a mapping, or a list of mappings")
    return merged | found


def _skip_value(events: Iterator[_Event]) -> str:
    """Read a value of any shape that is not used, and return ""."""
    depth = 0
    while True:
        event = next(events)
        depth += event.kind.endswith("Start") - event.kind.endswith("End")
        if depth == 0:
            return ""


def _read_value(events: Iterator[_Event]) -> YamlValue:
    first = next(events)
    if first.kind == "SequenceStart":
        items = []
        while (event := next(events)).kind != "SequenceEnd":
            items.append(_read_scalar(event))
        return items
    if first.kind != "MappingStart":
        return _read_scalar(first)
    found = _read_mapping(events, lambda _: _read_scalar(next(events)))
    return {key: value for key, (value, _) in found.items()}


def _read_key(event: _Event, found: Mapping[str, object]) -> str:
    key = _read_scalar(event)
    if key in found:
        _fault(event.line, f"{make_printable(key)!r} is repeated")
    return key


def _read_scalar(event: _Event) -> str:
    if event.kind != "Scalar":
        _fault(event.line, "should be a text, not a list or mapping")
    return event.text


def _fault(line: int, text: str) -> NoReturn:
    raise RefError(f"line {line}: {text}")


def _describe_error(error: Exception, text: str) -> str:
    """Return the line and the problem of an error of PyYAML's parser."""
    mark, opened = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    line = mark.line + 1 if mark else 1
    problem = getattr(error, "problem", None) or "is not YAML"
    if "start any token" in problem and "\t" in text.split("\n")[line - 1]:
        return f"line {line}: holds a tab; YAML is indented with spaces"
    if context := getattr(error, "context", None):
        problem += f", {context}" + (f" that begins on line {opened.line + 1}" if opened else "")
    return f"line {line}: {make_printable(problem)}"


def dump_yaml(members: Mapping[str, str | Mapping[int, str]]) -> str:
    """Return members as YAML, with every text in double quotes."""
    lines = []
    for key, value in members.items():
        if isinstance(value, str):
            lines.append(f"{key}: {_quote(value)}")
        else:
            lines.append(f"{key}:")
            lines += [f"  {number}: {_quote(name)}" for number, name in value.items()]
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    """Return a text in JSON's quotes, which are YAML's as well, except for surrogate pairs."""
    shown = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", shown)
