"""Broken and hostile files: each is refused with its place, and nothing is written."""

# ruff: noqa: E501 - one case a line

from __future__ import annotations

import io
import resource
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from PIL import Image

from annotator.errors import AnnotatorError
from annotator.formats.dataset import create_from_dataset
from annotator.formats.format import load_format
from annotator.formats.new_project import create_from_refs
from annotator.formats.reading import ImportContext
from annotator.formats.sniff import recognise_format
from annotator.project.project import ProjectFolder
from annotator.project.settings import Settings
from tests.formats import hostile_files as hostile
from tests.formats import hostile_tables
from tests.formats import made_projects as samples
from tests.formats.hostile_files import Case

FILES = [
    pytest.param(case, id=f"{name}: {case.name}")
    for name, cases in (
        ("COCO", hostile.COCO), ("JSONL", hostile.JSONL), ("XML", hostile.XML),
        ("Label Studio", hostile.LABEL_STUDIO), ("YOLO", hostile_tables.YOLO),
        ("Hugging Face", hostile_tables.HUGGING_FACE), ("tables", hostile_tables.TABLES),
    )
    for case in cases
]  # fmt: skip


def opened(folder: Path, place: Path, how: dict[str, object]) -> ProjectFolder:
    name = str(how.pop("format", None) or recognise_format(place).format)
    settings = Settings(())
    if name in ("csv", "list"):
        return create_from_refs(folder, place, settings, images=place.parent).project
    reading = ImportContext(place, **how)  # type: ignore[arg-type]
    return create_from_dataset(
        folder, reading, load_format(name), settings, lambda line: None
    ).project


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    samples.images(folder, ["a.png"])
    return folder


@pytest.mark.parametrize("case", FILES)
def test_a_hostile_file_is_refused_by_its_place_and_nothing_is_made(
    case: Case, data: Path, tmp_path: Path
) -> None:
    place = case.make(data)
    tracemalloc.start()
    with pytest.raises(AnnotatorError) as error:
        opened(tmp_path / "p", place, dict(case.how))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    said = str(error.value)
    assert case.said in said
    assert not any(ord(letter) < 32 and letter != "\n" for letter in said), (
        "nothing steers a terminal"
    )
    assert len(said) < 6000
    assert peak < 400e6
    assert [path.name for path in tmp_path.iterdir()] == ["data"], "nothing is left behind"


def test_there_are_enough_of_them() -> None:
    assert len(FILES) + len(TOML) >= 60
    assert len({param.id for param in FILES}) == len(FILES)


@pytest.mark.parametrize(
    "case", [hostile.COCO[15], hostile.JSONL[0], hostile.XML[0]], ids=["coco", "jsonl", "xml"]
)
def test_an_import_into_a_project_writes_nothing_on_a_fault(
    case: Case, data: Path, tmp_path: Path
) -> None:
    made = samples.project(tmp_path / "one", ["a.png"], {})
    place = case.make(data)
    with pytest.raises(AnnotatorError, match="nothing was imported|cannot be|line"):
        samples.imported(made, place, load_format(recognise_format(place).format))
    assert samples.entries(made) == []


def test_an_import_without_room_for_it_says_where_and_writes_nothing(tmp_path: Path) -> None:
    """The process may not write files beyond 256 KiB: a write fails as on a full disk."""
    refs = [f"a.png#xywh={n % 50},{n // 50},1,1" for n in range(5000)]
    made = samples.project(tmp_path / "one", refs, {})
    place = tmp_path / "x.jsonl"
    place.write_text("".join(f'{{"ref": "{ref}", "label": "ok"}}\n' for ref in refs))

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, 256 * 1024))

    # -B: a module that is imported with so little room would leave half a .pyc.
    command = [sys.executable, "-B", "-m", "annotator", "import", str(made.folder), str(place)]
    ran = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True)
    assert ran.returncode == 1 and "Traceback" not in ran.stderr
    assert "Nothing was imported" in ran.stderr and "TMPDIR=" in ran.stderr
    assert samples.entries(made) == []
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "5,000 labels imported" in ran.stderr
    assert len(samples.entries(made)) == 5000


def test_all_faults_of_a_file_are_named_at_once(data: Path, tmp_path: Path) -> None:
    place = data / "x.jsonl"
    place.write_text('{"filename": "a.png", "bbox": [1,2,3,-4]}\n{"filename": 3}\n{\n' * 30)
    with pytest.raises(AnnotatorError) as error:
        opened(tmp_path / "p", place, {})
    for line in (1, 2, 3):
        assert f"x.jsonl, line {line}: " in str(error.value)
    assert "and 70 more" in str(error.value)


def parquet_cases() -> list[tuple[str, object, str]]:
    pa = pytest.importorskip("pyarrow")
    return [
        ("no path", {"x": [1]}, "x.parquet: no column is named filename"),
        ("an image inside", {"image": pa.array([{"bytes": b"x"}])}, "The images are inside the file"),
        ("a list of labels", {"filename": ["a.png"], "label": [["ok"]]}, "column label: holds list"),
        ("a map for a box", {"filename": ["a.png"], "bbox": pa.array([{"x": 1}])}, "column bbox"),
        ("two numbers", {"filename": ["a.png"], "bbox": [[1.0, 2.0]]}, "row 0: bbox is a list of 2"),
        ("NaN", {"filename": ["a.png"], "bbox": [[1.0, 2.0, float("nan"), 3.0]]}, "row 0: bbox is nan"),
        ("a null path", {"filename": ["a.png", None]}, "row 1: no file is named"),
    ]  # fmt: skip


