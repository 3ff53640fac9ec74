"""A team's log in PostgreSQL: one schema a project, written by its functions alone.

`team.sql` has the tables and the functions. A row that is sent again is known by its id. Readers
ask for the rows after the last one they have: no notification is needed, so that a connection pool
such as pgbouncer may stand in between.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from annotator.errors import ExtraMissing, ProjectError
from annotator.items.refs import make_printable, plural
from annotator.log.store.protocol import Lease
from annotator.log.store.remote import (
    RemoteAwayError,
    RemoteRefusedError,
    RowsRefusedError,
    SharedRow,
)
from annotator.log.store.schema import LOG_COLUMNS, entry_to_row, row_to_entry

if TYPE_CHECKING:
    import psycopg

Found = TypeVar("Found")
FORMAT = 1
ROLES = ("observer", "annotator", "reviewer", "admin")
_BATCH = 2000
_NAMES = [name.strip() for name in LOG_COLUMNS.split(",")]
_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_AWAY_STATES = ("08", "53", "57", "55P03", "40")
"""The beginnings of SQLSTATEs after which the same may work later: PostgreSQL's appendix A."""
_ROW_STATES = ("42501", "22P02", "22P05", "22021", "22003", "23502", "23514")
"""The SQLSTATEs that depend on the rows: a right that the member lacks, a value out of range."""
_REFUSALS = {
    r"password authentication failed|no password supplied": (
        "PostgreSQL wants a password. Write it into ~/.pgpass: HOST:PORT:DATABASE:LOGIN:PASSWORD"
    ),
    r"peer authentication failed|ident authentication failed": (
        "This login is not yours on that machine. Name it: postgresql://LOGIN@HOST/DATABASE"
    ),
    r"no pg_hba.conf entry": (
        "The server refuses this machine or this way in: its admin adds a line to "
        "pg_hba.conf, or use a tunnel: ssh -L 5432:localhost:5432 HOST"
    ),
    r"role .* does not exist": (
        "Its admin makes the login: CREATE ROLE NAME LOGIN, then annotator team add"
    ),
    r"database .* does not exist": "Its admin makes the database: createdb NAME",
    r"certificate|SSL": (
        "Its certificate is not accepted: renew it, or put its root into ~/.postgresql/root.crt"
    ),
    r"definition of service|service file": "Write the service into ~/.pg_service.conf",
}
"""The messages of libpq about a connection that fails at every attempt, and the remedies."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A schema in a database. The password is not in it: libpq reads it from ~/.pgpass."""

    conninfo: str
    schema: str

    @classmethod
    def parse(cls, store: str, schema: str) -> ServerAddress:
        """Read the setting `store`. Raises `ProjectError` for one that cannot be an address."""
        if not _SCHEMA.fullmatch(schema):
            raise ProjectError(
                f"schema = {make_printable(repr(schema))}: should be letters, digits and _, such "
                "as parts"
            )
        return cls(store, schema)

    def __str__(self) -> str:
        return f"{make_printable(self.conninfo)}, schema {self.schema}"

    @property
    def quoted(self) -> str:
        """The schema as SQL writes it."""
        return f'"{self.schema}"'


class Member(NamedTuple):
    """A member of a team."""

    annotator: str
    login: str
    role: str
    since: float
    """Seconds since the epoch."""
    ended: float | None
    """Seconds since the epoch; None for a member of today."""


