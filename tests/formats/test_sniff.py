"""A file's format is detected by its name, or by its content."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotator.errors import RefError
from annotator.formats.format import list_formats, load_format
from annotator.formats.sniff import recognise_format
from tests.formats import made_projects as samples

FOUND = [name for name in list_formats() if load_format(name).read and name != "list"]
SUFFIX = {"csv": ".csv", "plain-csv": ".csv"}


@pytest.mark.parametrize("name", FOUND)
def test_every_export_is_recognised(name: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow") if name == "parquet" else None
    refs = samples.WHOLE if "whole" in load_format(name).preserved else samples.BOXES
    made = samples.project(tmp_path / "one", refs, dict.fromkeys(refs, "ok"))
    place = tmp_path / f"export{SUFFIX.get(name, '')}"
    samples.write(made, name, place)
    assert recognise_format(place).format == name


def test_what_is_nothing_known_is_said(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x7fELF")
    samples.images(tmp_path / "photos", ["a.png"])
    for name in ("x", "photos", "gone"):
        with pytest.raises(RefError, match="--format|does not exist"):
            recognise_format(tmp_path / name)


@pytest.mark.parametrize("opened", ["", "data.yaml"])
def test_a_split_with_its_own_images_and_labels_is_yolo(opened: str, tmp_path: Path) -> None:
    """As Roboflow writes it: the paths in data.yaml lead up, and mean the folder beside it."""
    for split in ("train", "valid"):
        samples.images(tmp_path / "set", [f"{split}/images/{split}.jpg"])
        (tmp_path / f"set/{split}/labels").mkdir()
        (tmp_path / f"set/{split}/labels/{split}.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    text = "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['cat', 'dog']\n"
    (tmp_path / "set/data.yaml").write_text(text)
    place = tmp_path / "set" / opened
    assert recognise_format(place).format == "yolo"
    made = samples.reopened(tmp_path / "p", place, load_format("yolo"))
    assert [(ref.rpartition("set/")[2], label) for ref, label, _ in samples.items(made)] == [
        ("train/images/train.jpg#xywh=15,10,30,20", "dog"),
        ("valid/images/valid.jpg#xywh=15,10,30,20", "dog"),
    ]


@pytest.mark.parametrize(("name", "said"), [("t.xlsx", "Save the table as CSV"),
                                            ("t.csv.gz", "Unpack it")])  # fmt: skip
def test_a_spreadsheet_or_an_archive_is_refused_with_what_to_do(
    name: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"PK\3\4")
    with pytest.raises(RefError, match=said):
        recognise_format(tmp_path / name)
