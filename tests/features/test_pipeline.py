"""Many items get their features, whatever befalls the run."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotator.features.classic import ClassicExtractor
from annotator.features.growing import open_partial_features
from annotator.features.pipeline import ExtractionProgress, ExtractionReport, extract_features
from annotator.features.store import FeatureStore
from annotator.images import ImageFolder
from annotator.items.ref_table import RefTable
from annotator.items.refs import Box, Item
from tests.time_limits import PATIENCE


def pictures(folder: Path, count: int) -> list[str]:
    random = np.random.default_rng(count)
    folder.mkdir(exist_ok=True)
    for n in range(count):
        noise = random.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        Image.fromarray(noise).resize((40, 30)).save(folder / f"{n:03}.png")
    return [f"{n:03}.png" for n in range(count)]


def run(tmp_path: Path, refs: list[str], **how: object) -> ExtractionReport:
    folder = ImageFolder(tmp_path / "images")
    return extract_features(
        RefTable(refs), folder, ClassicExtractor(), tmp_path / "features", **how
    )  # type: ignore[arg-type]


def expected(tmp_path: Path, ref: str, context: float = 0.25) -> np.ndarray:
    classic, folder = ClassicExtractor(), ImageFolder(tmp_path / "images")
    return classic([folder.resized_pixels(Item.parse(ref), classic.size, context)])[0]


def test_every_item_gets_the_features_of_its_own_picture(tmp_path: Path) -> None:
    refs = pictures(tmp_path / "images", 150)
    report = run(tmp_path, refs, batch_size=32, workers=3)
    assert (report.computed, report.done, report.total, report.complete) == (150, 150, 150, True)
    store = FeatureStore.open(tmp_path / "features")
    assert list(store.refs) == refs
    assert store.extractor == {"name": "classic", "version": 1, "context": 0.25}
    for row in range(0, 150, 13):
        assert np.allclose(store.matrix[row], expected(tmp_path, refs[row]), atol=1e-3)


def test_a_box_gets_the_features_of_its_own_pixels(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    sheet = Image.new("RGB", (300, 100), "black")
    sheet.paste("red", (0, 0, 100, 100))
    sheet.paste("blue", (200, 0, 300, 100))
    sheet.save(tmp_path / "images" / "sheet.png")
    colours = {
        "red": Box(20, 20, 50, 50),
        "black": Box(120, 20, 50, 50),
        "blue": Box(220, 20, 50, 50),
    }
    refs = [Item("sheet.png", box).ref for box in colours.values()]
    for colour in colours:
        Image.new("RGB", (64, 64), colour).save(tmp_path / "images" / f"{colour}.png")
    run(tmp_path, refs)
    store = FeatureStore.open(tmp_path / "features")
    for row, colour in enumerate(colours):
        assert np.allclose(store.matrix[row], expected(tmp_path, f"{colour}.png"), atol=1e-3)
    assert np.array_equal(run(tmp_path, refs, context=2.0).done, 3)
    around = FeatureStore.open(tmp_path / "features").matrix[1]
    assert not np.allclose(around, expected(tmp_path, "black.png"), atol=0.05)


def test_broken_images_are_left_out_and_named_and_tried_again(tmp_path: Path) -> None:
    refs = pictures(tmp_path / "images", 20)
    (tmp_path / "images" / refs[3]).write_bytes(b"broken")
    (tmp_path / "images" / refs[8]).unlink()
    refs[12] += "#xywh=900,0,5,5"
    report = run(tmp_path, refs)
    assert report.complete
    assert report.broken_count == 3
    assert {broken.ref for broken in report.broken} == {refs[3], refs[8], refs[12]}
    assert all(Item.parse(broken.ref).path in broken.reason for broken in report.broken)
    available = FeatureStore.open(tmp_path / "features").available()
    assert available is not None
    assert np.flatnonzero(~available).tolist() == [3, 8, 12]
    Image.new("RGB", (9, 9), "red").save(tmp_path / "images" / refs[3])
    again = run(tmp_path, refs)
    assert (again.computed, again.done, again.broken_count) == (1, 18, 2)


def test_all_broken_leaves_no_features(tmp_path: Path) -> None:
    report = run(tmp_path, ["a.png", "b.png"])
    assert (report.computed, report.broken_count, report.complete) == (0, 2, True)
    assert not (tmp_path / "features" / "features.npy").exists()


def test_no_items_are_no_trouble(tmp_path: Path) -> None:
    assert run(tmp_path, []).complete


def test_a_stopped_run_can_be_read_and_continued(tmp_path: Path) -> None:
    refs = pictures(tmp_path / "images", 60)
    seen: list[ExtractionProgress] = []
    report = run(
        tmp_path, refs, batch_size=8, progress=seen.append, stop=lambda: seen[-1].done >= 16
    )
    assert not report.complete
    assert 16 <= report.done < 60
    store = open_partial_features(tmp_path / "features")
    assert store is not None
    available = store.available()
    assert available is not None
    assert available.sum() == report.done
    row = int(np.flatnonzero(available)[0])
    assert np.allclose(store.matrix[row], expected(tmp_path, refs[row]), atol=1e-3)
    rest = run(tmp_path, refs)
    assert rest.complete
    assert rest.computed == 60 - report.done
    assert FeatureStore.open(tmp_path / "features").available() is None


def test_progress_counts_up_to_the_end_with_a_rate(tmp_path: Path) -> None:
    refs = pictures(tmp_path / "images", 40)
    seen: list[ExtractionProgress] = []
    run(tmp_path, refs, batch_size=10, progress=seen.append)
    assert [p.done for p in seen] == [0, 10, 20, 30, 40, 40]
    assert all(p.total == 40 for p in seen)
    assert seen[0].left_s is None
    assert seen[-1].rate > 0
    assert seen[-1].left_s == 0


def test_a_limit_computes_that_many_spread_over_the_list(tmp_path: Path) -> None:
    refs = pictures(tmp_path / "images", 60)
    report = run(tmp_path, refs, limit=15)
    assert (report.computed, report.done, report.total) == (15, 15, len(refs))
    available = FeatureStore.open(tmp_path / "features").available()
    assert available is not None
    rows = np.flatnonzero(available)
    assert len(rows) == 15
    assert rows[-1] - rows[0] > 30
    assert run(tmp_path, refs).computed == 45


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_run_is_resumed_without_a_wrong_row(tmp_path: Path, seed: int) -> None:
    refs = pictures(tmp_path / "images", 200)
    script = (
        "import sys; from pathlib import Path;"
        "from annotator.features.pipeline import extract_features;"
        "from annotator.features.classic import ClassicExtractor;"
        "from annotator.images import ImageFolder;"
        "from annotator.items.ref_table import RefTable; import annotator.features.growing as g;"
        "g._SYNC_EVERY = 0; root = Path(sys.argv[1]);"
        "refs, images = RefTable(sys.argv[2:]), ImageFolder(root / 'images');"
        "extract_features(refs, images, ClassicExtractor(), root / 'features',"
        "batch_size=4, workers=1,"
        # It may be killed late, but not after its end: from there on it waits.
        "progress=lambda p: (print(p.done, flush=True), p.done < 120 or sys.stdin.read()))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path, *refs],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    next(line for line in child.stdout if int(line) >= 8 + 8 * seed)
    child.kill()
    child.communicate()
    report = run(tmp_path, refs)
    assert report.complete
    assert 8 + 8 * seed - 4 <= report.done - report.computed < 200
    store = FeatureStore.open(tmp_path / "features")
    assert store.available() is None
    for row in range(0, 200, 7):
        assert np.allclose(store.matrix[row], expected(tmp_path, refs[row]), atol=1e-3)


def test_decoding_goes_on_while_the_extractor_works(tmp_path: Path) -> None:
    refs = pictures(tmp_path / "images", 100)

    decoded, begun, news = [0], [0], threading.Condition()

    class Counting(ImageFolder):
        def resized_pixels(self, *what: Any) -> Any:
            with news:
                decoded[0] += 1
                news.notify_all()
            return super().resized_pixels(*what)

    class Waiting(ClassicExtractor):
        """An extractor that ends a batch only after a picture of a later one is decoded."""

        batch_size = 8

        def __call__(self, some: Any) -> Any:
            if len(some) > 1:
                begun[0] += len(some)
                with news:
                    ahead = news.wait_for(lambda: decoded[0] > min(begun[0], 99), PATIENCE)
                assert ahead, "no picture was decoded while a batch was computed"
            return super().__call__(some)

    folder = Counting(tmp_path / "images")
    assert (
        extract_features(RefTable(refs), folder, Waiting(), tmp_path / "f", workers=1).done == 100
    )


def test_processes_decode_the_same_as_threads(tmp_path: Path) -> None:
    refs = [*pictures(tmp_path / "images", 50), "gone.png"]
    refs[20] += "#xywh=5,5,20,10"

    class Fast(ClassicExtractor):
        outruns_threads = True

    folder = ImageFolder(tmp_path / "images")
    for name, extractor in (("threads", ClassicExtractor()), ("processes", Fast())):
        out = tmp_path / name
        report = extract_features(RefTable(refs), folder, extractor, out, batch_size=16, workers=3)
        assert (report.computed, report.complete) == (50, True)
        assert "gone.png: there is no such file" in report.broken[0].reason
    threads, processes = (FeatureStore.open(tmp_path / n) for n in ("threads", "processes"))
    assert np.allclose(threads.matrix, processes.matrix, atol=1e-3)


def test_progress_is_told_though_all_is_broken(tmp_path: Path) -> None:
    seen: list[ExtractionProgress] = []
    run(tmp_path, [f"{n}.png" for n in range(100)], batch_size=10, progress=seen.append)
    assert [p.broken for p in seen] == sorted(p.broken for p in seen)
    assert len({p.broken for p in seen}) > 4
    assert seen[-1].broken == 100


def test_features_that_are_not_finite_are_reported_not_stored(tmp_path: Path) -> None:
    refs = pictures(tmp_path / "images", 6)

    class Overflowing(ClassicExtractor):
        def __call__(self, some: Any) -> Any:
            found = super().__call__(some)
            found[:3, 5] = [np.nan, np.inf, 1e6][: len(found)]
            return found

    folder = ImageFolder(tmp_path / "images")
    extractor = Overflowing()
    report = extract_features(RefTable(refs), folder, extractor, tmp_path / "f", batch_size=6)
    assert report.broken_count == 3
    assert "--dtype fp32" in report.broken[0].reason
    assert np.isfinite(FeatureStore.open(tmp_path / "f").matrix).all()


def test_flowers_come_out_the_same_as_one_by_one(tmp_path: Path, shared: Path) -> None:
    photos = sorted((shared / "data" / "flowers").rglob("*.jpg"))[::100]
    classic, folder = ClassicExtractor(), ImageFolder(Path("/"))
    extract_features(RefTable(map(str, photos)), folder, classic, tmp_path / "f")
    store = FeatureStore.open(tmp_path / "f")
    for row, photo in enumerate(photos):
        alone = classic([folder.resized_pixels(Item(str(photo)), classic.size)])
        assert np.allclose(store.matrix[row], alone[0], atol=1e-3)
