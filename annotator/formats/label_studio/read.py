"""Reading Label Studio's JSON export: classes of images and rectangles, task by task."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from annotator.errors import RefError
from annotator.formats.jsontext import JsonDocument, JsonMember
from annotator.formats.label_studio.regions import (
    ControlCounts,
    Region,
    join_results,
    read_cells,
    read_class,
    read_shape,
)
from annotator.formats.reading import ImportContext, ImportedItem, require_number, require_text
from annotator.items.listing import IMAGE_SUFFIXES
from annotator.items.refs import Item, make_printable

_UPLOAD = re.compile(r"^/?data/upload/\d+/(?P<name>.+)$")
_PREFIX = re.compile(r"^[0-9a-f]{8}-")


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield the items of every task. Raises `RefError` for a file that is not a list of tasks."""
    document = JsonDocument(reading.path)
    if not document.is_array:
        next(document.iter_members(), None)  # a fault of its JSON is reported first
        raise RefError(f"{make_printable(str(reading.path))}: should be a list of tasks")
    reading.boxes = "read as x, y, width, height in percent of the image"
    reading.boxes_in_shares = True
    try:
        controls = _count_controls(document).choose(reading.controls)
    except RefError as error:
        raise RefError(f"{make_printable(str(reading.path))}: {error}") from error
    tasks = _TaskReader(reading, controls)
    for piece in document.iter_members():
        where = f"[{piece.position}]"
        try:
            yield from tasks.read(piece, where)
        except RefError as error:
            reading.add_fault(where, str(error))


def _count_controls(document: JsonDocument) -> ControlCounts:
    """Count which controls give classes in a file; faults are for the reading itself."""
    counts = ControlCounts()
    for piece in document.iter_members():
        task = piece.value if isinstance(piece.value, dict) else {}
        for name in ("annotations", "completions", "predictions"):
            found = task.get(name)
            for annotation in found if isinstance(found, list) else []:
                results = annotation.get("result") if isinstance(annotation, dict) else None
                if isinstance(results, list):
                    counts.add(join_results(results)[0])
    return counts


class _TaskReader:
    """The reading of one task after another."""

    def __init__(self, reading: ImportContext, controls: frozenset[str]) -> None:
        self._reading, self._controls = reading, controls
        self._uploads: dict[str, str] = {}

    def read(self, piece: JsonMember, location: str) -> Iterator[ImportedItem]:
        """Yield the items of a task; faults of single regions are reported, and left out."""
        task = piece.value
        if isinstance(task, dict) and "image" in task and "annotations" in task:
            raise RefError(
                "is an image of CreateML, which is not read. Save it as YOLO or Pascal VOC in "
                "labelImg, or convert it to COCO"
            )
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise RefError(
                'should be a task: an object with "data". A file of JSON-MIN has none: export '
                "JSON from Label Studio. A table has none: write one object a line in a .jsonl file"
            )
        member, value = _find_image(task["data"])
        path = parse_image_path(self._reading, value, self._uploads)
        others = {name: cell for name, cell in task["data"].items() if name != member}
        columns = self._reading.keep_columns(
            {name: cell for name, cell in others.items() if cell is not None}
        )
        chosen = _choose_annotation(self._reading, task, location)
        if chosen is None:
            guessed = list(self._read_prediction(task, location, path, columns))
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
        found, answers = self._join(results, f"{location}{spot}")
        columns |= answers
        if not found:
            yield ImportedItem(location, Item(path), columns=columns)
        share = None if milliseconds is None else milliseconds // max(1, len(found))
        for region in found:
            item = self._read_region(region, f"{location}{spot}", path, columns)
            if item is not None:
                yield item._replace(shown_ms=share, **provenance)

    def _join(self, results: list[Any], location: str) -> tuple[list[Region], dict[str, str]]:
        """Return the regions that can be items, and columns of what else is said of the image.

        Faults are reported, and results that cannot be read are counted.
        """
        regions, faults = join_results(results)
        for index, fault in faults:
            self._reading.add_fault(f"{location}.result[{index}]", fault)
        kept, answers = list[Region](), dict[str, str]()
        for region in regions:
            if region.unsupported:
                if region.index not in (index for index, _ in faults):
                    self._reading.count_ignored(f"result of type {region.unsupported}")
            elif region.shape is not None or self._controls & region.names.keys():
                kept.append(region)
            else:
                answers |= read_cells(self._reading, region, self._controls)
        return kept, answers

    def _read_region(
        self, region: Region, location: str, path: str, columns: Mapping[str, str]
    ) -> ImportedItem | None:
        """Return the item of a region; None, with the fault reported, if it has one."""
        place = f"{location}.result[{region.index}]"
        try:
            label = read_class(self._reading, region, self._controls)
            shaped = region.shape is not None
            box, size = read_shape(self._reading, region) if shaped else (None, None)
            cells = {**columns, **read_cells(self._reading, region, self._controls)}
            return ImportedItem(place, Item(path, box), label, columns=cells, size=size)
        except RefError as error:
            self._reading.add_fault(place, str(error))
            return None

    def _read_prediction(
        self, task: Mapping[str, Any], location: str, path: str, columns: Mapping[str, str]
    ) -> Iterator[ImportedItem]:
        """Yield the regions of a task's last prediction, unlabelled, with the guess in columns."""
        found = task.get("predictions") or []
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise RefError("predictions should be a list of objects")
        results = found[-1].get("result") if found else []
        spot = f"{location}.predictions[{len(found) - 1}]"
        if not isinstance(results, list):
            raise RefError(f".predictions[{len(found) - 1}].result should be a list")
        self._reading.count_ignored("earlier prediction of the same task", max(0, len(found) - 1))
        found_regions, answers = self._join(results, spot)
        for region in found_regions:
            item = self._read_region(region, spot, path, {**columns, **answers})
            if item is not None:
                score = region.score if region.score is not None else found[-1].get("score")
                guess = {"prediction": item.label or ""}
                guess |= {} if score is None else {"score": f"{require_number(score, 'score'):g}"}
                yield item._replace(label=None, columns={**item.columns, **guess})


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


