"""The signs by which a folder is taken for a data set of one format, and never for another."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from annotator.formats import xml
from annotator.formats.class_folders import is_split, list_folders
from annotator.formats.coco.read import find_coco_files
from annotator.formats.huggingface import find_metadata_files
from annotator.formats.voc import list_annotations
from annotator.formats.yolo.names import find_names_file, holds_label_line, is_data_yaml
from annotator.items.listing import IMAGE_SUFFIXES
from annotator.items.refs import make_printable, plural

_LABEL_SUFFIXES = (
    ".txt", ".xml", ".json", ".jsonl", ".csv", ".tsv", ".yaml", ".yml", ".parquet", ".xlsx", ".xls",
    ".ods", ".mat", ".ndjson", ".tfrecord",
)  # fmt: skip
_ABOUT = re.compile(r"(readme|licen[cs]e|notice|copying|changelog|citation|attribution)", re.I)
"""Beginnings of the names of files that hold no labels."""
_NO_CLASSES = frozenset((
    "image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "jpegimages",
    "label", "labels", "annotation", "annotations", "mask", "masks", "imagesets", "raw",
    "segmentationclass", "segmentationobject", "obj_train_data", "data", "dataset", "datasets",
    "train2017", "val2017", "test2017", "default", "trainval", "minival", "eval", "input", "inputs",
    "output", "outputs", "target", "targets", "gt", "groundtruth", "ground_truth", "labeled",
    "labelled", "unlabeled", "unlabelled", "bboxes", "depth", "xml", "json", "txt",
))  # fmt: skip
"""Names of folders, in lower case, that hold parts of a data set; none of them is a class."""
_LOOKED_AT = 200
_DEPTH = 3


def find_format(path: Path) -> tuple[str, str] | None:
    """Return the format of a folder and the reason; None if none is known or several may be."""
    found = find_candidates(path)
    if len(found) == 1:
        return found[0]
    if not found and list_folders(path) and _find_sign_against_classes(path) is None:
        return "imagefolder", "a folder for each class"
    return None


def find_candidates(path: Path) -> list[tuple[str, str]]:
    """Return the formats whose signs a folder shows, each with its sign."""
    found = []
    if files := find_metadata_files(path):
        found.append(("huggingface", _name_files(path, files)))
    names = find_names_file(path)
    if names is not None and is_data_yaml(names) and is_classification(path):
        found.append(("yolo-cls", f"{names.name}, and folders of classes in its splits"))
    elif (labels := _find_own_label_file(path, names)) or (
        names is not None and is_data_yaml(names)
    ):
        signs = [file for file in (names, labels) if file is not None]
        found.append(("yolo", " and ".join(_name_files(path, [file]) for file in signs)))
    if coco := find_coco_files(path):
        found.append(("coco", _name_files(path, [file for file, _ in coco])))
    annotations = list_annotations(path)
    tags = {xml.read_root_tag(file) for file in annotations[:3]}
    if "annotation" in tags or (path / "JPEGImages").is_dir() and (path / "Annotations").is_dir():
        found.append(("voc", _name_files(path, annotations)))
    elif xml.read_root_tag(path / "annotations.xml") == "annotations":
        found.append(("cvat", "annotations.xml"))
    return found


def is_classification(path: Path) -> bool:
    """Return True if the splits of a data set hold folders of images, and no file of labels."""
    splits = [place for place in list_folders(path) if is_split(place.name)]
    classes = [place for split in splits for place in list_folders(split)]
    if not classes or any(place.name.lower() in ("images", "labels") for place in classes):
        return False
    suffixes = {_suffix(name) for place in splits for name in _list_files(place)}
    inside = {_suffix(name) for place in classes for name in _list_files(place)}
    return not suffixes & IMAGE_SUFFIXES and ".txt" not in suffixes | inside


def explain_doubt(path: Path) -> str | None:
    """Return the sentence why the format of a folder is not known, if there is one."""
    candidates = find_candidates(path)
    if len(candidates) > 1:
        listed = " or ".join(f"{name} ({sign})" for name, sign in candidates)
        return f"It may be {make_printable(listed)}; choose with --format"
    return _find_sign_against_classes(path)


def _find_sign_against_classes(path: Path) -> str | None:
    """Return the sentence why the folders in a folder may be no classes; None if they may be."""
    folders = list_folders(path)
    splits = [place for place in folders if is_split(place.name)]
    if splits and len(splits) == len(folders) and all(map(list_folders, splits)):
        tops, classes = (
            [path, *splits],
            [place for split in splits for place in list_folders(split)],
        )
    else:
        tops, classes = [path], folders
    for place in classes:
        if place.name.lower() in _NO_CLASSES or is_split(place.name):
            return f"A folder named {make_printable(place.name)} is seldom a class"
    for place in classes:
        suffixes = {_suffix(name) for name in _list_files(place)}
        if list_folders(place) and not suffixes & IMAGE_SUFFIXES:
            shown = make_printable(place.relative_to(path).as_posix())
            return f"The folder {shown} holds folders and no image, so it may be no class"
    for place in (*tops, *classes):
        for name in _list_files(place):
            shown = make_printable((place / name).relative_to(path).as_posix())
            if place in tops and _suffix(name) in IMAGE_SUFFIXES:
                return f"{shown} lies in no folder of a class"
            if _suffix(name) in _LABEL_SUFFIXES and not _ABOUT.match(name):
                return f"{shown} may hold the labels, so folders may be no classes"
    return None


def _find_own_label_file(path: Path, names: Path | None) -> Path | None:
    """Return a file of YOLO's labels that is not of a data set further in."""
    if names is None and any(map(find_names_file, list_folders(path)[:_LOOKED_AT])):
        return None
    return _find_label_file(path)


def _find_label_file(path: Path, depth: int = 0) -> Path | None:
    """Return a file of YOLO's labels, beside images or in a folder `labels`, if there is one."""
    texts = (name for name in _list_files(path) if _suffix(name) == ".txt")
    for name in islice(texts, _LOOKED_AT):
        if holds_label_line(path / name):
            return path / name
    if depth == _DEPTH:
        return None
    found = (_find_label_file(place, depth + 1) for place in list_folders(path)[:_LOOKED_AT])
    return next((file for file in found if file is not None), None)


def _list_files(folder: Path) -> Iterator[str]:
    """Yield the names of the files in a folder, without hidden ones; none if it is unreadable."""
    names: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if not e.name.startswith(".") and e.is_file())
    yield from names


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path a file is slow


def _name_files(top: Path, files: list[Path]) -> str:
    if not files:
        return "its folders"
    first = make_printable(files[0].relative_to(top).as_posix())
    more = len(files) - 1
    return first + (f" and {plural(more, 'more file', 'more files')}" if more else "")
