"""Reading Label Studio's JSON export: classes of images and rectangles, task by task."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from annotator.errors import RefError
from annotator.formats.jsontext import JsonDocument, JsonMember
from annotator.formats.reading import (
    ImportContext,
    ImportedItem,
    require_number,
    require_text,
    validate_box,
)
from annotator.items.refs import Box, Item, make_printable

_UPLOAD = re.compile(r"^/?data/upload/\d+/(?:[0-9a-f]{8}-)?")


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield the items of every task. Raises `RefError` for a file that is not a list of tasks."""
    document = JsonDocument(reading.path)
    if not document.is_array:
        next(document.iter_members(), None)  # a fault of its JSON is reported first
        raise RefError(f"{make_printable(str(reading.path))}: should be a list of tasks")
    reading.boxes = "read as x, y, width, height in percent of the image"
    for piece in document.iter_members():
        where = f"[{piece.position}]"
        try:
            yield from _read_task(reading, piece, where)
        except RefError as error:
            reading.add_fault(where, str(error))


def _read_task(reading: ImportContext, piece: JsonMember, location: str) -> Iterator[ImportedItem]:
    task = piece.value
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise RefError('should be a task: an object with "data"')
    path = parse_image_path(reading, task["data"])
    columns = _read_columns(task["data"])
    chosen = _choose_annotation(reading, task, location)
    if chosen is None:
        guessed = list(_read_prediction(reading, task, location, path, columns))
        yield from guessed or [ImportedItem(location, Item(path), columns=columns)]
        return
    spot, annotation = chosen
    milliseconds, provenance = _read_provenance(spot, annotation)
    results = annotation.get("result")
    if not isinstance(results, list):
        raise RefError(f"{spot}.result should be a list")
    if annotation.get("was_cancelled") is True:
        yield ImportedItem(location, Item(path), skipped=True, columns=columns, **provenance)
        return
    usable = [
        (index, result) for index, result in enumerate(results) if _is_usable(reading, result)
    ]
    if not usable and results:
        return
    if not usable:
        yield ImportedItem(location, Item(path), columns=columns)
    share = None if milliseconds is None else milliseconds // max(1, len(usable))
    for index, result in usable:
        place = f"{location}{spot}.result[{index}]"
        try:
            yield _read_region(
                reading, place, path, result, columns if len(usable) == 1 else {}, share, provenance
            )
        except RefError as error:
            reading.add_fault(place, str(error))


def _read_prediction(
    reading: ImportContext,
    task: Mapping[str, Any],
    location: str,
    path: str,
    columns: Mapping[str, str],
) -> Iterator[ImportedItem]:
    """Yield the regions of a task's last prediction, unlabelled, with the guess in columns."""
    found = task.get("predictions") or []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise RefError("predictions should be a list of objects")
    results = found[-1].get("result") if found else []
    if not isinstance(results, list):
        raise RefError(f".predictions[{len(found) - 1}].result should be a list")
    reading.count_ignored("earlier prediction of the same task", max(0, len(found) - 1))
    for index, result in enumerate(results):
        place = f"{location}.predictions[{len(found) - 1}].result[{index}]"
        if _is_usable(reading, result):
            region = _read_region(reading, place, path, result, columns, None, {})
            score = result.get("score", found[-1].get("score"))
            guess = {"prediction": region.label or ""}
            guess |= {} if score is None else {"score": f"{require_number(score, 'score'):g}"}
            yield region._replace(label=None, columns={**region.columns, **guess})


def _read_provenance(spot: str, annotation: Mapping[str, Any]) -> tuple[int | None, dict[str, Any]]:
    """Return the milliseconds that an annotation took, and its annotator."""
    lead = annotation.get("lead_time")
    milliseconds = (
        None if lead is None else int(1000 * require_number(lead, f"{spot}.lead_time", 0))
    )
    by = annotation.get("annotator") or annotation.get("completed_by")
    if isinstance(by, dict):
        by = by.get("email")
    provenance: dict[str, Any] = {
        "labelled_by": None if by is None else str(by)[:200],
        "machine": annotation.get("machine") is True,
    }
    return milliseconds, provenance


