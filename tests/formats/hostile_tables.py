"""Broken and hostile tables, lists and folders, made by code; the rest is in `hostile`."""

# ruff: noqa: E501 - one case a line

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.formats.hostile_files import Case, file

LONG = "x" * 300
"""No file can have such a name."""


def yolo(
    line: str = "0 0.5 0.5 0.2 0.2", data: str = "train: images\nnames: [ok]\n"
) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "images").mkdir()
        (folder / "a.png").rename(folder / "images/a.png")
        file("labels/a.txt", line)(folder)
        return file("data.yaml", data)(folder)

    return make


YOLO = [
    Case("a python tag", yolo(data="names: !!python/object/apply:os.system ['id']\n"), "data.yaml, line 1: tags"),
    Case("a tag on a key", yolo(data="!!python/name:os.system x: 1\n"), "line 1: tags (!)"),
    Case("an alias without its anchor", yolo(data="names: *x\n"), "line 1: *x is not marked before by &"),
    Case("an alias in itself", yolo(data="names: &x [*x]\n"), "line 1: *x is not marked before by &"),
    Case("aliases of aliases", yolo(data="".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 30) if n else 'x'}]\n" for n in range(9))),
        "aliases repeat more than such a file can hold"),
    Case("tabs", yolo(data="names:\n\t- ok\n"), "line 2"),
    Case("no names", yolo(data="train: images\n"), "data.yaml, line 1, names: should list the classes"),
    Case("names by words", yolo(data="names: {a: ok}\n"), "names: 'a' is not the number of a class"),
    Case("a name twice", yolo(data="train: images\nnames: [ok, ok]\n"), "line 2, names: class 1 'ok'"),
    Case("a key twice", yolo(data="train: a\ntrain: b\n"), "line 2: 'train' is repeated"),
    Case("an open bracket", yolo(data="names: [ok\n"), "parsing a flow sequence that begins on line 1"),
    Case("an open quote", yolo(data="names: ['ok]\n"), "scanning a quoted scalar that begins on line 1"),
    Case("lists without end", yolo(data="names: " + "[" * 100_000), "line 1: "),
    Case("a control character", yolo(data="names: ['a\x9b']\n"), "line 1: \\x9b is a control character"),
    Case("two documents", yolo(data="names: [ok]\n---\na: b\n"), "line 3: a second document begins here"),
    Case("nested", yolo(data="names:\n  0:\n    a: b\n"), "line 3: should be a text, not a list or mapping"),
    Case("images up and out", yolo(data="train: ../..\nnames: [ok]\n"), "line 1, train: '../..' leads out"),
    Case("no such images", yolo(data="train: gone\nnames: [ok]\n"), "line 1, train: there is no"),
    Case("no images at all", yolo(data="names: [ok]\n"), "names no images"),
    Case("class 9", yolo("0 .5 .5 .1 .1\n9 .5 .5 .1 .1"), "labels/a.txt, line 2: '9' is not a class"),
    Case("class of ten digits", yolo("0000000001 .5 .5 .1 .1"), "line 1: '0000000001' is not a class"),
    Case("images of a name too long", yolo(data=f"train: {LONG}\nnames: [ok]\n"), "line 1, train: there is no"),
    Case("class a word", yolo("ok .5 .5 .1 .1"), "labels/a.txt, line 1: 'ok' is not a class"),
    Case("two numbers", yolo("0 .5 .5"), "line 1: has 3 numbers"),
    Case("NaN", yolo("0 nan .5 .1 .1"), "line 1: a coordinate is nan"),
    Case("pixels", yolo("0 30 20 10 10"), "line 1: a coordinate is 30; it should be from -1 to 2"),
    Case("words", yolo("0 a b c d"), "line 1: should be `class x y width height`"),
    Case("no area", yolo("0 .5 .5 0 .1"), "line 1: the box"),
    Case("a line of a million columns", yolo("0" + " .5" * 999_999), "line 1: has 1000000 numbers"),
]  # fmt: skip

