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
_LONGEST_TEXT = 80
_MOST_VERDICTS = 32

QUERY, MEMORY = 31, 32
"""Ids of the kitty queries. They name no image: a query stores none."""
PLACEMENT, QUIET, FRAME = 1_917_000_033, 1_917_000_034, 1_917_000_035
"""Ids of the images of the other kitty questions: large, so that no other program uses them."""

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
    verdicts: tuple[tuple[int, str], ...] = ()
    """Each answer to a kitty command, in order: the image id, and `OK` or the error."""
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

    def verdicts_on(self, number: int) -> list[str]:
        """Return the answers that name an image id, in order."""
        return [verdict for image, verdict in self.verdicts if image == number]

    @property
    def kitty(self) -> bool:
        """True if the terminal takes pictures by kitty's graphics protocol."""
        return "OK" in self.verdicts_on(QUERY)

    @property
    def shared_memory(self) -> bool:
        """True if it reads pictures from the memory of this machine."""
        return "OK" in self.verdicts_on(MEMORY)

    @property
    def places(self) -> bool:
        """False if it says that it does not show pictures sent earlier (`a=p`)."""
        # The question names no image: a terminal that knows the command misses it.
        return all(v.startswith(("ENOENT", "OK")) for v in self.verdicts_on(PLACEMENT))

    @property
    def leaks(self) -> bool:
        """True if it answers commands that forbid an answer (`q=2`)."""
        return bool(self.verdicts_on(QUIET))

    @property
    def frames(self) -> bool | None:
        """True if it takes frames (`a=f`), False if it refuses them, None if it says nothing."""
        # One that leaks has also answered to the image that the frame belongs to.
        verdicts = self.verdicts_on(FRAME)[self.leaks :]
        return verdicts[-1] == "OK" if verdicts else None


def build_query(
    *, kitty: bool = True, modes: bool = True, shared_memory: bytes | None = None
) -> bytes:
    """Return one batch of questions, closed by device attributes (DA1): all terminals answer them.

    XTVERSION, kitty graphics, cell size, sixel geometry and registers (XTSMGRAPHICS), synchronised
    output and SGR-pixel mouse (DECRQM). `kitty` and `modes` are left out for terminals that print
    them instead of ignoring them. `shared_memory` is the name of an object that holds one RGB
    pixel: only a terminal on this machine can read it.
    """
    parts = [b"\x1b[>q"]
    if kitty:
        parts.append(_kitty_questions(shared_memory))
    parts.append(b"\x1b[16t\x1b[?1;1;0S\x1b[?2;1;0S")
    if modes:
        parts.append(b"\x1b[?2026$p\x1b[?1016$p")
    parts.append(b"\x1b[c")
    return b"".join(parts)


def _kitty_questions(shared_memory: bytes | None) -> bytes:
    """Return the kitty commands whose answers `TerminalReplies` reads.

    Two of them have to store an image of one pixel, which is deleted at once: Konsole answers every
    query, `q=2` or not, and a frame needs an image. Nothing is drawn.
    """
    pixel = "s=1,v=1,f=24"
    asked = [(f"i={QUERY},{pixel},a=q,t=d", b"AAAA")]
    if shared_memory is not None:
        asked.append((f"i={MEMORY},{pixel},a=q,t=s", shared_memory))
    asked.append((f"a=p,i={PLACEMENT}", b""))
    asked.append((f"a=t,i={QUIET},{pixel},q=2", b"AAAA"))
    asked.append((f"a=t,i={FRAME},{pixel},q=2", b"AAAA"))
    asked.append((f"a=f,i={FRAME},{pixel}", b"AAAA"))
    asked += [(f"a=d,d=I,i={number},q=2", b"") for number in (QUIET, FRAME)]
    return b"".join(
        b"\x1b_G" + keys.encode() + (b";" + payload if payload else b"") + ST
        for keys, payload in asked
    )


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
    found = re.search(rb"(?:^|,)i=(\d{1,10})(?:,|$)", keys)
    if found is None or len(answers.verdicts) >= _MOST_VERDICTS:
        return answers
    return replace(answers, verdicts=(*answers.verdicts, (int(found[1]), _clean(verdict))))


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


def _clean(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:_LONGEST_TEXT]


def _numbers(text: str) -> list[int]:
    """Return the numbers of an answer, without those that are too long to be meant."""
    parts = text.split(";")
    return [int(part) for part in parts if part.isdecimal() and len(part) <= _MOST_DIGITS]
