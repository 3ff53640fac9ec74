"""Label Studio's results as people export them: joined by id, of any shape, with odd regions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from annotator.errors import RefError
from annotator.formats.format import load_format
from annotator.formats.reading import ImportContext, ImportedItem

SIZE = {"original_width": 100, "original_height": 50, "image_rotation": 0}
SIDES = {"x": 10.0, "y": 20.0, "width": 30.0, "height": 40.0, "rotation": 0}


def rectangle(id_: str, kind: str, names: list[str] | None, **value: Any) -> dict[str, Any]:
    cells = {**SIDES, **value} | ({kind: names} if names is not None else {})
    return {"id": id_, "type": kind, "from_name": kind, "value": cells, **SIZE}


def choice(name: str, *chosen: str, **other: Any) -> dict[str, Any]:
    return {"type": "choices", "from_name": name, "value": {"choices": list(chosen)}, **other}


def task(*results: Any, **data: Any) -> dict[str, Any]:
    return {"data": {"image": "a.jpg", **data}, "annotations": [{"result": list(results)}]}


def read(tmp_path: Path, *tasks: Any, **how: Any) -> tuple[list[ImportedItem], ImportContext]:
    place = tmp_path / "t.json"
    place.write_text(json.dumps(tasks))
    reading = ImportContext(place, **how)
    reader = load_format("label-studio").read
    assert reader is not None
    return list(reader(reading)), reading


def refs_and_labels(found: list[ImportedItem]) -> list[tuple[str, str | None]]:
    return [(item.item.ref, item.label) for item in found]


BOX_REF = "a.jpg#xywh=10,10,30,20"


@pytest.mark.parametrize(
    "results",
    [
        [rectangle("r", "rectanglelabels", ["cat"]), choice("quality", "blurry", id="r")],
        [choice("quality", "blurry", id="r"), rectangle("r", "rectanglelabels", ["cat"])],
        [rectangle("r", "rectangle", None), rectangle("r", "labels", ["cat"]),
         choice("quality", "blurry", id="r")],
        [{**rectangle("r", "rectanglelabels", ["cat"]), "id": None},
         {**rectangle("r", "choices", ["blurry"]), "id": None, "from_name": "quality"}],
    ],
)  # fmt: skip
def test_results_of_one_region_are_one_item(tmp_path: Path, results: list[Any]) -> None:
    found, reading = read(tmp_path, task(*results))
    assert refs_and_labels(found) == [(BOX_REF, "cat")]
    assert found[0].columns == {"quality": "blurry"}
    assert not reading.faults


def test_a_choice_is_the_class_of_plain_rectangles_and_on_request(tmp_path: Path) -> None:
    plain = [rectangle("r", "rectangle", None), choice("quality", "blurry", id="r")]
    assert refs_and_labels(read(tmp_path, task(*plain))[0]) == [(BOX_REF, "blurry")]
    both = [rectangle("r", "rectanglelabels", ["cat"]), choice("quality", "blurry", id="r")]
    found, _ = read(tmp_path, task(*both), controls=("quality",))
    assert refs_and_labels(found) == [(BOX_REF, "blurry")]
    assert found[0].columns == {"rectanglelabels": "cat"}


def test_several_controls_for_whole_images_are_asked_for(tmp_path: Path) -> None:
    tasks = task(choice("weather", "rain", id="1"), choice("place", "town", id="2"))
    with pytest.raises(RefError, match=r"weather \(1\), place \(1\).*--control NAME"):
        read(tmp_path, tasks)
    found, _ = read(tmp_path, tasks, controls=("place",))
    assert refs_and_labels(found) == [("a.jpg", "town")]
    assert found[0].columns == {"weather": "rain"}
    with pytest.raises(RefError, match="no result is from the control 'plaec'.*weather, place"):
        read(tmp_path, tasks, controls=("plaec",))


def test_one_odd_region_does_not_spoil_the_others(tmp_path: Path) -> None:
    good = rectangle("g", "rectanglelabels", ["cat"])
    found, reading = read(
        tmp_path,
        task(
            rectangle("a", "rectanglelabels", None),
            rectangle("b", "rectanglelabels", ["dog"], x=40.0, width=-30.0, rotation=360),
            rectangle("c", "rectanglelabels", ["far"], x=900.0),
            good,
        ),
    )
    assert refs_and_labels(found) == [(BOX_REF, None), (BOX_REF, "dog"), (BOX_REF, "cat")]
    assert reading.fault_count == 1 and "result[2]: the box" in reading.faults[0]
    assert reading.ignored_counts == {"direction in which a box was drawn (the box is kept)": 1}


def test_turned_boxes_polygons_and_ellipses_become_the_box_around_them(tmp_path: Path) -> None:
    points = [[10, 20], [40, 20], [25, 60]]
    found, reading = read(
        tmp_path,
        task(
            rectangle("a", "rectanglelabels", ["t"], x=50.0, rotation=90),
            {**rectangle("b", "polygonlabels", None), "from_name": "rectanglelabels",
             "value": {"points": points, "polygonlabels": ["p"]}},
            {**rectangle("c", "ellipselabels", None), "from_name": "rectanglelabels",
             "value": {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 0,
                       "ellipselabels": ["e"]}},
            rectangle("d", "brushlabels", ["b"]), choice("rectanglelabels", "b", id="d"),
        ),
    )  # fmt: skip
    assert refs_and_labels(found) == [
        ("a.jpg#xywh=30,10,20,30", "t"), (BOX_REF, "p"), ("a.jpg#xywh=40,15,20,20", "e"),
    ]  # fmt: skip
    assert sum(reading.ignored_counts.values()) == 4 and not reading.faults


def test_data_of_any_shape_is_kept_or_counted_and_the_image_is_found(tmp_path: Path) -> None:
    data = {"photo": "b/c.PNG", "camera": 7, "meta": {"x": 1}, "tags": ["x"], "text": "two\nlines"}
    tasks = {"data": data, "annotations": [{"result": [choice("c", "cat"), choice("d")]}]}
    found, reading = read(tmp_path, tasks)
    assert refs_and_labels(found) == [("b/c.PNG", "cat")]
    assert found[0].columns == {"camera": "7", "text": "two\nlines"}
    assert sum(reading.ignored_counts.values()) == 2
    two = {"data": {"left": "a.png", "right": "b.png"}}
    assert "names several images (left, right)" in read(tmp_path, two)[1].faults[0]
    mini = {"image": "a.jpg", "choice": "cat"}
    assert "JSON-MIN" in read(tmp_path, mini)[1].faults[0]


def test_uploads_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    names = ["1a2b3c4d-a.jpg", "ffee0011-a.jpg"]
    tasks = [task(choice("c", "cat"), image=f"/data/upload/3/{name}") for name in names]
    assert refs_and_labels(read(tmp_path, tasks[0])[0]) == [("a.jpg", "cat")]
    found, reading = read(tmp_path, *tasks)
    assert len(found) == 1 and "are two uploads named 'a.jpg'" in reading.faults[0]
    for name in names:
        (tmp_path / name).touch()
    found, reading = read(tmp_path, *tasks)
    assert [item.item.path for item in found] == names and not reading.faults


def test_an_image_with_results_of_other_kinds_stays_an_item(tmp_path: Path) -> None:
    text = {"type": "textarea", "from_name": "remark", "value": {"text": ["dusty"]}}
    found, _ = read(tmp_path, task(text), task({"type": "relation"}, image="b.jpg"))
    assert refs_and_labels(found) == [("a.jpg", None), ("b.jpg", None)]
    assert found[0].columns == {"remark": "dusty"}


def test_a_ground_truth_counts_before_later_annotations_and_drafts_are_counted(
    tmp_path: Path,
) -> None:
    made = {**task(), "drafts": [{"result": [choice("c", "bird")]}]}
    made["annotations"] = [
        {"ground_truth": True, "result": [choice("c", "cat")]},
        {"result": [choice("c", "dog")]},
        {"was_cancelled": True, "result": []},
    ]
    found, reading = read(tmp_path, made)
    assert refs_and_labels(found) == [("a.jpg", "cat")]
    assert reading.ignored_counts == {
        "draft of a task": 1, "other annotation of the same task": 2
    }  # fmt: skip
