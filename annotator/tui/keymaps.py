"""Which key does what on the labelling screen.

A keymap names the keys of each command, and the keys of the first classes. Classes may have a
key of their own in annotator.toml; the n-th class always has the digit n, up to 9, unless that
is some other class's own key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from annotator.errors import ProjectError, bullet_list
from annotator.items.refs import make_printable
from annotator.project.settings import ClassInfo


class Command(NamedTuple):
    """Something that a key does, apart from labelling."""

    name: str
    """The screen's action of this name."""
    title: str
    """For the footer: one or two words."""
    help: str
    """For the help screen: a sentence."""


COMMANDS: tuple[Command, ...] = (
    Command("confirm", "confirm", "Take the classes that are chosen, or none."),
    Command("skip", "skip", "Leave the item unlabelled; it is not asked again."),
    Command("undo", "undo", "Take back your last answer; again and again, also yesterday's."),
    Command("flag", "flag", "Mark the item for a second look, or take the mark off."),
    Command("note", "note", "Write a note on the item."),
    Command("hide", "hide", "Hide or show what the model expects."),
    Command("zoom", "zoom", "Show the true pixels; once more for the whole."),
    Command("pages", "pages", "Label pages of many at once: accept, find, look-alikes."),
    Command("rapid", "rapid", "A stream of pictures: one key marks those of a class."),
    Command("similar", "similar", "A page of what looks most like this one."),
    Command("search", "search", "Find items by name, class, state, likeness or words."),
    Command("group", "whole group", "Let an answer hold for all near-duplicates; again: no more."),
    Command("strategy", "strategy", "Choose how items are picked, or hunt for one class."),
    Command("curves", "curves", "Show the curves at full size: error, difficulty, classes."),
    Command("classes", "find class", "Find a class by a few letters, and label with it."),
    Command("meaning", "meaning", "What each class means, with its reference pictures."),
    Command("again", "ask skipped", "When all is answered: ask the skipped items once more."),
    Command("help", "help", "All keys, and what the numbers mean."),
    Command("palette", "palette", "Find any command or class by its name."),
    Command("quit", "quit", "End; every label is on disk already."),
)

_EVERYWHERE = {
    "palette": ("ctrl+p",),
    "quit": ("q", "ctrl+c"),
    "again": ("r",),
    "undo": ("backspace", "ctrl+h"),
    "zoom": ("z",),
    "strategy": ("t",),
    "pages": ("g",),
    "similar": ("b",),
    "rapid": ("R",),
    "search": ("/",),
    "group": ("w",),
    "classes": (":",),
    "meaning": ("i",),
    "confirm": ("enter",),
    "curves": ("c",),
    "hide": ("p",),
    "flag": ("f",),
    "note": ("n",),
    "help": ("h", "?"),
    "skip": ("s", "space"),
}

KEYMAPS: dict[str, dict[str, tuple[str, ...]]] = {
    "default": _EVERYWHERE | {"class 1": ("a", "left"), "class 2": ("d", "right")},
    # Prodigy accepts with a, rejects with x and ignores with space.
    "prodigy": _EVERYWHERE
    | {"class 1": ("x",), "class 2": ("a",), "skip": ("space",), "undo": ("backspace", "ctrl+h")},
    # labelme and labelImg go to the previous image with a and to the next with d.
    "navigate": _EVERYWHERE
    | {
        "undo": ("a", "left", "backspace", "ctrl+h"),
        "skip": ("d", "right", "space"),
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
        "help": ("?",),
    },
}
"""Preset -> command, or "class n", -> its keys, the one to show first."""

_SHOWN = {
    "left": "←", "right": "→", "backspace": "⌫", "space": "space", "ctrl+p": "^P", "ctrl+c": "^C",
    "ctrl+h": "^H",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keymap:
    """What each key does, for one project."""

    actions: Mapping[str, tuple[str, str]]
    """Key -> ("label", class name) or (command, "")."""
    classes: Mapping[str, str]
    """Class name -> the key to show for it; "" where it has none."""

    def action(self, key: str, character: str | None) -> tuple[str, str] | None:
        """What a key press does; capitals do as small letters do, where nothing else is said."""
        for name in (character, key, (character or "").lower()):
            if name and name in self.actions:
                return self.actions[name]
        return None

    def keys(self, command: str) -> list[str]:
        """The keys of a command, as they are shown."""
        return [key_label(key) for key, (name, _) in self.actions.items() if name == command]

    def class_keys(self, label: str) -> list[str]:
        """All keys of a class, as they are shown."""
        return [
            key_label(key) for key, action in self.actions.items() if action == ("label", label)
        ]


def key_label(key: str) -> str:
    """A key as the screen writes it."""
    return _SHOWN.get(key, key.upper() if len(key) == 1 else key)


def make_keymap(
    preset: str,
    classes: Sequence[ClassInfo],
    own: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Keymap:
    """The keys for a project's classes; `own` keys of a command take the place of the preset's.

    Raises `ProjectError` for an unknown preset or command, a key that is no single character,
    and keys that mean two things; all at once.
    """
    if preset not in KEYMAPS:
        raise ProjectError(f"no keymap {preset!r}; choose one of {', '.join(KEYMAPS)}")
    _check_own(own)
    claimed = {key for name in own for key in own[name]}
    # A key that the project gives to one command is no longer the preset's for another.
    keys = {
        name: tuple(key for key in given if key not in claimed)
        for name, given in KEYMAPS[preset].items()
    } | {name: tuple(given) for name, given in own.items()}
    actions: dict[str, tuple[str, str]] = {}
    for command in COMMANDS:
        for key in keys.get(command.name, ()):
            actions[key] = (command.name, "")
    _check(preset, actions, classes)
    names = [info.name for info in classes]
    named = {info.key: info.name for info in classes if info.key}
    numbered = {str(place): name for place, name in enumerate(names[:9], 1)}
    paired = {
        key: name
        for place, name in enumerate(names[:2], 1)
        for key in keys.get(f"class {place}", ())
    }
    # The order decides which key is shown for a class, and the first to claim a key has it.
    first = (named, paired, numbered) if len(names) <= 2 else (named, numbered, paired)
    for group in first:
        for key, name in group.items():
            actions.setdefault(key, ("label", name))
    found = Keymap(actions, {})
    return Keymap(actions, {name: next(iter(found.class_keys(name)), "") for name in names})


def _check_own(own: Mapping[str, Sequence[str]]) -> None:
    """Refuse keys of commands that do not exist, and one key for two commands."""
    names = [command.name for command in COMMANDS] + ["class 1", "class 2"]
    problems = [
        f"{make_printable(name)} is no command; there are {', '.join(names)}"
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


def _check(
    preset: str, commands: Mapping[str, tuple[str, str]], classes: Sequence[ClassInfo]
) -> None:
    problems = []
    taken: dict[str, str] = {}
    for info in (info for info in classes if info.key):
        key, name = info.key or "", make_printable(info.name)
        small = key.lower()
        if len(key) != 1 or not key.isprintable() or key.isspace():
            problems.append(f"class {name}: key = {key!r} should be one letter, digit or sign")
        elif key in commands or small in commands:
            title = commands.get(key, commands.get(small, ("", "")))[0]
            problems.append(f"class {name}: {key!r} is {title} in the keymap {preset}")
        elif key in taken:
            problems.append(f"class {name}: {key!r} is the key of class {taken[key]}")
        taken[key] = name
    if problems:
        raise ProjectError(
            bullet_list(problems, "the keys of the classes in annotator.toml are in conflict:")
            + "\nchoose other keys, or another --keymap"
        )
