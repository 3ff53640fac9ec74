"""Tables that other programs write: names of columns, encodings, and rows with faults."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from annotator.errors import AnnotatorError
from annotator.formats.dataset import create_from_dataset
from annotator.formats.format import load_format
from annotator.formats.new_project import NewProject, create_from_refs
from annotator.formats.reading import ImportContext
from annotator.project.settings import Settings
from tests.formats import made_projects

NAMES = ["a.png", "b.png", "c.png"]


def opened(tmp_path: Path, table: str | bytes, **how: object) -> NewProject:
    root = made_projects.images(tmp_path / "im", NAMES)
    place = tmp_path / "t.csv"
    place.write_bytes(table if isinstance(table, bytes) else table.encode())
    return create_from_refs(tmp_path / "p", place, Settings(()), images=root, **how)  # type: ignore[arg-type]


def labels(made: NewProject) -> dict[str, str | None]:
    root = made.project.images.resolve()
    return {
        ref.removeprefix(f"{root}/"): label for ref, label, _ in made_projects.items(made.project)
    }


@pytest.mark.parametrize(
    "header",
    ["filename,width,height,class,xmin,ymin,xmax,ymax", "image,w_,h_,category,x1,y1,x2,y2",
     "File_Path,W,H,class_name,left,top,right,bottom"],
)  # fmt: skip
def test_corners_in_columns_are_boxes(tmp_path: Path, header: str) -> None:
    made = opened(tmp_path, f"{header}\na.png,60,40,cat,5,6,30,40\nb.png,60,40,dog,1,2,3,4\n")
    assert labels(made) == {"a.png#xywh=5,6,25,34": "cat", "b.png#xywh=1,2,2,2": "dog"}
    rows = made_projects.rows(made.project)
    assert (
        list(rows[0])[:3] == ["filename", "bbox", "annotation"] and rows[0]["bbox"] == "5,6,25,34"
    )
    assert len(rows[0]) == 5 and list(rows[0].values())[3:] == ["60", "40"]
    told = " ".join(made.notes)
    assert "as the box" in told and "columns not used, but kept" in told


def test_left_top_and_size_in_columns_are_boxes_and_blank_ones_whole_images(tmp_path: Path) -> None:
    made = opened(tmp_path, "filename,label,x,y,width,height\na.png,1,5,6,7,8\nb.png,2,,,,\n")
    assert labels(made) == {"a.png#xywh=5,6,7,8": "1", "b.png": "2"}


def test_a_table_with_our_names_stays_as_it_is(tmp_path: Path) -> None:
    text = 'filename,annotation,class,"x"\r\na.png,ok,mine,1\r\n'
    made = opened(tmp_path, text)
    assert made.project.refs_file.read_bytes() == text.encode()
    assert labels(made) == {"a.png": "ok"}
    assert any("class, x" in note for note in made.notes)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("lead", ["", "sep=;\r\n"])
def test_excel_tables_are_read(tmp_path: Path, encoding: str, lead: str) -> None:
    mark = ";" if lead else "\t"
    text = f"{lead}filename{mark}label{mark}note\r\na.png{mark}größer{mark}x\r\n"
    made = opened(tmp_path, text.encode(encoding))
    assert labels(made) == {"a.png": "größer"}
    with pytest.raises(AnnotatorError, match=f"line {4 if lead else 3}, filename: no such file"):
        opened(tmp_path / "2", (text + f"gone.png{mark}x{mark}\r\n").encode(encoding))


def test_faulty_rows_of_a_table_are_left_out_and_counted(tmp_path: Path) -> None:
    text = (
        "filename,bbox,annotation\na.png,,ok\ngone.png,,ok\nb.png,left,ok\n"
        'c.png,"1,2,3,4",ok\nc.png,"1,2,3,4",bad\n'
    )
    with pytest.raises(AnnotatorError):
        opened(tmp_path, text)
    made = opened(tmp_path, text, skip_faulty=True)
    assert labels(made) == {"a.png": "ok"}
    assert [row["filename"] for row in made_projects.rows(made.project)] == ["a.png"]
    told = "\n".join(made.notes)
    assert "left out, for 4 faults:" in told and "t.csv, line 3, filename" in told


def test_a_table_that_cannot_be_read_to_its_end_is_never_partly_read(tmp_path: Path) -> None:
    with pytest.raises(AnnotatorError, match="line 3: is not UTF-8"):
        opened(tmp_path, b"filename\na.png\n\xe9.png\nb.png\n", skip_faulty=True)
    with pytest.raises(AnnotatorError, match="no such file"):
        opened(tmp_path, "filename\ngone.png\n", skip_faulty=True)


LINES = [
    {"filename": "a.png", "label": "ok"}, {"filename": "gone.png", "label": "ok"}, {"label": "ok"},
    {"filename": "b.png", "bbox": [1, 2, 0, 4], "label": "ok"}, {"filename": "c.png", "label": "x"},
    {"filename": "c.png", "label": "y"},
]  # fmt: skip


def test_faulty_rows_of_a_data_set_are_left_out_and_counted(tmp_path: Path) -> None:
    root = made_projects.images(tmp_path / "im", NAMES)
    place = tmp_path / "t.jsonl"
    place.write_text("".join(json.dumps(line) + "\n" for line in LINES) + "{\n")
    told: list[str] = []
    reading = ImportContext(place, images=root, skip_faulty=True)
    made = create_from_dataset(
        tmp_path / "p", reading, load_format("jsonl"), Settings(()), told.append
    )
    assert labels(made) == {"a.png": "ok"}
    assert "t.jsonl: 1 item, 1 labelled" in told and "left out, for 5 faults:" in told


def test_faulty_rows_of_an_import_are_left_out_and_counted(tmp_path: Path) -> None:
    made = made_projects.project(tmp_path, NAMES, {}, classes=("ok", "x"))
    place = tmp_path / "t.jsonl"
    place.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    with pytest.raises(AnnotatorError):
        made_projects.imported(made, place, load_format("jsonl"))
    done = made_projects.imported(made, place, load_format("jsonl"), skip_faulty=True)
    assert done.new == 1
    assert [(entry.ref, entry.label) for entry in made_projects.entries(made)] == [("a.png", "ok")]


_ROW = {"image": "a.png", "class": "cat", "xmin": 5, "ymin": 6, "xmax": 30, "ymax": 40}


def write_rows(top: Path, kind: str, rows: list[dict[str, object]]) -> Path:
    """Write rows as JSON Lines, Parquet, or the metadata of a Hugging Face folder."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if kind == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(
            pyarrow.Table.from_pylist(rows), top / "t.parquet"
        )
        return top / "t.parquet"
    if kind == "jsonl":
        (top / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return top / "t.jsonl"
    cells = [["" if row.get(name) is None else str(row[name]) for name in names] for row in rows]
    lines = [",".join(row) for row in [names, *cells]]
    (top / "im/metadata.csv").write_text("\n".join(lines).replace("image,", "file_name,") + "\n")
    return top / "im"


def opened_rows(tmp_path: Path, kind: str, *rows: dict[str, object]) -> tuple[NewProject, str]:
    root = made_projects.images(tmp_path / "im", NAMES)
    reading = ImportContext(write_rows(tmp_path, kind, [*rows]), images=root)
    told: list[str] = []
    name = "huggingface" if kind == "metadata" else kind
    project = tmp_path / "p"
    made = create_from_dataset(project, reading, load_format(name), Settings(()), told.append)
    return made, " ".join(told)


KINDS = ["jsonl", "parquet", "metadata"]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_with_names_of_other_programs_are_read_in_every_format(
    tmp_path: Path, kind: str
) -> None:
    made, told = opened_rows(tmp_path, kind, {**_ROW, "weather": "fog"})
    assert labels(made) == {"a.png#xywh=5,6,25,34": "cat"}
    assert "columns read: " in told and "columns not used, but kept: weather" in told


@pytest.mark.parametrize("kind", KINDS)
def test_a_box_with_a_blank_side_is_refused_in_every_format(tmp_path: Path, kind: str) -> None:
    with pytest.raises(AnnotatorError, match="1: '5,6,30,' is not|0: '5,6,30,' is not|line 2: '5"):
        opened_rows(tmp_path, kind, {**_ROW, "ymax": None}, {**_ROW, "image": "b.png"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_stated_size_that_the_image_lacks_is_refused_in_every_format(
    tmp_path: Path, kind: str
) -> None:
    with pytest.raises(AnnotatorError, match="the size of a.png is 600 x 400 here"):
        opened_rows(tmp_path, kind, {**_ROW, "width": 600, "height": 400})


def test_a_size_beside_a_bbox_is_that_of_the_image_or_of_the_box(tmp_path: Path) -> None:
    head = "filename,bbox,label,width,height\n"
    made = opened(tmp_path, head + 'a.png,"1,2,30,20",cat,30,20\n')
    assert labels(made) == {"a.png#xywh=1,2,30,20": "cat"}
    with pytest.raises(AnnotatorError, match="the size of a.png is 600 x 400 here"):
        opened(tmp_path / "2", head + 'a.png,"1,2,30,20",cat,600,400\n')
    with pytest.raises(AnnotatorError, match="the size of a.png is 600 x 400 here"):
        opened(
            tmp_path / "3",
            "image,x,y,width,height,image_width,image_height\na.png,1,2,3,4,600,400\n",
        )


def test_a_class_of_an_unlabelled_row_of_ours_is_a_column(tmp_path: Path) -> None:
    made, _ = opened_rows(
        tmp_path, "jsonl", {"filename": "a.png", "label": "ok"},
        {"filename": "b.png", "class": "mine"},
    )  # fmt: skip
    assert labels(made) == {"a.png": "ok", "b.png": None}


def test_a_row_with_more_cells_than_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotatorError, match=r"line 3: has 3 cells for 2 columns. Put"):
        opened(tmp_path, "filename,label\na.png,cat,\nb.png,cat,grey\n")


def test_rows_of_features_may_be_written_as_4_0(tmp_path: Path) -> None:
    made = opened(tmp_path, "filename,feat_idx\na.png,4.0\nb.png,\nc.png,3.0\n")
    assert len(labels(made)) == 3
    with pytest.raises(AnnotatorError, match=r"'0.5' is not a row number"):
        opened(tmp_path / "2", "filename,feat_idx\na.png,0.5\n")


def test_decimal_commas_are_read_where_they_are_sure(tmp_path: Path) -> None:
    head = "filename;label;xmin;ymin;xmax;ymax\n"
    made = opened(tmp_path, head + "a.png;cat;1,5;2,25;30,0;20\n")
    assert labels(made) == {"a.png#xywh=1.5,2.25,28.5,17.75": "cat"}
    with pytest.raises(AnnotatorError, match="line 2, bbox: '1,500,2,30,20' is not four numbers"):
        opened(tmp_path / "2", head + "a.png;cat;1,500;2;30;20\n")


def test_dates_are_classes_and_infinity_is_none(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    day: dict[str, object] = {"filename": "a.png", "label": date(2020, 1, 2)}
    made, _ = opened_rows(tmp_path, "parquet", day)
    assert labels(made) == {"a.png": "2020-01-02"}
    with pytest.raises(AnnotatorError, match="row 0: label is an infinite number"):
        opened_rows(tmp_path / "2", "parquet", {"filename": "a.png", "label": float("1e999")})


@pytest.mark.parametrize("kind", ["csv", "plain-csv", "huggingface"])
def test_a_quote_without_an_end_swallows_no_rows(kind: str, tmp_path: Path) -> None:
    root = made_projects.images(tmp_path / "im", NAMES)
    place = root / ("metadata.csv" if kind == "huggingface" else "t.csv")
    lead = "ref," if kind == "plain-csv" else ""
    text = f"{lead}file_name,label,note\n"
    text += "".join(f"{name if lead else ''}{',' * bool(lead)}{name},x,\n" for name in NAMES)
    place.write_text(text.replace("b.png,x,", 'b.png,x,"nice'))
    reading = ImportContext(place, images=root)
    with pytest.raises(AnnotatorError, match=r"line 3: .*Fix the quotes there"):
        if kind == "csv":
            create_from_refs(tmp_path / "p", place, Settings(()), images=root)
        said = list[str]().append
        create_from_dataset(tmp_path / "p", reading, load_format(kind), Settings(()), said)


def test_a_folder_is_no_image_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "im/sub").mkdir(parents=True)
    with pytest.raises(AnnotatorError, match="line 2, filename: no such file .*sub"):
        opened(tmp_path, "filename,label\nsub,cat\n")


def test_images_that_no_row_of_a_folder_names_are_counted(tmp_path: Path) -> None:
    made, told = opened_rows(tmp_path, "metadata", {"image": "a.png", "label": "x"})
    assert labels(made) == {"a.png": "x"} and "2 x image that no row names" in told
