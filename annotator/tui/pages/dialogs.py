"""The dialogs of pages: which to open, their keys, and the name of an identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from annotator.errors import ProjectError
from annotator.items.refs import make_printable
from annotator.pages import PageOrder, PageRequest, SelectionMode
from annotator.project.settings import check_classes
from annotator.tui.widgets.choices import Choice

CAPITALS = "Small letters select tiles; commands are capitals: f is a tile, F flags."


def page_choices(counts: Mapping[str, int], has_model: bool) -> list[Choice[PageRequest]]:
    """Return the pages on offer; `counts` has the labels of each class.

    Without a model the pages are random or of look-alikes.
    """
    exceptions, only = SelectionMode.EXCEPTIONS, SelectionMode.POSITIVES_ONLY
    needed = Choice(
        PageRequest("", exceptions, PageOrder.NEEDED),
        "what needs a look",
        "class by class, until the model can label the rest",
    )
    alike = Choice(
        PageRequest("", only, PageOrder.CLUSTERS),
        "clusters",
        "items that look alike; select, press a class digit",
    )
    accept, find, random, names = [], [], [], tuple(counts)
    for name, count in counts.items():
        shown, other = make_printable(name), _other(name, names)
        request = PageRequest(name, exceptions, PageOrder.LIKELY, other)
        about = "the items predicted as it; select the exceptions"
        accept.append(Choice(request, f"accept {shown}", about, count=count))
        request = PageRequest(name, only, PageOrder.LIKELY)
        about = "the likeliest; select them, the rest stays open"
        find.append(Choice(request, f"find {shown}", about, count=count))
        request = PageRequest(name, _rest(other), PageOrder.RANDOM, other)
        about = f"select them; the rest {_becomes(other)}"
        random.append(Choice(request, f"{shown} at random", about, count=count))
    return [needed, *accept, *find, alike, *random] if has_model else [*random, alike]


def _other(name: str, classes: Sequence[str]) -> str | None:
    """Return the other one of two classes; None if there are more."""
    return next(other for other in classes if other != name) if len(classes) == 2 else None


def _becomes(negative: str | None) -> str:
    return f"is {make_printable(negative)}" if negative else "stays open"


def _rest(negative: str | None) -> SelectionMode:
    return SelectionMode.POSITIVES if negative else SelectionMode.POSITIVES_ONLY


class PageHelpScreen(ModalScreen[None]):
    """A dialog with the keys of a page. Any of the keys that leave a dialog closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,h,H,question_mark,q,Q,enter,ctrl+c", "leave", "close", priority=True)
    ]

    def __init__(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show `rows`, each the keys of a command and its help."""
        super().__init__()
        self._rows = rows

    def compose(self) -> ComposeResult:
        """Lay out the table of keys."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        for keys, text in self._rows:
            table.add_row(Text(keys), Text(text))
        with VerticalScroll(classes="dialog wide"):
            yield Label("A page", classes="heading")
            yield Static(table)
            yield Label(CAPITALS, classes="dim")

    def action_leave(self) -> None:
        """Close the dialog."""
        self.dismiss()


class NameScreen(ModalScreen[str | None]):
    """A dialog for a name that a class can have; its result is the name, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "leave", "cancel", priority=True)
    ]

    def __init__(self, heading: str, name: str) -> None:
        """Ask under `heading`, with `name` to be changed."""
        super().__init__()
        self._heading, self._name_before = heading, name

    def compose(self) -> ComposeResult:
        """Lay out the dialog."""
        with Vertical(classes="dialog"):
            yield Label(self._heading, classes="heading", markup=False)
            yield Input(self._name_before, max_length=100, select_on_focus=True)
            yield Label("", classes="dim", id="fault", markup=False)
            yield Label("enter takes the name · esc cancels", classes="dim")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the name, if a class can have it."""
        name = event.value.strip()
        try:
            check_classes((name,))
        except ProjectError as error:
            self.query_one("#fault", Label).update(
                make_printable(str(error).splitlines()[-1].strip())
            )
            return
        self.dismiss(name)

    def action_leave(self) -> None:
        """Leave without a name."""
        self.dismiss(None)
