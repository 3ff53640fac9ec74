"""The terminal's answers, and the technique and fixes that follow from them."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from annotator.errors import TerminalError
from annotator.terminal.caps import Technique, TerminalCapabilities, Tmux
from annotator.terminal.choose import choose_technique, explain_answers
from annotator.terminal.diagnostics import diagnose_terminal
from annotator.terminal.probe import probe
from annotator.terminal.replies import FRAME, QUIET, build_query, parse_replies
from tests.terminal.memory_terminal import NAMES, Screen
from tests.time_limits import PATIENCE


@contextmanager
def terminal(kind: str, delay: float = 0.0, typed: bytes = b"") -> Iterator[int]:
    """The program's end of a pty whose other end is a terminal that answers after `delay`."""
    master, slave = pty.openpty()
    screen, stop = Screen(kind=kind), threading.Event()

    def serve() -> None:
        os.write(master, typed)
        while not stop.is_set():
            answers = screen.feed(os.read(master, 4096))
            time.sleep(delay)
            os.write(master, answers)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield slave
    finally:
        stop.set()
        os.write(slave, b" ")
        thread.join(PATIENCE)
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    ("kind", "technique"),
    [
        ("kitty", Technique.FRAMES),
        ("kitty-old", Technique.CLASSIC),
        ("kitty-0.48", Technique.FRAMES),
        ("ghostty", Technique.PLACEHOLDERS),
        ("ghostty-frames", Technique.FRAMES),
        ("iterm2", Technique.PLACEHOLDERS),
        ("konsole", Technique.CLASSIC),
        ("xterm.js", Technique.CLASSIC),
        ("xterm.js-leaky", Technique.CLASSIC),
        ("xterm.js-first", Technique.ITERM),
        ("unknown", Technique.CLASSIC),
        ("wezterm", Technique.ITERM),
        ("xterm", Technique.SIXEL),
        ("plain", Technique.HALFCELL),
    ],
)
def test_each_terminal_gets_its_best_technique(kind: str, technique: Technique) -> None:
    with terminal(kind, typed=b"dd") as tty:
        caps = probe(env={}, timeout=PATIENCE, stdin=tty, stdout=tty)
    assert caps.technique is technique
    assert caps.reason
    assert caps.cell == (8, 16)
    assert caps.typed == "dd", "an answer would be taken for keys"


@pytest.mark.parametrize("kind", NAMES)
def test_the_questions_leave_nothing_in_the_terminal(kind: str) -> None:
    screen = Screen(kind=kind)
    screen.feed(build_query())
    assert screen.images == {}
    assert not screen.drawn.any()
    assert screen.text().isspace()


def test_frames_are_believed_only_if_the_answer_is_to_the_frame() -> None:
    # xterm.js until May 2026 answers although q=2 forbids it: to the frame's image, too.
    for frame in (b"OK", b"EINVAL:unsupported action"):
        leaky = b"\x1b_Gi=31;OK\x1b\\\x1b_Gi=%d;OK\x1b\\" % QUIET
        leaky += b"\x1b_Gi=%d;OK\x1b\\\x1b_Gi=%d;%b\x1b\\\x1b[?62c" % (FRAME, FRAME, frame)
        assert parse_replies(leaky).frames == (frame == b"OK")
    silent = b"\x1b_Gi=%d;OK\x1b\\\x1b_Gi=%d;OK\x1b\\\x1b[?62c" % (QUIET, FRAME)
    assert parse_replies(silent).frames is None
    assert parse_replies(silent).leaks