HUGGING_FACE = [
    Case("cut short", file("d/metadata.jsonl", '{"file_name": "a'), "metadata.jsonl, line 1"),
    Case("no file_name", file("d/metadata.jsonl", '{"label": "ok"}'), "line 1: the path is null"),
    Case("up and out", file("d/metadata.jsonl", '{"file_name": "../a.png"}'), "line 1: '../a.png' leads out"),
    Case("no image", file("d/metadata.jsonl", '{"file_name": "run.sh"}'), "line 1: 'run.sh' is not the name of an image"),
    Case("numbered classes", file("d/metadata.jsonl",
         '{"file_name": "a.png", "objects": {"bbox": [[1,2,3,4]], "categories": [0]}}'), "is the number 0"),
    Case("lists of two lengths", file("d/metadata.jsonl",
         '{"file_name": "a.png", "objects": {"bbox": [[1,2,3,4]], "categories": []}}'), "bbox has 1 boxes"),
    Case("objects a text", file("d/metadata.jsonl", '{"file_name": "a.png", "objects": "x"}'), "objects should hold lists"),
    Case("a quote in a header", file("d/metadata.csv", 'file_name,"la"bel\na.png,ok\n'), "metadata.csv, line 1: ',' expected"),
    Case("a header in latin-1", file("d/metadata.csv", b"file_name,l\xe9\na.png,ok\n"), "metadata.csv, line 1: is not UTF-8"),
    Case("an open quote, with --skip-faulty", file("d/metadata.csv", 'file_name,label\na.png,ok\n"b.png,ok\n'),
         "metadata.csv, line 3: unexpected end", {"skip_faulty": True}),
]  # fmt: skip

TABLES = [
    Case("no header", file("x.csv", "a.png,1\n"), "x.csv, line 1: no column named"),
    Case("empty", file("x.csv", ""), "x.csv is empty"),
    Case("an open quote", file("x.csv", 'filename,annotation\n"a.png,ok\n' + "x\n" * 99_999), "x.csv, line"),
    Case("NUL", file("x.csv", "filename\na\0.png\n"), "line 2"),
    Case("latin-1", file("x.csv", b"filename\na.png\n\xe9.png\n"), "x.csv, line 3: is not UTF-8"),
    Case("UTF-16 without its mark", file("x.csv", "filename\na.png\n".encode("utf-16le")), "x.csv, line 1: is not UTF-8, but probably utf-16le"),
    Case("a million columns", file("x.csv", "filename\n" + "a" * 999_999 + "\n"), "x.csv, line 2"),
    Case("a box of words", file("x.csv", "filename,bbox\na.png,left\n"), "x.csv, line 2, bbox: 'left'"),
    Case("a box from below 0", file("x.csv", 'filename,bbox\na.png,"-5,2,3,4"\n'), "line 2: the box -5,2,3,4 lies outside its image"),
    Case("mixed line ends", file("x.csv", "filename\r\na.png\ngone.png\r\n"), "x.csv, line 3, filename: no such file"),
    Case("a BOM, then a fault", file("x.csv", "\ufefffilename\ngone.png\n"), "line 2, filename: no such file"),
    Case("the same twice", file("x.csv", "filename\na.png\na.png\n"), "line 3: the same item as line 2"),
    Case("a lost file with ESC", file("x.csv", "filename\n\x1b]0;x\x07.png\n"), "line 2, filename: no such file"),
    Case("a folder's name too long", file("x.csv", f"filename\n{LONG}/a.png\n"), "line 2, filename: no such file"),
    Case("a list with a name too long", file("x.txt", f"a.png\n{LONG}\n"), "x.txt, line 2"),
    Case("a list of lost files", file("x.txt", "a.png\ngone.png\n"), "x.txt, line 2"),
    Case("a list in latin-1", file("x.txt", b"a.png\n\xe9.png\n"), "x.txt, line 2: is not UTF-8"),
    Case("a plain CSV without refs", file("x.csv", "ref,filename,bbox,label,skipped,flagged\n,,,ok\n"), "x.csv, line 2: no file is named"),
    Case("a quote in the header of a plain CSV", file("x.csv", 'ref,filename,bbox,label,skipped,flagged,"no"te\na.png\n'), "x.csv, line 1: ',' expected"),
    Case("a plain CSV in latin-1", file("x.csv", b"ref,filename,bbox,label,skipped,flagged\n\xe9.png\n"), "x.csv, line 2: is not UTF-8"),
    Case("something else", file("x.zip", b"PK\x03\x04"), "its format is unknown"),
    Case("an empty folder", lambda folder: (folder / "e").mkdir() or folder / "e", "its format is unknown"),
]  # fmt: skip
