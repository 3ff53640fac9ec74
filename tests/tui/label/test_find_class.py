"""Hundreds of classes: found by a few letters, labelled with enter."""

from __future__ import annotations

from typing import Any

from annotator.log.entries import replay
from annotator.log.store import SqliteStore
from annotator.project.settings import ClassInfo
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.label.find_class import FindClassScreen, describe_class, search_classes
from annotator.tui.launch import prepare_label_app


def _classes() -> list[ClassInfo]:
    plain = [ClassInfo(f"class {number}") for number in range(300)]
    dog = ClassInfo("dog", description="a tame wolf", synonyms=("Canis familiaris",))
    return [*plain, dog, ClassInfo("hot dog")]


def test_letters_find_names_and_synonyms_the_closest_first() -> None:
    infos = _classes()
    assert [info.name for info in search_classes(infos, "dog", {})] == ["dog", "hot dog"]
    assert search_classes(infos, "canisfam", {})[0].name == "dog"
    assert search_classes(infos, "xyz", {}) == []
    assert search_classes(infos, "", {"hot dog": 0.9})[0].name == "hot dog"
    assert "a tame wolf" in describe_class(infos[300])


async def test_a_class_without_a_key_is_labelled_by_its_letters(make: Any) -> None:
    project = make(4, _classes())
    with prepare_label_app(
        project, "ann", TerminalCapabilities(Technique.NONE, "test"), features=False
    ) as app:
        async with app.run_test(size=(100, 30)) as pilot:
            while app.session.current is None:
                await pilot.pause()
            ref = app.session.current.ref
            await pilot.press(":")
            await pilot.pause()
            assert isinstance(app.screen, FindClassScreen)
            await pilot.press("h", "o", "t", "d", "enter")
            await pilot.pause()
            assert app.screen is app.label_screen
            await pilot.press(":", "escape")  # leaves it as it is
            await pilot.pause()
    store = SqliteStore(project.labels_file)
    state = replay(store.entries())
    store.close()
    assert state.label(ref) == "hot dog"
    assert len(state.standing) == 1


async def test_of_hundreds_of_classes_those_with_labels_show_and_the_rest_is_counted(
    make: Any, opened: Any
) -> None:
    async with opened(make(4, _classes())) as desk:
        await desk.sees(": find class")
        await desk.press(":", "h", "o", "t", "d", "enter")

        def rows() -> list[list[str]]:
            return [line[56:].split() for line in desk.text.splitlines()[:-1]]

        await desk.until(lambda: ["hot", "dog", "1"] in rows())
        (more,) = [row for row in rows() if row[-1:] == ["more"]]
        shown = [row for row in rows() if "class" in row or "dog" in row]
        assert int(more[1]) == len(_classes()) - len(shown)
        await desk.press("h")
        await desk.sees("one of 293 other classes")
