"""A team's log: how long a label takes, when others see it, and how many a server takes.

`make bench ARGS=team`. Eight annotators label one project, each with a process, a login and a copy
of the log of their own, over a line of 30 ms; then the line is cut for 6 seconds. Beside it, in the
same run, the same labels over a direct connection to the same server. PostgreSQL runs on this
machine with fsync on.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from contextlib import closing
from pathlib import Path
from statistics import median

from annotator.log.entries import Action, Entry
from annotator.log.store.journal import FolderLog, FolderTeam
from annotator.log.store.open import find_team, open_store
from annotator.log.store.postgres import PostgresLog, PostgresTeam, ServerAddress
from annotator.log.store.protocol import Lease
from annotator.log.store.remote import SharedRow
from annotator.log.store.replica import make_replica
from annotator.log.store.sqlite import SqliteStore
from annotator.log.store.sync import Syncer
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.session.team import init_team, join_team, sync_project
from tests.log.shared_logs import Line, Server, find_programs, new_schema

PEOPLE, ITEMS, THINK, LINE = 8, 240, 0.9, 0.03
ROWS = int(os.environ.get("ANNOTATOR_TEAM_ROWS", "1000000"))


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def make_project(folder: Path, items: int) -> ProjectFolder:
    (folder / "images").mkdir(parents=True)
    classes = ClassInfo("ok"), ClassInfo("bad")
    made = ProjectFolder.create(folder / "p", Settings(classes, images=str(folder / "images")))
    made.refs_file.write_text("filename\n" + "".join(f"{n}.png\n" for n in range(items)))
    return made


def make_logins(server: Server, names: list[str]) -> None:
    import psycopg

    with psycopg.connect(server.store, autocommit=True) as connection:
        for name in names:
            connection.execute(f'CREATE ROLE "{name}" LOGIN'.encode())


def labelling(server: Server, root: Path, cut: float) -> None:
    """Let people label until nothing is left, and print how it went."""
    project, schema = make_project(root, ITEMS), new_schema()
    address = ServerAddress.parse(server.store, schema)
    PostgresTeam(address).create("admin")
    init_team(project, server.store, schema, lambda *_: None)
    names = [f"m{n}_{uuid.uuid4().hex[:6]}" for n in range(PEOPLE)]
    make_logins(server, names)
    line = Line(server.port, LINE)
    for name in names:
        PostgresTeam(address).add_member(name, name, "annotator")
        store = server.store_for(name, line.port)
        join_team(store, schema, root / name, {"annotator": name}, lambda *_: None)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks._team_member", str(root / name), name, str(THINK)],
            stdout=subprocess.PIPE, text=True,
        )
        for name in names
    ]  # fmt: skip
    if cut:
        time.sleep(14)
        line.cut()
        time.sleep(cut)
        line.mend()
    told = [
        json.loads(row) for process in processes for row in process.communicate()[0].splitlines()
    ]
    for _ in range(2):
        for name in names:
            sync_project(ProjectFolder.open(root / name))
    line.close()
    milliseconds = [1000 * row["seconds"] for row in told]
    counts = Counter(row["ref"] for row in told)
    twice = sum(count > 1 for count in counts.values())
    logs = []
    for name in names:
        with closing(open_store(ProjectFolder.open(root / name))) as store_:
            logs.append(list(store_.entries()))
    equal = all(log == logs[0] for log in logs)
    what = f"line cut for {cut:.0f} s" if cut else "line whole"
    print(
        f"label to disk and next item, {PEOPLE} people, {what}: p50 {median(milliseconds):.1f} ms, "
        f"p99 {percentile(milliseconds, 0.99):.1f} ms; {twice} of {ITEMS} items asked twice; "
        f"{len(logs[0])} rows at the server, {len(told)} told; copies "
        f"{'identical' if equal else 'DIFFERENT'}",
        flush=True,
    )
    if not cut:
        print_visibility(address, told)


def print_visibility(address: ServerAddress, told: list[dict[str, float]]) -> None:
    """Print when the rows had arrived at the server: others read them a second later at most."""
    import psycopg

    query = f'SELECT ref, extract(epoch FROM arrived)::float8 FROM "{address.schema}".log'
    with psycopg.connect(address.conninfo) as connection:
        arrived = dict(connection.execute(query.encode()).fetchall())
    delays = [arrived[row["ref"]] - row["at"] for row in told if row["ref"] in arrived]
    print(
        f"label to the server: p50 {median(delays):.2f} s, p95 {percentile(delays, 0.95):.2f} s; "
        "read by the others within 1 s of that (goal: 1.5 s together)",
        flush=True,
    )


def direct(server: Server) -> None:
    """Print the same for people who write to the server themselves: a label and a lease."""
    schema = new_schema()
    address = ServerAddress.parse(server.store, schema)
    PostgresTeam(address).create("admin")
    line = Line(server.port, LINE)
    milliseconds: list[float] = []

    def work(name: str) -> None:
        near = ServerAddress.parse(server.store_for("postgres", line.port), schema)
        with closing(PostgresLog(near)) as log:
            log.present()
            for number in range(ITEMS // PEOPLE):
                time.sleep(THINK / 3)
                begun = time.perf_counter()
                log.append([row(name, f"{name}-{number}")])
                log.hold([Lease(f"{name}-{number + 1}")], name, name, 60)
                milliseconds.append(1000 * (time.perf_counter() - begun))

    threads = [threading.Thread(target=work, args=(f"d{n}",)) for n in range(PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    line.close()
    print(
        f"the same over a direct connection: p50 {median(milliseconds):.1f} ms, "
        f"p99 {percentile(milliseconds, 0.99):.1f} ms",
        flush=True,
    )


def row(who: str, ref: str) -> SharedRow:
    return SharedRow(str(uuid.uuid4()), Entry(0, 1.5e9, who, Action.LABEL, ref, "ok"))


_PGBENCH = """SELECT * FROM "{schema}".append(json_build_array(json_build_object(
 'id', gen_random_uuid(), 'at', 1.0, 'annotator', 'admin', 'action', 'label',
 'ref', md5(random()::text), 'label', 'ok')));
