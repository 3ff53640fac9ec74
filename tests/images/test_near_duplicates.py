"""Copies are found however they were made, and nothing that merely resembles them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from annotator.images import ImageFolder, near_duplicates
from annotator.images.near_duplicates import (
    BLANK,
    BROKEN,
    MAX_HASH_DISTANCE,
    connected_components,
    load_fingerprints,
    update_fingerprints,
)
from annotator.items.ref_table import RefTable
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings


def _picture(seed: int) -> Image.Image:
    """Soft shapes, as photographs have them."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC)


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    """a.png with four kinds of copies, and b.png, c.png, d.png without any."""
    images = tmp_path / "images"
    images.mkdir()
    for seed, name in enumerate("abcd"):
        _picture(seed).save(images / f"{name}.png")
    original = _picture(0)
    shutil.copy(images / "a.png", images / "same.png")
    original.save(images / "compressed.jpg", quality=35)
    original.resize((160, 120)).save(images / "small.png")
    original.point(lambda value: min(255, int(1.15 * value))).save(images / "bright.png")
    settings = Settings(classes=(ClassInfo("ok"),), images=str(images))
    return ProjectFolder.create(tmp_path / "project", settings)


def _refs(project: ProjectFolder) -> RefTable:
    return RefTable(sorted(path.name for path in project.images.iterdir()))


def _everything(project: ProjectFolder) -> near_duplicates.Fingerprints:
    refs = _refs(project)
    return update_fingerprints(
        ImageFolder(project.images), project.fingerprints_file, refs, np.arange(len(refs))
    )


COPIES = ["a.png", "bright.png", "compressed.jpg", "same.png", "small.png"]


def test_copies_are_found_from_any_of_them(project: ProjectFolder) -> None:
    prints = _everything(project)
    rows = prints.refs.rows(COPIES)
    for row in rows.tolist():
        assert sorted(prints.near_duplicates(row).tolist()) == sorted(set(rows.tolist()) - {row})
    assert len(prints.near_duplicates(prints.refs.find("b.png"))) == 0
    found = connected_components(prints.pairs(np.arange(len(prints.refs))))
    assert [[prints.refs[row] for row in group] for group in found] == [COPIES]


def test_blank_and_broken_pictures_look_like_nothing(project: ProjectFolder) -> None:
    for name, level in (("black.png", 0), ("grey.png", 128)):
        Image.new("RGB", (64, 64), (level,) * 3).save(project.images / name)
    shutil.copy(project.images / "black.png", project.images / "black2.png")
    (project.images / "torn.png").write_bytes(b"\x89PNG\r\n")
    (project.images / "torn2.png").write_bytes(b"\x89PNG\r\n")
    prints = _everything(project)
    state = {ref: int(prints.table["state"][row]) for row, ref in enumerate(prints.refs)}
    assert state["black.png"] == BLANK
    assert state["torn.png"] == BROKEN
    names = [prints.refs[int(row)] for row in prints.near_duplicates(prints.refs.find("black.png"))]
    assert names == ["black2.png"]  # the very same file, but no other blank one
    assert len(prints.near_duplicates(prints.refs.find("torn.png"))) == 0


def test_boxes_of_one_image_are_looked_at_one_by_one(project: ProjectFolder) -> None:
    both = Image.new("RGB", (640, 240))
    both.paste(_picture(0), (0, 0))
    both.paste(_picture(1), (320, 0))
    both.save(project.images / "both.png")
    left, right = "both.png#xywh=0,0,320,240", "both.png#xywh=320,0,320,240"
    refs = RefTable([left, right, "a.png", "b.png"])
    prints = update_fingerprints(
        ImageFolder(project.images), project.fingerprints_file, refs, np.arange(4)
    )
    assert prints.near_duplicates(0).tolist() == [2]
    assert prints.near_duplicates(1).tolist() == [3]


def test_what_was_computed_is_kept_until_the_file_changes(project: ProjectFolder) -> None:
    _everything(project)
    refs = _refs(project)
    row = refs.find("b.png")
    (project.images / "c.png").unlink()  # if it were read again it would be broken now
    seen = load_fingerprints(project.fingerprints_file, refs)
    assert (seen.table["state"] == near_duplicates.SEEN).sum() == len(refs)
    shutil.copy(project.images / "a.png", project.images / "b.png")
    prints = update_fingerprints(
        ImageFolder(project.images), project.fingerprints_file, refs, np.array([row])
    )
    assert prints.refs.find("a.png") in prints.near_duplicates(row).tolist()


def test_a_pool_that_has_grown_takes_over_what_is_known(project: ProjectFolder) -> None:
    before = _everything(project)
    grown = RefTable([*list(before.refs)[::-1], "new.png"])
    known = load_fingerprints(project.fingerprints_file, grown)
    assert [bool(state) for state in known.table["state"]] == [True] * len(before.refs) + [False]
    assert known.near_duplicates(grown.find("a.png")).tolist() == before_rows(before, grown)


def before_rows(before: near_duplicates.Fingerprints, grown: RefTable) -> list[int]:
    near = before.near_duplicates(before.refs.find("a.png")).tolist()
    return sorted(grown.find(before.refs[row]) for row in near)


def test_it_can_be_stopped_and_goes_on(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_duplicates, "_AT_ONCE", 3)
    refs = _refs(project)
    calls: list[tuple[int, int]] = []
    update_fingerprints(
        ImageFolder(project.images),
        project.fingerprints_file,
        refs,
        np.arange(len(refs)),
        progress=lambda done, of: calls.append((done, of)),
        stop=lambda: len(calls) == 1,
    )
    assert calls == [(3, len(refs))]
    assert (load_fingerprints(project.fingerprints_file, refs).table["state"] != 0).sum() == 3