def _find_image(data: Mapping[str, Any]) -> tuple[str, object]:
    """Return the member of a task's data that names its image. Raises `RefError` for none."""
    for name in ("image", "img"):
        if data.get(name) is not None:
            return name, data[name]
    found = [
        (name, value)
        for name, value in data.items()
        if isinstance(value, str) and PurePosixPath(value).suffix.lower() in IMAGE_SUFFIXES
    ]
    if len(found) == 1:
        return found[0]
    if found:
        listed = make_printable(", ".join(name for name, _ in found))
        raise RefError(f'data names several images ({listed}). Name the one to label "image".')
    raise RefError('data has no "image"')


def parse_image_path(reading: ImportContext, value: object, uploads: dict[str, str]) -> str:
    """Return the file of a task: an upload, a local file or a plain path.

    Label Studio puts a prefix before the name of an upload; a file with the whole name is taken
    first. `uploads` holds the files found so far, and is added to. Raises `RefError`, also for a
    second upload of the same name.
    """
    text = require_text(value, "data.image")
    parts = urlsplit(text)
    if "/data/local-files/" in parts.path:
        found = parse_qs(parts.query).get("d")
        if not found:
            raise RefError(f"data.image {make_printable(text)!r} does not name a file (?d=…)")
        return reading.parse_path(found[0])
    if upload := _UPLOAD.match(parts.path):
        return _find_upload(reading, unquote(upload["name"]), uploads)
    if parts.scheme and parts.netloc:
        raise RefError(
            f"data.image {make_printable(text[:80])!r} is on the network. Download the images and "
            "write their paths here."
        )
    return reading.parse_path(text)


def _find_upload(reading: ImportContext, name: str, uploads: dict[str, str]) -> str:
    path, short = reading.parse_path(name), reading.parse_path(_PREFIX.sub("", name))
    if path == short or reading.has_file(path):
        return path
    before = uploads.setdefault(short, path)
    if before != path:
        raise RefError(
            f"{make_printable(path)!r} and {make_printable(before)!r} are two uploads named "
            f"{make_printable(short)!r}. Give the images under their whole names, as the folder "
            "media/upload of Label Studio has them: --images DIR."
        )
    return short


def _choose_annotation(
    reading: ImportContext, task: Mapping[str, Any], location: str
) -> tuple[str, Mapping[str, Any]] | None:
    """Return the annotation that counts: the last ground truth, or that was not cancelled."""
    found = task.get("annotations", task.get("completions")) or []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise RefError("annotations should be a list of objects")
    drafts = task.get("drafts") or []
    reading.count_ignored("draft of a task", len(drafts) if isinstance(drafts, list) else 0)
    places = list(enumerate(found))
    if not places:
        return None
    done = [place for place in places if place[1].get("was_cancelled") is not True]
    if len(places) > 1:
        reading.count_ignored("other annotation of the same task", len(places) - 1)
    truth = [place for place in done if place[1].get("ground_truth") is True]
    at, annotation = (truth or done or places)[-1]
    return f".annotations[{at}]", annotation
