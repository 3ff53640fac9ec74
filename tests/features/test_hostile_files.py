"""Files of features that are cut, damaged or made to mislead: a clear error, and no traceback."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from annotator.errors import FeatureError
from annotator.features.growing import FeatureWriter, open_partial_features
from annotator.features.store import FeatureStore, map_matrix
from annotator.images.near_duplicates import load_fingerprints
from annotator.items.ref_table import RefTable

_META = '{"format": 1, "extractor": {"name": "x"}%s}'
_METAS = [
    "", "[]", "null", "7", '"x"', "[" * 100_000, '{"a":' * 50_000, '{"format": "1"}',
    '{"format": NaN, "extractor": {"name": 3}}', '{"format": 1, "extractor": []}',
    '{"format": 1e999, "extractor": {"name": "x"}}', '{"format": 1, "extractor": {"name": 1}}',
    _META % ', "missing": 7', _META % ', "missing": [[1]]', _META % ', "missing": [["a", 2]]',
    _META % ', "missing": [[-5, 3]]', _META % ', "missing": [[0, 1e300]]',
    _META % ', "matrix": 5', _META % ', "matrix": "a\\u0000b"', _META % ', "matrix": "/dev/zero"',
    _META % ', "matrix": "pipe"', _META % ', "matrix": ["x"]', _META % ', "matrix": "."',
    "\udcff\udcfe", "9" * 5000,
]  # fmt: skip
_HEADERS = [
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000, 2)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1" + "0" * 400 + ", 2)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 2)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 0)}",
    "{'descr': '|O', 'fortran_order': False, 'shape': (3, 2)}",
    "{'descr': '<f99', 'fortran_order': False, 'shape': (3, 2)}",
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3, 2)}",
    "{'descr': '<f4', 'fortran_order': 7, 'shape': (3, 2)}",
    "{'descr': '<f4', 'shape': (3, 2)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': '32'}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2)}",
    "__import__('os').system('true')", "(" * 5000, "[" * 900 + "]" * 900, "{", "'''", "\t\n  x\n y",
    "{'descr': 'V1000000000', 'fortran_order': False, 'shape': (3, 2)}", "", "\x00\xff",
]  # fmt: skip


def _npy(header: str, version: int = 1, length: int | None = None) -> bytes:
    text = header.encode("latin1") + b"\n"
    size = len(text) if length is None else length
    packed = struct.pack("<H" if version == 1 else "<I", size)
    return b"\x93NUMPY" + bytes([version, 0]) + packed + text + bytes(24)


def _opens(folder: Path) -> bool:
    """Return whether features open; anything but a `FeatureError` in a line of words fails."""
    try:
        FeatureStore.open(folder)
    except FeatureError as error:
        assert len(str(error)) < 1000
        assert "\x00" not in str(error)
        return False
    return True


@pytest.fixture
def features(tmp_path: Path) -> Path:
    with FeatureWriter(tmp_path, RefTable("abc"), {"name": "x"}, 2) as writer:
        writer.write(np.arange(3), np.ones((3, 2)))
        writer.finish()
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


@pytest.mark.parametrize("at", range(len(_METAS)))
@pytest.mark.parametrize("name", ["meta.json", "partial.json"])
def test_meta_that_is_no_meta_is_a_clear_error(features: Path, at: int, name: str) -> None:
    (features / name).write_bytes(_METAS[at].encode("utf-8", "surrogateescape"))
    assert _opens(features) == (name == "partial.json")
    assert open_partial_features(features) is None
    with FeatureWriter(features, RefTable("abcd"), {"name": "x"}, 2) as writer:
        writer.write(np.flatnonzero(~writer.done), np.ones((int((~writer.done).sum()), 2)))
        writer.finish()
    assert _opens(features), "they are computed anew"


@pytest.mark.parametrize("at", range(len(_HEADERS)))
def test_a_header_that_misleads_is_a_clear_error(features: Path, at: int) -> None:
    for version in (1, 2, 3, 9):
        (features / "features.npy").write_bytes(_npy(_HEADERS[at], version))
        assert not _opens(features)
    for length in (0, 5, 60_000):
        (features / "features.npy").write_bytes(_npy(_HEADERS[at], 1, length))
        assert not _opens(features)


def test_other_files_than_arrays_are_clear_errors(features: Path, tmp_path: Path) -> None:
    for data in (b"", b"\x93NUMPY", b"PK\x03\x04", b"PK\x03\x04" + bytes(99), b"\x80\x04K\x01."):
        (features / "features.npy").write_bytes(data)
        assert not _opens(features)
    (features / "features.npy").unlink()
    os.mkfifo(features / "features.npy")
    assert not _opens(features)
    with pytest.raises(FeatureError):
        map_matrix(tmp_path)


def test_every_cut_of_an_array_is_an_error(features: Path) -> None:
    whole = (features / "features.npy").read_bytes()
    for size in range(len(whole)):
        (features / "features.npy").write_bytes(whole[:size])
        assert not _opens(features)


def test_the_command_that_is_named_mends_what_is_broken(tmp_path: Path) -> None:
    (tmp_path / "annotator.toml").touch()
    folder, refs = tmp_path / "features", RefTable("ab")
    folder.mkdir()
    for meta in ("", "5", "[]", '{"format": {}}', "9" * 5000):
        (folder / "meta.json").write_text(meta)
        with pytest.raises(FeatureError, match=r"annotator features \S+ --replace`") as caught:
            FeatureStore.open(folder)
        assert "Error(" not in str(caught.value)
    (folder / "features.npy").mkdir()
    with (
        FeatureWriter(folder, refs, {"name": "x"}, 2) as writer,
        pytest.raises(FeatureError, match="mv .*features.npy"),
    ):
        writer.write(np.arange(2), np.ones((2, 2), np.float16))
        writer.finish()
    (tmp_path / "file").touch()
    with pytest.raises(FeatureError, match="mv .*file"):
        FeatureWriter(tmp_path / "file", refs, {"name": "x"}, 2)


def test_fingerprints_that_are_damaged_count_as_absent(tmp_path: Path) -> None:
    file, refs = tmp_path / "prints.npz", RefTable("ab")
    np.savez(file, table=np.zeros(2), refs=np.frombuffer(refs.to_bytes(), np.uint8))
    whole = file.read_bytes()
    for at in range(0, len(whole), 3):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]):
            file.write_bytes(data)
            assert len(load_fingerprints(file, refs).table) == 2
    meta = json.dumps({"huge": 1}).encode()
    file.write_bytes(meta)
    assert len(load_fingerprints(file, refs).table) == 2
