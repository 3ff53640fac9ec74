"""A label file may spell the path of an image in another way than the disk does."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from annotator.errors import RefError
from annotator.formats.reading import ImportContext
from annotator.formats.table_rows import add_refs
from annotator.items.listing import SkippedFiles
from annotator.project.adding import add_images
from annotator.project.item_pool import load_refs
from tests.cli.command_line import bad, good
from tests.formats import made_projects as samples

NFD = unicodedata.normalize("NFD", "é/naïve.jpg")
NFC = unicodedata.normalize("NFC", NFD)
PATHS = ("s/a.jpg", NFD)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return samples.images(tmp_path / "images", PATHS)


def make(file: Path, images: Path, name: str) -> list[str]:
    how = {"images": images}
    return [*load_refs(samples.reopened(file.parent / "p", file, samples.load(name), **how))]


def test_a_table_finds_files_in_windows_spelling_and_in_another_form(images: Path) -> None:
    file = images.parent / "t.csv"
    file.write_text(f"filename,label\ns\\a.jpg,ok\n{NFC},no\n")
    assert make(file, images, "csv") == [*PATHS]


def test_json_lines_name_one_file_once(images: Path) -> None:
    file = images.parent / "t.jsonl"
    paths = ("./s/a.jpg", "s\\a.jpg", f"{images}/s//a.jpg", NFC, NFD)
    file.write_text("".join(json.dumps({"filename": path, "label": "ok"}) + "\n" for path in paths))
    assert make(file, images, "jsonl") == ["./s/a.jpg", NFD]


def test_other_labels_under_another_spelling_are_a_fault(images: Path) -> None:
    file = images.parent / "t.jsonl"
    rows = ({"filename": "s/a.jpg", "label": "ok"}, {"filename": "./s/a.jpg", "label": "no"})
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RefError, match="'no' here and 'ok' in line 1"):
        make(file, images, "jsonl")


def test_boxes_under_two_spellings_are_in_one_image(images: Path, tmp_path: Path) -> None:
    refs = ["s/a.jpg#xywh=1,1,5,5", "./s/a.jpg#xywh=9,9,5,5", f"{NFC}#xywh=1,1,5,5"]
    made = samples.project(tmp_path / "one", refs, dict.fromkeys(refs, "ok"))
    source = samples.write(made, "yolo", tmp_path / "y")
    texts = {file.name: file.read_text() for file in (tmp_path / "y/labels").rglob("*.txt")}
    assert source.written == 3 and len(texts["a.txt"].splitlines()) == 2 and len(texts) == 2


def test_a_path_never_leads_out_in_windows_spelling(tmp_path: Path) -> None:
    for path in ("..\\a/b.jpg", "..\\..\\b.jpg", "s/..\\..\\b.jpg"):
        with pytest.raises(RefError, match="leads out"):
            ImportContext(tmp_path / "x.json").parse_path(path)


def test_add_and_answer_know_an_item_in_any_spelling(images: Path, tmp_path: Path) -> None:
    made = samples.project(tmp_path, ["s/a.jpg"])
    table = tmp_path / "more.csv"
    lines = ("./s/a.jpg", f"{images}/s//a.jpg", "s\\a.jpg", NFC, NFD, f"./{NFD}", "s/../s/a.jpg")
    table.write_text("filename\n" + "".join(f"{line}\n" for line in lines))
    assert (add_refs(made, table), add_images(made, images, SkippedFiles())) == (1, 0)
    assert [*load_refs(made)] == ["s/a.jpg", NFD]
    good("answer", made.folder, f"{images}/{NFC}", "ok")
    assert "labelled or skipped already" in bad("answer", made.folder, f"./{NFD}", "ok")
