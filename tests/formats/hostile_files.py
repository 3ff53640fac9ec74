"""Broken and hostile files, each with a name and the text that its error must hold."""

# ruff: noqa: E501 - one case a line

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Case(NamedTuple):
    """One file that must be refused."""

    name: str
    make: Callable[[Path], Path]
    """A function that writes it beside an a.png (60 x 40), and returns the path to open."""
    said: str
    """A part of the message: the place and the fault."""
    how: dict[str, Any] = {}


def file(name: str, content: str | bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return place

    return make


def files(opened: str, **contents: str | bytes) -> Callable[[Path], Path]:
    """Return a maker of several files; their names have __ for / and ___ for a dot."""

    def make(folder: Path) -> Path:
        for name, content in contents.items():
            file(name.replace("___", ".").replace("__", "/"), content)(folder)
        return folder / opened

    return make


def coco(**changes: Any) -> str:
    """A sound COCO file but for `changes`; a dict in a list's place changes its first element."""
    base: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "ok"}],
        "annotations": [{"id": 7, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
    }
    for key, change in changes.items():
        if isinstance(change, dict):
            base[key] = [{**base[key][0], **change}]
        else:
            base[key] = change
    return json.dumps(base)


def more(key: str, element: dict[str, Any]) -> str:
    """A sound COCO file with one more element in a list."""
    base = json.loads(coco())
    base[key].append(element)
    return json.dumps(base)


def task(**changes: Any) -> str:
    result = {
        "type": "rectanglelabels", "original_width": 60, "original_height": 40, "from_name": "l",
        "value": {"x": 1, "y": 2, "width": 30, "height": 40, "rectanglelabels": ["ok"]},
    }  # fmt: skip
    value = changes.pop("value", None)
    annotation = {"result": [{**result, **changes.pop("result", {})}]}
    if value is not None:
        annotation["result"][0]["value"] = {**result["value"], **value}  # type: ignore[dict-item]
    return json.dumps([{"data": {"image": "a.png"}, "annotations": [annotation], **changes}])


def voc(box: str = "1 1 9 9", name: str = "ok", filename: str = "a.png", head: str = "") -> str:
    sides = "".join(
        f"<{tag}>{value}</{tag}>"
        for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box.split(), strict=False)
    )
    return (
        f"{head}<annotation>\n<filename>{filename}</filename>\n"
        "<size><width>60</width><height>40</height></size>\n"
        f"<object><name>{name}</name><bndbox>{sides}</bndbox></object>\n</annotation>"
    )


def cvat(
    inner: str = "", image: str = 'name="a.png" width="60" height="40"', head: str = ""
) -> str:
    return f"{head}<annotations>\n<image id='0' {image}>\n{inner}</image>\n</annotations>"


