"""Real terminals on a display without a screen: press keys, look at the pixels."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.terminal.real.browser_terminal import missing_here
from tests.terminal.real.x_display import Display, NotStarted, Pixels
from tests.time_limits import PATIENCE

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
TRIXIE = Path(os.environ.get("ANNOTATOR_TRIXIE", CACHE / "annotator-trixie"))
FORKY = Path(os.environ.get("ANNOTATOR_FORKY", CACHE / "annotator-forky"))
FONT = "DejaVu Sans Mono"


def _kitty(columns: int, rows: int) -> list[str]:
    options = {
        "initial_window_width": f"{columns}c",
        "initial_window_height": f"{rows}c",
        "remember_window_size": "no",
        "font_family": FONT,
        "font_size": "10",
        "window_padding_width": "0",
        "placement_strategy": "top-left",
        "confirm_os_window_close": "0",
        "update_check_interval": "0",
        "cursor_blink_interval": "0",
        "enable_audio_bell": "no",
        "shell_integration": "disabled",
    }
    given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["kitty", "--config", "NONE", *given]


def _xterm(columns: int, rows: int) -> list[str]:
    resources = ["internalBorder: 0", "scrollBar: false", "maxGraphicSize: 4000x4000"]
    resources += ["numColorRegisters: 256", "cursorBlink: false"]
    given = [word for text in resources for word in ("-xrm", f"XTerm*{text}")]
    size = ["-geometry", f"{columns}x{rows}+0+0", "-fa", FONT, "-fs", "10"]
    return ["xterm", "-ti", "vt340", "-u8", "-b", "0", *size, *given, "-e"]


def _plain_xterm(columns: int, rows: int) -> list[str]:
    size = ["-geometry", f"{columns}x{rows}+0+0", "-fa", FONT, "-fs", "10"]
    return [
        "xterm",
        "-ti",
        "vt100",
        "-u8",
        "-b",
        "0",
        *size,
        "-xrm",
        "XTerm*scrollBar: false",
        "-e",
    ]


def _mlterm(columns: int, rows: int) -> list[str]:
    return ["mlterm", "-g", f"{columns}x{rows}", "-w", "14", "-s", "-O", "none", "--border=0", "-e"]


def _xterm_js(version: str) -> Callable[[int, int], list[str]]:
    program = [sys.executable, str(HERE / "browser_terminal.py"), version]
    return lambda columns, rows: [*program, str(columns), str(rows), "-e"]


def _konsole(columns: int, rows: int) -> list[str]:
    properties = {
        "TerminalColumns": columns,
        "TerminalRows": rows,
        "Font": f"{FONT},10",
        "TerminalMargin": 0,
        "ScrollBarPosition": 2,
    }
    given = [word for name, value in properties.items() for word in ("-p", f"{name}={value}")]
    return ["konsole", "--nofork", "--separate", "--hide-menubar", "--hide-tabbar", *given, "-e"]


TERMINALS: dict[str, tuple[Callable[[int, int], list[str]], Path | None]] = {
    "kitty-0.48": (_kitty, FORKY),
    "kitty-0.41": (_kitty, TRIXIE),
    "kitty-0.26": (_kitty, None),
    "xterm-398": (_xterm, TRIXIE),
    "xterm": (_xterm, None),
    "konsole": (_konsole, TRIXIE),
    "mlterm": (_mlterm, None),
    "plain": (_plain_xterm, None),
    "xterm.js": (_xterm_js("newest"), None),
    "xterm.js-2026-03": (_xterm_js("2026-03"), None),
    "xterm.js-6.0": (_xterm_js("6.0"), None),
}
"""A name may be followed by the graphics that are asked for: `xterm.js sixel`."""


def missing(name: str) -> str:
    """Return the reason why a terminal cannot be driven here; empty if it can."""
    name = name.partition(" ")[0]
    build, root = TERMINALS[name]
    if name.startswith("xterm.js") and (lacking := missing_here()):
        return f"{name}: {lacking} not installed: tests/terminal/real/setup.sh"
    program = Path(root or "/") / "usr/bin" / build(1, 1)[0]
    if not program.exists():
        return f"{name} is not installed: tests/terminal/real/setup.sh"
    if root is not None and not (root / str(ROOT).lstrip("/") / "tests").is_dir():
        return f"{name}: nothing is mounted in {root.name}: tests/terminal/real/setup.sh"
    try:
        import Xlib  # noqa: F401
    except ImportError:
        return "python-xlib is not installed"
    return "" if Path("/usr/bin/Xvfb").exists() else "Xvfb is not installed"


def opened(name: str, command: Sequence[str], folder: Path, **more: Any) -> Real:
    """A terminal with the command in it; the test is skipped where the terminal itself does not
    come up, three times over: that says nothing of the program."""
    for attempt in range(3):
        try:
            return Real(name, command, folder.with_name(folder.name + "+" * attempt), **more)
        except NotStarted as error:
            failed = error
    pytest.skip(f"{name} did not start here: {failed}")


class Real:
    """A program in a terminal, behind the proxy that counts bytes and may slow the line."""

    look = 0.0
    """Seconds that the annotator looks before the next key. No annotator answers a picture in
    the millisecond it appears; a key that does comes before the terminal's own word that it is
    drawn, and is not taken."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        size: tuple[int, int] = (80, 24),
        kbit: float = 0,
        rtt: float = 0,
        env: Mapping[str, str] | None = None,
        tmux: str | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name, _, graphics = name.partition(" ")
        build, self.root = TERMINALS[name]
        if graphics:
            env = {"ANNOTATOR_GRAPHICS": graphics, **(env or {})}
        self.folder, self.display, self.log = folder, Display(folder), folder / "bytes.log"
        self.socket = folder / "tmux" if tmux is not None else None
        if tmux is not None:
            (folder / "tmux.conf").write_text(
                f"set -g status off\nset -sg escape-time 10\n{tmux}\n"
            )
            command = ["tmux", "-S", str(self.socket), "-f", str(folder / "tmux.conf"),
                       "new-session", shlex.join(command)]  # fmt: skip
        slow_line = str(HERE / "slow_line.py")
        proxy = [sys.executable, slow_line, str(self.log), str(kbit), str(rtt), "--"]
        whole = [*build(*size), *proxy, *command]
        if self.root is not None:
            whole = ["chroot", str(self.root), "env", f"--chdir={ROOT}", *whole]
        if kbit or rtt:  # a line between: the terminal is not on this machine
            env = {"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22", **(env or {})}
        self._errors = (folder / "terminal.err").open("wb")
        self.process = subprocess.Popen(
            whole,
            env={**self._environment(), **(env or {})},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            start_new_session=True,
        )
        self._find_window()

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder),
            "DISPLAY": self.display.name,
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "KITTY_DISABLE_WAYLAND": "1",
            "COLORTERM": "truecolor",
            "QT_QPA_PLATFORM": "xcb",
            "QT_XCB_GL_INTEGRATION": "none",
        }

    def _find_window(self) -> None:
        from Xlib import X

        end = time.monotonic() + PATIENCE
        while (window := self.display.window()) is None:
            if self.process.poll() is not None or time.monotonic() > end:
                errors = (self.folder / "terminal.err").read_text(errors="replace")
                begun = self.log.exists()
                self.close()
                if begun:
                    raise AssertionError(f"the program ended, and its terminal: {errors[-500:]}")
                raise NotStarted(f"no terminal appeared: {errors[-500:]}")
            time.sleep(0.02)
        self.window = window
        window.configure(x=0, y=0)  # type: ignore[attr-defined]
        window.set_input_focus(X.RevertToParent, X.CurrentTime)  # type: ignore[attr-defined]
        self.display.x.sync()

    def press(self, key: str) -> int:
        """Press and release; returns the time just before, in nanoseconds."""
        before = time.monotonic_ns()
        self.display.press(key)
        return before

    def resize(self, width: int, height: int) -> None:
        self.window.configure(width=width, height=height)  # type: ignore[attr-defined]
        self.display.x.sync()

    def pixels(self) -> Pixels:
        """The window's pixels now."""
        place = self.window.get_geometry()  # type: ignore[attr-defined]
        return self.display.pixels[: place.height, : place.width, 2::-1].copy()

    def wait(self, condition: Callable[[Pixels], bool], seconds: float = PATIENCE) -> int:
        """Until the window looks as it should; returns the time, or fails with a screenshot."""
        if (found := self.looks(condition, seconds)) is None:
            raise AssertionError(f"the window never looked as it should: {self._photographed()}")
        time.sleep(self.look)
        return found

    def looks(self, condition: Callable[[Pixels], bool], seconds: float) -> int | None:
        """Return when the condition held; None if it did not within `seconds`."""
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            now = time.monotonic_ns()
            if condition(self.pixels()):
                return now
            # Looking all the time takes the processor from what is looked at.
            time.sleep(0.002 if time.monotonic() < begun + 0.5 else 0.02)
        return None

    def until(
        self, act: Callable[[], object], condition: Callable[[Pixels], bool], again: float = 15
    ) -> None:
        """Do something until the window looks as it should. It is done again after a while: what
        is asked before the program has the terminal's word that its picture is drawn, or what the
        terminal loses, comes to nothing. Not for what is done twice by being done again late."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            act()
            if self.looks(condition, again) is not None:
                break
        self.wait(condition, again)

    def ended(self, seconds: float = PATIENCE) -> None:
        """Until the terminal is gone; fails with what is still there, and where it waits."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            ps = ["ps", "-eo", "pid,ppid,stat,wchan:24,args", "--forest"]
            there = subprocess.run(ps, capture_output=True, text=True, check=False).stdout
            ours = [line for line in there.splitlines() if str(self.folder) in line]
            told = "\n".join([f"it does not end: {self._photographed()}", *ours])
            raise AssertionError(told) from None

    def _photographed(self) -> Path:
        from PIL import Image

        Image.fromarray(self.pixels()).save(self.folder / "failed.png")
        return self.folder / "failed.png"

    def steady(self, seconds: float = 0.6, most: float = 20) -> None:
        """Until the window and the line have been quiet for a while."""
        end, since, before = time.monotonic() + most, time.monotonic(), None
        while time.monotonic() < min(end, since + seconds):
            state = (self.pixels().tobytes(), self.sent())
            if state != before:
                since, before = time.monotonic(), state
            time.sleep(0.05)

    def sent(self, kind: str = "o") -> int:
        """Bytes that the program wrote (`o`), or that reached the terminal (`d`)."""
        if not self.log.exists():
            return 0
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return sum(int(line[2]) for line in lines if len(line) == 3 and line[1] == kind)

    def close(self) -> None:
        if self.socket is not None:
            kill = ["tmux", "-S", str(self.socket), "kill-server"]
            subprocess.run(kill, stderr=subprocess.DEVNULL, check=False)
        self.process.terminate()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        self._errors.close()
        self.display.close()

    def __enter__(self) -> Real:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
