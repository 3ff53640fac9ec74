"""A peer, run by its own interpreter: margin sampling by modAL, one label at a time.

`python _modal.py POOL.npz BUDGET margin|random` prints what `_skactiveml.py` prints. modAL cannot
begin with labels of one class, so the second is the first row of another class where the given
ones are all of one.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from statistics import median

import numpy as np
from modAL.models import ActiveLearner
from modAL.uncertainty import margin_sampling
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")


def at_random(_learner: ActiveLearner, X: np.ndarray) -> np.ndarray:
    return np.random.default_rng(len(X)).integers(len(X), size=1)


def main() -> None:
    path, budget, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    data = np.load(path)
    X, truth, first = 8 * data["X"], data["y"], data["first"]
    if len(set(truth[first])) == 1:
        first = np.array([first[0], np.flatnonzero(truth != truth[first[0]])[0]])
    learner = ActiveLearner(
        estimator=LogisticRegression(C=1.0, max_iter=200),
        query_strategy=margin_sampling if name == "margin" else at_random,
        X_training=X[first], y_training=truth[first],
    )  # fmt: skip
    left = np.setdiff1d(np.arange(len(X)), first)
    seconds, labels, value = [], [], []
    for n in range(len(first) + 1, budget + 1):
        pool = X[left]  # what modAL asks its caller to keep: not counted
        begun = time.perf_counter()
        places, _ = learner.query(pool)
        learner.teach(pool[places], truth[left[places]])
        seconds.append(time.perf_counter() - begun)
        left = np.delete(left, places)
        if n % 10 == 0 and len(data["y_test"]):
            labels.append(n)
            value.append(float((learner.predict(8 * data["X_test"]) == data["y_test"]).mean()))
    print(json.dumps({"ms": 1000 * median(seconds), "labels": labels, "value": value}))


if __name__ == "__main__":
    main()
