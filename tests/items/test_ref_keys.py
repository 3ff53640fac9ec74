"""One file under many spellings is one item."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from annotator.items.ref_keys import RefIndex, ref_key
from annotator.items.ref_table import RefTable

ROOT = Path("/data/photos")
COMPOSED = "na\u00efve.jpg"


@pytest.mark.parametrize(
    "path",
    ["./s/a.jpg", "s//a.jpg", "s/../s/./a.jpg", "/data/photos/s/a.jpg", "../photos/s/a.jpg",
     "s\\a.jpg", ".\\s\\a.jpg", "/data/other/../photos//s/a.jpg"],
)  # fmt: skip
def test_spellings_of_a_path_have_one_key(path: str) -> None:
    assert ref_key(path, ROOT) == "s/a.jpg"


def test_other_files_keep_their_own_keys() -> None:
    assert ref_key("/data/photos2/a.jpg", ROOT) == "/data/photos2/a.jpg"
    assert ref_key("../a.jpg", ROOT) == ref_key("/data/a.jpg", ROOT) == "/data/a.jpg"
    assert ref_key("s/..a.jpg", ROOT) == "s/..a.jpg"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_an_index_finds_every_spelling_and_no_other_box(form: str) -> None:
    name = unicodedata.normalize(form, COMPOSED)
    index = RefIndex(RefTable(["a.jpg", "./b.jpg#xywh=1,2,3,4", name, "/data/photos/c.jpg"]), ROOT)
    asked = ["./a.jpg", "b.jpg#xywh=1,2,3,4", "b.jpg", COMPOSED,
             unicodedata.normalize("NFD", COMPOSED), "c.jpg", "sub//../c.jpg", "d.jpg"]  # fmt: skip
    assert index.rows(asked).tolist() == [0, 1, -1, 2, 2, 3, 3, -1]
    assert index.find("sub/../a.jpg") == 0
