"""The dialog that chooses how items are picked: a strategy, or the hunt for one class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from annotator.items.refs import make_printable
from annotator.learn.registry import STRATEGIES
from annotator.session.learner import StrategyChoice
from annotator.tui.styled_text import pad_column

WORDS = {
    "herding-mix": "the default: representative, then uncertain items",
    "random": "every open item with the same probability",
    "margin": "the two most probable classes are close",
    "entropy": "the model is uncertain over all classes",
    "least-confidence": "the most probable class has a low probability",
    "seed": "uncertain items, classes with few labels first",
    "uherding": "items that represent many uncertain ones",
    "typiclust": "the most typical item of each cluster",
    "coreset": "the items farthest from all labels",
    "badge": "uncertain items, far from each other",
}


class StrategyScreen(ModalScreen[StrategyChoice | None]):
    """A dialog that returns the chosen strategy, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,t,T,q,Q,ctrl+c", "leave", "cancel", priority=True)
    ]

    def __init__(
        self, classes: Sequence[str], now: StrategyChoice, rare: str | None = None
    ) -> None:
        """Prepare the choices; `rare` is a rare class whose hunt is offered first."""
        super().__init__()
        self._now, self._rare = now, rare
        self._choices = strategy_choices(classes, now)
        names = pad_column([strategy_title(choice) for choice, _ in self._choices])
        rows = zip(self._choices, names, strict=True)
        self._options = OptionList(*(Option(self._prompt(*row, name)) for row, name in rows))

    def compose(self) -> ComposeResult:
        """Lay out the choices and the advice."""
        with Vertical(classes="dialog wide"):
            yield Label("How items are picked", classes="heading")
            yield self._options
            yield Label(self._advice(), classes="dim", markup=False)

    def on_resize(self, event: events.Resize) -> None:
        """Show more choices in a tall window."""
        self.set_class(event.size.height >= 30, "-tall")

    def on_mount(self) -> None:
        """Highlight the choice that is offered."""
        self._options.highlighted = next(
            (place for place, (choice, _) in enumerate(self._choices) if choice == self._offered()),
            0,
        )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Return the choice."""
        self.dismiss(self._choices[event.option_index][0])

    def _offered(self) -> StrategyChoice:
        """Return the choice to highlight: the hunt for a rare class, or the end of a hunt."""
        if self._now.find is not None:
            return StrategyChoice("herding-mix", None, self._now.estimator)
        if self._rare is not None:
            return StrategyChoice("herding-mix", self._rare, self._now.estimator)
        return self._now

    def _advice(self) -> str:
        if self._now.find is not None:
            return f"enter stops hunting {make_printable(self._now.find)} · esc cancels"
        if self._rare is not None:
            return f"{make_printable(self._rare)} is rare: enter hunts for it · esc cancels"
        return "enter chooses · esc cancels"

    def action_leave(self) -> None:
        """Close the dialog without a choice."""
        self.dismiss(None)

    def _prompt(self, choice: StrategyChoice, description: str, name: str) -> Text:
        mark = "●" if choice == self._now else " "
        if self._now.find is not None and choice == self._offered():
            description = f"stop hunting; {description}"
        return Text.assemble((f"{mark} {name}", "bold"), f"  {description}", no_wrap=True)


def strategy_title(choice: StrategyChoice) -> str:
    """Return a short name of a choice."""
    if choice.find is None:
        return choice.name
    if choice.name == "max-probability":
        return f"likeliest {make_printable(choice.find)}"
    return f"hunt {make_printable(choice.find)}"


def strategy_choices(
    classes: Sequence[str], now: StrategyChoice
) -> list[tuple[StrategyChoice, str]]:
    """Return every strategy, then the hunt for each class, then its most probable items."""
    plain = [
        (StrategyChoice(name, None, now.estimator), WORDS.get(name, ""))
        for name in STRATEGIES
        if name != "max-probability"
    ]
    hunts = [
        (
            StrategyChoice("herding-mix", name, now.estimator),
            "alternates probable and uncertain items",
        )
        for name in classes
    ]
    likeliest = [
        (
            StrategyChoice("max-probability", name, now.estimator),
            "only the most probable items of this class",
        )
        for name in classes
    ]
    return plain + hunts + likeliest
