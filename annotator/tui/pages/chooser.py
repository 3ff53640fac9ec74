"""Chooses which pages to open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from annotator.items.refs import make_printable
from annotator.pages import PageOrder, PageRequest, SelectionMode
from annotator.tui.styled_text import pad_column


class PageChooserScreen(ModalScreen[PageRequest | None]):
    """Returns the choice, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,g,G,q,Q,ctrl+c", "leave", "cancel", priority=True)
    ]

    def __init__(self, classes: Sequence[str], knows: bool) -> None:
        """`knows`: whether there is a model that can say what is likely."""
        super().__init__()
        self._choices = page_choices(classes, knows)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide"):
            yield Label("Pages", classes="heading")
            titles = pad_column([title for _, title, _ in self._choices])
            yield OptionList(
                *(
                    Option(Text.assemble((title, "bold"), f"  {words}", no_wrap=True))
                    for title, (_, _, words) in zip(titles, self._choices, strict=True)
                )
            )
            yield Label("enter opens them · esc leaves it", classes="dim")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index][0])

    def action_leave(self) -> None:
        self.dismiss(None)


def page_choices(classes: Sequence[str], knows: bool) -> list[tuple[PageRequest, str, str]]:
    """Pages to accept, pages to search, pages of look-alikes; without a model, random ones."""
    negative = {name: _other(name, classes) for name in classes}
    needed = (
        PageRequest("", SelectionMode.EXCEPTIONS, PageOrder.NEEDED),
        "what needs a look",
        "class by class, until the model can do the rest",
    )
    accept = [
        (
            PageRequest(name, SelectionMode.EXCEPTIONS, PageOrder.LIKELY, negative[name]),
            f"accept {make_printable(name)}",
            "what the model takes for it; select exceptions",
        )
        for name in classes
    ]
    find = [
        (
            PageRequest(name, SelectionMode.POSITIVES_ONLY, PageOrder.LIKELY),
            f"find {make_printable(name)}",
            "the likeliest; select them, the rest stays open",
        )
        for name in classes
    ]
    random = [
        (
            PageRequest(name, _rest(negative[name]), PageOrder.RANDOM, negative[name]),
            f"{make_printable(name)} at random",
            f"select them; the rest {_becomes(negative[name])}",
        )
        for name in classes
    ]
    alike = (
        PageRequest("", SelectionMode.POSITIVES_ONLY, PageOrder.CLUSTERS),
        "clusters",
        "look-alikes; select, and press a class's digit",
    )
    return [needed, *accept, *find, alike, *random] if knows else [*random, alike]


def _other(name: str, classes: Sequence[str]) -> str | None:
    """The other class where there are two."""
    return next(one for one in classes if one != name) if len(classes) == 2 else None


def _becomes(negative: str | None) -> str:
    return f"is {make_printable(negative)}" if negative else "stays open"


def _rest(negative: str | None) -> SelectionMode:
    return SelectionMode.POSITIVES if negative else SelectionMode.POSITIVES_ONLY
