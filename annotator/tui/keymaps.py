"""The keymaps: the keys of the commands and of the classes.

A keymap names the keys of each command, and the keys of the first classes. A class may have a
key of its own in annotator.toml. The n-th class has the digit n, up to 9, unless another class
has that digit as its own key. With more than nine classes the digits may mean other classes for
each picture: see `Keymap.with_digits`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from annotator.errors import ProjectError, bullet_list
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from annotator.project.settings import ClassInfo

Action = tuple[str, str]
"""(`LABEL`, class name) or (command name, "")."""
LABEL = "label"
DIGITS = "123456789"

_EVERYWHERE: dict[str, tuple[str, ...]] = {
    "confirm": ("enter",),
    "skip": ("s", "space"),
    "undo": ("backspace", "ctrl+h"),
    "back": ("shift+left", "["),
    "forward": ("shift+right", "]"),
    "return": ("escape", "end"),
    "flag": ("f",),
    "note": ("n",),
    "hide": ("p",),
    "zoom": ("z",),
    "larger": ("+", "="),
    "smaller": ("-",),
    "contrast": ("k",),
    "gamma": ("ctrl+g",),
    "invert": ("ctrl+n",),
    "pages": ("g",),
    "rapid": ("R", "r"),
    "similar": ("b",),
    "search": ("/",),
    "map": ("m", "M"),
    "group": ("w",),
    "check": (),
    "strategy": ("t",),
    "curves": ("c",),
    "prices": ("v",),
    "classes": (":",),
    "meaning": ("i",),
    "again": ("o", "O"),
    "help": ("h", "?"),
    "palette": ("ctrl+p",),
    "quit": ("q", "ctrl+c"),
}
COMMAND_NAMES = tuple(_EVERYWHERE)
"""The commands of the labelling screen, whose table is in `tui/label/screen.py`."""
_YIELDING = ("larger", "smaller", "contrast")
"""The commands that leave their key to a class that has it; the palette has them, too."""

_PAIR: dict[str, tuple[str, ...]] = {"class 1": ("a", "left"), "class 2": ("d", "right")}

KEYMAPS: dict[str, dict[str, tuple[str, ...]]] = {
    # All but `exact` follow the keyboards of `tui/keyboards.py`; `auto` is the same as `default`.
    "default": _EVERYWHERE | _PAIR,
    "auto": _EVERYWHERE | _PAIR,
    "exact": _EVERYWHERE | _PAIR,
    "azerty": _EVERYWHERE | _PAIR,
    # Prodigy accepts with a, rejects with x and ignores with space.
    "prodigy": _EVERYWHERE
    | {"class 1": ("x",), "class 2": ("a",), "skip": ("space",), "undo": ("backspace", "ctrl+h")},
    # labelme and labelImg go to the previous image with a and to the next with d.
    "navigate": _EVERYWHERE
    | {
        "back": ("a", "left", "shift+left", "["),
        "forward": ("d", "right", "shift+right", "]"),
    },
    "vim": _EVERYWHERE
    | {
        "class 1": ("h", "left"),
        "class 2": ("l", "right"),
        "skip": ("j", "space"),
        "undo": ("u", "backspace", "ctrl+h"),
        "note": ("i",),
        "meaning": ("e",),
        "flag": ("m",),
        "map": ("M",),
        "help": ("?",),
    },
}
"""Preset -> command or "class n" -> its keys, the key to show first."""

_SHOWN = {
    "left": "←", "right": "→", "backspace": "⌫", "space": "space", "ctrl+p": "^P", "ctrl+c": "^C",
    "ctrl+g": "^G", "ctrl+h": "^H", "ctrl+n": "^N", "shift+left": "⇧←", "shift+right": "⇧→",
    "escape": "esc",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keymap:
    """The keys of a project: what each of them does."""

    actions: Mapping[str, Action]
    """Key -> its action."""
    classes: Mapping[str, str]
    """Class name -> the key to show for it; "" for a class without a key."""
    digits: tuple[str, ...] = ()
    """The digits that follow the picture: all but those with a meaning of their own."""
    keyed: frozenset[str] = frozenset()
    """The classes with a key of their own, which take no such digit."""
    likeliest: tuple[str, ...] = ()
    """The classes that `digits` mean for one picture; none while the digits are fixed."""
    letters: Mapping[str, str] = field(default_factory=dict)
    """Key -> the character that works on the annotator's keyboard, if it is another one."""

    def on_keyboard(self, letters: Mapping[str, str]) -> Keymap:
        """Return the same keys, written as they stand on the annotator's keyboard."""
        return self if letters == self.letters else _show_keys(replace(self, letters=letters))

    def key_label(self, key: str) -> str:
        """Return a key as the screen writes it, on the annotator's keyboard."""
        return key_label(self.letters.get(key, key))

    def with_digits(self, ranked: Sequence[str]) -> Keymap:
        """Return the keys for one picture: its digits mean the first of the `ranked` classes."""
        likeliest = tuple(ranked[: len(self.digits)])
        meant = {digit: (LABEL, name) for digit, name in zip(self.digits, likeliest, strict=False)}
        fixed = {key: found for key, found in self.actions.items() if key not in self.digits}
        return _show_keys(replace(self, actions=meant | fixed, likeliest=likeliest))

    def action_of(self, key: str, character: str | None) -> Action:
        """Return the action of a key press, ("", "") for none.

        A capital without an action of its own does as the small letter.
        """
        for name in (character, key, (character or "").lower()):
            if name and name in self.actions:
                return self.actions[name]
        return "", ""

    def keys(self, command: str) -> list[str]:
        """Return the keys of a command as the screen writes them."""
        keys = [self.key_label(k) for k, found in self.actions.items() if found == (command, "")]
        return list(dict.fromkeys(keys))

    def class_keys(self, label: str) -> list[str]:
        """Return all keys of a class as the screen writes them."""
        return [self.key_label(k) for k, found in self.actions.items() if found == (LABEL, label)]


