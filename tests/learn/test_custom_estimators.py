"""An estimator of one's own, named by its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annotator.errors import ProjectError
from annotator.learn.model import (
    FittedModel,
    load_estimator,
    out_of_sample_proba,
    versioned_model_name,
)
from annotator.learn.rows import normalize_rows

OWN = """
import numpy as np


class Centroids:
    def fit(self, X, y):
        if len(set(y.tolist())) < 2:
            raise ValueError("needs two classes")
        self.centres = np.stack([X[y == c].mean(axis=0) for c in np.unique(y)])

    def predict_proba(self, X):
        found = np.exp(5 * X @ self.centres.T)
        return found / found.sum(axis=1, keepdims=True)


class Flat:
    def fit(self, X, y):
        pass

    def predict_proba(self, X):
        return np.full((len(X), 7), 1 / 7)


class Clusters:
    def fit(self, X):
        pass


number = 3
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(OWN)
    return str(tmp_path / "own.py")


def data(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(n) % 3
    return normalize_rows(
        2 * np.eye(3, 6)[y] + 0.5 * np.random.default_rng(0).normal(size=(n, 6))
    ), y


def test_a_class_in_a_file_learns_and_serves_all_classes_of_the_project(own: str) -> None:
    X, y = data()
    model = FittedModel("own", load_estimator(f"{own}:Centroids")(4).fit(X[:30], y[:30]), 30, 4)
    proba = model.predict_proba(X[30:])
    assert proba.shape == (30, 4)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert (proba.argmax(axis=1) == y[30:]).mean() > 0.9
    assert (out_of_sample_proba(model, X[:30], y[:30]).argmax(axis=1) == y[:30]).mean() > 0.9


def test_a_model_is_called_by_its_file_not_by_the_folder_that_it_is_in(own: str) -> None:
    assert versioned_model_name(f"{own}:Centroids", 7) == "own.py:Centroids@7"
    assert versioned_model_name("ridge", 7) == "ridge@7"


def test_labels_of_one_class_are_kept_from_a_class_that_refuses_them(own: str) -> None:
    X, _ = data()
    model = FittedModel(
        "own", load_estimator(f"{own}:Centroids")(3).fit(X[:1], np.array([2])), 1, 3
    )
    assert (model.predict_proba(X).argmax(axis=1) == 2).all()


def test_an_installed_class_is_named_by_its_module() -> None:
    pytest.importorskip("sklearn")
    X, y = data()
    found = load_estimator("sklearn.neighbors:KNeighborsClassifier")(3).fit(X[:30], y[:30])
    assert (found.predict_proba(X[30:]).argmax(axis=1) == y[30:]).mean() > 0.9


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("svm", "Unknown estimator 'svm'. Known: logistic, ridge. Write a class"),
        ("{own}:Missing", "has no attribute 'Missing'"),
        ("{own}:Clusters", "has no predict_proba"),
        ("{own}:number", "has no fit and no predict_proba"),
        ("not.there:Class", "No module named 'not'"),
        ("gone.py:Class", "gone.py"),
        (":Class", "Empty module name"),
        (".near:Class", "relative import"),
    ],
)
def test_what_is_no_estimator_is_refused_with_the_reason(own: str, name: str, message: str) -> None:
    with pytest.raises(ProjectError, match=message):
        load_estimator(name.format(own=own))


def test_probabilities_of_a_wrong_shape_are_named(own: str) -> None:
    X, y = data()
    fitted = load_estimator(f"{own}:Flat")(3).fit(X, y)
    with pytest.raises(ProjectError, match=r"Flat must return .* \(60, 3\).*It returned \(60, 7\)"):
        fitted.predict_proba(X)


FAULTY = """
import numpy as np


class Base:
    def fit(self, X, y):
        self.classes_ = np.unique(y)

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


class Raises(Base):
    def fit(self, X, y):
        raise RuntimeError("out of order\\nand more")


class Needy(Base):
    def __init__(self, classes):
        pass


class Names(Base):
    def fit(self, X, y):
        self.classes_ = np.array([str(c) for c in np.unique(y)])


class Others(Base):
    def fit(self, X, y):
        self.classes_ = np.unique(y) + 100


class Twice(Base):
    def fit(self, X, y):
        self.classes_ = np.unique(y) * 0


class Thrice(Base):
    def predict_proba(self, X):
        return 3 * super().predict_proba(X)


class Words(Base):
    def predict_proba(self, X):
        return [["much"]] * len(X)
"""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Raises", "faulty.py:Raises failed in fit: RuntimeError: out of order. "),
        ("Needy", "Needy failed in fit: TypeError"),
        ("Names", "classes_ of .*Names must hold the labels"),
        ("Others", "It holds .100, 101, 102"),
        ("Twice", "each once"),
        ("Thrice", "The sum of a row is 3, not 1"),
        ("Words", "failed in predict_proba: ValueError"),
    ],
)
def test_a_faulty_estimator_is_named_with_its_fault(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "faulty.py").write_text(FAULTY)
    made = load_estimator(f"{tmp_path / 'faulty.py'}:{name}")(3)
    X, y = data()
    with pytest.raises(ProjectError, match=words) as found:
        made.fit(X, y).predict_proba(X)
    assert "\n" not in str(found.value)
