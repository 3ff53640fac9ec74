"""The commands of a screen: one table that its keys, footer, help and palette read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from annotator.items.refs import make_printable
from annotator.tui.keymaps import LABEL, Keymap
from annotator.tui.widgets.bars import KeyHint

CLOSE = KeyHint("esc", "close", ("", ""), 0)
"""The footer while a dialog is open."""
SHORT_NAME = 12
"""Characters of a class name in the footer."""

ScreenT = TypeVar("ScreenT")


def _always(_: object) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Command(Generic[ScreenT]):
    """One command of a screen: its words, its handler, and when it does something."""

    name: str
    """The name in the keymaps, and under `[keys]` in annotator.toml."""
    title: str
    """One or two words for the footer and the palette."""
    help: str
    """A sentence for the help screen."""
    handler: Callable[[ScreenT], None]
    is_live: Callable[[ScreenT], bool] = _always
    """The condition under which the command does something."""
    is_offered: Callable[[ScreenT], bool] = _always
    """The condition under which the footer shows the live command."""
    works: Callable[[ScreenT], bool] = _always
    """The condition under which the live command does not refuse; else no list has it."""
    answers: bool = False
    """True for a command that answers the item: a key held down counts once."""
    keys: tuple[str, ...] = ()
    """The fixed keys of the command; without them, the keymap names its keys."""

    def is_listed(self, screen: ScreenT) -> bool:
        """Return whether footer, help and palette may have the command now."""
        return self.is_live(screen) and self.works(screen)

    def shown_keys(self, keymap: Keymap) -> list[str]:
        """Return the keys of the command as the screen writes them."""
        return [keymap.key_label(key) for key in self.keys] or keymap.keys(self.name)


def command_table(*commands: Command[ScreenT]) -> dict[str, Command[ScreenT]]:
    """Return the commands by name, in their order on the screen."""
    return {command.name: command for command in commands}


def class_hints(classes: Sequence[str], keymap: Keymap) -> list[KeyHint]:
    """Return the class keys for the footer; none for more classes than fit beside the commands."""
    if len(classes) > 3:
        return []
    return [
        KeyHint(key, _shorten(name), (LABEL, name), place)
        for place, name in enumerate(classes)
        if (key := keymap.classes.get(name))  # a class that was added in this session has none
    ]


def command_hints(
    commands: Iterable[Command[Any]], keymap: Keymap, most_needed: Sequence[str], first_place: int
) -> list[KeyHint]:
    """Return the keys of commands for the footer, the most needed first.

    A narrow window shows only the first ones, each at its place in the order of the table.
    """
    hints = [
        KeyHint(keys[0], command.title, (command.name, ""), place)
        for place, command in enumerate(commands, first_place)
        if (keys := command.shown_keys(keymap))
    ]
    ranks = {name: rank for rank, name in enumerate(most_needed)}
    return sorted(hints, key=lambda hint: ranks.get(hint.action[0], len(ranks)))


def _shorten(name: str) -> str:
    text = make_printable(name)
    return text if len(text) <= SHORT_NAME else text[: SHORT_NAME - 1] + "…"
