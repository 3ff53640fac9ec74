"""The base of the screens that ask about one picture, and the dialog for a note on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen
from textual.timer import Timer
from textual.widgets import Input, Label

from annotator.images.contrast import Contrast
from annotator.items.refs import Item, make_printable
from annotator.tui.commands import CLOSE, Command
from annotator.tui.key_repeat import KeyRepeatFilter
from annotator.tui.picture.picture import PictureArea, PictureView
from annotator.tui.picture.strips import TightCompositor
from annotator.tui.widgets.bars import CaptionBar, Header, KeyBar, KeyHint
from annotator.tui.widgets.notice import Banner

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder
    from annotator.session.session import LabelSession
    from annotator.tui.keymaps import Keymap

MESSAGE_SECONDS = 4.0
PAN_SHARE = 0.25
"""The share of the view by which an arrow key moves true pixels."""


class QuestionScreen(Screen[None]):
    """One picture between a header and a footer, with the time since it is in view.

    A subclass has the table of its commands, and says which item is asked and which keys are live.
    """

    def __init__(
        self, project: ProjectFolder, session: LabelSession, keymap: Keymap, picture: PictureView
    ) -> None:
        super().__init__()
        self.project, self.session, self.keymap, self.picture = project, session, keymap, picture
        self._compositor = TightCompositor()
        self._covered = False
        """True while a dialog has the keys."""
        self._shown: tuple[Item | None, float] = (None, 0.0)
        self._broken: Item | None = None
        self._quiet: Timer | None = None
        self._held = KeyRepeatFilter(project.settings.seen_guard != "off")
        # Held, not looked up: the app has things to say before the screen is mounted.
        self.header = Header(project.folder.resolve().name, id="header")
        self.stage = PictureArea(picture, id="stage")
        self.banner = Banner(id="banner")
        self.caption = CaptionBar(id="caption")
        self.keys = KeyBar(id="keys")

    def sync(self) -> None:
        """Show what is asked now."""
        raise NotImplementedError

    def asked_ref(self) -> str | None:
        """Return the ref of the item that a flag or a note is about; None without an item."""
        raise NotImplementedError

    def live_hints(self) -> list[KeyHint]:
        """Return the live keys for the footer, the most needed first."""
        raise NotImplementedError

    def say(self, text: str, role: str = "text", seconds: float = MESSAGE_SECONDS) -> None:
        """Show a message at the top for some seconds."""
        if self._quiet is not None:
            self._quiet.stop()
        self.header.say(text, role)
        self._quiet = self.set_timer(seconds, lambda: self.header.say("")) if text else None

    def show_keys(self) -> None:
        """Show the live keys in the footer; under a dialog only the key that closes it."""
        self.keys.show([CLOSE] if self._covered else self.live_hints())

    def on_screen_suspend(self) -> None:
        """Show the keys of the dialog above."""
        self._covered = True
        self.show_keys()

    def on_screen_resume(self) -> None:
        """Show the keys of this screen again."""
        self._covered = False
        self.show_keys()

    @property
    def shown_ms(self) -> int | None:
        """The milliseconds since the picture is in view; None before that."""
        item, since = self._shown
        asked = self.picture.item
        if asked is not None and item != asked:  # its message is still on the way
            written = self.picture.written_at(asked)
            item, since = (None, 0.0) if written is None else (asked, written)
        return round(1000 * (time.monotonic() - since)) if item == asked else None

    @on(PictureView.Shown)
    @on(PictureView.Seen)
    def _picture_shown(self, message: PictureView.Shown | PictureView.Seen) -> None:
        self._shown = (message.item, time.monotonic())

    @on(PictureView.Broken)
    def _picture_broken(self, message: PictureView.Broken) -> None:
        self._broken = message.item

    # --- commands of all these screens

    def toggle_flag(self) -> None:
        """Flag the item, or take its flag off."""
        ref = self.asked_ref()
        if ref is None:
            return
        if self.banner.run_saving(lambda: self.session.flag(ref)) is not None:
            self.sync()

    def write_note(self) -> None:
        """Ask for a note on the item, and save it."""
        ref = self.asked_ref()
        if ref is None:
            return

        def save(text: str | None) -> None:
            if text:
                self.banner.run_saving(lambda: self.session.note(ref, text))
                self.sync()

        notes = [make_printable(note) for note in self.session.notes(ref)]
        self.app.push_screen(NoteScreen(notes), save)

    def toggle_zoom(self) -> None:
        """Show the source's own pixels, or the whole picture again."""
        on = self.picture.zoom()
        self.say("true pixels: arrows move, + and - scale" if on else "the whole picture", "dim", 2)
        self.show_looks()

    def rescale(self, by: int) -> None:
        """Show true pixels as larger or smaller squares."""
        scale = self.picture.rescale(by)
        self.say(f"a pixel is {scale} x {scale}" if scale else "", "dim", 2)
        self.show_looks()

    def next_contrast(self) -> None:
        """Take the contrast from the crop, from the whole image, or from neither."""
        self._use(self.picture.contrast.next_mode())

    def next_gamma(self) -> None:
        """Brighten the dark parts, or the bright ones."""
        self._use(self.picture.contrast.next_gamma())

    def toggle_inverted(self) -> None:
        """Show black as white and white as black, or as they are again."""
        contrast = self.picture.contrast
        self._use(contrast._replace(inverted=not contrast.inverted))

    def _use(self, contrast: Contrast) -> None:
        self.picture.contrast = contrast
        self.say(contrast.describe() or "the plain picture", "dim", 2)
        self.show_looks()

    def show_looks(self) -> None:
        """Show in the line under the picture how it is shown."""
        self.caption.link(self.picture.status if self.picture.item is not None else "")

    def pans(self, key: str) -> bool:
        """Move true pixels by an arrow key, which then means nothing else."""
        if not self.picture.zoomed or key not in _PANS:
            return False
        if not self.picture.pan(*_PANS[key]):
            self.say("no more pixels on this side; Z ends true pixels", "dim", 2)
        return True


