"""The format of a file or folder, found by its name and its first bytes, and the reason for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from annotator.errors import RefError
from annotator.formats import folder_signs, xml
from annotator.formats.class_folders import list_folders
from annotator.formats.folder_signs import is_classification
from annotator.formats.huggingface import METADATA_FILES
from annotator.formats.yolo.names import CLASS_LISTS
from annotator.items.refs import make_printable, shell_quoted
from annotator.items.text_files import read_head, read_text_head

_BY_SUFFIX = {
    ".csv": "csv", ".tsv": "csv", ".txt": "list", ".lst": "list", ".list": "list",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".yaml": "yolo", ".yml": "yolo",
}  # fmt: skip
_REMEDIES = dict.fromkeys((".xlsx", ".xls", ".ods"), "Save the table as CSV.")
_REMEDIES |= dict.fromkeys((".gz", ".zip", ".tar", ".tgz", ".7z", ".bz2", ".xz"), "Unpack it.")
_HEAD = 1 << 16
_PLAIN_CSV_HEADER = re.compile(rb"(\xef\xbb\xbf)?ref,filename,bbox,label,skipped,flagged")


class Recognised(NamedTuple):
    """A format, and the reason why a file or folder is taken for it."""

    format: str
    reason: str


def recognise_format(path: Path) -> Recognised:
    """Return the format of a file or folder. Raises `RefError` if none fits, or several may."""
    name = make_printable(str(path))
    if not path.exists():
        raise RefError(f"{name} does not exist.")
    if path.is_dir():
        return _recognise_folder(path)
    found = _detect_file(path)
    if found is None:
        remedy = _REMEDIES.get(path.suffix.lower(), "Name it with --format.")
        raise RefError(
            f"{name}: its format is unknown. {remedy} For images without labels give --images."
        )
    return Recognised(found, make_printable(path.name))


def _recognise_folder(path: Path) -> Recognised:
    found = folder_signs.find_format(path)
    if found is not None:
        return Recognised(*found)
    name = make_printable(str(path))
    inner = [
        f"{shell_quoted(place)} ({make_printable(known[1])})"
        for place in list_folders(path)[:20]
        if (known := folder_signs.find_format(place)) is not None
    ]
    against = folder_signs.explain_doubt(path)
    cause = f" {against}." if against else ""
    if inner:
        remedy = f" Name the data set in it: {', '.join(inner[:3])}."
    elif list_folders(path):
        remedy = (
            " Name the file of labels itself, with the images' folder as --images DIR. If each "
            "folder is a class, give --format imagefolder."
        )
    else:
        remedy = " Name it with --format. For images without labels give --images."
    raise RefError(f"{name}: its format is unknown.{cause}{remedy}")


def _detect_file(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if path.name in METADATA_FILES:
        return "huggingface"
    if suffix == ".xml":
        return "voc" if xml.read_root_tag(path) == "annotation" else "cvat"
    if suffix == ".json":
        return _detect_json(path)
    if suffix == ".csv":
        return "plain-csv" if _PLAIN_CSV_HEADER.match(read_head(path, 80)) else "csv"
    if suffix in (".yaml", ".yml"):
        return "yolo-cls" if is_classification(path.parent) else "yolo"
    if path.name in CLASS_LISTS:
        return "yolo"
    return _BY_SUFFIX.get(suffix) or _detect_by_content(path)


def _detect_by_content(path: Path) -> str | None:
    """Return the format that a file's first bytes show, for a name without a known suffix."""
    head = read_text_head(path, _HEAD).lstrip()
    if head.startswith("PAR1"):
        return "parquet"
    if head.startswith("<"):
        return "voc" if xml.read_root_tag(path) == "annotation" else "cvat"
    if head.startswith("{") and '"images"' not in head and '"annotations"' not in head:
        return "jsonl"
    return _detect_json(path) if head.startswith(("{", "[")) else None


def _detect_json(path: Path) -> str:
    head = read_text_head(path, _HEAD).lstrip("\ufeff \t\r\n")
    return "label-studio" if head.startswith("[") and '"image_id"' not in head else "coco"
