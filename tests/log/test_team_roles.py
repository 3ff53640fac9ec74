"""The rights of a team's members, enforced by the database itself: each logs in for real."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from annotator.errors import ProjectError
from annotator.log.entries import Action, Entry
from annotator.log.store.postgres import PostgresLog, PostgresTeam, ServerAddress
from annotator.log.store.protocol import Lease
from annotator.log.store.remote import (
    RemoteAwayError,
    RemoteRefusedError,
    RowsRefusedError,
    SharedRow,
)
from tests.log.shared_logs import Server, new_schema, postgres_server

ROLES = ("observer", "annotator", "reviewer", "admin")


@dataclass
class Members:
    """A team with one member of each role; the name of each is also the login's."""

    server: Server
    schema: str
    names: dict[str, str]
    opened: list[PostgresLog] = field(default_factory=list)

    def address(self, role: str) -> ServerAddress:
        return ServerAddress.parse(self.server.store_for(self.names[role]), self.schema)

    def log(self, role: str) -> PostgresLog:
        self.opened.append(log := PostgresLog(self.address(role)))
        return log

    def team(self, role: str) -> PostgresTeam:
        return PostgresTeam(self.address(role))

    def sql(self, role: str, statement: str, *values: object) -> list[Any]:
        import psycopg

        with psycopg.connect(self.server.store_for(self.names[role])) as connection:
            text: Any = statement.replace("{s}", f'"{self.schema}"')
            found = connection.execute(text, values or None)
            return found.fetchall() if found.description else []


@pytest.fixture
def members() -> Iterator[Members]:
    import psycopg

    server, schema = postgres_server(), new_schema()
    names = {role: f"{role}_{uuid.uuid4().hex[:8]}" for role in ROLES}
    with psycopg.connect(server.store, autocommit=True) as connection:
        for name in names.values():
            connection.execute(f"CREATE ROLE {name} LOGIN".encode())
    team = PostgresTeam(ServerAddress.parse(server.store, schema))
    team.create("owner")
    for role, name in names.items():
        team.add_member(name, name, role)
    made = Members(server, schema, names)
    yield made
    for one in made.opened:
        one.close()


def row(who: str, ref: str = "a.png", **fields: Any) -> SharedRow:
    action = fields.pop("action", Action.LABEL)
    label = "ok" if action is Action.LABEL else None
    return SharedRow(str(uuid.uuid4()), Entry(0, 1.0, who, action, ref, label, **fields))


DIRECT = (
    "INSERT INTO {s}.log SELECT seq + 1000, gen_random_uuid(), at, annotator, action, ref, label, "
    "proba, model, picked_by, q, pool, shown_ms, note, extra, login, arrived FROM {s}.log",
    "UPDATE {s}.log SET label = 'other'",
    "DELETE FROM {s}.log",
    "TRUNCATE {s}.log",
    "DROP TABLE {s}.log",
    "ALTER TABLE {s}.log ADD COLUMN more text",
    "CREATE TABLE {s}.mine (a int)",
    "UPDATE {s}.member SET role = 'admin'",
    "INSERT INTO {s}.member (annotator, login, role) VALUES ('me', session_user, 'admin')",
    "DELETE FROM {s}.lease",
    "INSERT INTO {s}.lease VALUES ('a', 'h', 'x', session_user, now())",
    "UPDATE {s}.project SET format = 9",
    "UPDATE {s}.file SET content = ''",
    "CREATE OR REPLACE FUNCTION {s}.me() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "DROP SCHEMA {s} CASCADE",
    "GRANT SELECT ON {s}.log TO PUBLIC",
)


@pytest.mark.parametrize("role", ROLES)
def test_no_role_writes_past_the_functions(members: Members, role: str) -> None:
    import psycopg

    members.log("annotator").append([row(members.names["annotator"])])
    before = members.sql("observer", "SELECT * FROM {s}.log")
    assert len(before) == 1
    for statement in DIRECT:
        try:
            members.sql(role, statement)
        except psycopg.errors.InsufficientPrivilege:
            continue
        assert statement.startswith("GRANT"), statement  # a warning: nothing was granted
    assert members.sql("observer", "SELECT * FROM {s}.log") == before
    privilege = members.sql(role, "SELECT has_table_privilege('public', '{s}.log', 'SELECT')")
    assert privilege == [(False,)]


