"""The contract of every format in `annotator.formats.format.FORMAT_MODULES`."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from annotator.errors import AnnotatorError, ProjectError
from annotator.formats.format import Format, list_formats, load_format
from annotator.formats.output_file import EXPORT_MARKER, open_output
from annotator.formats.reading import ImportContext
from annotator.formats.splits import parse_splits
from annotator.formats.spool import ImportSpool
from annotator.items.refs import Box, Item
from annotator.project import item_pool
from annotator.project.project import ProjectFolder
from tests.formats import made_projects as samples

WRITTEN = [name for name in list_formats() if load_format(name).write and name != "imagenet-ab"]
BOTH = [name for name in WRITTEN if load_format(name).read]
CLASSES = (
    "ok", "a,b", "naïve ☃ 中文", "<x> & 'y' \"z\"", "100%", "%41", "a/b", "=cmd()", "-1", "1",
    "yes", ".hidden", "a: b", "#c", "null", "[d]", "back\\slash", "it's", "e #f", "..", ".",
    "../up", "/abs", "C:\\x", "😀👨‍👩‍👧", "L" * 200, "trail.", "(none)", "~", "1e3", "train", "%2F",
    "- a", "]]>", "a\u2028b", "a\u0085b", "\u202ereversed", "é", "e\u0301", "OK", "a\tb",
)  # fmt: skip
FILES = (
    "a,b.png", 'q"q.png', "e\u0301.png", "é.png", "😀.png", "=x.png", "-x.png", "#h.png", "A.png",
    "x#xywh=1,2,3,4.png", "%41.png", "a b.png", " lead.png", "x?y=1&z.png", "back\\slash.png",
    "'s.png", "l" * 200 + ".png", "d.with.dots/a.png", "images/a.png", "labels/a.png", "a.png",
    "images/images/a.png", "train/a.png", "x__y.png", "x/y.png", "no.ext.jpeg", "up.JPG", "*.png",
    "<i>.png", "[1].png", "\u202ertl.png", "a\u2028b.png", "a\u0085b.png", "1.png", "01.png",
)  # fmt: skip


@pytest.fixture(params=BOTH)
def format_(request: pytest.FixtureRequest) -> Format:
    pytest.importorskip("pyarrow") if request.param == "parquet" else None
    return load_format(request.param)


def refs_for(format_: Format) -> tuple[str, ...]:
    both = {"boxes", "whole"} <= format_.preserved
    return samples.BOXES if "boxes" in format_.preserved and not both else samples.WHOLE


def each_kind(format_: Format) -> list[tuple[str, ...]]:
    kinds = [samples.BOXES] if "boxes" in format_.preserved else []
    return kinds + ([samples.WHOLE] if "whole" in format_.preserved else [])


def options(format_: Format) -> dict[str, object]:
    """Return the options with which an export of a format is read back."""
    return {"label": "ok"} if format_.name == "list" else {}


def images_of(format_: Format, project: ProjectFolder) -> dict[str, object]:
    return {} if format_.folder else {"images": project.images}


def label(format_: Format, refs: tuple[str, ...]) -> dict[str, str | None]:
    return {ref: ("ok", "defect")[n % 2 * (format_.name != "list")] for n, ref in enumerate(refs)}


def test_an_export_opens_as_a_new_project_with_the_same_labels(
    format_: Format, tmp_path: Path
) -> None:
    for number, refs in enumerate(each_kind(format_)):
        made = samples.project(tmp_path / str(number), refs, label(format_, refs))
        place = tmp_path / f"export{number}{suffix(format_)}"
        samples.write(made, format_.name, place)
        again = samples.reopened(
            tmp_path / f"again{number}", place, format_, **images_of(format_, made)
        )
        before = samples.items(made)
        if format_.name == "list":  # a list has whole pixels, and one class that it does not name
            assert len(samples.items(again)) == len(before)
            continue
        after = samples.items(again)
        if "order" in format_.preserved:
            assert after == before
        assert sorted(after) == sorted(before)
        who = {"import"} if format_.name == "csv" else {f"import:{format_.name}"}
        assert {entry.annotator for entry in samples.entries(again)} == who
        assert {entry.picked_by for entry in samples.entries(again)} == {"import"}
        if "paths" in format_.preserved:
            assert [row["filename"] for row in samples.rows(again)] == [
                Item.parse(ref).path if format_.name != "csv" else ref for ref in refs
            ]


def test_an_export_comes_back_into_its_own_project(format_: Format, tmp_path: Path) -> None:
    refs = tuple(ref for ref in refs_for(format_) if "." not in ref.partition("#")[2])
    made = samples.project(tmp_path / "one", refs, label(format_, refs))
    place = tmp_path / f"export{suffix(format_)}"
    samples.write(made, format_.name, place)
    before = samples.items(made)
    made.labels_file.unlink()
    done = samples.imported(made, place, format_, **options(format_))
    assert done.new == len(refs) and not done.changed
    assert samples.items(made) == before
    assert {entry.annotator for entry in samples.entries(made)} == {f"import:{format_.name}"}
    again = samples.imported(made, place, format_, **options(format_))
    assert (again.new, again.same) == (0, len(refs)), "what stands already is not written twice"


def test_columns_that_nobody_knows_come_back(format_: Format, tmp_path: Path) -> None:
    if "columns" not in format_.preserved:
        pytest.skip(f"{format_.name} has no place for them, as docs/formats.md says")
    refs = refs_for(format_)
    columns = {"batch": ["=1+1", "", "-5", "'quoted, é"], "feat_idx": ["3", "1", "0", "2"]}
    made = samples.project(tmp_path / "one", refs, label(format_, refs), columns=columns)
    place = tmp_path / f"export{suffix(format_)}"
    samples.write(made, format_.name, place)
    again = samples.reopened(tmp_path / "again", place, format_, **images_of(format_, made))
    found = samples.rows(again)
    assert {name: [row[name] for row in found] for name in columns} == columns


def test_items_without_a_label_and_skipped_ones_come_back(format_: Format, tmp_path: Path) -> None:
    refs = refs_for(format_)
    made = samples.project(tmp_path / "one", refs, {refs[0]: "ok", refs[1]: None})
    place = tmp_path / f"export{suffix(format_)}"
    source = samples.write(made, format_.name, place, partial=True)
    again = samples.reopened(tmp_path / "again", place, format_, **images_of(format_, made))
    if "unlabelled" not in format_.preserved:
        # Nothing vanishes silently: what does not come back was said to be left out.
        assert len(samples.items(again)) + sum(source.left_out.values()) >= len(refs)
        return
    expected = samples.items(made)
    if "skips" not in format_.preserved:
        expected = [(ref, name, False) for ref, name, _ in expected]
    assert samples.items(again) == expected


def test_class_names_come_back_whatever_they_are(format_: Format, tmp_path: Path) -> None:
    if format_.name == "list":
        pytest.skip("a list names no class")
    refs = tuple(f"{n:02}.png" for n in range(len(CLASSES)))
    if "whole" not in format_.preserved:
        refs = tuple(f"{ref}#xywh=1,2,3,4" for ref in refs)
    made = samples.project(
        tmp_path / "one", refs, dict(zip(refs, CLASSES, strict=True)), classes=CLASSES
    )
    place = tmp_path / f"export{suffix(format_)}"
    samples.write(made, format_.name, place)
    again = samples.reopened(tmp_path / "again", place, format_, **images_of(format_, made))
    assert sorted(samples.items(again)) == sorted(samples.items(made))


def test_files_come_back_whatever_they_are_called(format_: Format, tmp_path: Path) -> None:
    if format_.name == "list":
        pytest.skip("a list has whole pixels and no class")
    box = Box(1, 2, 3.5, 4) if "boxes" in format_.preserved else None
    refs = tuple(Item(name, box).ref for name in FILES)
    made = samples.project(tmp_path / "one", refs, dict.fromkeys(refs, "ok"))
    place = tmp_path / f"export{suffix(format_)}"
    samples.write(made, format_.name, place)
    again = samples.reopened(tmp_path / "again", place, format_, **images_of(format_, made))
    assert sorted(samples.items(again)) == sorted(samples.items(made))


@pytest.mark.parametrize("name", WRITTEN)
def test_an_empty_project_is_exported_as_nothing(name: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow") if name == "parquet" else None
    made = samples.project(tmp_path / "one", ())
    made.refs_file.unlink()
    place = tmp_path / f"export{suffix(load_format(name))}"
    if name == "csv":
        with pytest.raises(ProjectError, match="no image"):
            samples.write(made, name, place)
        return
    source = samples.write(made, name, place)
    assert source.written == 0 and place.exists()
    if load_format(name).read and name != "list":
        with pytest.raises(AnnotatorError):
            samples.reopened(tmp_path / "again", place, load_format(name))
        assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("name", WRITTEN)
def test_the_same_project_gives_the_same_export(name: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow") if name == "parquet" else None
    refs = (
        samples.BOXES
        if "boxes" in load_format(name).preserved or name == "coco-results"
        else samples.WHOLE
    )
    made = samples.project(tmp_path / "one", refs, dict.fromkeys(refs, "ok"))
    first, second = tmp_path / "first", tmp_path / "second"
    for place in (first, second):
        samples.write(made, name, place)
    assert contents(first) == contents(second)


@pytest.fixture(scope="module")
def small_and_large(tmp_path_factory: pytest.TempPathFactory) -> list[ProjectFolder]:
    found = []
    for count in (500, 3000):
        refs = tuple(f"{n // 30}.png#xywh={n % 30},1,2,5" for n in range(count))
        folder = tmp_path_factory.mktemp("projects")
        found.append(samples.project(folder, refs, dict.fromkeys(refs[::2], "ok")))
        item_pool.load_refs(found[-1])
    return found


@pytest.mark.parametrize("name", WRITTEN)
def test_memory_does_not_grow_with_an_object_for_each_item(
    name: str, small_and_large: list[ProjectFolder], tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow") if name == "parquet" else None
    if load_format(name).folder:
        pytest.skip("a file for each image: its names are what is kept")
    peaks = []
    for number, made in enumerate(small_and_large):
        tracemalloc.start()
        samples.write(made, name, tmp_path / str(number))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 70 bytes a decision, some 40 of its ref, the row numbers of the pool, and a batch.
    assert peaks[1] - peaks[0] < 2500 * 600


@pytest.mark.parametrize("name", [name for name in BOTH if not load_format(name).folder])
def test_reading_does_not_hold_an_object_for_each_item(
    name: str, small_and_large: list[ProjectFolder], tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow") if name == "parquet" else None
    peaks = []
    for number, made in enumerate(small_and_large):
        place = tmp_path / f"{number}.{name}"
        samples.write(made, name, place, only=("labelled",), partial=True)
        reading = ImportContext(place, label="ok")
        tracemalloc.start()
        with ImportSpool(reading, load_format(name).read) as gathered:  # type: ignore[arg-type]
            count = sum(1 for _ in gathered)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert count == 1500 and not reading.faults
    # Its ref, and of JSON its text; not the tree of all of them.
    assert peaks[1] - peaks[0] < 1250 * 700


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    for place, folder in ((mine / "thesis.tex", False), (mine, True)):
        with pytest.raises(ProjectError, match="--overwrite"), open_output(place, folder, False):
            raise AssertionError("nothing is to be written")
    with pytest.raises(ProjectError, match="no export made"), open_output(mine, True, True):
        raise AssertionError("a folder of somebody's own is never replaced")
    assert (mine / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("folder", [False, True])
def test_an_export_that_fails_leaves_what_was_there(folder: bool, tmp_path: Path) -> None:
    place = tmp_path / "export"

    def run(text: str, fail: bool) -> None:
        with open_output(place, folder, True) as temporary:
            (temporary / "a.txt" if folder else temporary).write_text(text)
            if fail:
                raise KeyboardInterrupt

    run("first", False)
    with pytest.raises(KeyboardInterrupt):
        run("second", True)
    assert (place / "a.txt" if folder else place).read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["export"], "nothing else is left"
    run("third", False)
    assert (place / "a.txt" if folder else place).read_text() == "third"
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


@pytest.mark.parametrize(
    "name", [name for name in WRITTEN if "split" in load_format(name).supported_options]
)
def test_boxes_of_an_image_are_in_one_split(name: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow") if name == "parquet" else None
    boxes = "boxes" in load_format(name).preserved
    refs = tuple(
        f"{n:02}.png" + f"#xywh={b},2,3,4" * boxes for n in range(20) for b in range(1 + boxes)
    )
    made = samples.project(tmp_path / "one", refs, dict.fromkeys(refs, "ok"))
    place = tmp_path / "export"
    source = samples.write(made, name, place, split=parse_splits("train=0.7,val=0.3"))
    found = {}
    for picture in source.image_records():
        assert {record.split for record in picture.records} == {picture.split}
        found[picture.path] = picture.split
    assert sorted(found.values()) == ["train"] * 14 + ["val"] * 6
    if load_format(name).folder:
        again = samples.reopened(tmp_path / "again", place, load_format(name))
        assert sorted(samples.items(again)) == sorted(samples.items(made))


def suffix(format_: Format) -> str:
    return "" if format_.folder else f".{format_.name}"


def contents(place: Path) -> dict[str, bytes]:
    if place.is_file():
        return {"": place.read_bytes()}
    files = sorted(
        path for path in place.rglob("*") if path.is_file() and path.name != EXPORT_MARKER
    )
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in files}