def key_label(key: str) -> str:
    """Return a key as the screen writes it."""
    return _SHOWN.get(key, key.upper() if len(key) == 1 else key)


def make_keymap(
    preset: str,
    classes: Sequence[ClassInfo],
    own: Mapping[str, Sequence[str]] = MappingProxyType({}),
    digits: str = "model",
) -> Keymap:
    """Return the keys for a project's classes; `own` keys of a command replace the preset's.

    With `digits` "model" and more than nine classes the digits may follow the picture.

    Raises `ProjectError`, with all faults at once, for an unknown preset or command, a key that
    is not a single character, and a key with two meanings.
    """
    if preset not in KEYMAPS:
        raise ProjectError(
            f"There is no keymap {make_printable(preset)!r}. Choose one of {', '.join(KEYMAPS)}."
        )
    _check_own(own)
    claimed = {key for name in own for key in own[name]}
    # A key that the project gives to one command no longer belongs to the preset's.
    keys = {
        name: tuple(key for key in given if key not in claimed)
        for name, given in KEYMAPS[preset].items()
    } | {name: tuple(given) for name, given in own.items()}
    owned = {key for info in classes if info.key for key in (info.key, info.key.lower())}
    for name in _YIELDING:
        if name not in own:
            keys[name] = tuple(key for key in keys[name] if key not in owned)
    actions: dict[str, Action] = {
        key: (name, "") for name in COMMAND_NAMES for key in keys.get(name, ())
    }
    _check(preset, actions, classes)
    taken = {*actions, *(info.key for info in classes)}
    for key, name in _class_keys(classes, keys):
        actions.setdefault(key, (LABEL, name))
    follow = digits == "model" and len(classes) > len(DIGITS)
    return _show_keys(
        Keymap(
            actions,
            {info.name: "" for info in classes},
            tuple(digit for digit in DIGITS if follow and digit not in taken),
            frozenset(info.name for info in classes if info.key),
        )
    )


def _show_keys(keymap: Keymap) -> Keymap:
    """Return the keymap with the key to show for each class: the first one that means it."""
    first: dict[str, str] = {}
    for key, (name, argument) in keymap.actions.items():
        if name == LABEL:
            first.setdefault(argument, keymap.key_label(key))
    return replace(keymap, classes=dict.fromkeys((*keymap.classes, *first), "") | first)


def _class_keys(
    classes: Sequence[ClassInfo], keys: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Yield (key, class name): the first to claim a key has it, the first of a class is shown."""
    names = [info.name for info in classes]
    named = {info.key: info.name for info in classes if info.key}
    numbered = dict(zip(DIGITS, names, strict=False))
    paired = {
        key: name
        for place, name in enumerate(names[:2], 1)
        for key in keys.get(f"class {place}", ())
    }
    groups = (named, paired, numbered) if len(names) <= 2 else (named, numbered, paired)
    for group in groups:
        yield from group.items()


def _check_own(own: Mapping[str, Sequence[str]]) -> None:
    """Refuse keys of unknown commands, and one key for two commands."""
    names = [*COMMAND_NAMES, "class 1", "class 2"]
    problems = [
        f"{make_printable(name)} is not a command; the commands are {', '.join(names)}"
        for name in own
        if name not in names
    ]
    taken: dict[str, str] = {}
    for name, keys in own.items():
        for key in keys:
            if key in taken:
                problems.append(
                    f"{make_printable(key)!r} is both {taken[key]} and {make_printable(name)}"
                )
            taken[key] = make_printable(name)
    if problems:
        raise ProjectError(bullet_list(problems, "[keys] in annotator.toml cannot be used:"))


def _check(preset: str, commands: Mapping[str, Action], classes: Sequence[ClassInfo]) -> None:
    """Refuse class keys that are not one character, or that mean something else already."""
    problems = []
    taken: dict[str, str] = {}
    for info in (info for info in classes if info.key):
        key, name = info.key or "", make_printable(info.name)
        small = key.lower()
        if len(key) != 1 or not key.isprintable() or key.isspace():
            problems.append(f"class {name}: key = {key!r} should be one letter, digit or sign")
        elif key in commands or small in commands:
            title, _ = commands.get(key) or commands[small]
            problems.append(f"class {name}: {key!r} is {title} in the keymap {preset}")
        elif key in taken:
            problems.append(f"class {name}: {key!r} is the key of class {taken[key]}")
        taken[key] = name
    if problems:
        raise ProjectError(
            bullet_list(problems, "The keys of the classes are in conflict:")
            + "\nChoose other keys, or another --keymap."
        )
