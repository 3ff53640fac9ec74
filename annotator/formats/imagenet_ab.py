"""ImageNet-AB: pointer traces and clicks of annotators, for training on annotation by-products.

The layout and the names of Han et al., "Neglected Free Lunch" (ICCV 2023), and of the ImageNet
annotation tool: `train_xml/IMAGE.xml` (the annotation of ILSVRC, with one `<metadata>` for each
time that an annotator saw the image), `json/IMAGE.json` (the same as a list), and the tool's
tables, one row a line, in `tables/`. Times are milliseconds since the epoch; x and y lie in [0, 1].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np

from annotator.errors import ProjectError, RefError
from annotator.formats import xml
from annotator.formats.format import Format
from annotator.formats.image_files import sanitize_path
from annotator.formats.jsontext import dumps
from annotator.formats.source import ExportSource
from annotator.formats.voc import format_annotation_head
from annotator.hits.assignments import Assignment, replay_assignments, worker_id
from annotator.hits.files import load_hit_sets
from annotator.hits.traces import PageTrace, replay_traces
from annotator.items.listing import IMAGE_SUFFIXES
from annotator.items.refs import Item, make_printable
from annotator.log.store.open import open_store

_ANONYMOUS = re.compile(r"[0-9a-f]{10}")
_XML_FIELDS = (
    "imageID", "originalImageWidth", "originalImageHeight", "imageWidth", "imageHeight",
    "imagePosition", "hoveredRecord", "hoveredCount", "mouseTracking", "selected",
    "selectedRecord", "selectedCount", "estimateTime", "deselectedRecord", "viewedRecord",
    "cursorRecord", "zoomedRecord", "worker_id", "assignment_id", "page_idx", "class", "version",
    "semantics", "predictionShown", "pointerResolution",
)  # fmt: skip


def write(source: ExportSource, place: Path) -> None:
    """Write the by-products of every page. Raises `ProjectError` if no page was ever shown."""
    store = open_store(source.project)
    try:
        works = {work.id: work for work in replay_assignments(store)}
        export = _Export(source, place, works)
        for trace in replay_traces(store):
            export.page(trace)
        export.close()
    finally:
        store.close()
    if not export.pages:
        raise ProjectError(
            "There are no by-products: no page was shown in this project yet. Label some pages: "
            "`annotator browse` or `annotator hits run`."
        )


@dataclass(frozen=True, slots=True)
class _ImagePlace:
    """The name of an image's files, without the suffix, and its size in pixels."""

    stem: str
    size: tuple[int, int]


