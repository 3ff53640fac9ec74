"""What each command of the labelling screen opens, where it is the app's to carry out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand

from annotator.items.refs import make_printable
from annotator.session.learner import StrategyChoice
from annotator.tui.curves.screen import CurvesScreen
from annotator.tui.keymaps import COMMANDS
from annotator.tui.label.class_info import ClassInfoScreen
from annotator.tui.label.find_class import FindClassScreen
from annotator.tui.label.strategy_dialog import StrategyScreen, strategy_title
from annotator.tui.pages.open import choose_pages, open_similar
from annotator.tui.pages.search_dialog import open_search
from annotator.tui.rapid.open import open_rapid

if TYPE_CHECKING:
    from annotator.tui.app import LabelApp


def open_strategy(app: LabelApp) -> None:
    """Choose how items are picked, or hunt for a class."""
    ranking = app.session.ranking
    rare = ranking.suggestion if ranking and not app.session.multi else None

    def choose(strategy: StrategyChoice | None) -> None:
        if strategy is not None and strategy != app.session.strategy:
            app.session.choose_strategy(strategy)
            app.label_screen.say(f"from the next on: {strategy_title(strategy)}")
            app.learn()
            app.show_activity()

    app.push_screen(StrategyScreen(app.session.classes, app.session.strategy, rare), choose)


def open_curves(app: LabelApp) -> None:
    """The curves at full size."""
    target = app.project.settings.target_error
    app.push_screen(CurvesScreen(app.session, app.keymap, app.pace, target))


def open_find_class(app: LabelApp) -> None:
    """Find a class by a few letters, and label with it."""
    screen, session = app.label_screen, app.session
    shares = None if screen.sidebar.hides_prediction else session.prediction
    asked = session.current

    def label(name: str | None) -> None:
        if name is not None and session.current == asked:
            screen.perform("label", name)

    infos, keys = app.project.settings.classes, app.keymap.classes
    app.push_screen(FindClassScreen(infos, keys, session.progress.classes, shares), label)


def open_class_info(app: LabelApp) -> None:
    """What the classes mean, the likeliest of the picture first."""
    hidden = app.label_screen.sidebar.hides_prediction
    shares = (None if hidden else app.session.prediction) or {}
    first = max(shares, key=shares.__getitem__) if shares else ""
    line = app.label_screen.picture.line
    app.push_screen(ClassInfoScreen(app.project, app.caps, line, first))


def open_palette(app: LabelApp) -> None:
    app.action_command_palette()


def toggle_group(app: LabelApp) -> None:
    """Let an answer hold for all near-duplicates, or no longer."""
    app.company.toggle()
    app.show_activity()


def quit_app(app: LabelApp) -> None:
    app.exit()


OPENERS: dict[str, Callable[[LabelApp], None]] = {
    "pages": choose_pages,
    "similar": open_similar,
    "rapid": open_rapid,
    "search": open_search,
    "group": toggle_group,
    "strategy": open_strategy,
    "curves": open_curves,
    "classes": open_find_class,
    "meaning": open_class_info,
    "palette": open_palette,
    "quit": quit_app,
}
"""Command -> what carries it out; every command that the screen has no `do_` method for."""


def palette_commands(app: LabelApp) -> Iterator[SystemCommand]:
    """By its name every class and every command that does something now."""
    perform, live = app.label_screen.perform, app.label_screen.live
    for name in app.session.classes if "label" in live else ():
        words = f"Label as {make_printable(name)}"
        yield SystemCommand(words, "the picture on screen", partial(perform, "label", name))
    for command in COMMANDS:
        if command.name in live - {"palette"}:
            head = command.title.capitalize()
            yield SystemCommand(head, command.help, partial(perform, command.name))
