"""Features that are there are continued by their own model, and never replaced unasked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from annotator.cli.app import app
from annotator.errors import FeatureError
from annotator.features.choice import (
    choose_extractor,
    described_extractor,
    explain_other_model,
    is_other_model,
)
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.project.project import ProjectFolder
from tests.cli.command_line import annotator, bad, good, make_images


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_images(tmp_path / "im", "a.png", "b.png", "c.png")
    good("init", tmp_path / "p", "--images", tmp_path / "im", "--classes", "x,y")
    good("features", tmp_path / "p", "--model", "classic")
    return tmp_path / "p"


def describe(project: Path, **changed: object) -> dict[str, object]:
    """Let the features come from another extractor, and return the whole meta.json."""
    path = project / "features" / "meta.json"
    meta = dict(json.loads(path.read_text()))
    meta["extractor"] = {**meta["extractor"], **changed}
    path.write_text(json.dumps(meta))
    return meta


def test_new_items_get_the_features_that_are_there(project: Path) -> None:
    toml = project / "annotator.toml"
    toml.write_text('model = "dinov2-base"\n' + toml.read_text())
    make_images(project.parent / "more", "d.png")
    good("add", project, "--images", project.parent / "more")
    good("features", project)
    store = FeatureStore.open(project / "features")
    assert store.name == "classic" and len(store.refs) == 4 and store.done.all()


@pytest.mark.parametrize(
    "changed", [{"version": 0}, {"name": "dino", "weights": "/gone/dino"}, {"context": 0.125}]
)
def test_nothing_is_replaced_without_replace(project: Path, changed: dict[str, object]) -> None:
    meta = describe(project, **changed)
    matrix = (project / "features" / "features.npy").read_bytes()
    said = bad("features", project, *(() if "weights" in changed else ("--context", 0)))
    assert "--replace" in said
    assert "--replace" in bad("features", project, "--model", "classic", "--context", 0)
    assert json.loads((project / "features" / "meta.json").read_text()) == meta
    assert (project / "features" / "features.npy").read_bytes() == matrix
    good("features", project, "--model", "classic", "--replace", "--context", 0)
    assert FeatureStore.open(project / "features").name == "classic"


def test_an_array_of_ones_own_stays(project: Path) -> None:
    mine = project.parent / "mine.npy"
    np.save(mine, np.ones((2, 4), np.float32))
    FeatureStore.adopt(project / "features", mine, RefTable(["a.png", "b.png"]))
    make_images(project.parent / "more", "d.png")
    added = annotator("add", project, "--images", project.parent / "more").stderr
    assert "mine.npy" in added and "at random" in added
    said = bad("features", project)
    assert "mine.npy" in said and "at random" in said and "--replace" in said
    assert FeatureStore.open(project / "features").extractor["external"]


def test_another_path_to_the_same_weights_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from annotator.features.classic import ClassicExtractor

    class Network(ClassicExtractor):
        def __init__(self, name: str) -> None:
            super().__init__()
            vars(self)["name"] = name

        def describe(self) -> dict[str, object]:
            return {"name": self.name, "weights": "/models/dino"}

    asked: list[str] = []

    def load(name: str, **_: object) -> Network:
        asked.append(name)
        return Network(name)

    monkeypatch.setattr("annotator.features.extractor.load_extractor", load)
    meta = {"format": 1, "extractor": {"name": "./dino", "weights": "/models/dino", "context": 0.5}}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    assert described_extractor(tmp_path) == meta["extractor"]

    def choose(model: str | None, context: float | None = None) -> tuple[str, float | None]:
        found, known = choose_extractor(
            tmp_path, tmp_path, asked=model, otherwise="classic", context=context, replace=False
        )
        return found.name, known

    assert choose(None) == ("./dino", 0.5) and asked == ["/models/dino"]
    assert choose("../models/dino") == ("./dino", 0.5)
    with pytest.raises(FeatureError, match="--replace"):
        choose(None, 0.25)


@pytest.mark.parametrize(
    "words", [["next"], ["answer", "a.png", "x"], ["finish", "--plan"], ["cluster", "--count", "2"]]
)
def test_features_of_another_model_than_the_settings_name_are_said(
    project: Path, words: list[str]
) -> None:
    toml = project / "annotator.toml"
    settings = toml.read_text()
    for model, told in (("auto", False), ("classic", False), ("dinov2-base", True)):
        toml.write_text(f'model = "{model}"\n' + settings)
        said = CliRunner().invoke(app, [words[0], str(project), *words[1:]]).stderr
        assert (f"--model {model} --replace" in said) == told, said


def test_a_screen_refuses_a_model_that_its_features_do_not_come_from(project: Path) -> None:
    opened = ProjectFolder.open(project)
    there = described_extractor(opened.features_folder)
    assert there is not None
    assert not is_other_model(there, "classic") and is_other_model(there, "dinov2-small")
    words = explain_other_model(opened.features_folder, opened.folder, "facebook/dinov2-small")
    assert words is not None and "annotator features" in words
    assert explain_other_model(project / "none", opened.folder, "dinov2-small") is None
    describe(project, name="mine.npy", external=True)
    assert explain_other_model(opened.features_folder, opened.folder, "classic") is not None
    assert explain_other_model(opened.features_folder, opened.folder, "auto") is None


@pytest.mark.parametrize("name", ["dinov2-small", "facebook/dinov2-small", "/models/dinov2-small"])
def test_one_model_has_several_names(name: str) -> None:
    assert not is_other_model({"name": "facebook/dinov2-small"}, name)
