"""One annotator of a team, without a screen: labels items of a project until none is left.

`python -m benchmarks._team_member FOLDER NAME THINK [CLOCK [LEASE]]` prints a line of JSON for each
label: the time at which it was begun, the seconds until it was on disk and the next item was known,
and its ref. CLOCK is the number of seconds by which its clock is wrong, LEASE those of its leases.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.session.open import open_session
from annotator.session.session import LabelSession

PATIENCE = 5.0
"""Seconds without an item, while all rows are sent, after which there is none left."""


def work(session: LabelSession, think: float, rng: random.Random) -> None:
    """Label until nothing is left to ask; items that others answer first are passed over."""
    looked = time.monotonic()
    idle_since: float | None = None
    while True:
        if time.monotonic() - looked > 0.5:
            session.refresh(keep_current=session.current is not None)
            looked = time.monotonic()
        item = session.current
        if item is None:
            idle_since = idle_since or time.monotonic()
            state = session.store.sync_state()
            sent = state is None or not (state.waiting or state.away_since)
            if sent and time.monotonic() - idle_since > PATIENCE:
                return
            time.sleep(0.05)
            continue
        idle_since = None
        time.sleep(think * rng.uniform(0.5, 1.5))
        begun, at = time.perf_counter(), time.time()
        entry = session.label(rng.choice(session.classes), item.ref)
        seconds = time.perf_counter() - begun
        if entry is not None:
            print(json.dumps({"at": at, "seconds": seconds, "ref": item.ref}), flush=True)


def main(folder: str, name: str, think: str, wrong: str = "0", lease: str = "120") -> None:
    """Open the project in `folder` as `name`, and work."""
    project, off = ProjectFolder.open(Path(folder)), float(wrong)
    with open_session(
        project, name, on_hook_failure=lambda _: None, clock=lambda: time.time() + off,
        lease=float(lease),
    ) as opened:  # fmt: skip
        opened.session.extend(load_refs(project))
        work(opened.session, float(think), random.Random(name))


if __name__ == "__main__":
    main(*sys.argv[1:])
