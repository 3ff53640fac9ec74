"""Items are found by what is known of them, and never by what only looks like it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotator.curate.search import Searcher
from annotator.errors import ExtraMissing, FeatureError, QueryError
from annotator.features.store import FeatureStore
from annotator.features.text import TextTower
from annotator.items.ref_table import RefTable
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.session.pool_features import PoolFeatures

REFS = [
    "cam1/IMG_001.jpg", "cam1/IMG_012.jpg", "cam2/IMG_001.JPG", "cam2/open door.png",
    "cam2/parts.png#xywh=12,0,40,40", "cam2/parts.png#xywh=60,0,40,40", "größe_[1].png",
    "sub/cam1/deep_012.jpg",
]  # fmt: skip


def _state() -> LogState:
    rows = [
        ("ana", Action.LABEL, 0, "ok", None), ("bo", Action.LABEL, 1, "Crack", None),
        ("ana", Action.SKIP, 2, None, None), ("ana", Action.FLAG, 1, None, None),
        ("ana", Action.LABEL, 4, "Crack", None), ("cy", Action.LABEL, 0, "Crack", {"second": True}),
    ]  # fmt: skip
    return replay(
        Entry(seq, 1.0, who, action, REFS[row], label, extra=extra)
        for seq, (who, action, row, label, extra) in enumerate(rows, 1)
    )


def found(query: str, **options: Any) -> list[str]:
    searcher = Searcher(RefTable(REFS), options.pop("features", None))
    result = searcher.find(query, _state(), classes=("ok", "Crack"), **options)
    return [REFS[row] for row in result.rows]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("img_001", [0, 2]),  # in whatever case
        ("CAM1", [0, 1, 7]),
        ("img_00?.jpg", [0, 2]),
        ("*_0[01][0-9].*", [0, 1, 2, 7]),
        ("*_0[!0]2.jpg", [1, 7]),
        ("cam1/*", [0, 1]),  # with a slash: the whole path
        ("*/deep*", [7]),
        ("IMG", [0, 1, 2]),
        ("parts.png", [4, 5]),
        ("*.png", [3, 4, 5, 6]),
        ("12", [1, 7]),  # not the box that begins at 12
        ("'open door'", [3]),
        ("name:open", [3]),
        ("größe_", [6]),
        ("größe_[[]1].png", [6]),
        ("open", [3, 5, 6, 7]),
        ("labelled", [0, 1, 4]),
        ("skipped", [2]),
        ("flagged", [1]),
        ("label:Crack", [1, 4]),
        ("class:crack", [1, 4]),
        ("by:ana", [0, 2, 4]),
        ("by:cy", [0]),  # a second opinion
        ("label:Crack -by:ana", [1]),
        ("-open -flagged", [0, 2, 4]),
        ("cam2 open", [3, 5]),
        ("nowhere", []),
    ],
)
def test_names_classes_and_states(query: str, rows: list[int]) -> None:
    assert found(query) == [REFS[row] for row in rows]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "The query is empty"),
        ("label:", "label:SOMETHING"),
        ("label:rust", "The classes are ok, Crack"),
        ('text:"half', "Close the quotation mark"),
        ("like:", "Write like:REF"),
        ("-like:cam1", "Leave the minus out"),
        ("[z-a].png", "not a glob"),
    ],
)
def test_a_query_that_makes_no_sense_says_so(query: str, words: str) -> None:
    with pytest.raises(QueryError, match=words.replace("[", "\\[")):
        found(query, features=_features(np.eye(8, dtype=np.float32)))


def test_a_glob_for_nearly_everything_finds_the_same_as_one_for_a_few() -> None:
    refs = RefTable([f"{n % 7}/img_{n:05}.jpg" for n in range(5000)])
    searcher = Searcher(refs)
    for glob in ("*.jpg", "*1*", "img_0?000.jpg", "*9999*"):
        import fnmatch

        names = [ref.rsplit("/", 1)[1] for ref in refs]
        truth = [row for row, name in enumerate(names) if fnmatch.fnmatchcase(name, glob)]
        assert searcher.find(glob, LogState()).rows.tolist() == truth


def test_only_so_many_are_given_and_all_are_counted() -> None:
    result = Searcher(RefTable(REFS)).find("cam", _state(), limit=2)
    assert (result.rows.tolist(), result.total, result.scores) == ([0, 1], 7, None)


def _features(matrix: Any, refs: Any = REFS, **extractor: Any) -> PoolFeatures:
    done = np.ones(len(matrix), np.uint8)
    store = FeatureStore(RefTable(refs), matrix, {"name": "classic", **extractor}, done)
    return PoolFeatures(store, RefTable(REFS))


def test_similar_items_come_nearest_first_without_the_item_itself() -> None:
    angles = np.array([0.0, 0.3, 0.1, 0.9, 0.2, 0.5, 0.7, 1.2])
    matrix = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float16)
    features = _features(matrix)
    nearest = [REFS[row] for row in (2, 4, 1, 5, 6, 3, 7)]
    assert found(f"like:{REFS[0]}", features=features) == nearest
    assert found("like:", features=features, current=REFS[0], limit=3) == nearest[:3]
    assert found("like:deep", features=features)[0] == REFS[3]
    assert found(f"like:{REFS[0]} open", features=features) == [
        ref for ref in nearest if ref in found("open")
    ]
    with pytest.raises(QueryError, match="2 items"):
        found("like:img_001", features=features)


def test_features_in_another_order_and_of_a_part_of_the_items() -> None:
    refs = [REFS[7], "of no project.jpg", REFS[2], REFS[0]]
    matrix = np.array([[1, 0.5], [1, 0], [1, 0.1], [1, 0]], np.float32)
    features = _features(matrix, refs)
    assert found(f"like:{REFS[0]}", features=features) == [REFS[2], REFS[7]]
    with pytest.raises(FeatureError, match="no features"):
        found(f"like:{REFS[1]}", features=features)


def test_without_features_likeness_says_how_to_get_them() -> None:
    with pytest.raises(FeatureError, match="annotator features"):
        found(f"like:{REFS[0]}")


@pytest.mark.parametrize("extractor", [{}, {"name": "mine.npy", "external": True}])
def test_words_need_features_that_know_words(extractor: dict[str, Any]) -> None:
    features = _features(np.eye(8, dtype=np.float32), **extractor)
    with pytest.raises(FeatureError, match="--model siglip2-base"):
        found("text:rust", features=features)


# --- words, with a network of random weights


@pytest.fixture(params=["siglip", "siglip2"])
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny SigLIP or SigLIP2 with its tokenizer, as anyone saves one."""
    torch = pytest.importorskip("torch", reason="needs the extra: models")
    transformers = pytest.importorskip("transformers", reason="needs the extra: models")
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.set_num_threads(1)
    torch.manual_seed(0)
    size = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }  # fmt: skip
    words = {"<pad>": 0, "<unk>": 1, "<eos>": 2, "rusty": 3, "edge": 4, "cat": 5}
    text = {
        **size, "vocab_size": 8, "projection_size": 16, "max_position_embeddings": 8,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    vision: dict[str, Any] = {**size, "patch_size": 8}
    if request.param == "siglip":
        config = transformers.SiglipConfig(
            text_config=text, vision_config={**vision, "image_size": 16}
        )
        model = transformers.SiglipModel(config)
    else:
        config = transformers.Siglip2Config(
            text_config=text, vision_config={**vision, "num_patches": 4}
        )
        model = transformers.Siglip2Model(config)
    folder = tmp_path / request.param
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder


def test_a_folder_without_a_tokenizer_is_a_short_message(checkpoint: Path) -> None:
    for file in checkpoint.glob("*token*"):
        file.unlink()
    with pytest.raises(ExtraMissing) as raised:
        TextTower(str(checkpoint))
    assert "hf download" in str(raised.value) and len(str(raised.value)) < 600


def test_words_find_what_the_whole_network_finds(checkpoint: Path) -> None:
    """The reference is transformers' own model with both halves, on the features computed here."""
    import torch
    import transformers

    from annotator.features.extractor import load_extractor

    pictures = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3), np.uint8)
    extractor = load_extractor(str(checkpoint), device="cpu")
    matrix = extractor(pictures)
    features = _features(matrix, name=str(checkpoint))
    searcher = Searcher(RefTable(REFS), features)
    result = searcher.find('text:"Rusty  edge"', LogState())

    whole = transformers.AutoModel.from_pretrained(checkpoint).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    tokens = tokenizer(["rusty edge"], padding="max_length", max_length=8, return_tensors="pt")
    with torch.inference_mode():
        said = whole.get_text_features(input_ids=tokens["input_ids"])
    words = said.pooler_output[0].double().numpy()
    cosines = matrix @ words / np.linalg.norm(matrix, axis=1) / np.linalg.norm(words)
    assert sorted(result.rows.tolist()) == list(range(8))
    assert result.scores is not None
    assert result.scores == pytest.approx(cosines[result.rows], abs=1e-5)
    assert (np.diff(result.scores) <= 0).all()


def _project(folder: Path, count: int) -> ProjectFolder:
    images = folder / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 255, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{number}.png")
    settings = Settings(classes=(ClassInfo("ok"), ClassInfo("bad")), images=str(images))
    return ProjectFolder.create(folder / "p", settings)


def _annotator(*arguments: str) -> subprocess.CompletedProcess[str]:
    ran = subprocess.run(
        [sys.executable, "-m", "annotator", *arguments],
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran


def test_the_command(tmp_path: Path) -> None:
    project = _project(tmp_path, 5)
    store = SqliteStore(project.labels_file)
    store.append(Entry(0, 1.0, "ana", Action.LABEL, "3.png", "bad"))
    store.close()
    folder = str(project.folder)
    assert _annotator("search", folder, "*.png", "-n", "2").stdout.split() == ["0.png", "1.png"]
    ran = _annotator("search", folder, "label:bad by:ana", "--json")
    assert json.loads(ran.stdout) == {
        "query": "label:bad by:ana", "total": 1,
        "items": [{"ref": "3.png", "label": "bad", "state": "labelled", "flagged": False}],
    }  # fmt: skip