class _Export:
    """The files of an export, one for each image, written page by page: memory holds one page."""

    def __init__(self, source: ExportSource, place: Path, works: Mapping[str, Assignment]) -> None:
        self.pages = 0
        self._source, self._place, self._works = source, place, works
        self._chosen = np.zeros(len(source.refs), bool)
        self._chosen[source.rows] = True
        self._images: dict[str, _ImagePlace | None] = {}
        self._stems: set[str] = set()
        self._workers: dict[str, str] = {}
        for folder in ("train_xml", "json", "tables"):
            (place / folder).mkdir()

    def page(self, trace: PageTrace) -> None:
        """Add a page: a row of the tables, and an observation for each of its images."""
        self.pages += 1
        work = self._works.get(trace.shown["annotation"])
        worker = self._worker(trace.shown["worker"], work)
        fields = trace.fields()
        with (self._place / "tables/ImageNetAnnotationPage.jsonl").open(
            "a", encoding="utf-8"
        ) as table:
            _write_line(table, {**fields, "workerID": worker})
        for image, record in zip(trace.images, fields["annotations"], strict=True):
            observation = {
                **record,
                "worker_id": worker,
                "assignment_id": work.external or work.id if work else "",
                "page_idx": trace.shown["pageno"],
                "class": trace.shown["question"],
                "version": trace.shown["version"],
                "semantics": trace.shown["semantics"],
                "predictionShown": trace.shown["prediction_shown"],
                "pointerResolution": trace.shown["terminal"]["pointer"],
                "page": trace.id,
                "submitted": trace.ended_at is not None,
            }
            self._observe(image.ref, observation)

    def close(self) -> None:
        """End every file."""
        with (self._place / "tables/ImageNetHIT.jsonl").open("a", encoding="utf-8") as table:
            for hits in load_hit_sets(self._source.project).values():
                for hit in hits.hits:
                    _write_line(table, hit.tool_row())
        with (self._place / "tables/ImageNetAnnotation.jsonl").open("a", encoding="utf-8") as table:
            for work in self._works.values():
                worker = self._worker(work.worker, work)
                _write_line(table, replace(work, worker=worker).fields())
        for found in filter(None, self._images.values()):
            for folder, suffix, end in _FILE_ENDINGS:
                with (self._place / folder / f"{found.stem}.{suffix}").open(
                    "a", encoding="utf-8"
                ) as file:
                    file.write(end)

    def _observe(self, ref: str, observation: dict[str, Any]) -> None:
        if ref not in self._images:
            self._images[ref] = self._begin(ref, observation["imageID"])
        found = self._images[ref]
        if found is None:
            return
        try:
            text = _format_observation(observation)
        except RefError as error:
            self._source.note(f"left out: {make_printable(ref)}: {error}")
            self._source.leave_out("whose names XML cannot hold")
            return
        self._source.written += 1
        with (self._place / f"train_xml/{found.stem}.xml").open("a", encoding="utf-8") as file:
            file.write(text)
        with (self._place / f"json/{found.stem}.json").open("a", encoding="utf-8") as file:
            file.write(",\n" if file.tell() > 2 else "")
            file.write(dumps(observation))

    def _begin(self, ref: str, image: str) -> _ImagePlace | None:
        """Begin the files of an image; return None if the options leave it out."""
        (row,) = self._source.refs.rows([ref])
        if row < 0 or not self._chosen[row]:
            self._source.leave_out("that are not chosen, or no longer in the project")
            return None
        item, label = Item.parse(ref), self._source.log.label_of(int(row))
        found = _ImagePlace(
            self._free(_file_stem(image, item)), self._source.size(item.path) or (0, 0)
        )
        head = _format_head(found, item, label, self._source.project.folder.resolve().name)
        for folder, suffix, text in (("train_xml", "xml", head), ("json", "json", "[\n")):
            file = self._place / folder / f"{found.stem}.{suffix}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return found

    def _free(self, stem: str) -> str:
        """Return `stem`, or a similar one if another image has that name (a.jpg and a.png)."""
        number, free = 1, stem
        while free.casefold() in self._stems:
            number += 1
            free = f"{stem}-{number}"
        self._stems.add(free.casefold())
        return free

    def _worker(self, name: str, work: Assignment | None) -> str:
        """Return a worker's id: never a name, unless the HIT was run with names."""
        if _ANONYMOUS.fullmatch(name) or (work is not None and work.named):
            return name
        if name not in self._workers:
            self._workers[name] = worker_id(self._source.project, name)
        return self._workers[name]


_FILE_ENDINGS = (("train_xml", "xml", "</annotation>\n"), ("json", "json", "\n]\n"))


def _write_line(table: IO[str], row: Mapping[str, Any]) -> None:
    table.write(dumps(row) + "\n")


def _file_stem(image: str, item: Item) -> str:
    """Return the image's id for a file's name, without its suffix and the mark of a box."""
    path = Item.parse(image).path if item.box is not None else image
    kept = sanitize_path(path)
    suffix = PurePosixPath(kept).suffix
    kept = kept[: -len(suffix)] if suffix.lower() in IMAGE_SUFFIXES else kept
    box = "" if item.box is None else "_" + "_".join(f"{value:g}" for value in item.box)
    return f"{kept[-200:]}{box}"


def _format_head(found: _ImagePlace, item: Item, label: str | None, database: str) -> str:
    """Return the annotation of ILSVRC without its end; a box is an object, a whole image is not."""
    lines = format_annotation_head(found.stem, database, found.size)
    if item.box is not None:
        box = item.box
        sides = (("xmin", box.x), ("ymin", box.y), ("xmax", box.right), ("ymax", box.bottom))
        corners = "".join(xml.format_element(tag, f"{value:g}") for tag, value in sides)
        name = xml.format_element("name", label or "")
        lines.append(f"  <object>{name}<bndbox>{corners}</bndbox></object>")
    elif label is not None:
        lines.append(f"  {xml.format_element('label', label)}")
    return "\n".join(lines) + "\n"


def _format_observation(observation: Mapping[str, Any]) -> str:
    """Return an observation; a list repeats its element, as ImageNet-AB's loader expects."""
    parts = "".join(_format_elements(tag, observation[tag]) for tag in _XML_FIELDS)
    return f"  <metadata>{parts}</metadata>\n"


def _format_elements(tag: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_format_elements(tag, part) for part in value)
    if isinstance(value, dict):
        return (
            f"<{tag}>{''.join(_format_elements(key, part) for key, part in value.items())}</{tag}>"
        )
    return xml.format_element(tag, value)


FORMAT = Format("imagenet-ab", write=write, folder=True, preserved=frozenset())
