"""The base of the apps: a project's pictures, the themes, and the signals that end a program."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.widgets import Input, TextArea

from annotator.errors import AnnotatorError, ProjectError
from annotator.images.contrast import Contrast
from annotator.items.refs import make_printable
from annotator.session.handover import TAKE_OVER, ScreenRecord
from annotator.tui.host import crop_loader
from annotator.tui.key_queue import KeyQueue
from annotator.tui.keyboards import Keyboard
from annotator.tui.picture.driver import driver_for
from annotator.tui.picture.key_reader import base_key, comes_pasted, replace_key
from annotator.tui.picture.picture import PictureView
from annotator.tui.styled_text import ROLES
from annotator.tui.themes import DEFAULT, THEMES
from annotator.tui.widgets.bars import KeyBar
from annotator.tui.widgets.choices import Choice, ChoiceScreen

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder
    from annotator.terminal.caps import TerminalCapabilities

_SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, TAKE_OVER)


PaletteChoice = Choice[Callable[[], object]]


class ProjectApp(App[AnnotatorError]):
    """An app on one project. Its result is the error that ended it, if any."""

    CSS_PATH = Path(__file__).with_name("app.tcss")
    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"role--{role}" for role in ROLES}
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+z", "suspend_process", show=False)]

    def __init__(self, project: ProjectFolder, caps: TerminalCapabilities) -> None:
        """Prepare the pictures and the theme; raises `ProjectError` for an unknown theme."""
        super().__init__(driver_class=driver_for(caps))
        self.project, self.caps = project, caps
        settings = project.settings
        self.picture = PictureView(
            crop_loader(project), caps, depth=settings.ahead, guard=settings.seen_guard,
            lossless=settings.pictures == "exact",
        )  # fmt: skip
        self._signal: int | None = None
        self.record: ScreenRecord | None = None
        """The record by which another terminal takes this screen over."""
        self.key_queue = KeyQueue(self, self._handle_key)
        self.keyboard = Keyboard(settings.keymap)
        self.letters: Mapping[str, str] = {}
        """Key -> the character that works on the annotator's keyboard, if it is another one."""
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._check_theme(settings.theme or DEFAULT)
        self.stylesheet.set_variables(self.get_css_variables())
        self._styled_for: str | None = self.theme
        """The theme that the first styles are of; None once they have been made anew."""

    @property
    def contrast(self) -> Contrast:
        """The contrast that the annotator has chosen; other screens show it, too."""
        return self.picture.contrast

    async def on_event(self, event: events.Event) -> None:
        """Handle an event, and the keys of a burst one after the other."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self.key_queue.take(event)
        else:
            await super().on_event(event)

    async def _handle_key(self, event: events.Event) -> None:
        typing = isinstance(self.focused, Input | TextArea)
        if isinstance(event, events.Key) and event.character and not typing:
            event = self._on_us_keyboard(event, event.character)
        await super().on_event(event)

    def _on_us_keyboard(self, event: events.Key, character: str) -> events.Key:
        """Return the key that a key of another keyboard stands for."""
        settings, base = self.project.settings, base_key(event)
        own = {info.key for info in settings.classes if info.key}.union(*settings.keys.values())
        if comes_pasted(event):  # a text tells nothing of the keyboard
            key = deepcopy(self.keyboard).key_for(character, base, own)
            return replace_key(event, key) if key else event
        key = self.keyboard.key_for(character, base, own)
        if self.keyboard.is_perhaps_azerty(character, base, own):
            self.say_of_keyboard(
                'Is this AZERTY? é, è, ç or à tells it; keymap = "azerty" does, too'
            )
        if (letters := self.keyboard.letters(own)) != self.letters:
            self.letters = letters
            self.show_letters()
        return replace_key(event, key) if key else event

    def say_of_keyboard(self, text: str) -> None:
        """Show a message about the keyboard."""

    def show_letters(self) -> None:
        """Write the keys in the footer as they stand on the annotator's keyboard."""
        for screen in self.screen_stack:
            for bar in screen.query(KeyBar):
                bar.use_letters(self.letters)

    def refresh_css(self, animate: bool = True) -> None:
        """Style all widgets anew, but at the start, when all have the styles of the theme."""
        first, self._styled_for = self._styled_for, None
        if first != self.theme:
            super().refresh_css(animate=animate)

    def _check_theme(self, name: str) -> str:
        if name not in self.available_themes:
            known = ", ".join(sorted(self.available_themes))
            raise ProjectError(
                f"There is no theme {make_printable(name)!r}. Choose one of {known}."
            )
        return name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the colours of our roles for Textual's own themes."""
        return {"role-dim": "#8b93a5", "role-track": "#58606e"}

    def palette_choices(self) -> list[PaletteChoice]:
        """Return the entries of the palette."""
        return [Choice(self.action_change_theme, "Theme", "Choose the colours.")]

    def action_command_palette(self) -> None:
        """Open the palette."""
        if not isinstance(self.screen, ChoiceScreen):
            self._offer(self.palette_choices(), "Commands", "enter does it")

    def search_themes(self) -> None:
        """Open the list of themes."""
        themes: list[PaletteChoice] = [
            Choice(partial(setattr, self, "theme", name), name, key="●" * (name == self.theme))
            for name in self.available_themes
        ]
        now = list(self.available_themes).index(self.theme)
        self._offer(themes, "Themes", "enter chooses", now)

    def _offer(self, choices: list[PaletteChoice], heading: str, does: str, place: int = 0) -> None:
        def do(chosen: Callable[[], object] | None) -> None:
            if chosen is not None:
                chosen()

        self.push_screen(ChoiceScreen(choices, heading=heading, does=does, place=place), do)

    def catch_signals(self) -> None:
        """End the program in order if a signal comes; the driver calls it first of all."""
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._end_by, number)

    def _end_by(self, number: int) -> None:
        self._signal = number
        try:
            self.keep_record(signal.Signals(number).name)
        finally:
            self.exit()

    def view(self) -> dict[str, Any]:
        """Return what another terminal needs to show the same, for JSON."""
        return {}

    def keep_record(self, ended: str = "") -> None:
        """Keep what is on the screen for a terminal that takes it over."""
        if self.record is not None:
            self.record.save(self.view(), ended)

    @property
    def goes_on(self) -> bool:
        """True after a lost line, or once another terminal has taken the screen over."""
        return self._signal in (signal.SIGHUP, TAKE_OVER)

    @property
    def taken_over(self) -> bool:
        """True once another terminal has taken the screen over."""
        return self._signal == TAKE_OVER

    @property
    def exit_status(self) -> int:
        """The exit status: 0, 1 after a crash, 128 + the signal that ended the app."""
        ended = self._signal is not None and not self.taken_over
        return 128 + (self._signal or 0) if ended else self.return_code or 0
