"""Real shared logs for tests: a PostgreSQL that is started here, and a folder.

The server is started once in each worker of pytest, without a sync of the disk, as the user
`postgres` if the tests run as root: PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from annotator.log.store.journal import FolderTeam
from annotator.log.store.open import find_team
from annotator.log.store.postgres import PostgresTeam, ServerAddress
from annotator.log.store.remote import SharedLog

KINDS = ("postgres", "folder")


class Server:
    """A PostgreSQL of one's own, on this machine alone."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, _free_port()
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user:
            folder.chmod(0o755)
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._run(
            "initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "postgres", "-E", "UTF8",
            "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip
        self.start()

    @property
    def store(self) -> str:
        """The setting `store` of a project that uses it."""
        return self.store_for("postgres")

    def store_for(self, login: str, port: int | None = None) -> str:
        return f"postgresql://{login}@127.0.0.1:{port or self.port}/postgres"

    def start(self, *options: str) -> None:
        given = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
            f" -c max_connections=200 {' '.join(options)}"
        )
        log = str(self.folder / "server.log")
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", log, "-o", given, "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(find_programs() / program), *arguments]
        if self._user:
            command = ["runuser", "-u", self._user, "--", *command]
        done = subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()


def find_programs() -> Path:
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4])
    )
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent if found else Path(str(on_path)).parent


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


_server: Server | None = None


def postgres_server() -> Server:
    """Return the server of this process; skip the test without PostgreSQL or psycopg."""
    global _server
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install psycopg[binary]")
    if _server is None:
        find_programs()
        folder = Path(tempfile.mkdtemp(prefix="annotator-postgres-"))
        _server = Server(folder)
    return _server


def stop_postgres() -> None:
    """Stop the server of this process; called at the end of the session."""
    global _server
    if _server is not None:
        with suppress(AssertionError):
            _server.stop("immediate")
        shutil.rmtree(_server.folder, ignore_errors=True)
        _server = None


class Reach:
    """The way of each annotator to one team's log, in this process and in others."""

    def __init__(self, store: str, schema: str) -> None:
        self.store, self.schema = store, schema

    def __call__(self, name: str) -> Callable[[str], SharedLog]:
        return reach_again(self.again(name))

    def again(self, name: str) -> str:
        """Return a text from which `reach_again` makes the same way in another process."""
        return f"{self.store} {self.schema}"


def reach_again(text: str) -> Callable[[str], SharedLog]:
    store, schema = text.split(" ")
    return find_team(store, schema, Path.cwd()).open_log


def new_schema() -> str:
    return f"team_{uuid.uuid4().hex[:12]}"


def open_shared_log(kind: str, folder: Path) -> Reach:
    """Return the way to a new, empty team's log."""
    if kind == "folder":
        FolderTeam(folder).create()
        return Reach(f"folder:{folder}", "-")
    server = postgres_server()
    reach = Reach(server.store, new_schema())
    PostgresTeam(ServerAddress.parse(reach.store, reach.schema)).create("admin")
    return reach


class Line:
    """A relay on this machine that takes time, and can be cut."""

    def __init__(self, port: int, seconds: float = 0.0) -> None:
        """Relay to `port`; a round trip takes `seconds` more."""
        self._target, self._delay = port, seconds / 2
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.is_cut, self.cuts = False, 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections, and refuse new ones."""
        self.is_cut = True
        self.drop()

    def drop(self) -> None:
        """End all connections; new ones are let in."""
        with self._lock:
            ended, self._open = self._open, set()
        self.cuts += len(ended) // 2
        for one in ended:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def mend(self) -> None:
        self.is_cut = False

    def close(self) -> None:
        self._socket.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            if self.is_cut:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                time.sleep(self._delay)  # what is sent meanwhile goes along
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def slow_line(port: int, seconds: float) -> Iterator[Line]:
    line = Line(port, seconds)
    try:
        yield line
    finally:
        line.close()
