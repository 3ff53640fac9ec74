"""Keys as the terminal sends them: which were pasted, and which key of a US keyboard each is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import inf

from textual import events
from textual._xterm_parser import XTermParser
from textual.keys import _character_to_key
from textual.message import Message

from annotator.terminal.seen_guard import is_pasted

_EXTENDED = re.compile(
    r"\x1b\[(?P<code>\d+):\d*(?::(?P<base>\d+))?"
    r"(?P<rest>(?:;(?P<modifiers>\d*)[:\d]*(?:;(?P<text>\d*))?)?[:\d]*u)"
)
"""A key of the kitty keyboard protocol with its alternates: CODE:SHIFTED:BASE;MODIFIERS;TEXT u."""
_CHORD = 0b111110
"""The modifiers, beside shift, with which a key types nothing: alt, ctrl, super, hyper, meta."""
_MODES = "\x1b[>25u", "\x1b[>29u"
"""The modes that Textual sets, and the same with the alternate keys."""


class KeyParser(XTermParser):
    """Textual's parser, which would fail at a key with alternates, and marks two kinds of keys."""

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        plain, base = split_alternates(sequence)
        for event in super()._sequence_to_key_events(plain, alt):
            event._base = base  # type: ignore[attr-defined]
            event._typed = len(sequence) == 1 and sequence != "\x1b"  # type: ignore[attr-defined]
            yield event


def split_alternates(sequence: str) -> tuple[str, str]:
    """Return a key without its alternates, and the key at its place on a US keyboard or "".

    With ctrl or alt, which layouts of other scripts do not change, the key itself is that one.
    """
    found = _EXTENDED.fullmatch(sequence)
    if found is None:
        return sequence, ""
    code, base = int(found["code"]), int(found["base"] or 0)
    modifiers = max(0, int(found["modifiers"] or 1) - 1)
    if code > 127 and 32 < base < 127 and modifiers & _CHORD:
        code = base
    typed = chr(int(found["text"] or code))
    same = typed.lower() == chr(code).lower()  # else AltGr has made it another character
    letter = chr(base) if 32 < base < 127 and same else ""
    return f"\x1b[{code}{found['rest']}", letter.upper() if modifiers & 1 else letter


def with_alternate_keys(text: str) -> str:
    """Return what Textual writes to the terminal, asking for the alternate keys as well."""
    return text.replace(*_MODES) if _MODES[0] in text else text


def base_key(event: events.Key) -> str:
    """Return the key at the same place on a US keyboard, "" if the terminal does not tell it."""
    return getattr(event, "_base", "")


def replace_key(event: events.Key, character: str) -> events.Key:
    """Return the same key press with another character."""
    name = character if character.isalnum() else _character_to_key(character)
    other = events.Key(name, character)
    other.time = event.time
    other.__dict__.update(event.__dict__)
    return other


def comes_pasted(event: object) -> bool:
    """Return whether a key is a character of a paste that the terminal did not bracket."""
    return getattr(event, "_pasted", False)


class PasteMarker:
    """A marker of the keys that arrive in one read, which no hand has typed."""

    def __init__(self) -> None:
        self._last = -inf

    def mark(self, messages: Sequence[Message], now: float) -> None:
        """Mark the keys among the messages of one read if they were pasted."""
        typed = [message for message in messages if getattr(message, "_typed", False)]
        if is_pasted(len(typed), now - self._last):
            self._last = now
            for message in typed:
                message._pasted = True  # type: ignore[attr-defined]
