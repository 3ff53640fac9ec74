"""Scores of classes from their names, which the ridge regression shrinks towards.

A network for pictures and text puts both into one space. So a class has a vector, the mean of its
prompts, and a picture's cosine with it is a first opinion without any label. Ridge regression that
shrinks its weights W towards αT, min ‖XW − Y‖² + λ‖W − αT‖², is ridge on Y − αXT with αXT added
again: leave-one-out stays exact, and α = 0 is the regression without text. That shrinking beats
adapters that need tuning: Huang et al., "LP++", CVPR 2024, arXiv:2404.02285; Silva-Rodríguez et
al., "CLAP", CVPR 2024, arXiv:2312.12730.

Cosines of one text differ little from picture to picture, and each text has a level of its own. So
the scores are centred over the pictures and over the classes, and scaled to spread as one-hot
labels do. To them a ridge regression of the probabilities that they give a sample of the pool is
added, as in Qian et al., "Intra-modal proxy learning", NeurIPS 2023, arXiv:2310.19752: text and
pictures differ by more than their meaning, pictures among each other do not. It needs no label of a
person, so that leave-one-out stays exact. If the features are those of another network, the centred
log-probabilities of the network for text take the place of XT: a ridge regression on the sample
makes them a function of the features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.learn.calibrate import sigmoid, softmax
from annotator.learn.rows import one_thread
from annotator.learn.solve import Array

TEXT_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
"""The values of α that leave-one-out weighs; 0 is the model without text."""
FIRST_TEXT_WEIGHT = 1.0
"""α while there is no label."""
MAX_TEXT_SAMPLE = 5_000
"""The unlabelled rows of the pool that the scores are fitted on."""
_SHARPNESS = 8.0  # the temperature of the probabilities of the sample
_DIRECTIONS, _ALL_DIRECTIONS = 200, 2000  # of the features' variance, by which it is penalised


@dataclass(frozen=True, slots=True, eq=False)
class TextPrior:
    """Scores of C classes as a linear function of unit rows (m, d)."""

    weights: Array
    """(d + 1, C) with the bias last."""

    def scores(self, rows: NDArray[Any]) -> Array:
        """Return the scores (m, C) of unit rows (m, d)."""
        return np.asarray(rows @ self.weights[:-1] + self.weights[-1], np.float64)

    def class_scores(self, rows: NDArray[Any], c: int) -> NDArray[np.float32]:
        """Return the scores (m,) of class c."""
        return np.asarray(rows @ self.weights[:-1, c] + self.weights[-1, c], np.float32)

    def take(self, classes: NDArray[np.int64]) -> TextPrior:
        """Return the scores of some of the classes, compared with each other alone."""
        if len(classes) == self.weights.shape[1]:
            return TextPrior(self.weights[:, classes])
        some = self.weights[:, classes]
        some = some - some.mean(axis=1, keepdims=True)
        return TextPrior(some * label_spread(len(classes)) / label_spread(self.weights.shape[1]))


def is_same_text(a: TextPrior | None, b: TextPrior | None) -> bool:
    """Return whether two priors give the same scores."""
    if a is None or b is None:
        return a is b
    return a is b or np.array_equal(a.weights, b.weights)


def prior_from_scores(scores: Array, rows: NDArray[Any], *, tags: bool = False) -> TextPrior:
    """Return the prior of scores (m, C) of unit rows (m, d), a random sample of the pool.

    The scores are cosines with the texts, or log-probabilities of another network. Classes are
    compared with each other; with `tags` each stands by itself.
    """
    X = np.asarray(rows, np.float64)
    level = X.mean(axis=0)
    X = X - level
    S = _standardize(np.asarray(scores, np.float64), tags=tags)
    shares = sigmoid(_SHARPNESS * S) if tags else softmax(_SHARPNESS * S)
    with one_thread():
        cover = X.T @ X
        weights = _regress(X, cover, S, _ALL_DIRECTIONS)
        weights += _regress(X, cover, shares - shares.mean(axis=0), _DIRECTIONS)
    if not tags:
        weights -= weights.mean(axis=1, keepdims=True)
    weights = _scaled(X, weights)
    return TextPrior(np.vstack([weights, -level @ weights]))


def _regress(X: Array, cover: Array, targets: Array, directions: int) -> Array:
    """Return the weights (d, C) of a ridge regression, whose scores spread as labels do.

    The penalty is the variance of X, of covariance `cover`, spread over a number of directions.
    """
    penalty = max(float(np.trace(cover)) / directions, 1e-12)
    found = np.linalg.solve(cover + penalty * np.eye(len(cover)), X.T @ targets)
    return _scaled(X, np.asarray(found))


def _scaled(X: Array, weights: Array) -> Array:
    return weights * (label_spread(weights.shape[1]) / max(float((X @ weights).std()), 1e-12))


def label_spread(C: int) -> float:
    """Return the standard deviation of one-hot labels of C equal classes."""
    return float(np.sqrt((1 / C) * (1 - 1 / C))) if C > 1 else 0.5


def _standardize(scores: Array, *, tags: bool) -> Array:
    """Return scores (m, C) centred over rows, and over classes, with the spread of labels."""
    if not tags:
        scores = scores - scores.mean(axis=1, keepdims=True)
    scores = scores - scores.mean(axis=0)
    return scores * (label_spread(scores.shape[1]) / max(float(scores.std()), 1e-12))
