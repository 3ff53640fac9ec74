"""Queries about columns, sizes, times, notes, reviews and predictions, on a project."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.curate.search import Searcher, SearchResults
from annotator.errors import FeatureError, QueryError
from annotator.features.store import FeatureStore
from annotator.images import ImageFolder
from annotator.images.measures import measure_items, measures_file
from annotator.items.ref_table import RefTable
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.project.classes import ClassInfo
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.saved_searches import save_search
from annotator.project.settings import Settings
from annotator.session.pool_features import PoolFeatures

NOON = datetime(2026, 11, 1, 12).timestamp()
TABLE = """filename,bbox,camera,lens no,temp,size
cam3/a.png,"0,0,16,64",3,A 1,19.5,x
cam3/b.png,,03,a 1,,y
cam4/c.png,"0,0,10,10",4,"B, 2",21,x
cam4/d.png,"5,5,40,40",,B 2,-4,y
cam4/e.png,,4,c,20,z
cam4/f.png,,4,c,20.0,z
"""


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    images = tmp_path / "images"
    for place, name in enumerate(["cam3/a", "cam3/b", "cam4/c", "cam4/d", "cam4/e", "cam4/f"]):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (80, 20), 40 * place).save(images / f"{name}.png")
    classes = (ClassInfo("vehicle"), ClassInfo("car", parent="vehicle"), ClassInfo("ok"))
    made = ProjectFolder.create(tmp_path / "p", Settings(classes=classes, images=str(images)))
    made.refs_file.write_text(TABLE)
    return made


def _state(refs: RefTable) -> LogState:
    day = 86_400
    rows: list[tuple[str, Action, int, str | None, float, dict[str, object]]] = [
        ("Ana", Action.LABEL, 0, "car", NOON, {}),
        ("bo", Action.LABEL, 1, "ok", NOON + day, {}),
        ("bo", Action.LABEL, 2, "vehicle", NOON + 2 * day, {"review": "errors"}),
        ("bo", Action.NOTE, 3, None, NOON, {}),
        ("bo", Action.LABEL, 4, "ok", NOON + day, {}),
    ]
    return replay(
        Entry(seq, at, who, action, refs[row], label, extra=extra or None,
              note="Motion BLUR" if action is Action.NOTE else None)
        for seq, (who, action, row, label, at, extra) in enumerate(rows, 1)
    )  # fmt: skip


def search(project: ProjectFolder, query: str, features: bool = False) -> SearchResults:
    refs = load_refs(project)
    found = None
    if features:
        matrix = np.array([[1, 0.1], [0.1, 1], [1, 0.2], [1, 0.0], [0, 1], [0.7, 0.7]], "f4")
        store = FeatureStore(refs, matrix, {"name": "made"}, np.ones(len(refs), np.uint8))
        found = PoolFeatures(store, refs)
    searcher = Searcher(refs, found, project=project)
    return searcher.find(query, _state(refs), classes=project.settings.names)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("camera=3", [0, 1]),
        ("CAMERA=3", [0, 1]),
        ("camera=4", [2, 4, 5]),
        ("camera=", [3]),
        ("-camera=4", [0, 1, 3]),
        ("camera!=4", [0, 1, 3]),
        ("temp>19.5", [2, 4, 5]),
        ("-temp>19.5", [0, 3]),  # a blank cell is neither
        ("temp=20", [4, 5]),
        ('"lens no"="A 1"', [0, 1]),
        ("'lens no=b, 2'", [2]),
        ("'lens no'=B*", [2, 3]),
        ("column:size=x", [0, 2]),
        ("size<32", [2]),  # the side of the square of the same area: 32 x 32 for 16 x 64
        ("size<=32", [0, 2]),
        ("-size<32", [0, 3]),
        ("path:cam3/*", [0, 1]),
        ("path:*c.png", [2]),
        ("label:vehicle", [0, 2]),  # and what is below it in the tree
        ("label:car", [0]),
        ("label:Vehicle/car", [0]),  # as the lists show it
        ("label:*", [0, 1, 2, 4]),
        ("by:ANA", [0]),
        ("by:b*", [1, 2, 4]),
        ("note:blur", [3]),
        ("note:", [3]),
        ("reviewed:", [2]),
        ("reviewed:errors", [2]),
        ("reviewed:flagged", []),
        ("reviewed:bo", [2]),
        ("reviewed:B*", [2]),
        ("reviewed:Ana", []),
        ("reviewed", [2]),
        ("labelled -reviewed", [0, 1, 4]),
        ("at>2026-11-01", [1, 2, 4]),
        ("at:2026-11-01", [0]),
        ("at>=2026-11-01 at<2026-11-03", [0, 1, 4]),
    ],
)
def test_what_is_known_of_items(project: ProjectFolder, query: str, rows: list[int]) -> None:
    assert search(project, query).rows.tolist() == rows


def test_what_is_unknown_is_said(project: ProjectFolder) -> None:
    assert "3 items of unknown size" in search(project, "size<32").notes[0]
    assert "--measure" in search(project, "brightness<0.5").notes[0]
    assert "1 item without a value" in search(project, "temp>0").notes[0]
    assert search(project, "temp=20").notes == ()
    assert search(project, "at>2026").notes[0].startswith("times are local: ")
    assert search(project, "at>2026-01-01T00:00Z").notes == ()


def test_a_name_that_no_annotator_has_lists_the_names(project: ProjectFolder) -> None:
    (note,) = search(project, "by:anna").notes
    assert "Ana" in note and "bo" in note
    assert search(project, "by:ana open").notes == ()


def test_images_are_measured_once_and_kept(project: ProjectFolder) -> None:
    refs, images = load_refs(project), ImageFolder(project.images)
    cache = measures_file(project.folder)
    measure_items(images, cache, refs, np.arange(3))
    assert search(project, "brightness<0.1").rows.tolist() == [0]
    assert search(project, "size=40").rows.tolist() == [1, 3]  # 80 x 20, and a box of 40 x 40
    asked: list[int] = []
    measure_items(images, cache, refs, np.arange(6), progress=lambda _, of: asked.append(of))
    assert asked == [3]
    assert search(project, "brightness>0.5").rows.tolist() == [4, 5]
    assert search(project, "size>0").notes == ()


def test_a_cache_of_measures_that_is_damaged_is_made_again(project: ProjectFolder) -> None:
    cache = measures_file(project.folder)
    cache.parent.mkdir(exist_ok=True)
    cache.write_bytes(b"PK\x03\x04 not an archive")
    found = measure_items(ImageFolder(project.images), cache, load_refs(project), np.arange(6))
    assert np.isfinite(found.size).all()


def test_an_unknown_column_lists_the_columns(project: ProjectFolder) -> None:
    with pytest.raises(QueryError, match="Did you mean camera.*camera, lens no, temp, size"):
        search(project, "cemera=3")
    with pytest.raises(QueryError, match="temp holds numbers"):
        search(project, "temp>warm")
    with pytest.raises(QueryError, match="The queues are"):
        search(project, "reviewed:mistakes")
    with pytest.raises(QueryError, match="Did you mean vehicle"):
        search(project, "label:vehicel")


def test_predictions_are_those_of_a_model_without_the_label(project: ProjectFolder) -> None:
    cars = search(project, "predicted:vehicle", features=True).rows.tolist()
    assert {0, 2, 3} <= set(cars) and not {1, 4} & set(cars)
    sure = search(project, "p>0.5 -open", features=True).rows.tolist()
    close = search(project, "margin<0.2", features=True).rows.tolist()
    assert 5 in close and 3 not in close and set(sure) <= {0, 1, 2, 4}
    both = search(project, "p:vehicle>=0.5", features=True).rows.tolist()
    assert {0, 2, 3} <= set(both)


def test_predictions_need_features(project: ProjectFolder) -> None:
    with pytest.raises(FeatureError, match="annotator features"):
        search(project, "predicted:ok")


def test_saved_searches_are_terms(project: ProjectFolder) -> None:
    assert not save_search(project, "four", "camera=4")
    assert save_search(project, "Four", "camera=4 -label:ok")
    assert search(project, "@four").rows.tolist() == [2, 5]
    assert search(project, "-@four open").rows.tolist() == [3]
