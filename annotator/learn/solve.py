"""The two forms of ridge regression: by rows (n × n) for few labels, by columns for many.

Both give the weights and the exact leave-one-out scores for any targets Y, and both are grown
by one row in quadratic time. Growing adds rounding, so after at most GROWN rows, and after
every undo, the inverse is computed anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

COLUMN_FORM_LABELS = 1500  # labels from which the column form serves, where there are fewer columns
MAX_GROWN_ROWS = 20


class Solution(NamedTuple):
    """coef (d, C): the weights; loo (n, C): scores of each row by the fit without it."""

    coef: Array
    loo: Array


@dataclass(frozen=True, slots=True)
class RowForm:
    """A = (K + λI)⁻¹ with K = X Xᵀ, rows X (n, d)."""

    X: Array
    K: Array
    A: Array
    penalty: float
    fresh: int
    """Rows at the last full inversion."""

    def solve(self, Y: Array) -> Solution:
        alpha = self.A @ Y
        return Solution(self.X.T @ alpha, Y - alpha / np.diag(self.A)[:, None])


@dataclass(frozen=True, slots=True)
class ColumnForm:
    """G = (XᵀX + λI)⁻¹ and the leverages x_mᵀ G x_m (n,)."""

    X: Array
    G: Array
    leverage: Array
    penalty: float
    fresh: int

    def solve(self, Y: Array) -> Solution:
        coef = self.G @ (self.X.T @ Y)
        h = self.leverage[:, None]
        return Solution(coef, (self.X @ coef - h * Y) / (1 - h))


Form = RowForm | ColumnForm


def uses_column_form(X: Array) -> bool:
    """Whether the column form serves rows X (n, d)."""
    return bool(len(X) > max(COLUMN_FORM_LABELS, X.shape[1]))


def gram_matrix(X: Array, before: Form | None) -> Array:
    """K (n, n), taking over what `before` knows of the same leading rows."""
    n, K = len(X), np.empty((len(X), len(X)))
    kept = count_shared_rows(before.X, X) if isinstance(before, RowForm) else 0
    if isinstance(before, RowForm):
        K[:kept, :kept] = before.K[:kept, :kept]
    K[kept:n] = X[kept:] @ X.T
    K[:kept, kept:] = K[kept:, :kept].T
    return K


def make_row_form(X: Array, K: Array, penalty: float, before: Form | None) -> RowForm:
    if isinstance(before, RowForm) and _is_extension(before, X, penalty):
        A = before.A
        for size in range(len(before.X), len(X)):
            A = _grow_inverse(A, K[:size, size], K[size, size] + penalty)
        return RowForm(X, K, A, penalty, before.fresh)
    A = np.asarray(np.linalg.inv(K + penalty * np.eye(len(X))), dtype=np.float64)
    return RowForm(X, K, A, penalty, len(X))


def make_column_form(X: Array, penalty: float, before: Form | None) -> ColumnForm:
    if isinstance(before, ColumnForm) and _is_extension(before, X, penalty):
        G, leverage = before.G, before.leverage
        for size in range(len(before.X), len(X)):
            G, leverage = _update_inverse(G, leverage, X[: size + 1])
        return ColumnForm(X, G, leverage, penalty, before.fresh)
    G = np.asarray(np.linalg.inv(X.T @ X + penalty * np.eye(X.shape[1])), dtype=np.float64)
    return ColumnForm(X, G, np.einsum("ij,ij->i", X @ G, X), penalty, len(X))


def _is_extension(before: Form, X: Array, penalty: float) -> bool:
    """Whether X is what `before` knows and a few rows more."""
    n = len(before.X)
    few = 0 < n <= len(X) <= before.fresh + MAX_GROWN_ROWS
    return bool(few and before.penalty == penalty and count_shared_rows(before.X, X) == n)


def count_shared_rows(a: Array, b: Array) -> int:
    """How many leading rows are equal."""
    n = min(len(a), len(b))
    if a.shape[1] != b.shape[1]:
        return 0
    same = (a[:n] == b[:n]).all(axis=1)
    return n if same.all() else int(same.argmin())


def _grow_inverse(A: Array, column: Array, corner: float) -> Array:
    """The inverse after one more row and column (block inversion)."""
    step, n = A @ column, len(A)
    scale = 1 / (corner - column @ step)
    grown = np.empty((n + 1, n + 1))
    grown[:n, :n] = A + scale * np.outer(step, step)
    grown[:n, n] = grown[n, :n] = -scale * step
    grown[n, n] = scale
    return grown


def _update_inverse(G: Array, leverage: Array, X: Array) -> tuple[Array, Array]:
    """The inverse and the leverages after one more row, the last of X (Sherman & Morrison)."""
    step = G @ X[-1]
    scale = 1 / (1 + X[-1] @ step)
    along = X @ step
    grown = np.append(leverage, along[-1]) - scale * along**2
    return G - scale * np.outer(step, step), grown


def regularization_path(
    X: Array, K: Array | None, Y: Array, penalties: tuple[float, ...]
) -> list[Array]:
    """Leave-one-out scores (n, C) for each penalty, from one eigendecomposition.

    K (n, n) where the row form is wanted, None for the column form.
    """
    values, vectors = np.linalg.eigh(X.T @ X if K is None else K)
    values = values.clip(min=0)
    base = vectors if K is not None else X @ vectors
    projected, squares = base.T @ Y, base**2
    found = []
    for penalty in penalties:
        inverse = 1 / (values + penalty)
        fitted = base @ (inverse[:, None] * projected)
        diagonal = (squares @ inverse)[:, None]
        if K is not None:
            found.append(Y - fitted / diagonal)
        else:
            found.append((fitted - diagonal * Y) / (1 - diagonal))
    return found
