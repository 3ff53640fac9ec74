"""The names of those who hold leases: who is alive, who has ended, who cannot be known."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from annotator.log.store.holders import is_dead, new_holder

OTHER = "import annotator.log.store.holders as h; print(h.new_holder(), flush=True); input()"


def test_a_process_here_is_alive_until_it_ends() -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    holder = other.stdout.readline().strip()
    assert not is_dead(holder)
    other.kill()
    other.communicate()
    assert is_dead(holder)


def test_two_names_of_a_process_differ() -> None:
    assert new_holder() != new_holder()
    assert not is_dead(new_holder())


def test_a_process_that_came_later_to_the_same_pid_is_another_one() -> None:
    assert is_dead(re.sub(r"/\d+$", "/1", new_holder()))


@pytest.mark.parametrize(
    "part", [r"@[0-9a-f-]+", r"/\d+(?=/\d+/\d+$)"], ids=["another boot", "another container"]
)
def test_nothing_is_known_of_a_process_elsewhere(part: str) -> None:
    elsewhere = re.sub(part, lambda found: found[0][0] + "1" * (len(found[0]) - 1), new_holder())
    assert elsewhere != new_holder()
    assert not is_dead(re.sub(r"/\d+$", "/1", elsewhere))


@pytest.mark.parametrize(
    "odd",
    ["", "nocolon", "script:0:ann:first", f"host:{os.getpid()}:ab", "a@b/c/9" * 999, "\x00"],
    ids=["empty", "no colon", "script", "a word for a number", "long", "NUL"],
)
def test_an_odd_name_is_not_dead_and_no_error(odd: str) -> None:
    assert not is_dead(odd)
