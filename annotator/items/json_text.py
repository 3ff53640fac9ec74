"""JSON of files that a stranger may have changed, and as text that may reach a terminal."""

from __future__ import annotations

import json
import re
from typing import Any

_UNSAFE = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def parse_json(text: str | bytes) -> Any:
    """Return the document that `text` holds. Raises `ValueError`, also for deep nesting."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def to_json_text(document: Any, indent: int | None = None) -> str:
    """Return a document as JSON in which no character of a name can control a terminal.

    Control characters, bidirectional overrides and lone surrogates are written as `\\uXXXX`, which
    every JSON reader reads as the same text; all else, accents and emoji included, stays.
    """
    text = json.dumps(document, ensure_ascii=False, indent=indent)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
