"""Identities: time and memory of DBSCAN on the cosine distance, beside scikit-learn's.

`python -m benchmarks.faces` clusters made descriptors (128 numbers, identities of about 20 faces,
a fifth noise) at 5,000, 20,000 and 100,000 faces. A matrix of all pairs of 100,000 would take
40 GB. Each run is a process of its own; memory is the most that it held beyond the imports and the
descriptors (Linux). scikit-learn is run up to `--peer` faces. On a busy machine the processor's
seconds say more than the clock's; cores of its own share them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

EPS, MIN_SAMPLES = 0.3, 2


def descriptors(count: int, dim: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """(n, dim) unit rows, and who each is; -1 for noise."""
    rng = np.random.default_rng(0)
    people = max(1, count // 25)
    who = rng.integers(0, people, count)
    who[rng.random(count) < 0.2] = -1
    centres = rng.normal(size=(people, dim)).astype(np.float32)
    rows = rng.normal(size=(count, dim)).astype(np.float32)
    known = who >= 0
    rows[known] = centres[who[known]] + 0.35 * rows[known]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), who


def run(name: str, count: int, out: Connection) -> None:
    unit, who = descriptors(count)
    if name == "ours":
        from annotator.detection.dbscan import dbscan as work
    else:
        from sklearn.cluster import DBSCAN

        def work(rows: np.ndarray, eps: float, min_samples: int) -> np.ndarray:
            return DBSCAN(eps=eps, min_samples=min_samples, metric="cosine").fit_predict(rows)

    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _held("VmRSS")
    begun, used = time.perf_counter(), time.process_time()
    found = work(unit, EPS, MIN_SAMPLES)
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    held = _held("VmHWM") - before
    out.send((seconds, used, held / 1024, purity(found, who), int(found.max()) + 1))


def _held(what: str) -> int:
    """Kilobytes, as Linux says."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def purity(found: np.ndarray, who: np.ndarray) -> float:
    """The share of clustered faces that belong to their cluster's most common person."""
    inside = found >= 0
    if not inside.any():
        return 0.0
    pairs = np.stack([found[inside], who[inside]])
    _, counts = np.unique(pairs, axis=1, return_counts=True)
    groups, _ = np.unique(pairs, axis=1, return_counts=True)
    best: dict[int, int] = {}
    for group, count in zip(groups[0].tolist(), counts.tolist(), strict=True):
        best[group] = max(count, best.get(group, 0))
    return sum(best.values()) / int(inside.sum())


def apart(name: str, count: int) -> tuple[float, float, float, float, int]:
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=run, args=(name, count, there))
    process.start()
    there.close()
    found = here.recv()
    process.join()
    return found  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts", default="5000,20000,100000")
    parser.add_argument("--peer", type=int, default=20_000)
    given = parser.parse_args()
    print("| faces | by | seconds | processor seconds | MB | identities | purity |")
    print("|---|---|---|---|---|---|---|")
    for count in map(int, given.counts.split(",")):
        for name in ("ours", "scikit-learn") if count <= given.peer else ("ours",):
            seconds, used, held, pure, groups = apart(name, count)
            cells = f"{seconds:.1f} | {used:.1f} | {held:.0f} | {groups:,} | {pure:.3f}"
            print(f"| {count:,} | {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
