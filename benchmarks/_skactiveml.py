"""The peer, run by its own interpreter: margin sampling by scikit-activeml, one label at a time.

`python _skactiveml.py POOL.npz BUDGET STRATEGY` prints the milliseconds per label (query and fit)
and the accuracy at every 10th label as JSON.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from statistics import median
from typing import Any

import numpy as np
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import Badge, CoreSet, RandomSampling, TypiClust, UncertaintySampling
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")
STRATEGIES: dict[str, Any] = {
    "margin": lambda: UncertaintySampling(method="margin_sampling", random_state=0),
    "random": lambda: RandomSampling(random_state=0),
    "badge": lambda: Badge(random_state=0),
    "typiclust": lambda: TypiClust(random_state=0),
    "coreset": lambda: CoreSet(random_state=0),
}


def main() -> None:
    path, budget, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    data = np.load(path)
    X, truth, first = data["X"], data["y"], data["first"]
    y = np.full(len(X), np.nan)
    y[first] = truth[first]
    model = SklearnClassifier(LogisticRegression(C=1.0, max_iter=200), classes=np.unique(truth))
    query, seconds, labels, value = STRATEGIES[name](), [], [], []
    takes_model = name in ("margin", "badge")
    model.fit(8 * X, y)
    while (n := int(np.isfinite(y).sum())) < budget:
        begun = time.perf_counter()
        extra = {"clf": model, "fit_clf": False} if takes_model else {}
        row = query.query(X=8 * X if takes_model else X, y=y, **extra)[0]
        y[row] = truth[row]
        model.fit(8 * X, y)
        seconds.append(time.perf_counter() - begun)
        if (n + 1) % 10 == 0 and len(data["y_test"]):
            labels.append(n + 1)
            value.append(float((model.predict(8 * data["X_test"]) == data["y_test"]).mean()))
    print(json.dumps({"ms": 1000 * median(seconds), "labels": labels, "value": value}))


if __name__ == "__main__":
    main()
