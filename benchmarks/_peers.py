"""Throw-away environments with the peer libraries, and runs in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).parent
SCRATCH = HERE.parent / ".bench"
SHARED = Path(os.environ.get("ANNOTATOR_SHARED", HERE.parents[1] / "shared"))


class Peer(NamedTuple):
    """A library: what to install, step by step, and the script that its interpreter runs."""

    name: str
    folder: str
    installs: tuple[tuple[str, ...], ...]
    script: str


class Ready(NamedTuple):
    peer: Peer
    python: Path


ACTIVEML = Peer("scikit-activeml", "peers", (("scikit-activeml==1.0.1",),), "_skactiveml.py")
MODAL = Peer(
    "modAL", "peers-modal",
    # Its own pins (an old skorch, torch) are not needed for this; scikit-learn 1.6 breaks it.
    (("scikit-learn==1.5.2", "pandas"), ("--no-deps", "modAL-python==0.4.2.1")), "_modal.py",
)  # fmt: skip


def environment(peer: Peer) -> Ready | None:
    """The peer's interpreter; None, and a line, where it cannot be installed."""
    python = SCRATCH / peer.folder / "bin" / "python"
    if not python.is_file():
        print(f"making an environment with {peer.name} in .bench/{peer.folder} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", SCRATCH / peer.folder], check=True)
    for packages in peer.installs:
        command = [python, "-m", "pip", "install", "-q", *packages]
        if subprocess.run(command, capture_output=True).returncode:
            print(f"{peer.name} cannot be installed here; no figures of it")
            return None
    return Ready(peer, python)


def measure(ready: Ready, pool: dict[str, Any], budget: int, strategy: str) -> dict[str, Any]:
    """ms per label and accuracy of the peer on a pool: X, y, first (rows given), X_test, y_test."""
    SCRATCH.mkdir(exist_ok=True)
    path = SCRATCH / "pool.npz"
    np.savez(path, **pool)
    command = [ready.python, HERE / ready.peer.script, path, str(budget), strategy]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