class _Server:
    """A connection that is opened at the first use, and again after a loss."""

    def __init__(self, address: ServerAddress, *, stays: bool = True) -> None:
        """Set up the way to a server; unless it `stays`, a connection ends with its query."""
        self.address, self._stays = address, stays
        self._connection: psycopg.Connection[Any] | None = None

    def run(self, work: Callable[[psycopg.Connection[Any]], Found]) -> Found:
        """Do work that may be done twice.

        Raises `RemoteAwayError` or `RemoteRefusedError`; a lost line is tried again once.
        """
        with self._explained():
            if self._connection is not None and not self._connection.closed:
                try:
                    return work(self._connection)
                except _line_errors():
                    self.close()  # the line was lost since the last use
            self._connection = self._connection or self._connect()
            return work(self._connection)

    def query(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query; `{s}` in it stands for the schema."""
        filled: Any = text.replace("{s}", self.address.quoted).encode()
        try:
            return self.run(lambda connection: connection.execute(filled, values).fetchall())
        finally:
            if not self._stays:
                self.close()

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> psycopg.Connection[Any]:
        import psycopg

        connection = psycopg.connect(
            self.address.conninfo, autocommit=True, connect_timeout=5,
            application_name="annotator", prepare_threshold=None, keepalives_idle=10,
            keepalives_interval=5, keepalives_count=3, tcp_user_timeout=15000,
        )  # fmt: skip
        encoding = connection.info.parameter_status("server_encoding")
        if encoding not in ("UTF8", None):
            connection.close()
            raise RemoteRefusedError(
                f"{self.address}: the database has the encoding {encoding}, which cannot hold "
                "every name. Make one in UTF-8: createdb -E UTF8 -T template0 NAME"
            )
        return connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            import psycopg
        except ImportError as error:
            raise ExtraMissing(
                "A team's log in PostgreSQL needs psycopg: pip install 'annotator-tui[postgres]'"
            ) from error
        try:
            yield
        except psycopg.Error as error:
            if isinstance(error, _line_errors()):
                self.close()
            raise _describe(self.address, error) from error


def _line_errors() -> tuple[type[Exception], ...]:
    import psycopg

    return psycopg.OperationalError, psycopg.InterfaceError


def _describe(address: ServerAddress, error: psycopg.Error) -> Exception:
    """Return an error of PostgreSQL as one that says whether to wait, and what to do."""
    state = error.sqlstate or ""
    text = make_printable(" ".join((error.diag.message_primary or str(error)).split()))
    for pattern, remedy in _REFUSALS.items():
        if not state.startswith(("42", "57")) and re.search(pattern, text):
            return RemoteRefusedError(f"{address}: {text}. {remedy}.")
    if state == "25006":
        return RemoteRefusedError(
            f"{address} is a read-only copy of the server. Name the server that it copies in "
            "`store` of annotator.toml."
        )
    if state == "53100":
        return RemoteAwayError(f"{address}: the disk of the server is full: {text}")
    if state in ("3F000", "42P01", "42883"):
        return RemoteRefusedError(
            f"{address} has no team's log that this version knows: {text}. Its admin makes one: "
            "annotator team init PROJECT --store STORE --schema SCHEMA"
        )
    if state == "42501":
        return RemoteRefusedError(
            f"{address}: {text}. An admin changes what you may do: annotator team add NAME "
            "--login LOGIN --role ROLE"
        )
    if not state and isinstance(error, _line_errors()):
        return RemoteAwayError(f"{address} cannot be reached: {text}")
    if state.startswith(_AWAY_STATES):
        return RemoteAwayError(f"{address}: {text}")
    return RemoteRefusedError(f"{address}: {text}")


class PostgresLog:
    """A `SharedLog` in PostgreSQL, as one member reaches it."""

    def __init__(self, address: ServerAddress) -> None:
        self._server, self._checked = _Server(address), False

    def append(self, rows: Sequence[SharedRow]) -> dict[str, int]:
        """Write rows in one statement, all or none, and return the place of each by its id."""
        sent = [_as_json(row) for row in rows]
        text = json.dumps(sent, ensure_ascii=False, allow_nan=False)
        query = "SELECT o_id::text, o_seq FROM {s}.append(%s::json)"
        try:
            return dict(self._server.query(query, text))
        except RemoteRefusedError as error:
            if getattr(error.__cause__, "sqlstate", None) in _ROW_STATES:
                raise RowsRefusedError(str(error)) from error
            raise

    def read_new(self, cursor: str) -> Iterator[tuple[list[SharedRow], str]]:
        """Yield the rows after `cursor`, the last row that is known, in batches."""
        after = int(cursor or 0)
        if not self._checked:
            self._check_format(after)
        query = f"SELECT id::text, seq, {LOG_COLUMNS} FROM {{s}}.log WHERE seq > %s ORDER BY seq"
        while True:
            rows = self._server.query(f"{query} LIMIT {_BATCH}", after)
            if rows:
                after = rows[-1][1]
                yield (
                    [SharedRow(row[0], row_to_entry((*row[1:], None))) for row in rows],
                    str(after),
                )
            if len(rows) < _BATCH:
                return

    def _check_format(self, after: int) -> None:
        query = "SELECT format, (SELECT coalesce(max(seq), 0) FROM {s}.log) FROM {s}.project"
        ((version, last),) = self._server.query(query)
        address = self._server.address
        if version > FORMAT:
            raise RemoteRefusedError(
                f"{address} was made by a newer annotator: its format is {version}, and this "
                f"version reads {FORMAT}. Upgrade: pip install --upgrade annotator-tui"
            )
        if last < after:
            raise RemoteRefusedError(
                f"{address} ends with row {last}, and this copy has read {after}: the server has "
                f"lost {plural(after - last, 'row')}, as after a restore. Keep this copy, and ask "
                "its admin. It becomes a project of your own by: annotator team leave PROJECT "
                "--unsent"
            )
        self._checked = True

    def hold(
        self, leases: Sequence[Lease], holder: str, annotator: str, seconds: float
    ) -> set[str]:
        """Hold `leases` and no others by the server's clock; return the refs granted."""
        refs = [lease.ref for lease in leases]
        query = "SELECT * FROM {s}.hold(%s::text[], %s, %s)"
        return {ref for (ref,) in self._server.query(query, refs, holder, seconds)}

    def let_go(self, holder: str) -> None:
        """End all leases of `holder`."""
        self._server.query("SELECT {s}.let_go(%s)", holder)

    def held_by_others(self, holder: str) -> dict[str, str]:
        """Return the refs on the screens of others, each with the annotator's name."""
        query = "SELECT ref, annotator FROM {s}.lease WHERE until > clock_timestamp()"
        return dict(self._server.query(f"{query} AND holder <> %s", holder))

    def present(self) -> list[str]:
        """Return the names of the annotators who hold a lease now, sorted."""
        query = (
            "SELECT DISTINCT annotator FROM {s}.lease WHERE until > clock_timestamp() ORDER BY 1"
        )
        return [name for (name,) in self._server.query(query)]

    def close(self) -> None:
        """Close the connection."""
        self._server.close()


def _as_json(row: SharedRow) -> dict[str, Any]:
    values = dict(zip(_NAMES, entry_to_row(row.entry), strict=True))
    return {key: value for key, value in values.items() if value is not None} | {"id": row.id}


class PostgresTeam:
    """The members and the files of a team's log in PostgreSQL: the `TeamFiles` of its schema."""

    def __init__(self, address: ServerAddress) -> None:
        self._server = _Server(address, stays=False)

    def create(self, annotator: str) -> None:
        """Make the schema, with its maker as admin; do nothing if it is a team's log already.

        Raises `RemoteRefusedError` without the right to make a schema.
        """
        name = self._server.address.schema
        query = "SELECT to_regclass(%s) IS NOT NULL"
        if self._server.query(query, f"{self._server.address.quoted}.project") == [(True,)]:
            return
        text: Any = files("annotator.log.store").joinpath("team.sql").read_text("utf-8")
        statements = text.replace("{s}", self._server.address.quoted).encode()

        def make(connection: psycopg.Connection[Any]) -> None:
            with connection.transaction():
                connection.execute(statements)
                connection.execute(
                    f'INSERT INTO "{name}".member (annotator, login, role) '  # noqa: S608
                    "VALUES (%s, session_user, 'admin')".encode(),
                    (annotator,),
                )

        try:
            self._server.run(make)
        finally:
            self._server.close()

    def add_member(self, annotator: str, login: str, role: str) -> None:
        """Add a member, or change the role of one; only an admin may."""
        query = "SELECT {s}.add_member(%s, %s::name, %s)"
        self._server.query(query, annotator, login, role)

    def end_member(self, annotator: str) -> bool:
        """End a membership; return False if there is none of that name."""
        ((found,),) = self._server.query("SELECT {s}.end_member(%s)", annotator)
        return bool(found)

    def members(self) -> list[Member]:
        """Return all members, those of today first."""
        rows = self._server.query(
            "SELECT annotator, login::text, role, extract(epoch FROM since)::float8, "
            "extract(epoch FROM ended)::float8 FROM {s}.member ORDER BY ended IS NOT NULL, since"
        )
        return [Member(*row) for row in rows]

    def leases(self) -> list[tuple[str, str, float]]:
        """Return annotator, ref and age in seconds of every lease that holds now.

        Those of one annotator are in the order of the queue: the first is on the screen.
        """
        return [
            (annotator, ref, seconds)
            for annotator, ref, seconds in self._server.query(
                "SELECT annotator, ref, extract(epoch FROM clock_timestamp() - since)::float8 "
                "FROM {s}.lease WHERE until > clock_timestamp() ORDER BY annotator, place"
            )
        ]

    def uid(self) -> str:
        """Return the id of the team's log."""
        ((found,),) = self._server.query("SELECT uid::text FROM {s}.project")
        return str(found)

    def member_name(self) -> str | None:
        """Return the name that this member's labels carry; None for an admin, who may use any."""
        ((name, role),) = self._server.query("SELECT annotator, role FROM {s}.me()")
        return None if role == "admin" else str(name)

    def read_file(self, name: str) -> bytes:
        """Return a file; b"" if the team has none of that name."""
        rows = self._server.query("SELECT content FROM {s}.file WHERE name = %s", name)
        return bytes(rows[0][0]) if rows else b""

    def write_file(self, name: str, data: bytes) -> None:
        """Keep a file in place of an older one; only an admin may."""
        self._server.query("SELECT {s}.write_file(%s, %s)", name, data)
