"""What cleanlab says of labels, items and boxes; run in an environment that has it.

python _cleanlab.py IN.npz OUT.npz
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
from cleanlab.object_detection import rank
from cleanlab.outlier import OutOfDistribution
from cleanlab.rank import get_label_quality_scores
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

METHODS = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")


def judge_labels(X: Any, y: Any, proba: Any) -> dict[str, Any]:
    """Its own recipe (a cross-validated logistic regression), then each score on our figures."""
    model = LogisticRegression(max_iter=200)
    own = cross_val_predict(model, X, y, cv=5, method="predict_proba")
    found = {"recipe": get_label_quality_scores(y, own)}
    for name in METHODS:
        found[name] = get_label_quality_scores(y, proba, method=name)
    return found


def judge_boxes(found: Any, number: int) -> dict[str, Any]:
    """The three scores of ObjectLab for each box, the lowest the worst."""
    labels, predictions = found[f"labels{number}"].tolist(), found[f"predictions{number}"]
    predictions = list(predictions)
    scores = {}
    for kind, function, threshold in (
        ("overlooked", rank.compute_overlooked_box_scores, "high_probability_threshold"),
        ("misplaced", rank.compute_badloc_box_scores, "low_probability_threshold"),
        ("swapped", rank.compute_swap_box_scores, "high_probability_threshold"),
    ):
        for name, options in ((kind, {}), (f"{kind}, lower", {threshold: 0.3})):
            boxes = function(labels=labels, predictions=predictions, **options)
            scores[name] = np.concatenate([np.asarray(each, float).ravel() for each in boxes])
    return scores


def main() -> None:
    warnings.simplefilter("ignore")
    given = np.load(sys.argv[1], allow_pickle=True)
    found: dict[str, Any] = {}
    for number in range(int(given["labels_count"])):
        part = judge_labels(*(given[f"{name}{number}"] for name in ("X", "y", "p")))
        found |= {f"{name}{number}": scores for name, scores in part.items()}
    for number in range(int(given["items_count"])):
        found[f"outlier{number}"] = OutOfDistribution().fit_score(features=given[f"F{number}"])
    for number in range(int(given["boxes_count"])):
        part = judge_boxes(given, number)
        found |= {f"{name}{number}": scores for name, scores in part.items()}
    np.savez(sys.argv[2], **found)


if __name__ == "__main__":
    main()
