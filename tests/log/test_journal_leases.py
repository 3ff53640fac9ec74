"""The leases of a team in a shared folder: no clock of another machine counts."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from annotator.log.store.holders import new_holder
from annotator.log.store.journal import FolderLog, FolderTeam
from annotator.log.store.journal_leases import FolderLeases
from annotator.log.store.protocol import Lease

ROOT = Path(__file__).parents[2]


@pytest.fixture
def team(tmp_path: Path) -> Path:
    FolderTeam(tmp_path / "team").create()
    return tmp_path / "team"


class Clock:
    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def some(*refs: str) -> list[Lease]:
    return [Lease(ref) for ref in refs]


def held(leases: FolderLeases, holder: str) -> set[str]:
    return {ref for lease in leases.living(holder) for ref in lease.turns}


def test_an_item_is_held_by_one_screen_until_it_lets_go(team: Path) -> None:
    ann, bob = FolderLog(team, "ann"), FolderLog(team, "bob")
    assert ann.hold(some("a", "b"), "h1", "ann", 60) == {"a", "b"}
    assert bob.hold(some("b", "c"), "h2", "bob", 60) == {"c"}
    assert bob.held_by_others("h2") == {"a": "ann", "b": "ann"}
    assert ann.present() == bob.present() == ["ann", "bob"]
    assert ann.hold(some("b"), "h1", "ann", 60) == {"b"}
    assert bob.hold(some("a", "c"), "h2", "bob", 60) == {"a", "c"}
    ann.let_go("h1")
    assert (bob.held_by_others("h2"), bob.present()) == ({}, ["bob"])
    assert bob.hold([], "h2", "bob", 60) == set()
    assert bob.present() == []


@pytest.mark.parametrize("wrong", [-10800.0, 0.0, 10800.0])
def test_a_lease_runs_out_unless_it_is_renewed_whatever_the_other_clock(
    team: Path, wrong: float
) -> None:
    near, far = Clock(1000.0), Clock(1000.0 + wrong)
    ann, bob = FolderLeases(team, far), FolderLeases(team, near)
    ann.hold(some("a"), "h1", "ann", 60)
    for file in (team / "leases").iterdir():
        os.utime(file, (time.time() + wrong, time.time() + wrong))
    for _ in range(5):  # renewed in time
        assert held(bob, "h2") == {"a"}
        near.now, far.now = near.now + 50, far.now + 50
        assert ann.hold(some("a"), "h1", "ann", 60) == {"a"}
    assert bob.hold(some("a"), "h2", "bob", 60) == set()
    near.now, far.now = near.now + 61, far.now + 61
    assert bob.hold(some("a"), "h2", "bob", 60) == {"a"}  # taken over
    assert ann.hold(some("a", "b"), "h1", "ann", 60) == {"b"}
    assert held(ann, "h1") == {"a"}


def test_a_program_that_ended_on_this_machine_holds_nothing(team: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from annotator.log.store.holders import new_holder; "
        "from annotator.log.store.journal import FolderLog; "
        "from annotator.log.store.protocol import Lease; "
        "FolderLog(Path(sys.argv[1]), 'w').hold([Lease('a')], new_holder(), 'ann', 3600)"
    )
    subprocess.run([sys.executable, "-c", code, str(team)], cwd=ROOT, check=True)
    assert len(list((team / "leases").iterdir())) == 1
    assert FolderLog(team, "v").hold(some("a"), new_holder(), "bob", 60) == {"a"}
    assert len(list((team / "leases").iterdir())) == 1  # the file of the other is gone


def test_of_screens_that_ask_at_once_one_gets_each_item(team: Path) -> None:
    names = [f"h{n}" for n in range(5)]
    start, checked = threading.Barrier(len(names)), threading.Barrier(len(names))
    refs = ["a", "b", "c"]
    granted: dict[str, set[str]] = {}
    problems: list[str] = []

    def ask(name: str) -> None:
        log, rng = FolderLog(team, name), random.Random(name)
        for _ in range(30):
            wanted = rng.sample(refs, 2)
            start.wait()
            time.sleep(rng.choice((0, 0, 0.001)))
            granted[name] = log.hold(some(*wanted), name, name, 60)
            checked.wait()
            if name == names[0]:
                found = [ref for refs in granted.values() for ref in refs]
                if len(found) != len(set(found)):
                    problems.append(f"two have one item: {granted}")
            start.wait()
            log.let_go(name)
            checked.wait()

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert list((team / "leases").iterdir()) == []