def test_a_torn_cache_is_computed_again(project: ProjectFolder) -> None:
    _everything(project)
    file = project.folder / ".cache" / "prints.npz"
    file.write_bytes(file.read_bytes()[:100])
    assert len(_everything(project).near_duplicates(0)) == len(COPIES) - 1


@pytest.mark.parametrize("name", ["table", "refs"])
def test_a_cache_with_another_byte_is_not_believed(project: ProjectFolder, name: str) -> None:
    refs = _everything(project).refs
    file = project.fingerprints_file
    data = bytearray(file.read_bytes())
    with ZipFile(file) as archive:
        member = archive.getinfo(f"{name}.npy")
    data[member.header_offset + member.file_size // 2 + 100] ^= 1
    file.write_bytes(data)
    assert not load_fingerprints(file, refs).table["state"].any()


def test_a_large_cache_is_not_copied_into_memory(project: ProjectFolder) -> None:
    few = _everything(project)
    refs = RefTable(f"{n}.png" for n in range(100_000))
    table = np.resize(few.table, len(refs))
    near_duplicates._save_fingerprints(
        project.fingerprints_file, near_duplicates.Fingerprints(refs, table)
    )
    tracemalloc.start()
    try:
        known = load_fingerprints(project.fingerprints_file, refs)
        found = known.near_duplicates(0)
        assert tracemalloc.get_traced_memory()[1] < table.nbytes / 2
    finally:
        tracemalloc.stop()
    assert found.tolist() == near_duplicates.Fingerprints(refs, table).near_duplicates(
        0
    ).tolist() and len(found)


def test_what_one_process_computes_does_not_change_what_another_has_read(
    project: ProjectFolder,
) -> None:
    refs = _everything(project).refs
    read = load_fingerprints(project.fingerprints_file, refs)
    before = read.table.copy()
    row = refs.find("b.png")
    shutil.copy(project.images / "a.png", project.images / "b.png")
    update_fingerprints(
        ImageFolder(project.images), project.fingerprints_file, refs, np.array([row])
    )
    assert (read.table == before).all()


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from annotator.images import ImageFolder
from annotator.images.near_duplicates import update_fingerprints
from annotator.project.project import ProjectFolder
from annotator.items.ref_table import RefTable
project = ProjectFolder.open(Path(sys.argv[1]))
refs = RefTable(["a.png", "same.png"])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
own = update_fingerprints(
    ImageFolder(project.images), project.fingerprints_file, refs, np.arange(2)
)
print(len(own.near_duplicates(0)))
"""


def test_a_cache_that_a_full_disk_cuts_short_leaves_nothing_behind(project: ProjectFolder) -> None:
    command = [sys.executable, "-B", "-c", FULL, str(project.folder)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout == "1\n", "it is computed all the same"
    assert list((project.folder / ".cache").iterdir()) == []


def test_pairs_are_those_of_comparing_all_with_all(project: ProjectFolder) -> None:
    rng = np.random.default_rng(3)
    looks = rng.integers(0, 2**63, (60, 2), np.uint64)
    table = np.zeros(600, _everything(project).table.dtype)
    table["state"] = near_duplicates.SEEN
    table["file"][:, 0] = np.arange(600)
    for row in range(600):  # each look ten times, with 0 to 12 bits turned over
        bits = np.unpackbits(looks[row % 60].view(np.uint8))
        bits[rng.choice(128, rng.integers(0, 13), replace=False)] ^= 1
        table["look"][row] = np.packbits(bits).view(np.uint64)
    refs = RefTable(f"{n}.png" for n in range(600))
    found = near_duplicates.Fingerprints(refs, table).pairs(np.arange(600))
    bits = np.unpackbits(
        np.ascontiguousarray(table["look"]).view(np.uint8).reshape(600, -1), axis=1
    )
    far = (bits[:, None] != bits[None]).sum(axis=2)
    truth = np.argwhere(np.triu(far <= MAX_HASH_DISTANCE, 1))
    assert connected_components(found) == connected_components(truth)
    assert len(connected_components(truth)) > 50


def test_features_that_are_all_but_the_same_make_a_pair() -> None:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(30, 40))
    X[7] = X[3] + 0.05 * rng.normal(size=40)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    assert near_duplicates.feature_duplicates(X, np.arange(100, 130)).tolist() == [[103, 107]]


def test_features_in_which_all_is_alike_make_no_pairs() -> None:
    X = 1 + 0.05 * np.random.default_rng(4).normal(size=(60, 8))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    assert (X @ X.T).min() > near_duplicates.MIN_COSINE
    assert len(near_duplicates.feature_duplicates(X, np.arange(60))) < 5


def test_near_duplicates_of_magnetic_tiles_are_the_same_tile(shared: Path, tmp_path: Path) -> None:
    """The set holds each tile at several exposures; of photographs of flowers none are alike."""
    tiles = _of(shared / "data" / "magnetic-tile", 60, tmp_path / "tiles")
    crack = tiles.refs.find("images/00208.jpg")
    assert tiles.refs.find("images/00217.jpg") in tiles.near_duplicates(crack).tolist()
    flowers = _of(shared / "data" / "flowers", 60, tmp_path / "flowers")
    assert len(flowers.pairs(np.arange(len(flowers.refs)))) == 0


def _of(folder: Path, count: int, place: Path) -> near_duplicates.Fingerprints:
    settings = Settings(classes=(ClassInfo("ok"),), images=str(folder))
    project = ProjectFolder.create(place, settings)
    first = 180 if folder.name == "magnetic-tile" else 0
    names = sorted(path.name for path in (folder / "images").iterdir())[first : first + count]
    refs = RefTable(f"images/{name}" for name in names)
    return update_fingerprints(
        ImageFolder(project.images), project.fingerprints_file, refs, np.arange(len(refs))
    )