"""


def appends(server: Server, root: Path, writers: int = 32, seconds: int = 8) -> None:
    """Print the labels a second that the server takes from many writers, by its own pgbench."""
    schema = new_schema()
    PostgresTeam(ServerAddress.parse(server.store, schema)).create("admin")
    script = root / "append.sql"
    script.write_text(_PGBENCH.format(schema=schema).replace("\n ", " "))
    command = [
        str(find_programs() / "pgbench"), "-n", "-c", str(writers), "-j", "2", "-T", str(seconds),
        "-f", str(script), server.store,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    rate = float(found[1]) if found else float("nan")
    print(
        f"appends a second at the server, {writers} writers, fsync on: {rate:,.0f} (goal: 1,000)",
        flush=True,
    )


def pull(server: Server, root: Path) -> None:
    """Print how long a new member waits for a long log, and what a session then takes."""
    import psycopg

    schema = new_schema()
    address = ServerAddress.parse(server.store, schema)
    PostgresTeam(address).create("admin")
    with psycopg.connect(server.store, autocommit=True) as connection:
        connection.execute(
            f'INSERT INTO "{schema}".log (seq, id, at, annotator, action, ref, label, proba, '
            "login, arrived) SELECT n, gen_random_uuid(), 1.7e9 + n, 'ann' || n % 20, 'label', "
            "'photos/' || n || '.jpg', 'ok', '{\"ok\": 0.75, \"bad\": 0.25}', 'postgres', now() "
            f"FROM generate_series(1, {ROWS}) n".encode()
        )
    make_replica(root / "labels.db", "a-team")
    begun, cpu = time.monotonic(), time.process_time()
    reach = find_team(server.store, schema, root).open_log
    with closing(Syncer(root / "labels.db", reach, most_rows=2000)) as one:  # as `join` does
        one.step()
    print(
        f"{ROWS:,} rows into a fresh copy: {time.monotonic() - begun:.1f} s "
        f"({time.process_time() - cpu:.1f} s of CPU; goal: 30 s)",
        flush=True,
    )
    memory = {kind: session_memory(root, kind) for kind in ("replica", "sqlite")}
    ratio = memory["replica"] / memory["sqlite"]
    print(f"memory of a session with that log: {ratio:.2f}x of SQLite's (goal: 1.1x)", flush=True)


_MEMORY = """
import resource, sys
from pathlib import Path
from annotator.log.entries import replay
from annotator.log.store.replica import Replica, leave_team
from annotator.log.store.sqlite import SqliteStore
path = Path(sys.argv[1])
if sys.argv[2] == "sqlite":
    leave_team(path)
store = SqliteStore(path) if sys.argv[2] == "sqlite" else Replica(path, None)
state = replay(store.entries())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def session_memory(root: Path, kind: str) -> float:
    command = [sys.executable, "-c", _MEMORY, str(root / "labels.db"), kind]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def folder(root: Path) -> None:
    """Print an append to a journal beside one to SQLite, on the same disk."""
    FolderTeam(root / "team").create()
    log, store = FolderLog(root / "team", "a" * 32), SqliteStore(root / "own.db")
    times: dict[str, list[float]] = {"journal": [], "sqlite": []}
    for number in range(300):
        one = row("ann", f"{number}.png")
        for name in times:
            begun = time.perf_counter()
            if name == "journal":
                log.append([one])
            else:
                store.append(one.entry)
            times[name].append(1000 * (time.perf_counter() - begun))
    store.close()
    log.close()
    journal, own = median(times["journal"]), median(times["sqlite"])
    print(
        f"append to a journal in a folder: {journal:.1f} ms, to SQLite {own:.1f} ms: "
        f"{journal / own:.2f}x (goal: 1x)",
        flush=True,
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "server").mkdir()
        server = Server(root / "server")
        try:
            direct(server)
            labelling(server, root / "whole", 0.0)
            labelling(server, root / "cut", 6.0)
            appends(server, root)
            (root / "pull").mkdir()
            pull(server, root / "pull")
        finally:
            server.stop("immediate")
        folder(root)


if __name__ == "__main__":
    main()
