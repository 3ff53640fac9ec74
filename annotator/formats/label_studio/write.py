"""Label Studio JSON: a task for each image, with annotations, predictions, scores and lead times.

Boxes are `rectanglelabels` in percent of the upright image, whole images are `choices`. An image
whose items were all skipped has an annotation that `was_cancelled`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from annotator.formats.format import Format
from annotator.formats.jsontext import write_element
from annotator.formats.label_studio.read import read
from annotator.formats.source import ExportRecord, ExportSource, ImageRecords
from annotator.items.refs import make_printable

LOCAL_FILES_PREFIX = "/data/local-files/?d="
CHOICE, BOX = "choice", "label"


def write(source: ExportSource, place: Path) -> None:
    """Write a list of tasks, and note the labelling configuration that fits them."""
    boxes, multi = source.has_boxes, source.project.settings.multi_label
    config = build_labeling_config(source.classes, boxes, multi)
    source.note(f"labelling interface: {make_printable(config)}")
    with place.open("w", encoding="utf-8") as file:
        file.write("[")
        for number, image in enumerate(source.image_records(_is_unanswered)):
            task = _build_task(source, image)
            write_element(file, number, task)
        file.write("]\n")


def build_labeling_config(classes: Sequence[str], boxes: bool, multi: bool = False) -> str:
    """Return the labelling configuration that the exported tasks fit."""
    choice = ' choice="multiple"' if multi else ""
    tags = f'<Choices name="{CHOICE}" toName="image"{choice}>'
    tags += "".join(f"<Choice value={quoteattr(name)}/>" for name in classes) + "</Choices>"
    if boxes:
        tags += f'<RectangleLabels name="{BOX}" toName="image">'
        tags += "".join(f"<Label value={quoteattr(name)}/>" for name in classes)
        tags += "</RectangleLabels>"
    return f'<View><Image name="image" value="$image"/>{tags}</View>'


def _is_unanswered(image: ImageRecords) -> bool:
    """Return True for a task that is still open, or whose items were all skipped."""
    return all(record.label is None for record in image.records)


def _build_task(source: ExportSource, image: ImageRecords) -> dict[str, Any]:
    size = None
    if any(record.item.box for record in image.records):
        size = source.size(image.path)
    data: dict[str, Any] = {"image": LOCAL_FILES_PREFIX + quote(image.path)}
    data |= image.records[0].columns if len(image.records) == 1 else {}
    data |= {"split": image.split} if image.split else {}
    annotations, predictions = [], []
    labelled = [record for record in image.records if record.label is not None]
    skipped = [record for record in image.records if record.skipped and record.label is None]
    regions = _build_regions(source, labelled, size)
    if regions or (skipped and len(skipped) == len(image.records)):
        annotations.append(_build_annotation(source, labelled or skipped, regions, not regions))
    guessed = [record for record in image.records if record.predicted is not None]
    if guessed:
        predictions.append(_build_prediction(source, guessed, size))
    for record in image.records:
        labelled_or_guessed = record.label is not None or record.predicted is not None
        if not labelled_or_guessed and (record.rejected or record.item.box is not None):
            source.leave_out(record.reason_without_label)
    return {"id": source.image_id(image.records[0]), "data": data,
            "annotations": annotations, "predictions": predictions}  # fmt: skip


def _build_annotation(
    source: ExportSource,
    records: Sequence[ExportRecord],
    regions: list[dict[str, Any]],
    cancelled: bool,
) -> dict[str, Any]:
    details = [source.log.details(record.row) for record in records]
    times = [detail["shown_ms"] for detail in details if detail.get("shown_ms") is not None]
    at = max((detail["at"] for detail in details if detail), default=0.0)
    found = {
        "result": regions, "was_cancelled": cancelled, "ground_truth": False,
        "lead_time": sum(times) / 1000 if times else None,
        "created_at": datetime.fromtimestamp(at, UTC).isoformat(),
    }  # fmt: skip
    if source.options.provenance:
        # No completed_by: an import is refused for users that the server does not have.
        found["annotator"] = next(detail["annotator"] for detail in details if detail)
    if source.options.provenance or any(detail.get("machine") for detail in details):
        found["machine"] = all(detail.get("machine") for detail in details)
    source.written += len(regions)
    return found


def _build_prediction(
    source: ExportSource, records: Sequence[ExportRecord], size: tuple[int, int] | None
) -> dict[str, Any]:
    regions = _build_regions(source, records, size)
    scores = [record.score for record in records if record.score is not None]
    model = source.predictions.model if source.predictions else ""
    source.written += len(regions)
    return {"model_version": model, "score": min(scores, default=0.0), "result": regions}


def _build_regions(
    source: ExportSource, records: Sequence[ExportRecord], size: tuple[int, int] | None
) -> list[dict[str, Any]]:
    found = []
    for record in records:
        names = list(source.names_of(record.label or record.predicted))
        if not names:
            source.leave_out("with none of the classes")
            continue
        region: dict[str, Any] = {"id": f"r{record.row}", "to_name": "image"}
        if record.item.box is None:
            region |= {"from_name": CHOICE, "type": "choices", "value": {"choices": names}}
        elif size is None:
            source.leave_out("in images that cannot be read")
            continue
        else:
            region |= _build_rectangle(record, names, size)
        if record.score is not None:
            region["score"] = record.score
        if record.columns and record.item.box is not None:
            region["meta"] = dict(record.columns)
        found.append(region)
    return found


def _build_rectangle(
    record: ExportRecord, names: list[str], size: tuple[int, int]
) -> dict[str, Any]:
    box = record.item.box
    assert box is not None
    across, down = 100 / size[0], 100 / size[1]
    value = {
        "x": box.x * across, "y": box.y * down, "width": box.w * across, "height": box.h * down,
        "rotation": 0, "rectanglelabels": names,
    }  # fmt: skip
    return {
        "from_name": BOX, "type": "rectanglelabels", "value": value, "image_rotation": 0,
        "original_width": size[0], "original_height": size[1],
    }  # fmt: skip


FORMAT = Format(
    "label-studio", write, read, accepted=True,
    supported_options=frozenset({"split", "provenance", "predictions", "partial"}),
    preserved=frozenset({"boxes", "whole", "order", "columns", "paths"}),
)  # fmt: skip
