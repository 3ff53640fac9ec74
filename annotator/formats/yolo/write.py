"""YOLO detection: `images/`, `labels/` (a line a box, in shares of the image) and `data.yaml`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO

from annotator.formats import class_folders
from annotator.formats.class_ids import YOLO_IDS, assign_class_ids, format_class_ids
from annotator.formats.format import Format
from annotator.formats.image_files import ImageExporter, require_boxes, sanitize_path
from annotator.formats.jsontext import dumps
from annotator.formats.source import ExportRecord, ExportSource, ImageRecords
from annotator.formats.yolo import data_yaml, read


def write(source: ExportSource, place: Path) -> None:
    """Write a folder. Raises `ProjectError` for a project without a box."""
    require_boxes(source, "YOLO detection", "yolo-cls")
    ids = assign_class_ids(source, YOLO_IDS, 0)
    images = ImageExporter(source, place, stems=True)
    with ExitStack() as stack:
        provenance = None
        options = source.options
        if options.provenance or options.unreviewed or source.machine_labels:
            file = (place / "provenance.jsonl").open("w", encoding="utf-8")
            provenance = stack.enter_context(file)
        for image in source.image_records():
            _write_image(source, place, images, image, ids, provenance)
    split = source.options.split
    names = split.names if split else ()
    for name in names or ("",):
        (place / "images" / name).mkdir(parents=True, exist_ok=True)
        (place / "labels" / name).mkdir(parents=True, exist_ok=True)
    (place / "data.yaml").write_text(_format_data_yaml(names, ids), encoding="utf-8")


def _write_image(
    source: ExportSource, place: Path, images: ImageExporter, image: ImageRecords,
    ids: Mapping[str, int], provenance: IO[str] | None,
) -> None:  # fmt: skip
    records = source.take_boxes(image.records)
    if not records:
        return  # an image without labels would teach that it holds no object
    size = source.size(image.path)
    lead = f"{image.split}/" if image.split else ""
    name = size and images.place_image(
        image.path, f"images/{lead}{_avoid_images_folder(image.path)}"
    )
    if not size or not name:
        source.leave_out("in images that cannot be read", len(records))
        return
    lines = []
    for record in records:
        label = record.label or record.predicted
        if label is None:
            source.leave_out("rejected")
            continue
        lines += [_format_line(record, ids[name], size) for name in source.names_of(label)]
        source.written += 1
        if provenance is not None and record.provenance:
            cells = {
                "ref": source.refs[record.row], "image": name, "label": label,
                "score": record.score, **record.provenance,
            }  # fmt: skip
            provenance.write(dumps(cells) + "\n")
    target = place / "labels" / PurePosixPath(os.path.splitext(name[len("images/") :])[0] + ".txt")  # noqa: PTH122
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(lines))


def _avoid_images_folder(path: str) -> str:
    """Return a path without a folder `images`: readers take the last one for theirs."""
    parts = sanitize_path(path).split("/")
    return "/".join(["images_" if part == "images" else part for part in parts[:-1]] + parts[-1:])


def _format_line(record: ExportRecord, number: int, size: tuple[int, int]) -> str:
    """Return `class centre-x centre-y width height`, each from 0 to 1 of the upright image."""
    box = record.item.box
    assert box is not None
    shares = (
        (box.x + box.w / 2) / size[0], (box.y + box.h / 2) / size[1],
        box.w / size[0], box.h / size[1],
    )  # fmt: skip
    return f"{number} {' '.join(f'{share:.10f}' for share in shares)}\n"


def _format_data_yaml(names: tuple[str, ...], ids: Mapping[str, int]) -> str:
    note = "" if names else "# No --split was given: train and val are the same images.\n"
    folders = {name: f"images/{name}" for name in names}
    if not names:
        folders = {"train": "images", "val": "images"}
    return note + data_yaml.dump_yaml(
        {**folders, "names": {number: name for name, number in ids.items()}}
    )


FORMAT = Format(
    "yolo", write, read.read, folder=True, accepted=True,
    supported_options=frozenset({"split", "images", "provenance", "unreviewed", "partial"}),
    preserved=frozenset({"boxes"}),
)  # fmt: skip


def write_classification(source: ExportSource, place: Path) -> None:
    """Write YOLO classification: `train/class/image`, and a data.yaml that numbers the classes.

    Its readers number the classes by the order of their folders' names; so does data.yaml.
    """
    class_folders.write(source, place, "YOLO classification", default_split="train")
    names = sorted(source.classes, key=class_folders.class_to_folder)
    source.note(format_class_ids({name: number for number, name in enumerate(names)}))
    splits = source.options.split.names if source.options.split else ("train",)
    folders = {name: name for name in splits}
    text = data_yaml.dump_yaml({**folders, "names": dict(enumerate(names))})
    (place / "data.yaml").write_text(text, encoding="utf-8")


CLASSIFICATION = Format(
    "yolo-cls", write_classification, class_folders.read, folder=True,
    supported_options=frozenset({"split", "images", "crop"}), preserved=frozenset({"whole"}),
)  # fmt: skip
