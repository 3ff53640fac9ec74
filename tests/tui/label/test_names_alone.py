"""Predictions that come from the names of the classes alone say so, and stay hidden with P."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.features.store import FeatureStore
from annotator.project.project import ProjectFolder
from annotator.session.class_text import compute_class_texts
from annotator.tui.messages import NamesRead
from annotator.tui.widgets.lines import Lines

REFS = [f"{number:02d}.png" for number in range(40)]
COLOURS = {"red": (1.0, 0.1, 0.1), "blue": (0.1, 0.1, 1.0)}


class ColourNetwork:
    """A network whose space is that of colours: it knows those words, and sees the mean colour."""

    name, dim, size, batch_size, outruns_threads = "colours", 3, (8, 8), 16, False

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}

    def shares_space(self, extractor: Mapping[str, Any]) -> bool:
        return False

    def __call__(self, pictures: Any) -> NDArray[np.float32]:
        means = np.array([np.asarray(one).mean(axis=(0, 1)) for one in pictures]) + 1
        return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float32)

    def texts(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        said = [next(v for c, v in COLOURS.items() if c in prompt) for prompt in prompts]
        return np.asarray(said / np.linalg.norm(said, axis=1, keepdims=True), np.float32)


def named_project(make: Any, give_features: Any, **settings: Any) -> Any:
    project = make(40, **settings)
    give_features(project, REFS)
    store = FeatureStore.open(project.features_folder)
    assert compute_class_texts(project, store, ColourNetwork()) is not None
    return project


async def test_the_names_predict_before_the_first_label_and_say_so(
    make: Any, give_features: Any, opened: Any, truth: Any, log: Any
) -> None:
    project = named_project(make, give_features)
    async with opened(project, size=(120, 40)) as desk:
        await desk.learnt()
        await desk.sees("predictions from the names alone")
        await desk.sees("predicted from the name alone")
        prediction = desk.app.session.prediction
        assert max(prediction, key=prediction.get) == truth(desk.current)
        for _ in range(4):
            await desk.press("a" if truth(desk.current) == "red" else "d")
            await desk.learnt()
        await desk.sees("herding-mix")
        await desk.until(lambda: "from the name" not in desk.text)
    first, *_, last = (entry for entry in log(project) if entry.label)
    assert first.model is not None and first.model.startswith("names@")
    assert last.model is not None and last.model.startswith("ridge@")


async def test_p_hides_what_the_names_predict(make: Any, give_features: Any, opened: Any) -> None:
    async with opened(named_project(make, give_features), size=(120, 40)) as desk:
        await desk.learnt()
        await desk.sees("predicted from the name alone")
        await desk.press("p")
        await desk.until(lambda: "predicted from the name alone" not in desk.text)
        await desk.press("p")
        await desk.sees("predicted from the name alone")


async def test_pages_follow_the_names_before_any_label(
    make: Any, give_features: Any, opened: Any, truth: Any
) -> None:
    async with opened(named_project(make, give_features), size=(120, 40)) as desk:
        await desk.learnt()
        await desk.press("g")
        await desk.sees("accept red")
        await desk.pilot.press(*"find blue", "enter")
        await desk.sees("from the names alone")
        page = desk.app.screen.page
        assert page.label == "blue" and {truth(ref) for ref in page.refs[:6]} == {"blue"}


async def test_off_asks_as_without_names(make: Any, give_features: Any, opened: Any) -> None:
    async with opened(named_project(make, give_features, zero_shot="off")) as desk:
        await desk.learnt()
        await desk.pilot.pause()
        assert desk.app.session.prediction is None
        assert "name alone" not in desk.text and "annotator words" not in desk.text


async def test_a_renamed_class_is_known_by_its_name_once_any_process_has_read_it(
    make: Any, give_features: Any, opened: Any, truth: Any
) -> None:
    """The screen keeps the order of its classes, the file has another."""
    project = named_project(make, give_features)
    async with opened(project, size=(120, 40)) as desk:
        await desk.learnt()
        await desk.sees("predictions from the names alone")
        file = project.folder / "annotator.toml"
        file.write_text(file.read_text().replace('"red"', '"reddish"'))
        await desk.until(lambda: desk.app.session.classes == ("blue", "reddish"))
        assert desk.app.session.prediction is None
        now = ProjectFolder.open(project.folder)
        assert now.settings.names == ("reddish", "blue")
        store = FeatureStore.open(project.features_folder)
        assert compute_class_texts(now, store, ColourNetwork()) is not None
        await desk.until(lambda: desk.app.session.prediction)
        prediction = desk.app.session.prediction
        best = max(prediction, key=prediction.get)
        assert best.removesuffix("dish") == truth(desk.current)


async def test_names_that_could_not_be_read_come_with_the_command(
    make: Any, give_features: Any, opened: Any
) -> None:
    project = make(40)
    give_features(project, REFS)
    async with opened(project, size=(160, 40)) as desk:
        desk.app.post_message(NamesRead("the process ended without a message"))
        await desk.sees("the names of the classes are not read")
        await desk.until(lambda: f"annotator words {project.folder}" in joined(desk.text))


def joined(text: str) -> str:
    return " ".join(text.split())


async def test_features_without_words_name_the_next_command(
    make: Any, give_features: Any, opened: Any
) -> None:
    project = make(40)
    give_features(project, REFS)
    async with opened(project, size=(160, 40)) as desk:
        # Where its lines break depends on the length of the project's path.
        command = f"annotator words {project.folder} --model siglip2-base".replace(" ", "")
        await desk.until(lambda: command in _sidebar_text(desk))


def _sidebar_text(desk: Any) -> str:
    """The text beside the picture, without spaces and ends of lines."""
    return "".join("".join(lines.text.split()) for lines in desk.app.screen.query(Lines))


async def test_a_class_that_is_added_waits_for_its_name(
    make: Any, give_features: Any, opened: Any
) -> None:
    project = named_project(make, give_features)
    async with opened(project, size=(120, 40)) as desk:
        await desk.learnt()
        await desk.sees("predictions from the names alone")
        from annotator.project.project import append_classes

        append_classes(project, ["green"])
        await desk.until(lambda: "green" in desk.app.session.classes)
        await desk.learnt()
        assert desk.app.session.prediction is None
