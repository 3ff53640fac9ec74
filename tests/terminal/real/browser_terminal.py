"""A terminal made of a browser: xterm.js, which is VS Code's terminal, in Chromium, on a pty.

    browser_terminal.py VERSION COLUMNS ROWS -e COMMAND ...

VERSION is one of `VERSIONS`. The page and the pty are joined by a WebSocket. The terminal ends with
its program.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "xtermjs"
MODULES = HERE / "node_modules"
CHROMIUM = Path("/usr/bin/chromium")
VERSIONS = {
    "newest": ("@xterm/xterm", "@xterm/addon-image"),
    "2026-03": ("xterm-2026-03", "addon-image-2026-03"),
    "6.0": ("xterm-6.0", "addon-image-0.9"),
}
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
QUIET = """
--no-sandbox --disable-gpu --disable-quic --no-first-run --no-default-browser-check
--disable-background-networking --disable-component-update --disable-sync --disable-default-apps
--disable-breakpad --disable-extensions --password-store=basic --use-mock-keychain --kiosk
--disable-features=Translate,MediaRouter,OptimizationHints --force-device-scale-factor=1
--window-position=0,0
"""


def missing_here() -> str:
    """Return the part that is not installed; empty if nothing is missing."""
    if not CHROMIUM.exists():
        return "chromium"
    if not all((MODULES / name).is_dir() for pair in VERSIONS.values() for name in pair):
        return "the packages of tests/terminal/real/xtermjs"
    try:
        import websockets  # noqa: F401
    except ImportError:
        return "websockets"
    return ""


class BrowserTerminal:
    """The server of the page, the browser, and the program on its pty."""

    def __init__(self, version: str, columns: int, rows: int, command: list[str]) -> None:
        self.xterm, self.addon = (MODULES / name for name in VERSIONS[version])
        self.size, self.command = (columns, rows), command
        self.master = self.child = 0
        self.ended = threading.Event()

    def run(self) -> int:
        from websockets.sync.server import serve

        with serve(
            self.talk, "127.0.0.1", 0, process_request=self.file, compression=None
        ) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            port = server.socket.getsockname()[1]
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
                browser = self.browse(port, profile)
                try:
                    while not self.ended.wait(0.1) and browser.poll() is None:
                        pass
                finally:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(browser.pid, signal.SIGKILL)
                    browser.wait()
                    self.hang_up()
            server.shutdown()
        return 0

    def browse(self, port: int, profile: str) -> subprocess.Popen[bytes]:
        columns, rows = self.size
        page = f"http://127.0.0.1:{port}/page.html?columns={columns}&rows={rows}"
        return subprocess.Popen(
            [str(CHROMIUM), *QUIET.split(), f"--user-data-dir={profile}", f"--app={page}"],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def file(self, connection: Any, request: Any) -> Any:
        """Answer a request for a file; None leaves it to the WebSocket."""
        from websockets.datastructures import Headers
        from websockets.http11 import Response

        path = request.path.partition("?")[0]
        if path == "/socket":
            return None
        top, _, rest = path.lstrip("/").partition("/")
        place = {"xterm": self.xterm, "addon-image": self.addon}.get(top)
        found = place / rest if place else HERE / top
        if not found.is_file() or found.suffix not in TYPES:
            return connection.respond(HTTPStatus.NOT_FOUND, "")
        body = found.read_bytes()
        kind = [("Content-Type", TYPES[found.suffix]), ("Content-Length", str(len(body)))]
        return Response(200, "OK", Headers([*kind, ("Connection", "close")]), body)

    def talk(self, socket: Any) -> None:
        """Join the page and the program, which starts once the page has its size."""
        for message in socket:
            if isinstance(message, bytes):
                os.write(self.master, message)
                continue
            told = json.loads(message)
            if "window" in told:
                resize_window(told["window"]["width"], told["window"]["height"])
            elif self.child:
                self.resize(told["size"])
            else:
                self.start(told["size"])
                threading.Thread(target=self.pump, args=(socket,), daemon=True).start()

    def start(self, size: dict[str, int]) -> None:
        # The program waits until its terminal has a size.
        reading, writing = os.pipe()
        child, self.master = pty.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)
            os.environ.update(TERM="xterm-256color", TERM_PROGRAM="vscode")
            os.execvp(self.command[0], self.command)
        os.close(reading)
        self.resize(size)
        os.close(writing)
        self.child = child

    def resize(self, size: dict[str, int]) -> None:
        packed = struct.pack("HHHH", size["rows"], size["columns"], size["width"], size["height"])
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, packed)

    def pump(self, socket: Any) -> None:
        """Send the page the program's output."""
        with contextlib.suppress(Exception):
            while data := os.read(self.master, 65536):
                socket.send(data)
        self.ended.set()

    def hang_up(self) -> None:
        if self.child:
            with contextlib.suppress(OSError):
                os.kill(self.child, signal.SIGHUP)
                os.waitpid(self.child, 0)


def resize_window(width: int, height: int) -> None:
    """Give the browser's window the size of the cells; there is no other one."""
    from Xlib import display

    screen = display.Display()
    for window in screen.screen().root.query_tree().children:
        if window.get_geometry().width > 100:
            window.configure(x=0, y=0, width=width, height=height)
    screen.sync()
    screen.close()


if __name__ == "__main__":
    _, version, columns, rows, _, *command = sys.argv
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(BrowserTerminal(version, int(columns), int(rows), command).run())