def test_a_login_that_is_no_member_sees_nothing(members: Members) -> None:
    import psycopg

    stranger = f"stranger_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(members.server.store, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {stranger} LOGIN".encode())
    log = PostgresLog(ServerAddress.parse(members.server.store_for(stranger), members.schema))
    members.opened.append(log)
    with pytest.raises(RemoteRefusedError, match="annotator team add"):
        list(log.read_new(""))
    with pytest.raises(RemoteRefusedError, match="annotator team add"):
        log.append([row(stranger)])


def test_an_observer_reads_and_neither_labels_nor_leases(members: Members) -> None:
    members.log("annotator").append([row(members.names["annotator"])])
    log = members.log("observer")
    assert [len(rows) for rows, _ in log.read_new("")] == [1]
    with pytest.raises(RowsRefusedError, match="may look, and not label"):
        log.append([row(members.names["observer"])])
    with pytest.raises(RemoteRefusedError, match="may look"):
        log.hold([Lease("a.png")], "h", "x", 10)


@pytest.mark.parametrize("role", ["annotator", "reviewer"])
def test_a_member_labels_under_their_own_name_only(members: Members, role: str) -> None:
    log = members.log(role)
    assert list(log.append([row(members.names[role])]).values()) == [1]
    with pytest.raises(RowsRefusedError, match="not as another"):
        log.append([row(members.names[role]), row(members.names["admin"])])
    with pytest.raises(RowsRefusedError, match="only an admin imports"):
        log.append([row(members.names[role], picked_by="import")])
    for machine in (True, 1, "yes"):
        with pytest.raises(RowsRefusedError, match="only an admin imports"):
            log.append([row(members.names[role], extra={"machine": machine})])
    assert members.sql("observer", "SELECT count(*) FROM {s}.log") == [(1,)]


def test_only_a_reviewer_takes_back_what_others_decided(members: Members) -> None:
    members.log("admin").append([row("somebody else"), row(members.names["annotator"], "b.png")])
    undo = {"action": Action.UNDO, "extra": {"undoes": 1}}
    with pytest.raises(RowsRefusedError, match="may not take back"):
        members.log("annotator").append([row(members.names["annotator"], **undo)])
    own = {"action": Action.UNDO, "extra": {"undoes": 2}}
    members.log("annotator").append([row(members.names["annotator"], "b.png", **own)])
    members.log("reviewer").append([row(members.names["reviewer"], **undo)])


def test_an_admin_imports_for_others_and_manages_members(members: Members) -> None:
    members.log("admin").append([row("import:csv", picked_by="import")])
    for role in ("observer", "annotator", "reviewer"):
        team = members.team(role)
        with pytest.raises(RemoteRefusedError, match="not an admin"):
            team.add_member("me", members.names[role], "admin")
        with pytest.raises(RemoteRefusedError, match="not an admin"):
            team.end_member(members.names["admin"])
        with pytest.raises(RemoteRefusedError, match="not an admin"):
            team.write_file("refs.csv", b"")
    team = members.team("admin")
    assert team.end_member(members.names["annotator"])
    with pytest.raises(RemoteRefusedError, match="annotator team add"):
        members.log("annotator").append([row(members.names["annotator"])])
    team.add_member(members.names["annotator"], members.names["annotator"], "reviewer")
    members.log("annotator").append([row(members.names["annotator"])])


def test_a_team_keeps_an_admin(members: Members) -> None:
    team = members.team("admin")
    assert team.end_member("owner")
    with pytest.raises(RemoteRefusedError, match="last admin"):
        team.end_member(members.names["admin"])
    assert not team.end_member("nobody of that name")


def test_a_lease_ends_by_the_servers_clock(members: Members) -> None:
    one, other = members.log("annotator"), members.log("reviewer")
    leases = [Lease("a.png"), Lease("b.png")]
    assert one.hold(leases, "h1", "x", 0.5) == {"a.png", "b.png"}
    assert other.hold(leases, "h2", "x", 10) == set()
    assert other.held_by_others("h2") == dict.fromkeys(
        ("a.png", "b.png"), members.names["annotator"]
    )
    members.sql("observer", "SELECT pg_sleep(0.6)")
    assert other.hold(leases, "h2", "x", 10) == {"a.png", "b.png"}
    assert one.hold(leases, "h1", "x", 10) == set()
    assert one.present() == [members.names["reviewer"]]


