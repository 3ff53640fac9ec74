"""The map of a pool: a point for each item with features, its classes, and where the model errs."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.errors import FeatureError, ProjectError
from annotator.images.scatter import Colour, Region, group_colours, points_inside
from annotator.items.atomic import read_file, write_atomically
from annotator.items.ref_table import RefTable
from annotator.learn.model import Model
from annotator.learn.plane import project_to_plane
from annotator.log.store.open import load_log_state
from annotator.project.label_sets import name_decisions
from annotator.project.project import ProjectFolder
from annotator.session.pool_features import PoolFeatures
from annotator.session.predict import fit

COLOURINGS = ("class", "prediction", "error")
DOUBTS = 5
"""The steps of the colouring by error, from sure to unsure."""
_CHUNK = 1 << 14
_ALL = slice(None)


@dataclass(frozen=True, slots=True)
class PoolMap:
    """The points of a pool's map."""

    rows: NDArray[np.int64]
    """(n,) the pool row of each point."""
    points: NDArray[np.float32]
    """(n, 2) between 0 and 1; y grows downwards."""
    method: str

    def inside(self, region: Region) -> NDArray[np.int64]:
        """Return the places of the points inside a region."""
        return np.flatnonzero(points_inside(self.points, region))


@dataclass(frozen=True, slots=True)
class MapGroups:
    """The classes of the points of a map, and how unsure the model is about each."""

    classes: tuple[str, ...]
    label: NDArray[np.int64]
    """(n,) the class of the label; -1 for an item without one."""
    predicted: NDArray[np.int64]
    """(n,) the most probable class; -1 without a model."""
    doubt: NDArray[np.float32]
    """(n,) the probability that the prediction is wrong; 1 for a label that it contradicts."""

    def numbers(
        self, colouring: str, places: NDArray[np.int64] | slice = _ALL
    ) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Return the group (n,) of each point, or of those at `places`, and the names of groups.

        Open items are group 0 in the colouring by class.
        """
        if colouring == "class":
            return self.label[places] + 1, ("open", *self.classes)
        if colouring == "prediction":
            return self.predicted[places] + 1, ("no prediction", *self.classes)
        steps = np.minimum((self.doubt[places] * DOUBTS).astype(np.int64), DOUBTS - 1)
        shares = [
            f"{100 * step // DOUBTS}–{100 * (step + 1) // DOUBTS} %" for step in range(DOUBTS)
        ]
        return steps, tuple(shares)

    def colours(self, colouring: str) -> tuple[Colour, ...]:
        """Return the colour of each group of a colouring."""
        return group_colours(len(self.classes) + 1, graded=colouring == "error")

    def count(
        self, colouring: str, places: NDArray[np.int64] | slice = _ALL
    ) -> list[tuple[str, Colour, int]]:
        """Return each group of the points with its colour and its number of them, largest first."""
        numbers, names = self.numbers(colouring, places)
        counts = np.bincount(numbers, minlength=len(names)).tolist()
        groups = zip(names, self.colours(colouring), counts, strict=True)
        return sorted((group for group in groups if group[2]), key=lambda group: -group[2])

    def describe(self, places: NDArray[np.int64], colouring: str, most: int = 4) -> str:
        """Return the most frequent groups of some points in words."""
        found = self.count(colouring, places)
        parts = [f"{name} {count:,}" for name, _, count in found[:most]]
        more = [f"{len(found) - most} more"] if len(found) > most else []
        return " · ".join([*parts, *more])


def make_map(
    features: PoolFeatures, method: str = "pca", seed: int = 0, cache: Path | None = None
) -> PoolMap:
    """Return the map of all items with features; `cache` keeps it for the next time.

    Raises as `project_to_plane` does.
    """
    pool_rows = np.arange(features.size)
    rows = features.rows(pool_rows)
    usable = features.usable(rows)
    pool_rows, rows = pool_rows[usable], rows[usable]
    identity = _identity(features, rows, method)
    points = _read_cache(cache, identity) if cache is not None else None
    if points is None or len(points) != len(rows):
        points = project_to_plane(features.store.matrix, rows, method, seed)
        if cache is not None:
            _write_cache(cache, identity, points)
    return PoolMap(pool_rows, points, method)


def _identity(features: PoolFeatures, rows: NDArray[np.int64], method: str) -> str:
    """Return a text that differs for other features, other rows or another method."""
    import hashlib

    matrix = features.store.matrix
    some = rows[:: max(1, len(rows) // 64)]
    digest = hashlib.sha256(np.ascontiguousarray(matrix[some]).tobytes())
    digest.update(rows.tobytes())
    return f"{method} {matrix.shape} {matrix.dtype} {digest.hexdigest()}"


def _read_cache(path: Path, identity: str) -> NDArray[np.float32] | None:
    try:
        with np.load(io.BytesIO(read_file(path)), allow_pickle=False) as archive:
            if str(archive["identity"]) != identity:
                return None
            points = np.asarray(archive["points"], np.float32)
    except Exception:  # whatever is wrong with a cache, it is made anew
        return None
    sound = points.ndim == 2 and points.shape[1] == 2 and bool(np.isfinite(points).all())
    return np.clip(points, 0, 1) if sound else None


def _write_cache(path: Path, identity: str, points: NDArray[np.float32]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, identity=np.array(identity), points=points)
    try:
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, buffer.getvalue())
    except OSError:
        return  # a read-only project, or a full disk: the map is there without its cache


def group_points(
    pool_map: PoolMap,
    features: PoolFeatures,
    refs: RefTable,
    labels: Mapping[str, str],
    classes: Sequence[str],
    model: Model | None,
) -> MapGroups:
    """Return what each point of a map is: `labels` maps refs to classes, `model` predicts them."""
    n, number = len(pool_map.rows), {name: place for place, name in enumerate(classes)}
    of_row = np.full(len(refs), -1, np.int64)
    of_row[refs.rows(list(labels))] = [number.get(name, -1) for name in labels.values()]
    label = of_row[pool_map.rows]
    predicted, doubt = np.full(n, -1, np.int64), np.ones(n, np.float32)
    if model is not None:
        rows = features.rows(pool_map.rows)
        for start in range(0, n, _CHUNK):
            place = slice(start, start + _CHUNK)
            proba = model.predict_proba(features.store.matrix[rows[place]])
            doubt[place] = 1 - model.targets.confidence(proba)
            predicted[place] = [
                number.get(name, -1)
                for name in name_decisions(model.targets.decide(proba), classes)
            ]
        doubt[(label >= 0) & (label != predicted)] = 1
        doubt[(label >= 0) & (label == predicted)] = 0
    return MapGroups(tuple(classes), label, predicted, doubt)


def group_by_project(
    project: ProjectFolder, pool_map: PoolMap, features: PoolFeatures, refs: RefTable
) -> MapGroups:
    """Return what each point is by the project's labels, and by a model if there are enough."""
    state = load_log_state(project)
    labels = {last.ref: str(last.label) for _, last in state.labels()}
    try:
        fitted = fit(project, state)
    except (ProjectError, FeatureError):  # too few labels for a model
        return group_points(pool_map, features, refs, labels, project.settings.names, None)
    return group_points(pool_map, features, refs, labels, fitted.classes, fitted.model)


def map_file(project: Path, method: str) -> Path:
    """Return the cache of a project's map."""
    return project / ".cache" / f"map-{method}.npz"
