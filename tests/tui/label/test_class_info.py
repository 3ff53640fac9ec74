"""The meaning of the classes: words and reference pictures on a key."""

from __future__ import annotations

from typing import Any

from annotator.project.settings import ClassInfo
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.label.class_info import ClassInfoScreen
from annotator.tui.launch import prepare_label_app
from annotator.tui.widgets.lines import Lines


def _text(screen: ClassInfoScreen) -> str:
    words = screen.query_one("#pagehead", Lines)
    return "\n".join("".join(text for text, _ in line) for line in words.draw(90, 5))


async def test_descriptions_are_shown_class_by_class(make: Any) -> None:
    red = ClassInfo("red", description="like blood", synonyms=("rouge",), examples=("00.png",))
    project = make(4, (red, ClassInfo("blue")))
    with prepare_label_app(
        project, "ann", TerminalCapabilities(Technique.HALFCELL, "test"), features=False
    ) as app:
        async with app.run_test(size=(100, 30)) as pilot:
            while app.session.current is None:
                await pilot.pause()
            await pilot.press("i")
            await pilot.pause()
            assert isinstance(app.screen, ClassInfoScreen)
            shown = _text(app.screen)
            assert "red" in shown and "like blood" in shown and "rouge" in shown
            await pilot.press("right")
            await pilot.pause()
            assert "blue" in _text(app.screen) and "does not describe" in _text(app.screen)
            await pilot.press("escape")
            await pilot.pause()
            assert app.screen is app.label_screen
            assert app.session.progress.labelled == 0
