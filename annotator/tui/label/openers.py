"""Opening the dialogs and the other screens from the labelling screen.

Each is imported when it is opened: together they take as long as all that the first picture needs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from annotator.tui.keymaps import LABEL
from annotator.tui.label.text import strategy_title

if TYPE_CHECKING:
    from annotator.session.learner import StrategyChoice
    from annotator.tui.label.answer_screen import AnswerScreen
    from annotator.tui.label.within import Within


def choose_strategy(screen: AnswerScreen) -> None:
    """Ask how items are picked, and pick them so from the next on."""
    from annotator.tui.label.class_list import count_labels
    from annotator.tui.label.error_panel import find_rare_class
    from annotator.tui.label.strategy_dialog import make_strategy_dialog
    from annotator.tui.label.within import Within, ask_within, within_choices

    host, session = screen.host, screen.session
    rare = None if session.multi else find_rare_class(session)

    def choose(strategy: StrategyChoice | Within | None) -> None:
        if isinstance(strategy, Within):
            ask_within(host, strategy)
        elif strategy is not None and strategy != session.strategy:
            session.choose_strategy(strategy)
            screen.say(f"from the next item on: {strategy_title(strategy)}")
            host.learn()
            host.show_activity()

    parts = within_choices(host)
    dialog = make_strategy_dialog(count_labels(session), session.strategy, rare, parts)
    host.push_screen(dialog, choose)


def show_curves(screen: AnswerScreen) -> None:
    """Show the curves at full size."""
    from annotator.tui.curves.screen import CurvesScreen
    from annotator.tui.curves.slices import prepare_slices

    target = screen.project.settings.target_error
    prepare = partial(prepare_slices, screen.host)
    curves = CurvesScreen(screen.session, screen.keymap, screen.pace, target, prepare)
    screen.host.push_screen(curves)


def show_prices(screen: AnswerScreen) -> None:
    """Show what each promise of `finish` would cost and spare."""
    from annotator.tui.label.price_screen import PriceScreen

    screen.host.push_screen(PriceScreen(screen.host, screen.pace))


def find_class(screen: AnswerScreen) -> None:
    """Ask for a class by a few letters, and label with it."""
    from annotator.tui.label.class_list import class_choices
    from annotator.tui.widgets.choices import ChoiceScreen

    session, hidden = screen.session, screen.sidebar.hides_prediction
    asked = screen.walk.item

    def label(name: str | None) -> None:
        if name is not None and screen.walk.item == asked:
            screen.perform(LABEL, name)

    infos, keys = screen.project.settings.classes, screen.keymap.classes
    shares = None if hidden else screen.walk.prediction
    choices = class_choices(infos, keys, session.progress.classes, shares)
    dialog = ChoiceScreen(choices, heading="Find a class", does="enter labels with it")
    screen.host.push_screen(dialog, label)


def show_class_info(screen: AnswerScreen) -> None:
    """Show what the classes mean, the most probable class of the item first."""
    from annotator.tui.label.class_info import ClassInfoScreen

    shares = (None if screen.sidebar.hides_prediction else screen.walk.prediction) or {}
    first = max(shares, key=shares.__getitem__) if shares else ""
    host = screen.host
    host.push_screen(ClassInfoScreen(screen.project, host.caps, host.pacer, first))


def show_help(screen: AnswerScreen) -> None:
    """Show all keys, and the terms that are on screen."""
    from annotator.tui.help import HelpScreen
    from annotator.tui.label.glossary import terms_on_screen
    from annotator.tui.widgets.lines import Lines

    terms = terms_on_screen("\n".join(lines.text for lines in screen.query(Lines)))
    classes = screen.project.settings.classes if screen.is_live(LABEL) else ()
    screen.host.push_screen(HelpScreen(screen.keymap, screen.live_commands(), classes, terms))


def offer_pages(screen: AnswerScreen) -> None:
    """Ask which pages to open."""
    from annotator.tui.pages.open import choose_pages

    choose_pages(screen.host)


def show_similar(screen: AnswerScreen) -> None:
    """Open pages of the items most similar to the one in view."""
    from annotator.tui.pages.open import open_similar

    answer = screen.walk.answer
    ref, label = (answer.ref, answer.label or "") if answer is not None else ("", "")
    open_similar(screen.host, ref, "" if screen.session.multi else label)


def show_rapid(screen: AnswerScreen) -> None:
    """Open a fast stream of pictures."""
    from annotator.tui.rapid.open import open_rapid

    open_rapid(screen.host)


def show_search(screen: AnswerScreen) -> None:
    """Open the search for items."""
    from annotator.tui.pages.search_dialog import open_search

    open_search(screen.host)


def show_map(screen: AnswerScreen) -> None:
    """Open the map of all items."""
    from annotator.tui.map.open import open_map

    open_map(screen.host)


def offer_check(screen: AnswerScreen) -> None:
    """Ask how to check the model."""
    from annotator.tui.pages.check import choose_check

    choose_check(screen.host)
