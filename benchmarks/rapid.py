"""Rapid mode, simulated: recall and precision against pictures a second.

python -m benchmarks.rapid [--items N] [--seeds N]

The annotator of the simulation is annotator.rapid.Human: key delays of 378 ± 92 ms, skewed; 3 % of
positives missed, 30 % of those that follow another within 0.2 to 0.5 s (the attentional blink);
2 % of negatives marked; 1.1 s, with 2 % slips, for an item that comes back. One at a time at the
same pace takes 1.1 s an item.
"""

from __future__ import annotations

import argparse

import numpy as np

from annotator.simulate.rapid_human import RapidHuman, StreamResult, simulate_stream

RATES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
SHARES = (0.02, 0.05, 0.1, 0.3)


def mean(truths: list[np.ndarray], rate: float) -> StreamResult:
    """Over the seeds."""
    runs = [simulate_stream(truth, rate, seed=seed) for seed, truth in enumerate(truths)]
    columns = zip(*((r.recall, r.precision, r.doubtful, r.seconds) for r in runs), strict=True)
    return StreamResult(*(float(np.mean(column)) for column in columns))


def main() -> None:
    parser = argparse.ArgumentParser(description="Recall and precision against rate.")
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    single = RapidHuman().decision
    for share in SHARES:
        rngs = [np.random.default_rng([seed, 1]) for seed in range(given.seeds)]
        truths = [rng.random(given.items) < share for rng in rngs]
        print(f"\n{share:.0%} positives, {given.items:,} items, mean of {given.seeds}")
        print(
            "  a second   recall  precision  looked at again  seconds an item  against one by one"
        )
        for rate in RATES:
            found = mean(truths, rate)
            print(
                f"  {rate:8.0f} {found.recall:8.1%} {found.precision:10.1%} {found.doubtful:16.1%}"
                f" {found.seconds:16.2f} {single / found.seconds:14.1f} x"
            )


if __name__ == "__main__":
    main()