BOX = '<box label="ok" xtl="{}" ytl="2" xbr="9" ybr="9"></box>\n'
LAUGHS = (
    '<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>\n'
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/passwd">]>\n'

COCO = [
    Case("truncated", file("c.json", coco()[:-30]), "c.json, line 1: is not JSON"),
    Case("empty", file("c.json", ""), "c.json, line 1: is empty"),
    Case("a number", file("c.json", "17"), "line 1: should be a JSON object or array"),
    Case("trailing", file("c.json", coco() + "\n\n}"), "line 3: there is text after the end"),
    Case("deep", file("c.json", '{"images": ' + "[" * 100_000), "line 1: is nested too deeply"),
    Case("deep value", file("c.json", coco(info="x").replace('"x"', '{"a":' * 50_000)),
         "is nested too deeply"),
    Case("a member twice", file("c.json", coco(info="x").replace('"x"', '{"a": 1, "a": 2}')),
         "the member 'a' is repeated in one object"),
    Case("twice", file("c.json", coco()[:-1] + ',\n"images": []}'), "line 2: 'images' is repeated"),
    Case("NaN box", file("c.json", coco(annotations={"bbox": [float("nan"), 2, 3, 4]})),
         "NaN is not a JSON number"),
    Case("inf box", file("c.json", coco(annotations={"bbox": [1, 2, float("inf"), 4]})),
         "Infinity is not a JSON number"),
    Case("1e999", file("c.json", coco().replace("[1, 2, 3, 4]", "[1, 2, 1e999, 4]")),
         "annotations[0]: bbox is inf"),
    Case("huge int", file("c.json", coco(annotations={"bbox": [10**400, 2, 3, 4]})),
         "annotations[0]: bbox is a number of hundreds of digits"),
    Case("5000 digits", file("c.json", coco().replace("[1, 2, 3, 4]", f"[{'9' * 5000}, 2, 3, 4]")),
         "line 1: is not JSON"),
    Case("text box", file("c.json", coco(annotations={"bbox": ["1", 2, 3, 4]})),
         "annotations[0]: bbox is text and not a number"),
    Case("three numbers", file("c.json", coco(annotations={"bbox": [1, 2, 3]})),
         "annotations[0]: bbox is a list of 3; it should be four numbers"),
    Case("no area", file("c.json", coco(annotations={"bbox": [1, 2, 0, 4]})),
         "annotations[0]: the box 1,2,0,4 has no area"),
    Case("outside", file("c.json", coco(annotations={"bbox": [61, 2, 3, 4]})),
         "annotations[0]: the box 61,2,3,4 lies outside its image of 60 x 40"),
    Case("ids twice", file("c.json", more("annotations", {"id": 7, "image_id": 1, "category_id": 1,
         "bbox": [5, 5, 5, 5]})), "annotations[1]: another annotation has the id 7"),
    Case("image ids twice", file("c.json", more("images", {"id": 1, "file_name": "b.png"})),
         "images[1]: another image has the id 1"),
    Case("category twice", file("c.json", more("categories", {"id": 2, "name": "ok"})),
         "categories[1]: category 2 'ok' is repeated"),
    Case("no such image", file("c.json", coco(annotations={"image_id": 9})),
         "annotations[0]: this file has no image 9 (image_id)"),
    Case("no such category", file("c.json", coco(annotations={"category_id": 9})),
         "annotations[0]: this file has no category 9 (category_id)"),
    Case("true as an id", file("c.json", coco(annotations={"image_id": True})),
         "annotations[0]: image_id should be a whole number"),
    Case("images an object", file("c.json", coco(images="x")), "images: should be a list"),
    Case("annotation a list", file("c.json", coco(annotations=[[1]])),
         "annotations[0]: should be an annotation, an object"),
    Case("up and out", file("c.json", coco(images={"file_name": "../../etc/passwd"})),
         "images[0]: '../../etc/passwd' leads out of the images' folder"),
    Case("absolute", file("c.json", coco(images={"file_name": "/etc/passwd"})),
         "images[0]: '/etc/passwd' leads out"),
    Case("a drive", file("c.json", coco(images={"file_name": "C:\\x.png"})), "leads out"),
    Case("NUL in a name", file("c.json", coco(images={"file_name": "a\0.png"})),
         "images[0]: the path, 'a\\\\x00.png', holds a line break or a NUL"),
    Case("line break in a class", file("c.json", coco(categories={"name": "o\nk"})),
         "categories[0]: name, 'o\\\\x0ak', holds a line break"),
    Case("lone surrogate", file("c.json", coco(categories={"name": "\ud800"})),
         "categories[0]: name, '\\\\ud800', is not text"),
    Case("long name", file("c.json", coco(categories={"name": "x" * 9999})),
         "categories[0]: name has 9,999 characters"),
    Case("ESC in a lost file", file("c.json", coco(images={"file_name": "\x1b[31m.png"})),
         "annotations[0]: no such file"),
    Case("latin-1", file("c.json", b'{"images": [],\n"categories": [{"id": 1, "name": "\xe9"}]}'),
         "c.json, line 2: is not UTF-8"),
    Case("UTF-16, cut short", file("c.json", coco().encode("utf-16")[:-1]), "c.json, line 1: is not UTF-8"),
    Case("lists", file("c.json", "[1, 2]"), "should be a task"),
    Case("results alone", file("c.json", json.dumps([{"image_id": 1, "category_id": 1,
         "bbox": [1, 2, 3, 4], "score": 0.5}])), "A list of results does not name its images."),
    Case("two classes for one box", file("c.json", json.dumps({**json.loads(coco()),
         "categories": [{"id": 1, "name": "ok"}, {"id": 2, "name": "bad"}],
         "annotations": [{"image_id": 1, "category_id": c, "bbox": [1, 2, 3, 4]} for c in (1, 2)]})),
         "annotations[1]: a.png#xywh=1,2,3,4 is 'bad' here and 'ok' in annotations[0]"),
]  # fmt: skip

JSONL = [
    Case("cut short", file("x.jsonl", '{"filename": "a.png"}\n{"filename": "a'), "x.jsonl, line 2: is not JSON"),
    Case("a list", file("x.jsonl", "[]\n"), "line 1: should be an object"),
    Case("no path", file("x.jsonl", '{"label": "ok"}\n'), "line 1: no file is named"),
    Case("path a number", file("x.jsonl", '{"filename": 7}\n'), "line 1: the path is a number"),
    Case("deep", file("x.jsonl", "[" * 100_000 + "\n"), "line 1: is nested too deeply"),
    Case("NaN", file("x.jsonl", '\n\n{"filename": "a.png", "bbox": [NaN,1,2,3]}\n'), "line 3: is not JSON: NaN"),
    Case("latin-1", file("x.jsonl", b'{"filename": "a.png"}\n{"filename": "\xe9"}\n'), "line 2: is not UTF-8"),
    Case("box a word", file("x.jsonl", '{"filename": "a.png", "bbox": "left"}\n'), "line 1: 'left' is not four numbers"),
    Case("label a list", file("x.jsonl", '{"filename": "a.png", "label": ["ok"]}\n'), "line 1: label is a list"),
    Case("binary", file("x.jsonl", bytes(range(256))), "line 1"),
    Case("absent image", file("x.jsonl", '{"filename": "gone.png"}\n'), "line 1: no such file"),
    Case("corners swapped", file("x.jsonl", '{"filename": "a.png", "bbox": [9, 9, 3, 3]}\n'),
         "line 1: the box 9,9,-6,-6 has no area (read as xyxy)", {"box_order": "xyxy"}),
]  # fmt: skip

LABEL_STUDIO = [
    Case("no data", file("t.json", '[{"id": 1}]'), '[0]: should be a task: an object with "data"'),
    Case("no image", file("t.json", '[{"data": {}}]'), '[0]: data has no "image"'),
    Case("on the network", file("t.json", task(data={"image": "https://x.org/a.png"})), "is on the network"),
    Case("local file up and out", file("t.json", task(data={"image": "/data/local-files/?d=../../etc/passwd"})),
         "[0]: '../../etc/passwd' leads out"),
    Case("local file without a path", file("t.json", task(data={"image": "/data/local-files/?x=1"})), "does not name a file"),
    Case("two choices", file("t.json", task(value={"rectanglelabels": ["ok", "bad"]})),
         "[0].annotations[0].result[0]: rectanglelabels should be a list of one class"),
    Case("rotated", file("t.json", task(result={"image_rotation": 90})), "the image was turned in Label Studio"),
    Case("no size", file("t.json", task(result={"original_width": None})), "original_width is null"),
    Case("size 0", file("t.json", task(result={"original_width": 0})), "original_width is 0"),
    Case("x a text", file("t.json", task(value={"x": "1"})), "x is text and not a number"),
    Case("results no list", file("t.json", '[{"data": {"image": "a.png"}, "annotations": [{"result": 3}]}]'),
         "[0]: .annotations[0].result should be a list"),
    Case("an object", file("t.json", '{"data": 3}'), "should be a list of tasks", {"format": "label-studio"}),
    Case("truncated", file("t.json", task()[:-9]), "t.json, line 1: is not JSON"),
]  # fmt: skip

XML = [
    Case("billion laughs", file("v.xml", voc(name="&c;", head=LAUGHS)), "line 1: has a document type declaration"),
    Case("an external entity", file("v.xml", voc(name="&secret;", head=OUTSIDE)), "document type declaration"),
    Case("truncated", file("v.xml", voc()[:-20]), "line 4: is not XML"),
    Case("not closed", file("v.xml", voc().replace("</name>", "")), "line 4: is not XML: mismatched tag"),
    Case("deep", file("v.xml", "<annotation>" + "<a>" * 100_000), "nested more than 32 deep"),
    Case("NUL", file("v.xml", voc(name="o\0k")), "line 4: is not XML"),
    Case("latin-1 unsaid", file("v.xml", voc(name="\xe9").encode("latin-1")), "line 4: is not XML"),
    Case("no file name", file("v.xml", voc(filename="")), "has no <filename>"),
    Case("no class", file("v.xml", voc(name=" ")), "line 4: an <object> has no <name>"),
    Case("up and out", file("v.xml", voc(filename="../../etc/passwd")), "leads out of the images' folder"),
    Case("counted from 0", file("v.xml", voc("0 0 9 9")), "Give --bbox-order xyxy."),
    Case("words for sides", file("v.xml", voc("a b c d")), "line 4: ['a', 'b', 'c', 'd'] are not four numbers"),
    Case("NaN sides", file("v.xml", voc("nan 1 9 9")), "bndbox is nan, which is not a number"),
    Case("three sides", file("v.xml", voc("1 1 9")), "<bndbox> should hold xmin, ymin, xmax and ymax"),
    Case("turned round", file("v.xml", voc("9 9 1 1")), "has no area"),
    Case("outside", file("v.xml", voc("70 1 90 9")), "lies outside its image of 60 x 40"),
    Case("another root", file("v.xml", "<html></html>"), "v.xml, line 1: is not a CVAT file: it begins with <html>"),
    Case("CVAT laughs", file("c.xml", cvat(BOX.format(1), head=LAUGHS)), "document type declaration"),
    Case("CVAT without a width", file("c.xml", cvat(image='name="a.png"')), "c.xml, line 2: <image> has no width"),
    Case("CVAT box a word", file("c.xml", cvat(BOX.format("left"))), "line 3: xtl = 'left' is not a number"),
    Case("CVAT box without a class", file("c.xml", cvat("<box xtl='1'/>")), "line 3: label is null"),
    Case("CVAT tracks", file("c.xml", "<annotations>\n<track id='0'/></annotations>"), "line 2: holds tracks"),
    Case("CVAT turned by a word", file("c.xml", cvat(BOX.format('1" rotation="x'))), "line 3: rotation = 'x' is not a number"),
    Case("CVAT up and out", file("c.xml", cvat(image='name="../a.png" width="1" height="1"')), "line 2: '../a.png' leads"),
    Case("CVAT name twice", file("c.xml", cvat(BOX.format(1)).replace("</annotations>",
         '<image name="a.png" width="60" height="40"/></annotations>')), "'a.png' stands on line 2, too"),
    Case("CVAT huge number", file("c.xml", cvat(BOX.format("9" * 400))), "xtl is inf"),
]  # fmt: skip