def parse_image_path(reading: ImportContext, data: Mapping[str, Any]) -> str:
    """Return the file of a task: an upload, a local file or a plain path. Raises `RefError`."""
    value = data.get("image", data.get("img"))
    if value is None:
        raise RefError('data has no "image"')
    text = require_text(value, "data.image")
    parts = urlsplit(text)
    if "/data/local-files/" in parts.path:
        found = parse_qs(parts.query).get("d")
        if not found:
            raise RefError(f"data.image {make_printable(text)!r} does not name a file (?d=…)")
        return reading.parse_path(found[0])
    if _UPLOAD.match(parts.path):
        return reading.parse_path(unquote(_UPLOAD.sub("", parts.path)))
    if parts.scheme and parts.netloc:
        raise RefError(
            f"data.image {make_printable(text[:80])!r} is on the network. Download the images and "
            "write their paths here."
        )
    return reading.parse_path(text)


def _read_columns(data: Mapping[str, Any]) -> dict[str, str]:
    kept = {}
    for name, value in data.items():
        if name in ("image", "img") or value is None:
            continue
        if isinstance(value, (dict, list)):
            raise RefError(
                f"data.{make_printable(name)} holds a list or an object, which refs.csv cannot hold"
            )
        kept[require_text(name, "a name in data")] = require_text(value, f"data.{name}", plain=True)
    return kept


def _choose_annotation(
    reading: ImportContext, task: Mapping[str, Any], location: str
) -> tuple[str, Mapping[str, Any]] | None:
    """Return the annotation that counts: the last that was not cancelled, else the last."""
    found = task.get("annotations", task.get("completions")) or []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise RefError("annotations should be a list of objects")
    places = list(enumerate(found))
    if not places:
        return None
    done = [place for place in places if place[1].get("was_cancelled") is not True]
    if len(places) > 1:
        reading.count_ignored("earlier annotation of the same task", len(places) - 1)
    at, annotation = (done or places)[-1]
    return f".annotations[{at}]", annotation


def _is_usable(reading: ImportContext, result: object) -> bool:
    """Return True for classes and rectangles; count all other results as ignored."""
    if not isinstance(result, dict):
        raise RefError("a result should be an object")
    kind = result.get("type")
    if kind in ("choices", "rectanglelabels"):
        return True
    reading.count_ignored(f"result of type {make_printable(str(kind)[:40])}")
    return False


def _read_region(
    reading: ImportContext,
    place: str, path: str, result: Mapping[str, Any], columns: Mapping[str, str],
    milliseconds: int | None, provenance: Mapping[str, Any],
) -> ImportedItem:  # fmt: skip
    value = result.get("value")
    if not isinstance(value, dict):
        raise RefError("value should be an object")
    kind = str(result["type"])
    names = value.get(kind)
    if not isinstance(names, list) or not names or (len(names) > 1 and not reading.multi):
        raise RefError(f"{kind} should be a list of one class, because an item has one label")
    texts = [require_text(name, "the class") for name in names]
    label = reading.join_classes(texts) if reading.multi else texts[0]
    box = _read_box(reading, result, value) if kind == "rectanglelabels" else None
    meta = result.get("meta")
    own = {
        require_text(name, "meta"): require_text(cell, "meta", plain=True)
        for name, cell in (meta.items() if isinstance(meta, dict) else ())
        if not isinstance(cell, (dict, list))
    }
    return ImportedItem(
        place,
        Item(path, box),
        label or None,
        shown_ms=milliseconds,
        columns={**columns, **own},
        **provenance,
    )


def _read_box(reading: ImportContext, result: Mapping[str, Any], value: Mapping[str, Any]) -> Box:
    if require_number(value.get("rotation") or 0, "rotation") or require_number(
        result.get("image_rotation") or 0, "image_rotation"
    ):
        raise RefError("the box is rotated; only upright boxes can be imported")
    size = tuple(
        require_number(result.get(name), name, 1) for name in ("original_width", "original_height")
    )
    sides: Sequence[float] = [
        require_number(value.get(name), name, -1000, 1000) for name in ("x", "y", "width", "height")
    ]
    x, y, w, h = (side * size[at % 2] / 100 for at, side in enumerate(sides))
    return validate_box(
        round(x, 4) + 0.0, round(y, 4) + 0.0, w, h, (size[0], size[1]), reading=reading
    )
