"""Worker time per label (fit, score, pick, estimate), and margin sampling of the peers.

`python -m benchmarks.learn_speed [--sizes 10000,100000,1000000] [--peer-up-to 1000000]`. A size of
10,000,000 needs 8 GB of disk under .bench/. 10 classes, 384 numbers, 300 labels.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from annotator.learn.ranking import Ranking, Snapshot, learn
from benchmarks._peers import ACTIVEML, MODAL, SCRATCH, Ready, environment, measure

CLASSES, DIM, LABELS, STEPS, BLOCK = 10, 384, 300, 40, 100_000
GOALS = {10_000: (20, 8), 100_000: (45, 20), 1_000_000: (300, 40)}


def centres() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((CLASSES, DIM), dtype=np.float32)


def features(size: int) -> NDArray[np.floating]:
    """A file of `size` rows in clouds, mapped; float16 beyond a million rows."""
    kind = np.float32 if size <= 1_000_000 else np.float16
    path = SCRATCH / f"features-{size}.npy"
    if not path.is_file():
        SCRATCH.mkdir(exist_ok=True)
        unfinished = path.with_suffix(".part")
        matrix = np.lib.format.open_memmap(unfinished, "w+", kind, (size, DIM))
        for start in range(0, size, BLOCK):
            rows = min(BLOCK, size - start)
            rng = np.random.default_rng([1, start])
            noise = rng.standard_normal((rows, DIM), dtype=np.float32)
            matrix[start : start + rows] = (
                0.35 * centres()[rng.integers(CLASSES, size=rows)] + noise
            )
        matrix.flush()
        unfinished.rename(path)
    return np.load(path, mmap_mode="r")


def answer(matrix: NDArray[np.floating], row: int) -> int:
    return int((centres() @ np.asarray(matrix[row], dtype=np.float32)).argmax())


def snapshots(matrix: NDArray[np.floating], want: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each step of a session that begins at 300 labels, by clock and by CPU."""
    N = len(matrix)
    rows = np.random.default_rng(2).choice(N, LABELS, replace=False).tolist()
    y = [answer(matrix, row) for row in rows]
    q, pool = [1 / (N - i) for i in range(LABELS)], [N - i for i in range(LABELS)]
    component, closed = ["random"] * LABELS, np.zeros(N, dtype=bool)
    closed[rows] = True
    seconds: list[float] = []
    busy: list[float] = []
    previous: Ranking | None = None
    for step in range(STEPS):
        made = Snapshot(
            LABELS + step, matrix, None, np.array(rows), np.array(y), np.array(q), np.array(pool),
            tuple(component), tuple(map(str, range(CLASSES))), closed.copy(),
            want=want, previous=previous,
        )  # fmt: skip
        begun, spent = time.perf_counter(), time.process_time()
        previous = learn(made, seed=0)
        seconds.append(1000 * (time.perf_counter() - begun))
        busy.append(1000 * (time.process_time() - spent))
        pick = previous.picks[0]
        rows.append(pick.row)
        y.append(answer(matrix, pick.row))
        q.append(pick.q)
        pool.append(pick.pool)
        component.append(pick.component)
        closed[pick.row] = True
    return seconds, busy


def peer(ready: Ready, matrix: NDArray[np.floating]) -> float:
    X = np.array(matrix, dtype=np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    first = np.random.default_rng(2).choice(len(X), LABELS, replace=False)
    y = np.concatenate(
        [(X[i : i + BLOCK] @ centres().T).argmax(1) for i in range(0, len(X), BLOCK)]
    )
    pool = {"X": X, "y": y, "first": first, "X_test": X[:0], "y_test": y[:0]}
    return float(measure(ready, pool, LABELS + 5, "margin")["ms"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--peer-up-to", type=int, default=1_000_000)
    given = parser.parse_args(sys.argv[1:])
    ready = [found for found in map(environment, (ACTIVEML, MODAL)) if found]
    names = "".join(f"{one.peer.name:>18}  ratio" for one in ready)
    print(f"pool        first  median     p95   of the cpu   9 picks  goal/stretch{names}")
    for size in map(int, given.sizes.split(",")):
        matrix = features(size)
        seconds, busy = snapshots(matrix, want=1)
        queue = median(snapshots(matrix, want=9)[0][1:])
        ours, goal = median(seconds[1:]), "/".join(map(str, GOALS.get(size, ("-", "-"))))
        line = (
            f"{size:<10,} {seconds[0]:6.0f} {ours:7.1f} {np.percentile(seconds[1:], 95):7.1f} "
            f"{median(busy[1:]):12.1f} {queue:9.1f} {goal:>13}"
        )
        for one in ready if size <= given.peer_up_to else ():
            theirs = peer(one, matrix)
            line += f"{theirs:15,.0f} ms {theirs / ours:5.0f}x"
        print(line, flush=True)
    status = Path("/proc/self/status").read_text().splitlines()
    anonymous = next(line.split()[1] for line in status if line.startswith("RssAnon"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"milliseconds; memory at the end {int(anonymous) // 1024} MB beside mapped files, "
          f"peak with them {peak} MB")  # fmt: skip


if __name__ == "__main__":
    main()
