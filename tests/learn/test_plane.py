"""The map's points: what looks alike lies together, in bounds, the same each time."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from annotator.errors import ExtraMissing, FeatureError, ProjectError
from annotator.learn import plane
from annotator.learn.plane import best_method, project_to_plane

PACKAGES = {"umap": "umap", "pacmap": "pacmap"}


def _three_groups(n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, n)
    centres = rng.normal(size=(3, 32))
    return (centres[group] + 0.1 * rng.normal(size=(n, 32))).astype(np.float16), group


def _neighbours_agree(points: np.ndarray, group: np.ndarray) -> float:
    distance = ((points[:, None] - points[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    return float((group[distance.argmin(axis=1)] == group).mean())


@pytest.mark.parametrize("method", ["pca", *PACKAGES])
def test_groups_stay_together(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if method in PACKAGES and find_spec(PACKAGES[method]) is None:
        pytest.skip(f"{method} is not installed")
    monkeypatch.setattr(plane, "SAMPLE", 300)  # half of the rows are placed beside the sample
    matrix, group = _three_groups()
    points = project_to_plane(matrix, np.arange(len(matrix)), method)
    assert points.shape == (600, 2)
    assert points.min() >= 0 and points.max() <= 1
    assert _neighbours_agree(points, group) > 0.99
    again = project_to_plane(matrix, np.arange(len(matrix)), method)
    assert np.array_equal(points, again)


def test_pca_is_the_plane_of_most_variance() -> None:
    rng = np.random.default_rng(1)
    angles = rng.uniform(0, 2 * np.pi, 500)
    matrix = np.zeros((500, 6))
    matrix[:, 2], matrix[:, 4], matrix[:, 0] = np.cos(angles), 0.6 * np.sin(angles), 3
    points = project_to_plane(matrix, np.arange(500))
    across = np.corrcoef(points[:, 0], np.cos(angles))[0, 1]
    along = np.corrcoef(points[:, 1], np.sin(angles))[0, 1]
    assert abs(across) > 0.98 and abs(along) > 0.98


def test_only_the_rows_asked_for_have_points() -> None:
    matrix, _ = _three_groups(50)
    matrix[7] = 0  # a row without features
    rows = np.delete(np.arange(50), 7)
    assert project_to_plane(matrix, rows).shape == (49, 2)
    with pytest.raises(FeatureError, match="row 7"):
        project_to_plane(matrix, np.arange(50))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_items_for_a_plane_lie_in_the_middle(count: int) -> None:
    points = project_to_plane(np.ones((5, 4)), np.arange(count))
    assert points.tolist() == [[0.5, 0.5]] * count


def test_identical_items_are_one_point() -> None:
    points = project_to_plane(np.ones((9, 4)), np.arange(9))
    assert len(np.unique(points, axis=0)) == 1 and np.isfinite(points).all()


def test_an_unknown_method_and_a_missing_package_are_named() -> None:
    matrix, _ = _three_groups(30)
    with pytest.raises(ProjectError, match="pca, umap, pacmap"):
        project_to_plane(matrix, np.arange(30), "tsne")
    for method, package in PACKAGES.items():
        if find_spec(package) is None:
            with pytest.raises(ExtraMissing, match="pip install"):
                project_to_plane(matrix, np.arange(30), method)
    if not any(map(find_spec, PACKAGES.values())):
        assert best_method() == "pca"
