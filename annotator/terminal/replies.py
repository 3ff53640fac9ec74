"""The questions to a terminal, and its answers, parsed out of the bytes that arrive on stdin."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

ST = b"\x1b\\"
LARGEST_CELL = 512
"""Pixels. A larger cell is not believed: no window could show pictures of that size."""
LARGEST_PICTURE = 20_000
_MOST_REGISTERS = 65_536
_MOST_DIGITS = 9
_LONGEST_VERSION = 80

_ANSWER = re.compile(
    rb"\x1bP>\|(?P<version>[^\x1b]*)\x1b\\"
    rb"|\x1b_G(?P<kitty>[^;\x1b]*);(?P<verdict>[^\x1b]*)\x1b\\"
    rb"|\x1b\[6;(?P<cell>\d+;\d+)t"
    rb"|\x1b\[4;(?P<window>\d+;\d+)t"
    rb"|\x1b\[\?(?P<graphics>\d+;\d+[\d;]*)S"
    rb"|\x1b\[\?(?P<mode>\d+;\d+)\$y"
    rb"|\x1b\[\?(?P<attributes>[\d;]*)c"
    rb"|\x1bP[^\x1b]*\x1b\\"
)


@dataclass(frozen=True, slots=True)
class TerminalReplies:
    """The answers to `build_query()`. A field keeps its default if it was not answered."""

    version: str = ""
    """XTVERSION, e.g. `kitty(0.41.1)`, `XTerm(379)`, `tmux 3.5a`."""
    attributes: frozenset[int] = frozenset()
    """Primary device attributes; 4 is sixel."""
    kitty: bool = False
    shared_memory: bool = False
    cell: tuple[int, int] | None = None
    """Width and height of a cell in pixels."""
    sixel: tuple[int, int] | None = None
    """Largest sixel picture, width and height in pixels."""
    registers: int = 0
    sync: bool = False
    mouse_pixels: bool = False
    closed: bool = False
    """True if the closing question was answered: nothing is still on its way."""
    typed: bytes = b""
    """Everything that is not an answer: the keys that the user typed meanwhile."""


def build_query(
    *, kitty: bool = True, modes: bool = True, shared_memory: bytes | None = None
) -> bytes:
    """Return one batch of questions, closed by device attributes (DA1): all terminals answer them.

    XTVERSION, a 1x1 kitty query, cell size, sixel geometry and registers (XTSMGRAPHICS),
    synchronised output and SGR-pixel mouse (DECRQM). `kitty` and `modes` are left out for terminals
    that print them instead of ignoring them. `shared_memory` is the name of an object that holds
    one RGB pixel: only a terminal on this machine can read it.
    """
    parts = [b"\x1b[>q"]
    if kitty:
        parts.append(b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA" + ST)
    if kitty and shared_memory is not None:
        parts.append(b"\x1b_Gi=32,s=1,v=1,a=q,t=s,f=24;" + shared_memory + ST)
    parts.append(b"\x1b[16t\x1b[?1;1;0S\x1b[?2;1;0S")
    if modes:
        parts.append(b"\x1b[?2026$p\x1b[?1016$p")
    parts.append(b"\x1b[c")
    return b"".join(parts)


def parse_replies(data: bytes) -> TerminalReplies:
    """Sort what arrived into answers and typed keys. Never raises, whatever the bytes."""
    answers, typed, end = TerminalReplies(), [], 0
    for found in _ANSWER.finditer(data):
        typed.append(data[end : found.start()])
        end = found.end()
        answers = _note(answers, found)
    typed.append(data[end:])
    return replace(answers, typed=b"".join(typed))


def _note(answers: TerminalReplies, found: re.Match[bytes]) -> TerminalReplies:
    kind = found.lastgroup
    text = (found[kind] if kind else b"").decode("ascii", "replace")
    if kind == "version":
        return replace(answers, version=_clean(text))
    if kind == "verdict":
        return _note_kitty(answers, found["kitty"], text)
    if kind == "attributes":
        return replace(answers, attributes=frozenset(_numbers(text)), closed=True)
    if kind == "cell":
        return replace(answers, cell=_parse_cell(_numbers(text)))
    if kind == "mode" and len(numbers := _numbers(text)) == 2:
        return _note_mode(answers, *numbers)
    if kind == "graphics":
        return _note_graphics(answers, _numbers(text))
    return answers


def _note_kitty(answers: TerminalReplies, keys: bytes, verdict: str) -> TerminalReplies:
    fine = verdict == "OK"
    if b"i=32" in keys.split(b","):
        return replace(answers, shared_memory=fine)
    return replace(answers, kitty=fine)


def _note_mode(answers: TerminalReplies, mode: int, state: int) -> TerminalReplies:
    known = state in (1, 2, 3)
    if mode == 2026:
        return replace(answers, sync=known)
    return replace(answers, mouse_pixels=known) if mode == 1016 else answers


def _note_graphics(answers: TerminalReplies, numbers: list[int]) -> TerminalReplies:
    match numbers:
        case [1, 0, registers, *_]:
            return replace(answers, registers=min(registers, _MOST_REGISTERS))
        case [2, 0, width, height, *_] if width and height:
            size = min(width, LARGEST_PICTURE), min(height, LARGEST_PICTURE)
            return replace(answers, sixel=size)
    return answers


def _parse_cell(numbers: list[int]) -> tuple[int, int] | None:
    """Return width and height of a cell; None for a size that no terminal has."""
    if len(numbers) != 2 or not all(0 < number <= LARGEST_CELL for number in numbers):
        return None
    height, width = numbers
    return width, height


def _clean(version: str) -> str:
    return "".join(character for character in version if character.isprintable())[:_LONGEST_VERSION]


def _numbers(text: str) -> list[int]:
    """Return the numbers of an answer, without those that are too long to be meant."""
    parts = text.split(";")
    return [int(part) for part in parts if part.isdecimal() and len(part) <= _MOST_DIGITS]
