"""The two forms of ridge regression: by rows (n × n) for few labels, by columns for many.

Both give the weights and the exact leave-one-out scores for any targets Y, and both grow by one
row in quadratic time. Growth adds rounding errors, so after at most MAX_GROWN_ROWS rows, and after
every undo, the inverse is computed anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

COLUMN_FORM_LABELS = (
    1500  # with more labels, and fewer columns than labels, the column form is used
)
MAX_GROWN_ROWS = 20


class Solution(NamedTuple):
    """The weights, and the scores of each row by the fit without it."""

    coef: Array
    """(d, C) the weights."""
    loo: Array
    """(n, C) leave-one-out scores."""


@dataclass(frozen=True, slots=True)
class RowForm:
    """A = (K + λI)⁻¹ with K = X Xᵀ, rows X (n, d)."""

    X: Array
    K: Array
    A: Array
    penalty: float
    fresh: int
    """The number of rows at the last full inversion."""

    def solve(self, Y: Array) -> Solution:
        """Solve for the targets Y (n, C)."""
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
    """The number of rows at the last full inversion."""

    def solve(self, Y: Array) -> Solution:
        """Solve for the targets Y (n, C)."""
        coef = self.G @ (self.X.T @ Y)
        h = self.leverage[:, None]
        return Solution(coef, (self.X @ coef - h * Y) / (1 - h))


Form = RowForm | ColumnForm


def uses_column_form(X: Array) -> bool:
    """Return whether the column form is used for rows X (n, d)."""
    return bool(len(X) > max(COLUMN_FORM_LABELS, X.shape[1]))


def gram_matrix(X: Array, before: Form | None) -> Array:
    """Compute K (n, n), reusing the part of `before` for equal leading rows."""
    n, K = len(X), np.empty((len(X), len(X)))
    kept = count_shared_rows(before.X, X) if isinstance(before, RowForm) else 0
    if isinstance(before, RowForm):
        K[:kept, :kept] = before.K[:kept, :kept]
    K[kept:n] = X[kept:] @ X.T
    K[:kept, kept:] = K[kept:, :kept].T
    return K


def make_row_form(X: Array, K: Array, penalty: float, before: Form | None) -> RowForm:
    """Make the row form of X (n, d), by growth of `before` if it holds the leading rows."""
    if isinstance(before, RowForm) and _is_extension(before, X, penalty):
        A = before.A
        for size in range(len(before.X), len(X)):
            A = _grow_inverse(A, K[:size, size], K[size, size] + penalty)
        return RowForm(X, K, A, penalty, before.fresh)
    A = np.asarray(np.linalg.inv(K + penalty * np.eye(len(X))), dtype=np.float64)
    return RowForm(X, K, A, penalty, len(X))


def make_column_form(X: Array, penalty: float, before: Form | None) -> ColumnForm:
    """Make the column form of X (n, d), by growth of `before` if it holds the leading rows."""
    if isinstance(before, ColumnForm) and _is_extension(before, X, penalty):
        G, leverage = before.G, before.leverage
        for size in range(len(before.X), len(X)):
            G, leverage = _update_inverse(G, leverage, X[: size + 1])
        return ColumnForm(X, G, leverage, penalty, before.fresh)
    G = np.asarray(np.linalg.inv(X.T @ X + penalty * np.eye(X.shape[1])), dtype=np.float64)
    return ColumnForm(X, G, np.einsum("ij,ij->i", X @ G, X), penalty, len(X))


def _is_extension(before: Form, X: Array, penalty: float) -> bool:
    """Return whether X is the rows of `before` and a few more."""
    n = len(before.X)
    few = 0 < n <= len(X) <= before.fresh + MAX_GROWN_ROWS
    return bool(few and before.penalty == penalty and count_shared_rows(before.X, X) == n)


def count_shared_rows(a: Array, b: Array) -> int:
    """Count the equal leading rows."""
    n = min(len(a), len(b))
    if a.shape[1] != b.shape[1]:
        return 0
    same = (a[:n] == b[:n]).all(axis=1)
    return n if same.all() else int(same.argmin())


def _grow_inverse(A: Array, column: Array, corner: float) -> Array:
    """Return the inverse after one more row and column (block inversion)."""
    step, n = A @ column, len(A)
    scale = 1 / (corner - column @ step)
    grown = np.empty((n + 1, n + 1))
    grown[:n, :n] = A + scale * np.outer(step, step)
    grown[:n, n] = grown[n, :n] = -scale * step
    grown[n, n] = scale
    return grown


def _update_inverse(G: Array, leverage: Array, X: Array) -> tuple[Array, Array]:
    """Return the inverse and the leverages after one more row, the last of X (Sherman–Morrison)."""
    step = G @ X[-1]
    scale = 1 / (1 + X[-1] @ step)
    along = X @ step
    grown = np.append(leverage, along[-1]) - scale * along**2
    return G - scale * np.outer(step, step), grown


def regularization_path(
    X: Array, K: Array | None, Y: Array, penalties: tuple[float, ...]
) -> list[Array]:
    """Return the leave-one-out scores (n, C) for each penalty, from one eigendecomposition.

    K (n, n) for the row form, None for the column form.
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
