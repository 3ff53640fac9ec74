"""The export holds every field of ImageNet-AB with its type and unit, for its own loader."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from annotator.errors import ProjectError
from annotator.formats.format import load_format
from annotator.formats.source import ExportOptions, ExportSource
from annotator.hits.files import save_hit_set
from annotator.hits.model import Hit, HitClass, HitImage, HitPage, HitSet
from annotator.hits.recorder import PageShown, PageTile, Recorder, TerminalWindow
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings

T0 = 1_700_000_000_000
Check = Callable[[Any], bool]


def count(value: Any) -> bool:
    return type(value) is int and value >= 0


def pixels(value: Any) -> bool:
    return type(value) in (int, float) and value >= 0


def share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def epoch_ms(value: Any) -> bool:
    return type(value) is int and T0 <= value < T0 + 10_000_000


def text(value: Any) -> bool:
    return type(value) is str and value != ""


def truth(value: Any) -> bool:
    return type(value) is bool


def action(value: Any) -> bool:
    return value in ("enter", "leave")


FIELDS: dict[str, Check | dict[str, Check] | list[dict[str, Check]]] = {
    "imageID": text,
    "originalImageWidth": count,
    "originalImageHeight": count,
    "imageWidth": pixels,
    "imageHeight": pixels,
    "imagePosition": {"x": pixels, "y": pixels},
    "hoveredRecord": [{"action": action, "time": epoch_ms}],
    "hoveredCount": count,
    "mouseTracking": [{"x": share, "y": share, "time": epoch_ms}],
    "selected": truth,
    "selectedRecord": [{"x": share, "y": share, "time": epoch_ms}],
    "selectedCount": count,
    "estimateTime": count,
    "worker_id": lambda value: bool(re.fullmatch("[0-9a-f]{10}", value)),
    "page_idx": count,
}
"""The record of one image, and the fields that ImageNet-AB adds (004.2 of its field tables)."""


def faults(record: dict[str, Any]) -> list[str]:
    """The fields of `record` that are not as they should be."""

    def holds(check: Any, value: Any) -> bool:
        if isinstance(check, list):
            return isinstance(value, list) and all(holds(check[0], one) for one in value)
        if isinstance(check, dict):
            return all(key in value and holds(one, value[key]) for key, one in check.items())
        return bool(check(value))

    return [name for name in FIELDS if name not in record or not holds(FIELDS[name], record[name])]


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    for ref in ("n01/a.jpg", "n01/a.png", "n02/b.jpg"):
        file = tmp_path / "images" / ref
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (50, 40)).save(file)
    settings = Settings(classes=(ClassInfo("cat"), ClassInfo("dog")), images="../images")
    made = ProjectFolder.create(tmp_path / "p", settings)
    made.refs_file.write_text("filename\nn01/a.jpg\nn01/a.png\nn02/b.jpg\n")
    store = SqliteStore(made.labels_file)
    store.append(Entry(0, 1.0, "ann", Action.LABEL, "n01/a.jpg", "cat"))
    store.close()
    return made


def browse(project: ProjectFolder, worker: str, at: int) -> None:
    """One page of three images; the first is selected, the second only looked at."""
    recorder = Recorder(SqliteStore(project.labels_file), worker)
    refs = ("n01/a.jpg", "n01/a.png", "n02/b.jpg")
    tiles = [PageTile(ref, ref, (50, 40), (11.0 * i, 1, 10, 5)) for i, ref in enumerate(refs)]
    recorder.page_shown(
        PageShown(at, 1, "cat", "positives"), tiles, TerminalWindow(80, 24, (8, 16))
    )
    for place in (0, 1):
        recorder.enter(place, at + 100 * place + 10)
        recorder.move(place, 0.5, 0.25, at + 100 * place + 20)
        if place == 0:
            recorder.select(0, 0.5, 0.25, at + 50, "mouse")
        recorder.leave(place, at + 100 * place + 90)
    recorder.submit(at + 300)


def export(project: ProjectFolder, out: Path) -> ExportSource:
    out.mkdir()
    source = ExportSource.open(project, SqliteStore(project.labels_file).entries(), ExportOptions())
    write = load_format("imagenet-ab").write
    assert write is not None
    write(source, out)
    return source


def test_every_field_is_there_with_its_type_and_unit(
    project: ProjectFolder, tmp_path: Path
) -> None:
    browse(project, "Ann Smith", T0)
    browse(project, "bob", T0 + 1000)
    export(project, tmp_path / "out")
    files = sorted((tmp_path / "out" / "json").rglob("*.json"))
    assert [file.relative_to(tmp_path / "out/json").as_posix() for file in files] == [
        "n01/a-2.json", "n01/a.json", "n02/b.json",
    ]  # fmt: skip
    for file in files:
        observations = json.loads(file.read_text())
        assert len(observations) == 2, "one a time that somebody was shown it"
        assert [faults(one) for one in observations] == [[], []]
    first = json.loads((tmp_path / "out/json/n01/a.json").read_text())[0]
    assert (first["imageID"], first["selected"], first["estimateTime"]) == ("n01/a.jpg", True, 30)
    assert first["imagePosition"] == {"x": 0, "y": 16}
    for file in (tmp_path / "out").rglob("*"):
        assert not file.is_file() or b"Ann Smith" not in file.read_bytes()


def test_the_schema_test_sees_a_wrong_unit(project: ProjectFolder, tmp_path: Path) -> None:
    browse(project, "bob", T0)
    export(project, tmp_path / "out")
    (record,) = json.loads((tmp_path / "out/json/n01/a.json").read_text())
    record["mouseTracking"][0]["time"] /= 1000
    record["selectedRecord"][0]["x"] *= 50
    del record["hoveredCount"]
    assert faults(record) == ["hoveredCount", "mouseTracking", "selectedRecord"]


def points(file: Path) -> list[list[float]]:
    """Return the first point of each selection, as the loader published with ImageNet-AB does."""
    found = []
    for observation in ET.parse(file).getroot().findall("metadata"):
        if observation.findtext("selected") == "True":
            point = observation.find("selectedRecord")
            assert point is not None
            found.append([float(point.findtext(axis, "")) for axis in ("x", "y")])
    return found


def test_the_xml_is_read_as_that_of_imagenet_ab(project: ProjectFolder, tmp_path: Path) -> None:
    browse(project, "ann", T0)
    browse(project, "bob", T0 + 1000)
    export(project, tmp_path / "out")
    folder = tmp_path / "out/train_xml"
    assert points(folder / "n01/a.xml") == [[0.5, 0.25], [0.5, 0.25]]
    assert points(folder / "n02/b.xml") == []
    root = ET.parse(folder / "n01/a.xml").getroot()
    assert (root.findtext("folder"), root.findtext("filename")) == ("n01", "a")
    assert (root.findtext("size/width"), root.findtext("size/height")) == ("50", "40")
    observation = root.find("metadata")
    assert observation is not None
    assert {element.tag for element in observation} >= set(FIELDS) | {"assignment_id"}
    assert [element.findtext("action") for element in observation.findall("hoveredRecord")] == [
        "enter", "leave",
    ]  # fmt: skip


def test_the_tables_of_the_tool_hold_every_page(project: ProjectFolder, tmp_path: Path) -> None:
    browse(project, "ann", T0)
    browse(project, "bob", T0 + 1000)
    export(project, tmp_path / "out")
    rows = (tmp_path / "out/tables/ImageNetAnnotationPage.jsonl").read_text().splitlines()
    pages = [json.loads(row) for row in rows]
    names = {"imageNetAnnotationID", "id", "pageno", "startedAt", "endedAt", "annotations"}
    assert all(names <= set(page) for page in pages)
    assert [(page["startedAt"], page["endedAt"]) for page in pages] == [
        (T0, T0 + 300), (T0 + 1000, T0 + 1300),
    ]  # fmt: skip
    assert len({page["workerID"] for page in pages}) == 2


def test_a_project_without_pages_says_how_to_have_some(
    project: ProjectFolder, tmp_path: Path
) -> None:
    with pytest.raises(ProjectError, match="annotator hits run"):
        export(project, tmp_path / "out")


def test_the_documentation_names_every_field_that_is_written(
    project: ProjectFolder, tmp_path: Path
) -> None:
    browse(project, "ann", T0)
    export(project, tmp_path / "out")
    (record,) = json.loads((tmp_path / "out/json/n01/a.json").read_text())
    rows = (tmp_path / "out/tables/ImageNetAnnotationPage.jsonl").read_text().splitlines()
    page = set(json.loads(rows[0])) - {"workerID", "class", "order", "semantics", "version"}
    text = (Path(__file__).parents[2] / "docs" / "hits.md").read_text()
    named = set(re.findall(r"`([A-Za-z_]+)`", text))
    assert set(record) - named == set()
    assert page - {"predictionShown"} - named == set()
    tables = {name for line in text.splitlines() if line.startswith("| `")
              for name in re.findall(r"`([A-Za-z_]+)`", line.split("|")[1])}  # fmt: skip
    assert tables == set(record)


def test_the_hits_are_a_table_as_the_tool_has_it(project: ProjectFolder, tmp_path: Path) -> None:
    browse(project, "bob", T0)
    page = HitPage(
        1, HitClass("cat", "n01", ("cat", "feline"), "small", ("https://x.org",)),
        (HitImage("i1", "n01/a.jpg"), HitImage("i2", "n02/b.jpg")), {"i1": True},
        (HitImage("i3", "n01/a.png"),), 7,
    )  # fmt: skip
    save_hit_set(project, HitSet("cats", (Hit("cats", "cats-1", (page,)),)))
    export(project, tmp_path / "out")
    (row,) = map(json.loads, (tmp_path / "out/tables/ImageNetHIT.jsonl").read_text().splitlines())
    assert row == {
        "hitDatasetName": "cats", "isUnique": True, "id": "cats-1", "pages": [{
            "pageno": 1,
            "class": {"id": "cat", "wnid": "n01", "synset": ["cat", "feline"],
                      "description": "small", "wikipedia": ["https://x.org"]},
            "images": [{"id": "i1", "url": "n01/a.jpg"}, {"id": "i2", "url": "n02/b.jpg"}],
        }],
    }  # fmt: skip