def test_another_members_lease_is_not_taken_by_its_holders_name(members: Members) -> None:
    members.log("annotator").hold([Lease("a.png")], "h1", "x", 10)
    thief = members.log("reviewer")
    assert thief.hold([Lease("a.png")], "h1", "x", 10) == set()
    thief.let_go("h1")
    assert members.log("admin").held_by_others("") == {"a.png": members.names["annotator"]}


def test_a_value_that_no_row_can_have_is_refused_and_named(members: Members) -> None:
    import psycopg

    rows = json.dumps([{"id": "not an id", "annotator": members.names["annotator"]}])
    with pytest.raises(psycopg.Error):
        members.sql("annotator", "SELECT * FROM {s}.append(%s::json)", rows)
    assert members.sql("observer", "SELECT count(*) FROM {s}.log") == [(0,)]


@pytest.mark.parametrize(
    ("store", "kind", "remedy"),
    [
        ("postgresql://nobody@127.0.0.1:{port}/postgres", RemoteRefusedError, "CREATE ROLE"),
        ("postgresql://postgres@127.0.0.1:{port}/absent", RemoteRefusedError, "createdb"),
        ("postgresql://postgres@127.0.0.1:1/postgres", RemoteAwayError, "cannot be reached"),
        ("service=absent", RemoteRefusedError, "pg_service.conf"),
    ],
)
def test_a_server_that_cannot_be_used_says_what_to_do(
    store: str, kind: type[Exception], remedy: str
) -> None:
    address = ServerAddress.parse(store.format(port=postgres_server().port), "parts")
    with closing(PostgresLog(address)) as log, pytest.raises(kind, match=remedy):
        list(log.read_new(""))


def test_a_database_without_a_team_says_who_makes_one() -> None:
    address = ServerAddress.parse(postgres_server().store, "absent")
    wanted = pytest.raises(RemoteRefusedError, match="annotator team init")
    with closing(PostgresLog(address)) as log, wanted:
        list(log.read_new(""))


def test_a_database_of_another_encoding_is_refused() -> None:
    import psycopg

    server = postgres_server()
    name = f"latin_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server.store, autocommit=True) as connection:
        made = f"CREATE DATABASE {name} ENCODING LATIN1 LOCALE 'C' TEMPLATE template0"
        connection.execute(made.encode())
    store = server.store.replace("/postgres", f"/{name}").replace(f"/{name}ql", "/postgresql")
    address = ServerAddress.parse(store.replace(f"{name}@", "postgres@"), "parts")
    with pytest.raises(RemoteRefusedError, match="createdb -E UTF8"):
        PostgresTeam(address).create("admin")


def test_a_newer_team_and_a_restored_server_are_refused(members: Members) -> None:
    import psycopg

    log = members.log("annotator")
    log.append([row(members.names["annotator"])])
    with pytest.raises(RemoteRefusedError, match="has lost 4 rows"):
        list(members.log("annotator").read_new("5"))
    with psycopg.connect(members.server.store, autocommit=True) as connection:
        connection.execute(f'UPDATE "{members.schema}".project SET format = 2'.encode())
    with pytest.raises(RemoteRefusedError, match=r"newer annotator.*pip install --upgrade"):
        list(members.log("annotator").read_new(""))


def test_a_read_only_server_names_the_remedy(members: Members) -> None:
    import psycopg

    with psycopg.connect(members.server.store, autocommit=True) as connection:
        name = members.names["annotator"]
        connection.execute(f"ALTER ROLE {name} SET default_transaction_read_only = on".encode())
    with pytest.raises(RemoteRefusedError, match="read-only copy"):
        members.log("annotator").append([row(members.names["annotator"])])


@pytest.mark.parametrize("schema", ["", 'a"b', "a b", "1a", "a;drop", "ä" * 10, "a" * 64])
def test_a_schema_that_is_no_plain_name_is_refused(schema: str) -> None:
    with pytest.raises(ProjectError, match="letters, digits and _"):
        ServerAddress.parse("postgresql://h/d", schema)
