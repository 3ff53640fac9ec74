"""The format of a file or folder, found by its name and its first bytes."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from annotator.errors import RefError
from annotator.formats import xml
from annotator.formats.class_folders import SPLITS, is_class_folders
from annotator.formats.huggingface import METADATA_FILE, find_metadata_files
from annotator.formats.yolo.read import find_data_yaml
from annotator.items.refs import make_printable

_BY_SUFFIX = {
    ".csv": "csv", ".tsv": "csv", ".txt": "list", ".lst": "list", ".list": "list",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".yaml": "yolo", ".yml": "yolo",
}  # fmt: skip
_HEAD = 1 << 16
_PLAIN_CSV_HEADER = re.compile(rb"(\xef\xbb\xbf)?ref,filename,bbox,label,skipped,flagged")


def detect_format(path: Path) -> str:
    """Return the name of a format. Raises `RefError` if none fits."""
    name = make_printable(str(path))
    if not path.exists():
        raise RefError(f"{name} does not exist.")
    found = _detect_folder(path) if path.is_dir() else _detect_file(path)
    if found is None:
        raise RefError(
            f"{name}: its format is unknown. Name it with --format. "
            "For images without labels give --images."
        )
    return found


def _detect_folder(path: Path) -> str | None:
    if find_metadata_files(path):
        return "huggingface"
    data = find_data_yaml(path)
    if data and _has_labels(path):
        return "yolo"
    if (path / "Annotations").is_dir() or next(path.glob("*.xml"), None):
        return "voc"
    if is_class_folders(path):
        return "yolo-cls" if data else "imagefolder"
    return "yolo" if data else None


def _has_labels(path: Path) -> bool:
    """Return True if label files lie beside the images, for all or split by split."""
    return any(
        (part / "images").is_dir() and (part / "labels").is_dir()
        for part in (path, *(path / name for name in SPLITS))
    ) or any((path / name).is_dir() for name in ("images", "labels"))


def _detect_file(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if path.name == METADATA_FILE:
        return "huggingface"
    if suffix == ".xml":
        return "voc" if xml.read_root_tag(path) == "annotation" else "cvat"
    if suffix == ".json":
        return _detect_json(path)
    if suffix == ".csv":
        with path.open("rb") as file:
            return "plain-csv" if _PLAIN_CSV_HEADER.match(file.read(80)) else "csv"
    if suffix in (".yaml", ".yml"):
        classes = (path.parent / "train").is_dir() and not _has_labels(path.parent)
        return "yolo-cls" if classes else "yolo"
    return _BY_SUFFIX.get(suffix) or _detect_by_content(path)


def _detect_by_content(path: Path) -> str | None:
    """Return the format that a file's first bytes show, for a name without a known suffix."""
    with path.open("rb") as file:
        head = file.read(_HEAD).removeprefix(codecs.BOM_UTF8).lstrip()
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"<"):
        return "voc" if xml.read_root_tag(path) == "annotation" else "cvat"
    if head.startswith(b"{") and b'"images"' not in head and b'"annotations"' not in head:
        return "jsonl"
    return _detect_json(path) if head.startswith((b"{", b"[")) else None


def _detect_json(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_HEAD).decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    return "label-studio" if head.startswith("[") and '"image_id"' not in head else "coco"
