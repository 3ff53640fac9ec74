"""A throw-away environment with the peer library, and runs in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
SCRATCH = HERE.parent / ".bench"
SHARED = Path(os.environ.get("ANNOTATOR_SHARED", HERE.parents[1] / "shared"))


def environment() -> Path | None:
    """The peer's interpreter; None, and a line, where it cannot be installed."""
    python = SCRATCH / "peers" / "bin" / "python"
    if not python.is_file():
        print("making an environment with scikit-activeml in .bench/peers ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", SCRATCH / "peers"], check=True)
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "scikit-activeml==1.0.1"], capture_output=True
    )
    if done.returncode:
        print("scikit-activeml cannot be installed here; no peer figures")
        return None
    return python


def measure(python: Path, pool: dict[str, Any], budget: int, strategy: str) -> dict[str, Any]:
    """ms per label and accuracy of the peer on a pool: X, y, first (rows given), X_test, y_test."""
    SCRATCH.mkdir(exist_ok=True)
    path = SCRATCH / "pool.npz"
    np.savez(path, **pool)
    command = [python, HERE / "_skactiveml.py", path, str(budget), strategy]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