def test_hostile_parquet_is_refused(data: Path, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    for name, columns, said in parquet_cases():
        place = data / "x.parquet"
        pyarrow.parquet.write_table(pa.table(columns), place)
        with pytest.raises(AnnotatorError) as error:
            opened(tmp_path / "p", place, {})
        assert said in str(error.value), name
    whole = place.read_bytes()
    for damaged in (b"", b"PAR1", whole[:-9], whole[: len(whole) // 2] + b"\0" * 99, b"PAR1" * 99):
        place.write_bytes(damaged)
        with pytest.raises(AnnotatorError, match="cannot be read as Parquet"):
            opened(tmp_path / "p", place, {})
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


TOML = [
    ("cut short", '[[classes]]\nname = "ok', "annotator.toml", "line 2"),
    ("a value twice", "seed = 1\nseed = 2\n", "line 2", "annotator.toml"),
    ("deep", "x = " + "[" * 50_000, "annotator.toml", "deep"),
    ("deep tables", "[" + "a." * 5000 + "a]\n", "annotator.toml", ""),
    ("latin-1", b'[[classes]]\nname = "\xe9"\n', "line 2", "UTF-8"),
    ("UTF-16", "seed = 1".encode("utf-16"), "line 1", "UTF-8"),
    ("NUL", 'seed = 1\nmodel = "a\0"\n', "line 2", ""),
    ("true for a number", "seed = true\n" + '[[classes]]\nname = "ok"\n', "line 1", "seed"),
    ("a huge number", "\nseed = " + "9" * 400 + '\n[[classes]]\nname = "ok"\n', "line 2", "seed"),
    ("inf", 'context = inf\n[[classes]]\nname = "ok"\n', "line 1", "context"),
    ("nan", 'target_error = nan\n[[classes]]\nname = "ok"\n', "line 1", "target_error"),
    ("negative", '# x\nahead = -1\n[[classes]]\nname = "ok"\n', "line 2", "ahead"),
    ("unknown", 'colour = "red"\n[[classes]]\nname = "ok"\n', "line 1", "colour"),
    ("ESC in a key", '"\\u001b[31m" = 1\n[[classes]]\nname = "ok"\n', "annotator.toml", "\\x1b"),
    ("classes a number", "classes = 3\n", "line 1", "classes"),
    ("a class without a name", '[[classes]]\nkey = "a"\n', "classes: number 1", ""),
    ("a class that is a list", "classes = [[1]]\n", "classes: number 1", ""),
    ("a class twice", 'classes = ["ok", "ok"]\n', "named twice", "annotator.toml"),
    ("a class with a line break", 'classes = ["o\\nk"]\n', "line break", "annotator.toml"),
    ("a blank class", 'classes = [" "]\n', "blank", "annotator.toml"),
    ("no class", "seed = 1\n", "there is no class", "annotator.toml"),
    ("from the future", 'format = 99\nclasses = ["ok"]\n', "format 99", "annotator.toml"),
    ("format a text", 'format = "1"\nclasses = ["ok"]\n', "format '1'", "annotator.toml"),
]  # fmt: skip


@pytest.mark.parametrize("case", TOML, ids=[case[0] for case in TOML])
def test_a_hostile_annotator_toml_is_refused_by_its_line(
    case: tuple[str, str | bytes, str, str], tmp_path: Path
) -> None:
    _, text, *said = case
    (tmp_path / "annotator.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(AnnotatorError) as error:
        ProjectFolder.open(tmp_path)
    for part in said:
        assert part in str(error.value)
    assert not any(ord(letter) < 32 and letter != "\n" for letter in str(error.value))
    assert [path.name for path in tmp_path.iterdir()] == ["annotator.toml"]


def test_paths_of_an_export_stay_in_its_folder(tmp_path: Path) -> None:
    samples.images(tmp_path / "elsewhere", ["x.png", "y\x1b.png"])
    refs = [str(tmp_path / "elsewhere/x.png"), "../elsewhere/x.png", "../../one/images/../images/b.png",
            "b.png", "B.png"]  # fmt: skip
    (tmp_path / "one/images").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(tmp_path / "one/images/b.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "one/images/B.png")
    samples.images(tmp_path / "one/elsewhere", ["x.png"])
    made = samples.project(tmp_path / "one", [], {})
    made.refs_file.write_text("filename\n" + "\n".join(refs) + "\n")
    samples.log(made, dict.fromkeys(refs, "ok"))
    before = set(tmp_path.rglob("*"))
    for name in ("imagefolder", "huggingface", "yolo-cls"):
        place = tmp_path / name
        source = samples.write(made, name, place, images="copy")
        assert source.written == len(refs)
        new = set(tmp_path.rglob("*")) - before
        new = {path for path in new if not path.is_relative_to(made.folder)}
        assert all(path.is_relative_to(place) for path in new), name
        assert sum(path.suffix == ".png" for path in new) == len(refs)
        before |= new


def test_a_broken_image_is_named_and_left_out(tmp_path: Path) -> None:
    refs = ["a.png#xywh=1,2,3,4", "b.png#xywh=1,2,3,4"]
    made = samples.project(tmp_path / "one", refs, dict.fromkeys(refs, "ok"))
    whole = io.BytesIO()
    Image.new("RGB", (9, 9)).save(whole, "PNG")
    (made.images / "b.png").write_bytes(whole.getvalue()[:20])
    for name in ("coco", "yolo", "voc", "cvat", "label-studio"):
        source = samples.write(made, name, tmp_path / name)
        assert source.written == 1
        assert any("b.png" in note for note in source.notes), name
        assert source.left_out["in images that cannot be read"] == 1, name
