"""Features of one's own: which row is whose, and an array that changed since."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from annotator.errors import AnnotatorError, FeatureError, RefError
from annotator.features.own_array import check_unchanged, describe_array
from annotator.features.store import FeatureStore
from annotator.formats.new_project import create_from_refs
from annotator.formats.own_features import adopt_own_features
from annotator.items.refs import Item
from annotator.project.adding import append_new_items
from annotator.project.project import ProjectFolder
from annotator.project.settings import Settings
from tests.cli.command_line import bad, good
from tests.formats import made_projects

NAMES = ["a.png", "b.png", "c.png"]


def made(tmp_path: Path, table: str, rows: int) -> ProjectFolder:
    root = made_projects.images(tmp_path / "im", NAMES)
    (tmp_path / "r.csv").write_text(table)
    values = np.random.default_rng(0).normal(size=(rows, 4)).astype("f4")
    np.save(tmp_path / "f.npy", values)
    return create_from_refs(
        tmp_path / "p", tmp_path / "r.csv", Settings(()), images=root, features=tmp_path / "f.npy"
    ).project


PLAIN = "filename\n" + "".join(f"{name}\n" for name in NAMES)


@pytest.mark.parametrize("rows", [2, 4, 24])
def test_another_number_of_rows_is_refused_with_both_numbers(tmp_path: Path, rows: int) -> None:
    with pytest.raises(AnnotatorError, match=f"3 items and no feat_idx, and f.npy has {rows} rows"):
        made(tmp_path, PLAIN, rows)
    assert not (tmp_path / "p").exists()


def test_a_blank_feat_idx_is_an_item_without_features(tmp_path: Path) -> None:
    project = made(tmp_path, "filename,feat_idx\na.png,4\nb.png,\nc.png,3\n", 6)
    store = FeatureStore.open(project.features_folder)
    assert store.rows(NAMES).tolist() == [4, -1, 3]
    empty = made(tmp_path / "2", "filename,feat_idx\na.png,\nb.png,\nc.png,\n", 3)
    assert FeatureStore.open(empty.features_folder).rows(NAMES).tolist() == [-1, -1, -1]


def test_an_array_in_another_order_is_noticed_and_a_touched_one_is_not(tmp_path: Path) -> None:
    project = made(tmp_path, PLAIN, 3)
    values = np.load(tmp_path / "f.npy")
    os.utime(tmp_path / "f.npy", (1, 1))
    FeatureStore.open(project.features_folder)
    np.save(tmp_path / "f.npy", values[::-1])
    with pytest.raises(
        FeatureError, match=r"has changed since.*annotator features .*--own .*f.npy"
    ):
        FeatureStore.open(project.features_folder)
    np.save(tmp_path / "f.npy", values)
    FeatureStore.open(project.features_folder)


@pytest.mark.parametrize("value", [1e20, -1e20, 1e-20])
def test_values_of_absurd_size_are_named(tmp_path: Path, value: float) -> None:
    project = made(tmp_path, PLAIN, 3)
    values = np.load(tmp_path / "f.npy")
    values[1] = value
    np.save(tmp_path / "g.npy", values)
    with pytest.raises(FeatureError, match="row 1, b.png: values of absurd size"):
        create_from_refs(
            tmp_path / "q", tmp_path / "r.csv", Settings(()), images=project.images,
            features=tmp_path / "g.npy",
        )  # fmt: skip


def test_the_new_array_takes_the_place_of_the_former_one(tmp_path: Path) -> None:
    project = made(tmp_path, PLAIN, 3)
    values = np.load(tmp_path / "f.npy")
    np.save(tmp_path / "f.npy", values[::-1])
    good("features", project.folder, "--own", tmp_path / "f.npy")
    store = FeatureStore.open(project.features_folder)
    assert np.array_equal(store.matrix[store.rows(["a.png"])[0]], values[2])


def test_the_new_array_follows_feat_idx(tmp_path: Path) -> None:
    project = made(tmp_path, "filename,feat_idx\na.png,2\nb.png,\nc.png,0\n", 3)
    np.save(tmp_path / "g.npy", np.ones((5, 7), "f4"))
    store = adopt_own_features(project, tmp_path / "g.npy")
    assert store.rows(NAMES).tolist() == [2, -1, 0] and store.matrix.shape == (5, 7)


def test_an_array_for_the_former_items_leaves_new_ones_without_features(tmp_path: Path) -> None:
    project = made(tmp_path, PLAIN, 3)
    made_projects.images(tmp_path / "im", ["d.png"])
    append_new_items(project, [Item("d.png")])
    np.save(tmp_path / "g.npy", np.ones((3, 2), "f4"))
    assert adopt_own_features(project, tmp_path / "g.npy").rows(["d.png"]).tolist() == [-1]
    np.save(tmp_path / "h.npy", np.ones((4, 2), "f4"))
    assert adopt_own_features(project, tmp_path / "h.npy").rows(["d.png"]).tolist() == [3]
    np.save(tmp_path / "i.npy", np.ones((6, 2), "f4"))
    with pytest.raises(RefError, match="4 items and no feat_idx, and i.npy has 6 rows"):
        adopt_own_features(project, tmp_path / "i.npy")
    assert len(FeatureStore.open(project.features_folder).matrix) == 4


def test_features_of_a_model_are_replaced_only_if_asked(tmp_path: Path) -> None:
    project = made_projects.project(tmp_path, NAMES)
    good("features", project.folder, "--model", "classic")
    np.save(tmp_path / "g.npy", np.ones((3, 2), "f4"))
    told = bad("features", project.folder, "--own", tmp_path / "g.npy")
    assert "has features of classic" in told and "--replace" in told
    good("features", project.folder, "--own", tmp_path / "g.npy", "--replace")
    assert FeatureStore.open(project.features_folder).matrix.shape == (3, 2)


def test_two_rows_that_change_places_are_noticed(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(5000, 4)).astype("f4")
    np.save(tmp_path / "f.npy", values)
    seen = {"seen": describe_array(tmp_path / "f.npy", values)}
    values[[1001, 1002]] = values[[1002, 1001]]
    np.save(tmp_path / "f.npy", values)
    os.utime(tmp_path / "f.npy", (1, 1))
    with pytest.raises(FeatureError, match="has changed since"):
        check_unchanged(seen, tmp_path / "f.npy", values, tmp_path / "p/features/meta.json")
