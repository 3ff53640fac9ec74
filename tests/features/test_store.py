"""Features lie in plain files; what is wrong with them is said with the remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.errors import FeatureError
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable

REFS = ["a.jpg", "b.jpg", "c c.jpg#xywh=1,2,3,4"]


def matrix(dtype: Any = np.float32) -> Any:
    return np.arange(1, 13).reshape(3, 4).astype(dtype)


def adopt(tmp_path: Path, array: Any, refs: list[str] = REFS) -> FeatureStore:
    np.save(tmp_path / "mine.npy", array)
    return FeatureStore.adopt(tmp_path / "features", tmp_path / "mine.npy", RefTable(refs))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_of_anyone_s_making_is_used_where_it_lies(
    tmp_path: Path, dtype: str, order: Any
) -> None:
    adopt(tmp_path, np.asarray(matrix(dtype), order=order))
    before = (tmp_path / "mine.npy").read_bytes()
    store = FeatureStore.open(tmp_path / "features")
    assert np.array_equal(store.matrix, matrix())
    assert store.rows(REFS[::-1] + ["d.jpg"]).tolist() == [2, 1, 0, -1]
    assert store.available() is None
    assert store.name == "mine.npy"
    assert (tmp_path / "mine.npy").read_bytes() == before
    assert not list((tmp_path / "features").glob("*.npy"))
    with pytest.raises(ValueError, match="read-only"):
        store.matrix[0, 0] = 5


def test_a_row_without_a_ref_is_no_item_and_need_not_be_good(tmp_path: Path) -> None:
    array = matrix()
    array[1] = np.nan
    store = adopt(tmp_path, array, ["a", "", "c"])
    assert store.rows(["a", "b", "c"]).tolist() == [0, -1, 2]


def test_the_files_are_plain(tmp_path: Path) -> None:
    adopt(tmp_path, matrix())
    assert (tmp_path / "features" / "refs.txt").read_text().split("\n") == [*REFS, ""]
    meta = json.loads((tmp_path / "features" / "meta.json").read_text())
    assert meta["format"] == 1
    assert meta["matrix"] == str(tmp_path / "mine.npy")


def test_rows_that_are_no_features_are_named_all_at_once(tmp_path: Path) -> None:
    array = matrix()
    array[0, 2], array[2] = np.inf, 0
    with pytest.raises(FeatureError) as caught:
        adopt(tmp_path, array)
    said = str(caught.value)
    assert "row 0, a.jpg: not a number or infinite" in said
    assert "row 2, c c.jpg#xywh=1,2,3,4: all zeros" in said
    assert "b.jpg" not in said
    assert not (tmp_path / "features").exists()


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((3, 4), np.int32), "int32"),
        (np.array([["a"]] * 3), "<U1"),
        (np.ones(3, np.float32), r"shape \(3,\)"),
        (np.ones((3, 0), np.float32), r"shape \(3, 0\)"),
        (np.ones((4, 4), np.float32), "4 rows for 3 refs"),
        (np.array([[{}]] * 3), "not a whole .npy file"),
    ],
    ids=["integers", "text", "one-dimensional", "empty", "rows", "pickled"],
)
def test_arrays_that_cannot_be_features_are_refused(
    tmp_path: Path, array: Any, reason: str
) -> None:
    with pytest.raises(FeatureError, match=reason):
        adopt(tmp_path, array)


def test_a_truncated_array_is_said_when_a_project_is_opened(tmp_path: Path) -> None:
    adopt(tmp_path, matrix())
    whole = (tmp_path / "mine.npy").read_bytes()
    for length in (len(whole) - 1, 40, 0):
        (tmp_path / "mine.npy").write_bytes(whole[:length])
        with pytest.raises(FeatureError, match=r"mine\.npy is not a whole \.npy.*annotator feat"):
            FeatureStore.open(tmp_path / "features")
    (tmp_path / "mine.npy").unlink()
    with pytest.raises(FeatureError, match=r"mine\.npy does not exist"):
        FeatureStore.open(tmp_path / "features")


def test_several_arrays_in_one_file_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "many.npz", a=matrix())
    with pytest.raises(FeatureError, match="several arrays"):
        FeatureStore.adopt(tmp_path / "features", tmp_path / "many.npz", RefTable(REFS))


def test_refs_and_rows_must_agree(tmp_path: Path) -> None:
    adopt(tmp_path, matrix())
    (tmp_path / "features" / "refs.txt").write_text("a.jpg\n")
    with pytest.raises(FeatureError, match=r"3 rows, but .*refs\.txt names 1"):
        FeatureStore.open(tmp_path / "features")


@pytest.mark.parametrize(
    ("meta", "reason"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"format": 1}', "cannot be read"),
        ('{"format": 1, "extractor": {"name": 3}}', "does not name an extractor"),
        ('{"format": 99, "extractor": {"name": "x"}}', "newer annotator"),
    ],
)
def test_a_damaged_or_newer_description_is_said(tmp_path: Path, meta: str, reason: str) -> None:
    adopt(tmp_path, matrix())
    (tmp_path / "features" / "meta.json").write_text(meta)
    with pytest.raises(FeatureError, match=rf"meta\.json.* {reason}"):
        FeatureStore.open(tmp_path / "features")


def test_a_folder_without_features_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match=r"no features\. Compute them: .*`annotator features`"):
        FeatureStore.open(tmp_path)


def test_a_project_without_features_names_the_command_for_that_project(tmp_path: Path) -> None:
    folder = tmp_path / "my crops"
    folder.mkdir()
    (folder / "annotator.toml").write_text("")
    with pytest.raises(FeatureError) as error:
        FeatureStore.open(folder / "features")
    assert f"`annotator features '{folder}'`" in str(error.value)
