"""The diagnostics of the terminal for `annotator doctor`, with the fix for each problem."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from annotator.items.refs import make_printable
from annotator.terminal.caps import ProbeFinding, Technique, TerminalCapabilities
from annotator.terminal.probe import probe

SLOW = 0.15
"""Round trip in seconds above which pictures ahead of keys matter most."""

OTHERS = "use kitty, Ghostty, Konsole or VS Code; WezTerm, iTerm2, foot, xterm -ti vt340 work, too"
MAC = "use kitty, Ghostty, iTerm2 3.7 or WezTerm"
WITH_PICTURES = {
    "xterm.js": '"terminal.integrated.enableImages": true   (in settings.json of VS Code)',
    "xterm": "xterm -ti vt340 -xrm 'XTerm*numColorRegisters: 256'",
    "windows terminal": "Windows Terminal 1.22 or later: it has sixel",
    "apple terminal": MAC,
}
"""The fix for a terminal without pictures, by the beginning of its name."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A check and its result. `fix` is empty if there is nothing to fix."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    asked: ProbeFinding | None = None
    """The question to the terminal that it is about, if there is one."""


def diagnose_terminal(caps: TerminalCapabilities | None = None) -> list[Diagnostic]:
    """Return all diagnostics of the terminal; `probe` it if `caps` is not given."""
    found = probe() if caps is None else caps
    return [*_picture(found), *_asked(found), *_between(found), *_screen(found)]


def _picture(caps: TerminalCapabilities) -> Iterator[Diagnostic]:
    best = caps.technique.stores
    name = make_printable(caps.terminal) or "no name given"
    yield Diagnostic("terminal", caps.answers, f"{name}; {_answering(caps)}", _answer_fix(caps))
    fix = "" if best else _picture_fix(caps)
    yield Diagnostic("pictures", not fix, f"{caps.technique}: {caps.reason}", fix)
    if caps.technique is Technique.SIXEL:
        width, height = caps.sixel_size
        detail = f"at most {width} x {height} pixels, {caps.registers} colours"
        few = caps.registers < 256
        fix = "xterm -xrm 'XTerm*numColorRegisters: 256' -ti vt340" if few else ""
        yield Diagnostic("sixel", not few, detail, fix)


def _asked(caps: TerminalCapabilities) -> Iterator[Diagnostic]:
    """Yield each question to the terminal, its answer, and what follows from it."""
    for found in caps.findings:
        answer = make_printable(found.answer)
        detail = f"asked {found.question}: {answer}: {found.conclusion}"
        yield Diagnostic(found.topic, True, detail, asked=replace(found, answer=answer))


def _answering(caps: TerminalCapabilities) -> str:
    if not caps.answers:
        return "it did not answer what it can do"
    return f"answered in {caps.rtt * 1000:.0f} ms"


def _answer_fix(caps: TerminalCapabilities) -> str:
    if caps.answers:
        return ""
    return "annotator run PROJECT --graphics kitty|sixel|iterm, if you know what it shows"


def _picture_fix(caps: TerminalCapabilities) -> str:
    """Return the exact line or program that gives real pictures, or faster ones."""
    if caps.multiplexer == "tmux" and not caps.tmux.passthrough:
        return "tmux set -g allow-passthrough on   (and the same line without `tmux` in tmux.conf)"
    if caps.multiplexer in ("screen", "mosh"):
        instead = "tmux" if caps.multiplexer == "screen" else "ssh, with tmux on the far side"
        return f"use {instead} instead of {caps.multiplexer}"
    if caps.technique is Technique.SIXEL:
        return "ssh -C HOST   (sixel halves)" if caps.remote else ""
    if caps.technique is Technique.HALFCELL:
        name = caps.terminal.lower()
        return next((fix for start, fix in WITH_PICTURES.items() if name.startswith(start)), OTHERS)
    return ""


def _between(caps: TerminalCapabilities) -> Iterator[Diagnostic]:
    if caps.multiplexer == "tmux":
        passing = "passes graphics on" if caps.tmux.passthrough else "does not pass graphics on"
        old = caps.wrapped and caps.tmux.number < (3, 4)
        fix = "tmux 3.4 or later: switching takes a tenth of the bytes" if old else ""
        detail = f"version {caps.tmux.version or 'unknown'}, {passing}"
        yield Diagnostic("tmux", caps.tmux.passthrough, detail, fix or _picture_fix(caps))
    elif caps.multiplexer:
        yield Diagnostic(caps.multiplexer, False, "does not pass pictures on", _picture_fix(caps))
    if caps.answers:
        where = ", over ssh" if caps.remote else ""
        where += ", the terminal reads this machine's memory" if caps.shared_memory else ""
        slow = caps.rtt > SLOW and not caps.technique.stores
        fix = "use kitty, Ghostty or VS Code: pictures travel ahead of the keys" if slow else ""
        yield Diagnostic("line", not slow, f"round trip {caps.rtt * 1000:.0f} ms{where}", fix)


def _screen(caps: TerminalCapabilities) -> Iterator[Diagnostic]:
    width, height = caps.cell
    yield Diagnostic("cells", True, f"{width} x {height} pixels")
    detail = "true colour" if caps.truecolor else "a palette of 256"
    yield Diagnostic("colours", caps.truecolor, detail, _colour_fix(caps))
    yield Diagnostic("mouse", True, "reports pixels" if caps.mouse_pixels else "reports cells")


def _colour_fix(caps: TerminalCapabilities) -> str:
    if caps.truecolor:
        return ""
    if caps.terminal.startswith("Apple"):
        return MAC
    if caps.multiplexer == "screen":
        return _picture_fix(caps)
    return "export COLORTERM=truecolor   (where the terminal has true colour, as most do)"