_PANS = {
    "left": (-PAN_SHARE, 0.0), "right": (PAN_SHARE, 0.0),
    "up": (0.0, -PAN_SHARE), "down": (0.0, PAN_SHARE),
}  # fmt: skip


ScreenT = TypeVar("ScreenT", bound=QuestionScreen)


def zoom_commands(in_view: Callable[[ScreenT], bool]) -> list[Command[ScreenT]]:
    """Return the commands for true pixels; `in_view` tells if the screen has a picture."""

    def zoomed(screen: ScreenT) -> bool:
        return in_view(screen) and screen.picture.zoomed

    return [
        Command(
            "zoom", "zoom", "Show true pixels, moved by the arrows; again: all of it.",
            QuestionScreen.toggle_zoom, in_view,
        ),
        Command(
            "larger", "larger", "Show true pixels as larger squares.",
            lambda screen: screen.rescale(1), zoomed,
        ),
        Command(
            "smaller", "smaller", "Show true pixels as smaller squares.",
            lambda screen: screen.rescale(-1), zoomed,
        ),
    ]  # fmt: skip


def contrast_commands(in_view: Callable[[ScreenT], bool]) -> list[Command[ScreenT]]:
    """Return the commands that change how a picture is shown, not which part of it."""
    return [
        Command(
            "contrast", "contrast", "Raise contrast by the crop, by the whole image, or not.",
            QuestionScreen.next_contrast, in_view,
        ),
        Command(
            "gamma", "gamma", "Show dark parts brighter, much brighter, or darker.",
            QuestionScreen.next_gamma, in_view,
        ),
        Command(
            "invert", "invert", "Show black as white, and white as black.",
            QuestionScreen.toggle_inverted, in_view,
        ),
    ]  # fmt: skip


class NoteScreen(ModalScreen[str | None]):
    """A dialog that returns the text of a note, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "leave", "cancel", priority=True)
    ]

    def __init__(self, earlier: Sequence[str]) -> None:
        """Show the last notes `earlier` above the input."""
        super().__init__()
        self._earlier = earlier

    def compose(self) -> ComposeResult:
        """Lay out the earlier notes and the input."""
        with Vertical(classes="dialog"):
            yield Label("Note", classes="heading")
            for note in self._earlier[-3:]:
                yield Label(note, classes="dim", markup=False)
            yield Input(placeholder="a note on this item", max_length=1000)
            yield Label("enter saves it · esc cancels", classes="dim")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return the text; None for an empty one."""
        self.dismiss(event.value.strip() or None)

    def action_leave(self) -> None:
        """Close the dialog without a note."""
        self.dismiss(None)
