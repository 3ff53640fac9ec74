"""The probe of the terminal before the app starts: one batch of questions, and no key is lost."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from annotator.terminal.caps import KittyVariant, Technique, TerminalCapabilities, Tmux
from annotator.terminal.choose import (
    FORCED,
    choose_technique,
    explain_answers,
    force_technique,
    known_terminal,
    requested_graphics,
)
from annotator.terminal.replies import LARGEST_CELL, TerminalReplies, build_query, parse_replies
from annotator.terminal.transport import (
    read_tmux,
    unlink_shared_memory,
    wrap_for_tmux,
    write_shared_memory,
)

_MODERN = ("kitty", "ghostty", "wezterm", "iterm2", "konsole", "xterm", "mlterm", "foot", "zellij")
"""The beginnings of the names of terminals that have true colour."""
_MOST_BYTES = 1_000_000
"""The most bytes that are read of answers: what comes after them is not asked for."""
TIMEOUT = 3.0
"""Seconds to wait for answers: five round trips of a 600 ms line."""


def probe(
    graphics: str = "auto",
    env: Mapping[str, str] = os.environ,
    timeout: float = TIMEOUT,
    stdin: int | None = None,
    stdout: int | None = None,
) -> TerminalCapabilities:
    """Ask the terminal for its capabilities. Call it before the app starts and owns stdin.

    Raises `TerminalError` for an unknown choice of graphics. If stdin or stdout is not a terminal,
    nothing is asked.
    """
    choice = requested_graphics(graphics, env)
    source, sink = _fileno(stdin, sys.__stdin__), _fileno(stdout, sys.__stdout__)
    if source is None or sink is None or not (os.isatty(source) and os.isatty(sink)):
        found = TerminalCapabilities(Technique.HALFCELL, "the program does not run in a terminal")
        return _apply(choice, found)
    with _ended_in_order(), _raw(source):
        caps = _ask(env, timeout, source, sink)
    return _apply(choice, caps)


def _apply(choice: str, caps: TerminalCapabilities) -> TerminalCapabilities:
    if choice == "auto":
        return caps
    technique = force_technique(choice, caps.technique)
    return replace(caps, technique=technique, reason=f"{FORCED[choice]} was asked for")


@dataclass(frozen=True, slots=True)
class _Wire:
    """Both ends of the terminal, and how long to wait."""

    source: int
    sink: int
    timeout: float

    def exchange(self, text: bytes) -> tuple[TerminalReplies, float]:
        """Write a batch, read until its end is answered. Returns the answers and the
        seconds taken."""
        begun = time.monotonic()
        os.write(self.sink, text)
        data = b""
        answers = parse_replies(data)
        while not answers.closed and len(data) < _MOST_BYTES:
            # Time may be up because this process stood still: what has come by then counts.
            left = max(0.0, begun + self.timeout - time.monotonic())
            if not select.select([self.source], [], [], left)[0]:
                break
            piece = os.read(self.source, 4096)
            if not piece:
                break
            data += piece
            answers = parse_replies(data)
        return answers, time.monotonic() - begun


def _ask(env: Mapping[str, str], timeout: float, source: int, sink: int) -> TerminalCapabilities:
    wire = _Wire(source, sink, timeout)
    multiplexer = _multiplexer(env)
    remote = any(env.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"))
    apple = env.get("TERM_PROGRAM") == "Apple_Terminal"
    quiet = multiplexer != "" or apple
    with _one_pixel(not quiet and not remote) as memory:
        near, rtt = wire.exchange(
            build_query(kitty=not quiet, modes=not apple, shared_memory=memory)
        )
    far, tmux = near, read_tmux(env, near.version) if multiplexer == "tmux" else Tmux()
    if tmux.passthrough:
        far, rtt = wire.exchange(wrap_for_tmux(build_query()))
        far = _merge(near, far)
    technique, reason = choose_technique(far, multiplexer, tmux)
    known = known_terminal(far.version)
    return TerminalCapabilities(
        technique=technique,
        reason=reason,
        terminal=far.version or _name(env),
        cell=_cell(source, far),
        sixel_size=far.sixel or (1000, 1000),
        registers=far.registers or 256,
        sync=near.sync,
        mouse_pixels=near.mouse_pixels,
        truecolor=_truecolor(env, far),
        shared_memory=far.shared_memory,
        answers=far.closed,
        multiplexer=multiplexer,
        tmux=tmux,
        remote=remote,
        rtt=rtt if far.closed else 0.0,
        typed=far.typed.decode("utf-8", "replace"),
        variant=known.variant if known is not None else KittyVariant(),
        findings=explain_answers(far, near, asked=not quiet or tmux.passthrough),
    )


def _merge(near: TerminalReplies, far: TerminalReplies) -> TerminalReplies:
    """Return tmux's own cell size and sixel, the terminal's graphics, and the keys of both."""
    return replace(
        far,
        cell=near.cell or far.cell,
        attributes=near.attributes,
        closed=far.closed,
        typed=near.typed + far.typed,
    )


def _multiplexer(env: Mapping[str, str]) -> str:
    if env.get("TMUX"):
        return "tmux"
    if env.get("STY") or env.get("TERM", "").startswith("screen"):
        return "screen"
    return "mosh" if "mosh-server" in _ancestors() else ""


def _ancestors(limit: int = 20) -> set[str]:
    """Return the names of the processes above this one, as far as /proc has them."""
    names: set[str] = set()
    pid = os.getppid()
    for _ in range(limit):
        try:
            head, _, tail = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        except OSError:
            break
        names.add(head.partition("(")[2])
        pid = int(tail.split()[1])
        if pid <= 1:
            break
    return names


def _name(env: Mapping[str, str]) -> str:
    """Return the name of a silent terminal, as far as its variables give it."""
    if env.get("WT_SESSION"):
        return "Windows Terminal"
    return env.get("TERM_PROGRAM", "").replace("_", " ")


def _truecolor(env: Mapping[str, str], answers: TerminalReplies) -> bool:
    if env.get("COLORTERM", "").lower() in ("truecolor", "24bit") or env.get("WT_SESSION"):
        return True
    return answers.version.lower().startswith(_MODERN)


def _cell(fd: int, answers: TerminalReplies) -> tuple[int, int]:
    return answers.cell or cell_size(fd) or (8, 16)


def cell_size(fd: int) -> tuple[int, int] | None:
    """Return width and height of a cell in pixels, as the tty gives them, else None."""
    import fcntl

    try:
        packed = fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8)
    except OSError:
        return None
    rows, columns, width, height = struct.unpack("HHHH", packed)
    if not (rows and columns and width and height):
        return None
    cell = round(width / columns), round(height / rows)  # a browser's are not whole pixels
    return cell if all(0 < size <= LARGEST_CELL for size in cell) else None


@contextlib.contextmanager
def _raw(fd: int) -> Iterator[None]:
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd, termios.TCSADRAIN)
    try:
        yield
    except BaseException:
        with contextlib.suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(fd, termios.TCSANOW, before)
        raise
    termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program by `SystemExit`: what is half done is put back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    found = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    before = {number: handler for number, handler in found.items() if handler is signal.SIG_DFL}
    for number in before:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _: object) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _one_pixel(useful: bool) -> Iterator[bytes | None]:
    """Yield the name in base64 of one RGB pixel in shared memory; kitty unlinks what it reads."""
    from base64 import b64encode

    if not useful:
        yield None
        return
    try:
        name = write_shared_memory(b"\0\0\0")
    except OSError:
        yield None
        return
    try:
        yield b64encode(name.encode())
    finally:
        unlink_shared_memory(name)


def _fileno(given: int | None, stream: object) -> int | None:
    if given is not None:
        return given
    try:
        return int(stream.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return None
