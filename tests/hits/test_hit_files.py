"""HITs of other tools: what they say is read as it is meant, and every fault is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotator.errors import ProjectError, RefError
from annotator.hits.files import read_hits
from annotator.hits.opening import open_hits_file
from annotator.hits.scores import format_hits_status

_TOOLS_OWN = {
    "hitDatasetName": "exp1",
    "isUnique": True,
    "id": "hit-a",
    "pages": [
        {
            "pageno": 1,
            "class": {
                "id": "c1", "wnid": "n01440764", "synset": ["tench", "Tinca tinca"],
                "description": "freshwater dace-like game fish",
                "wikipedia": ["https://en.wikipedia.org/wiki/Tench"],
            },
            "images": [{"id": "n01440764/n01440764_105", "url": "n01440764/105.JPEG"}],
        }
    ],
}  # fmt: skip


def test_a_hit_of_the_imagenet_tool_reads_field_by_field(tmp_path: Path) -> None:
    file = tmp_path / "hit.json"
    file.write_text(json.dumps(_TOOLS_OWN))
    (hit,) = read_hits(file)
    assert (hit.dataset, hit.id, hit.unique) == ("exp1", "hit-a", True)
    (page,) = hit.pages
    assert (page.asks.wnid, page.asks.name) == ("n01440764", "tench")
    assert page.asks.wikipedia == ("https://en.wikipedia.org/wiki/Tench",)
    assert (page.images[0].id, page.images[0].ref) == (
        "n01440764/n01440764_105",
        "n01440764/105.JPEG",
    )
    assert hit.as_dict() == _TOOLS_OWN


def test_a_csv_with_one_row_an_image_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "hit.csv"
    file.write_text(
        "hitDatasetName,hit,pageno,wnid,class,description,image_id,url,gold,reserve\n"
        "d,h1,1,n1,tench|Tinca tinca,a fish,a,a.jpg,1,\n"
        "d,h1,1,n1,tench|Tinca tinca,a fish,b,b.jpg,,\n"
        "d,h1,1,n1,tench|Tinca tinca,a fish,c,c.jpg,,1\n"
        "d,h1,2,n2,goldfish,another,d,d.jpg,no,\n"
        "d,h2,1,n1,tench,a fish,e,e.jpg,,\n"
    )
    one, two = read_hits(file)
    assert [image.id for image in one.pages[0].images] == ["a", "b"]
    assert [image.id for image in one.pages[0].reserve] == ["c"]
    assert one.pages[0].gold == {"a": True}
    assert one.pages[1].gold == {"d": False}
    assert one.pages[0].asks.synset == ("tench", "Tinca tinca")
    assert (two.id, len(two.pages)) == ("h2", 1)


def test_all_faults_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    page = {"pageno": 3, "class": {}, "images": [{"id": "a"}, {"id": "a"}], "gold": {"z": "yes"}}
    file = tmp_path / "bad.json"
    file.write_text(json.dumps([{"id": "h", "pages": [page]}, {"id": "h2", "pages": []}, 7]))
    with pytest.raises(RefError) as error:
        read_hits(file)
    for words in (
        "has no name",
        "'a' twice",
        "'z' is not an image of",
        "1, 2, 3",
        "HIT 2",
        "HIT 3",
    ):
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("short.csv", b"pageno,class,url\n1\n", "page 1, class: has no name"),
        ("latin.csv", b"pageno,class,url\n1,K\xfcche,a.jpg\n", "line 2: is not UTF-8"),
        ("quotes.csv", b"pageno,class,url\n1,a,b.jpg\n1,a," + b"b" * 200_000, "line 3: "),
        ("deep.json", b"[" * 100_000, "nested too deeply"),
        ("latin.jsonl", b"\xff\n", "is not JSON"),
    ],
)  # fmt: skip
def test_a_file_of_somebodys_own_is_refused_with_the_place(
    tmp_path: Path, name: str, text: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(text)
    with pytest.raises(RefError, match=said):
        read_hits(tmp_path / name)


def test_hits_of_a_file_make_a_project_beside_it(tmp_path: Path) -> None:
    (tmp_path / "n01440764").mkdir()
    (tmp_path / "n01440764" / "105.JPEG").touch()
    file = tmp_path / "hit.json"
    file.write_text(json.dumps(_TOOLS_OWN))
    project, hits = open_hits_file(file, tmp_path / "hit.annotator")
    assert project.settings.names == ("other", "tench")
    assert project.settings.classes[1].description == "freshwater dace-like game fish"
    assert [(hit.id, hit.pages[0].images[0].ref) for hit in hits.hits] == [
        ("hit-a", "n01440764/105.JPEG")
    ]
    assert hits.negative == "other"
    assert open_hits_file(file, project.folder)[1] == hits, "the same file again changes nothing"
    file.write_text(json.dumps({**_TOOLS_OWN, "isUnique": False}))
    with pytest.raises(ProjectError, match="--project DIR"):
        open_hits_file(file, project.folder)


def test_images_that_are_not_here_are_named_and_nothing_is_made(tmp_path: Path) -> None:
    file = tmp_path / "hit.json"
    file.write_text(json.dumps(_TOOLS_OWN).replace("n01440764/105", "https://x.org/105"))
    with pytest.raises(RefError, match=r"(?s)Nothing is downloaded.*--images DIR.*https://x.org"):
        open_hits_file(file, tmp_path / "hit.annotator")
    assert not (tmp_path / "hit.annotator").exists()


def test_images_that_are_not_here_are_left_out_if_asked(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    pages = [
        {"class": {"id": "cat"}, "images": [{"url": "gone.png"}], "gold": {"gone.png": True}},
        {
            "class": {"id": "cat"},
            "images": [{"url": "gone.png"}, {"url": "a.png"}],
            "gold": {"a.png": True, "gone.png": False},
            "reserve": [{"url": "lost.png"}],
        },
    ]
    file = tmp_path / "hit.json"
    file.write_text(json.dumps([{"id": "1", "pages": pages}, {"id": "2", "pages": pages[:1]}]))
    left_out: list[str] = []
    _, hits = open_hits_file(file, tmp_path / "p", None, left_out)
    assert sorted(left_out) == ["gone.png", "gone.png", "gone.png", "lost.png"]
    (page,) = hits.hits[0].pages
    assert len(hits.hits) == 1 and page.pageno == 1 and page.gold == {"a.png": True}
    assert [image.ref for image in page.images] == ["a.png"] and not page.reserve
    (tmp_path / "a.png").unlink()
    with pytest.raises(RefError, match="no image is below"):
        open_hits_file(file, tmp_path / "q", None, [])
    assert not (tmp_path / "q").exists()


def test_gold_without_an_answer_is_refused(tmp_path: Path) -> None:
    page = {"class": {"id": "cat"}, "images": [{"url": "a.png"}], "gold": {"a.png": None}}
    (tmp_path / "hit.json").write_text(json.dumps({"id": "1", "pages": [page]}))
    with pytest.raises(RefError, match="'a.png' has no answer"):
        read_hits(tmp_path / "hit.json")


def test_no_name_in_a_file_of_hits_can_control_the_terminal(tmp_path: Path) -> None:
    done = {"hit": "h\x1b[2J", "worker": "w", "pages": 1, "of": 2, "code": "", "seconds": 3,
            "version": ""}  # fmt: skip
    status = format_hits_status({"sets": [], "assignments": [done, done], "workers": []})
    assert all(line.isprintable() for line in status.split("\n")) and status.count("\n") == 1
    hit = {"hitDatasetName": "d\x1b[31m", "id": "h\x1b[2J", "pages": [{"gold": {"i\x9b2J": 1}}]}
    (tmp_path / "hit.json").write_text(json.dumps([hit, hit]))
    with pytest.raises(RefError, match="appears twice") as error:
        read_hits(tmp_path / "hit.json")
    assert all(line.isprintable() for line in str(error.value).split("\n"))