def test_tmux_3_7_is_asked_about_synchronised_updates_and_the_terminal_about_pictures(
    tmp_path: Path,
) -> None:
    fake = tmp_path / "tmux"
    fake.write_text(
        '#!/bin/sh\ncase "$*" in *passthrough*) echo on ;; *version*) echo 3.7c ;; esac\n'
    )
    fake.chmod(0o755)
    env = {"TMUX": "/somewhere,1,0", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with terminal("tmux-3.7") as tty:
        caps = probe(env=env, timeout=PATIENCE, stdin=tty, stdout=tty)
    assert caps.technique is Technique.FRAMES
    assert caps.sync
    assert caps.terminal == "kitty(0.48.2)"
    assert caps.typed == ""


def test_the_doctor_says_what_was_asked_and_answered_and_what_follows() -> None:
    with terminal("ghostty-frames") as tty:
        caps = probe(env={}, timeout=PATIENCE, stdin=tty, stdout=tty)
    told = {fact.name: fact for fact in diagnose_terminal(caps) if fact.asked}
    topics = "kitty graphics, placements, placeholders, frames, shared memory, inline images, sixel"
    assert set(told) == {*topics.split(", "), "updates"}
    frames = told["frames"].asked
    assert frames is not None
    assert (frames.answer, frames.conclusion) == ("OK", "a key costs 20 bytes")
    assert "a=f" in frames.question
    assert all(part in told["frames"].detail for part in (frames.question, "OK", "20 bytes"))
    assert "pull 2015" in told["placeholders"].detail, "the source of what cannot be asked"
    with terminal("plain") as tty:
        silent = probe(env={}, timeout=PATIENCE, stdin=tty, stdout=tty)
    plain = {fact.name: fact for fact in diagnose_terminal(silent)}
    assert "no answer" in plain["frames"].detail


def test_what_a_terminal_answers_cannot_control_the_one_that_doctor_prints_to() -> None:
    hostile = b"\x1b_Gi=31;OK\x9b2J\x07" + b"x" * 5000 + b"\x1b\\\x1bP>|\x07kitty\x9b\x1b\\"
    replies = parse_replies(hostile * 1000)
    assert len(replies.verdicts) < 100
    findings = explain_answers(replies, replies, asked=True)
    caps = TerminalCapabilities(Technique.HALFCELL, findings=findings)
    details = "".join(fact.detail for fact in diagnose_terminal(caps))
    assert details.isprintable()
    assert len(details) < 5000


def test_a_slow_line_is_waited_for_and_typed_keys_are_kept() -> None:
    with terminal("kitty", delay=0.6, typed=b"dda\x1b[A") as tty:
        caps = probe(env={}, timeout=PATIENCE, stdin=tty, stdout=tty)
    assert caps.technique is Technique.FRAMES
    assert caps.typed == "dda\x1b[A"
    assert caps.rtt > 0.5


def test_a_terminal_that_is_silent_is_given_up() -> None:
    master, slave = pty.openpty()
    os.write(master, b"d")
    caps = probe(env={}, timeout=0.2, stdin=slave, stdout=slave)
    os.close(master)
    os.close(slave)
    assert caps.technique is Technique.HALFCELL
    assert not caps.answers
    assert caps.typed == "d"


def test_no_terminal_is_not_asked() -> None:
    reading, writing = os.pipe()
    caps = probe(env={}, stdin=reading, stdout=writing)
    os.close(writing)
    assert os.read(reading, 10) == b""
    os.close(reading)
    assert caps.technique is Technique.HALFCELL


def test_what_the_user_chose_counts() -> None:
    with terminal("xterm") as tty:
        assert probe("iterm", {}, PATIENCE, tty, tty).technique is Technique.ITERM
        env = {"ANNOTATOR_GRAPHICS": "none"}
        assert probe("auto", env, PATIENCE, tty, tty).technique is Technique.NONE
        assert probe("sixel", env, PATIENCE, tty, tty).technique is Technique.SIXEL
    with pytest.raises(TerminalError, match="ANNOTATOR_GRAPHICS is 'vga'.*kitty"):
        probe("auto", {"ANNOTATOR_GRAPHICS": "vga"})


def test_answers_cut_anywhere_and_garbage_are_survived() -> None:
    whole = Screen(kind="kitty").feed(build_query())
    for end in range(len(whole)):
        parse_replies(whole[:end])
    assert parse_replies(b"\x1b[?;c\x1b[6;0;0t\x1b_G;\x1b\\\xff\x1b[?2;0S").cell is None
    assert parse_replies(whole).closed


def test_a_refusal_of_a_graphics_question_is_no_typing() -> None:
    # xterm -ti vt100 answers XTSMGRAPHICS so: "?" would open the help.
    answers = parse_replies(b"\x1b[?1;3S\x1b[?2;3;S\x1b[?1;2c")
    assert answers.typed == b""
    assert answers.closed


def test_tmux_decides_by_what_is_around_it() -> None:
    kitty = parse_replies(b"\x1bP>|kitty(0.41.1)\x1b\\\x1b[?62;4c")
    assert choose_technique(kitty, "tmux", Tmux("3.5a", passthrough=True))[0] is Technique.FRAMES
    # tmux 3.5 reports sixel whatever is around it.
    assert choose_technique(kitty, "tmux", Tmux("3.5a"))[0] is Technique.HALFCELL
    xterm = parse_replies(b"\x1bP>|tmux 3.5a\x1b\\\x1b[?62;4c")
    assert choose_technique(xterm, "tmux", Tmux("3.5a", sixel=True))[0] is Technique.SIXEL
    konsole = parse_replies(b"\x1bP>|Konsole 25.04\x1b\\\x1b[?62;4c\x1b_Gi=31;OK\x1b\\")
    assert choose_technique(konsole, "")[0] is Technique.CLASSIC
    assert (
        choose_technique(konsole, "tmux", Tmux("3.5a", passthrough=True))[0] is Technique.HALFCELL
    )


def test_every_shortcoming_has_a_fix() -> None:
    poor = [
        TerminalCapabilities(
            Technique.HALFCELL, multiplexer="tmux", tmux=Tmux("3.5a"), answers=True
        ),
        TerminalCapabilities(Technique.HALFCELL, multiplexer="screen"),
        TerminalCapabilities(Technique.HALFCELL, multiplexer="mosh", truecolor=False),
        TerminalCapabilities(Technique.SIXEL, remote=True, rtt=0.3, answers=True, registers=16),
        TerminalCapabilities(Technique.HALFCELL),
    ]
    for caps in poor:
        bad = [fact for fact in diagnose_terminal(caps) if not fact.ok]
        assert bad
        assert all(fact.fix for fact in bad)
    tmux = [fact.fix for fact in diagnose_terminal(poor[0]) if fact.name == "pictures"]
    assert "allow-passthrough on" in tmux[0]
    best = TerminalCapabilities(Technique.FRAMES, terminal="kitty(0.41.1)", answers=True, rtt=0.1)
    assert all(fact.ok for fact in diagnose_terminal(best))


@pytest.mark.parametrize(
    ("terminal", "fix"),
    [
        ("xterm.js(5.6.0)", '"terminal.integrated.enableImages": true'),
        ("XTerm(379)", "xterm -ti vt340"),
        ("Windows Terminal", "Windows Terminal 1.22"),
        ("Apple Terminal", "use kitty"),
        ("VTE(7600)", "use kitty"),
    ],
)
def test_the_fix_is_that_of_the_terminal(terminal: str, fix: str) -> None:
    caps = TerminalCapabilities(
        Technique.HALFCELL, terminal=terminal, answers=True, truecolor=False
    )
    fixes = {fact.name: fact.fix for fact in diagnose_terminal(caps)}
    assert fixes["pictures"].startswith(fix)
    # Apple's terminal would show other colours if it tried to show all.
    assert ("COLORTERM" in fixes["colours"]) == (terminal != "Apple Terminal")


def test_a_terminal_that_does_not_say_its_name_is_known_by_its_variables() -> None:
    with terminal("plain") as tty:
        found = probe(env={"WT_SESSION": "1"}, timeout=PATIENCE, stdin=tty, stdout=tty)
    assert found.terminal == "Windows Terminal"
    assert found.truecolor


_ASKS = """
import sys
from annotator.terminal.probe import probe
print("asking", file=sys.stderr, flush=True)
probe(timeout=30)
"""


def _pixels() -> set[str]:
    """Return the names of what lies in shared memory for terminals."""
    return {path.name for path in Path("/dev/shm").glob("annotator-tty*")}  # noqa: S108


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_while_the_terminal_is_asked_leaves_it_as_it_was(number: int) -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    memory = _pixels()
    with subprocess.Popen(
        [sys.executable, "-c", _ASKS], stdin=slave, stdout=slave, stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-kitty", "TMUX": "", "STY": ""},
    ) as child:  # fmt: skip
        assert child.stderr is not None
        assert child.stderr.readline() == b"asking\n"
        until = time.monotonic() + PATIENCE
        while termios.tcgetattr(slave) == before and time.monotonic() < until:
            time.sleep(0.01)
        os.read(master, 4096)  # the questions have been asked
        child.send_signal(number)
        assert child.wait(timeout=PATIENCE) != 0
        assert b"Traceback" not in child.stderr.read() or number == signal.SIGINT
    assert termios.tcgetattr(slave) == before
    until = time.monotonic() + PATIENCE  # other programs' pixels come and go
    while (left := _pixels() - memory) and time.monotonic() < until:
        time.sleep(0.01)
    assert not left
    os.close(master)
    os.close(slave)
