"""The screen of the classes' meanings: descriptions, and reference pictures at full size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from annotator.items.refs import Item
from annotator.project.settings import ClassInfo
from annotator.terminal.sheet import Sheet, SheetComposer
from annotator.tui.host import crop_loader
from annotator.tui.label.class_list import describe_class
from annotator.tui.pages.mosaic import Mosaic
from annotator.tui.styled_text import Line, wrap_text
from annotator.tui.widgets.bars import KeyBar, KeyHint
from annotator.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder
    from annotator.terminal.caps import TerminalCapabilities
    from annotator.terminal.pacing import Pacer

MOST = 48
_NOTHING = "annotator.toml does not describe this class. Add a description, a link or examples."


class ClassInfoText(Lines):
    """The name of a class, and its description in annotator.toml."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._info, self._place = ClassInfo(""), ""

    def show(self, info: ClassInfo, place: str) -> None:
        """Show a class, with its place among the others."""
        self._info, self._place = info, place
        self.update()

    def draw(self, cells: int, height: int) -> Sequence[Line]:
        """Return the name and the wrapped description."""
        description = describe_class(self._info) or _NOTHING
        lines = [line for part in description.splitlines() for line in wrap_text(part, cells - 2)]
        head: Line = [(f" {self._info.name}", "title"), (f"  {self._place}", "dim")]
        return [head, *([(f" {line}", "text")] for line in lines[: height - 1])]


class ClassInfoScreen(Screen[None]):
    """A screen that shows one class at a time; the arrows turn to the next."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,i,I,q,Q,enter,space,ctrl+c", "leave", "close", priority=True),
        Binding("right,down,tab", "turn(1)", "next", priority=True),
        Binding("left,up,shift+tab", "turn(-1)", "before", priority=True),
    ]

    def __init__(
        self, project: ProjectFolder, caps: TerminalCapabilities, pacer: Pacer, first: str
    ) -> None:
        """Prepare the screen; `first` is the class to begin with."""
        super().__init__()
        settings = project.settings
        self._infos = settings.classes
        names = list(settings.names)
        self._place = names.index(first) if first in names else 0
        self._words, self._keys = ClassInfoText(id="pagehead"), KeyBar(id="keys")
        composer = SheetComposer(crop_loader(project))
        self._mosaic = Mosaic(composer, caps, pacer, guard="off", id="mosaic")

    def compose(self) -> ComposeResult:
        """Lay out the text above the pictures."""
        yield self._words
        yield self._mosaic
        yield self._keys

    def on_mount(self) -> None:
        """Show the keys."""
        hints = [
            KeyHint("esc", "close", ("leave", ""), 0),
            KeyHint("← →", "class", ("turn(1)", ""), 1),
        ]
        self._keys.show(hints)

    @on(Mosaic.AreaResized)
    def _show(self) -> None:
        info = self._infos[self._place]
        self._words.show(info, f"class {self._place + 1} of {len(self._infos)}")
        items = [Item.parse(ref) for ref in info.examples[:MOST]]
        spots = self._mosaic.lay_out(len(items)) if items else ()
        if spots:
            size = self._mosaic.size
            shown = Sheet.of(items[: len(spots)], spots, (size.width, size.height))
            self._mosaic.show_alone(shown)
        else:
            self._mosaic.show_text("" if items else "no reference pictures (examples)")

    def action_turn(self, by: int) -> None:
        """Turn to another class."""
        self._place = (self._place + by) % len(self._infos)
        self._show()

    def action_leave(self) -> None:
        """Close the screen."""
        self.dismiss(None)

    @on(KeyBar.Chosen)
    async def _clicked(self, message: KeyBar.Chosen) -> None:
        await self.run_action(message.action[0])
