"""The settings of a project, annotator.toml, and the check of them.

Personal settings may also stand in the user's own file, `annotator/config.toml` in the settings
folder (XDG). They apply to every project that does not set them itself.
"""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from annotator.errors import MOST_LISTED, ProjectError, bullet_list
from annotator.items.atomic import read_file
from annotator.items.refs import BOX_ORDERS, make_printable
from annotator.items.text_files import NOT_UTF8, find_bad_line
from annotator.project.class_tree import ClassTree, find_tree_faults
from annotator.project.classes import ClassInfo as ClassInfo
from annotator.project.classes import check_classes as check_classes
from annotator.project.classes import class_table, read_classes

SETTINGS_FORMAT = 1
PICTURE_MODES = ("quick", "exact")
"""Picture quality: quick shows a picture in a palette until the connection is idle."""
SEEN_GUARD_MODES = ("auto", "on", "off")
"""Guard against keys pressed before their picture was drawn; auto is on over slow connections."""
ZERO_SHOT_MODES = ("auto", "off")
"""The names of the classes: the model starts from them where it can, or never."""
DURABLE_MODES = ("disk", "server")
DIGIT_MODES = ("model", "fixed")
"""The classes of the digits, of more than nine: the likeliest nine, or always the first nine."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in annotator.toml."""

    classes: tuple[ClassInfo, ...]
    multi_label: bool = False
    """True if an item may have several classes, or none."""
    images: str = "."
    """The folder that relative image paths start from, relative to the project folder."""
    box_order: str = "xywh"
    features: str = "features"
    model: str = "auto"
    """The feature extractor: a name, a Hugging Face id or a folder."""
    strategy: str = "herding-mix"
    estimator: str = "ridge"
    find: str | None = None
    """The rare class to search for."""
    zero_shot: str = "auto"
    target_error: float | None = None
    context: float = 0.25
    """The margin shown around a box, as a share of the box's larger side."""
    feature_context: float = 0.0
    """The margin around a box for features; on boxes, 0 learns fastest."""
    seed: int = 0
    ahead: int = 5
    """The number of items queued ahead, their pictures already requested."""
    max_pixels: int = 300_000_000
    """Images with more pixels are refused."""
    window: tuple[float, float] | None = None
    """The values shown black and white of images of more than eight bits; None: those of a set."""
    keymap: str = "default"
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Command to its keys, in place of the keymap's."""
    digits: str = "model"
    theme: str | None = None
    graphics: str = "auto"
    pictures: str = "quick"
    seen_guard: str = "auto"
    annotator: str | None = None
    """The annotator's name; None for the login name."""
    repeats: float = 0.0
    """The share of questions that repeat an item the annotator has labelled before, unannounced."""
    store: str | None = None
    """A team's log: "postgresql://host/db", "service=NAME" or "folder:PATH"; None for labels.db."""
    schema: str = "annotator"
    """The schema of a team's log in its database."""
    durable: str = "disk"
    """The place that a label has to reach before it counts: this "disk", or the "server"."""
    on_label: str | None = None
    """A command that gets one JSON line for each row of the log that a session writes."""
    on_finish: str | None = None
    """A command that gets one JSON line when a session ends or an audit certifies its set."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return tuple(info.name for info in self.classes)

    @property
    def tree(self) -> ClassTree:
        """The classes as a tree; flat unless some have a parent."""
        return ClassTree.of(self.classes)

    def below(self, name: str) -> Settings:
        """Return the same settings with the classes below `name` alone."""
        kept = self.tree.below(name)
        infos = (info for info in self.classes if info.name in kept)
        tops = (replace(i, parent=None if i.parent == name else i.parent) for i in infos)
        return replace(self, classes=tuple(tops))

    def annotator_name(self, given: str | None = None) -> str:
        """Return the name that labels carry: `given`, else the project's, else the login name."""
        return given or self.annotator or login_name()


def login_name() -> str:
    """Return the user's login name; `user-1234` for a user id without a name, as in containers."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user-{os.getuid()}"


_FIELDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "multi_label": (bool, "true or false"),
    "images": (str, "the folder of the images, in quotes"),
    "box_order": (str, f"one of {', '.join(BOX_ORDERS)}"),
    "features": (str, "a folder, in quotes"),
    "model": (str, 'a model\'s name, in quotes, or "auto"'),
    "strategy": (str, 'a query strategy\'s name, in quotes, such as "margin"'),
    "estimator": (str, '"ridge", "logistic", or a class such as "mine.py:Mine"'),
    "find": (str, "the name of a class, in quotes"),
    "zero_shot": (str, '"auto" or "off"'),
    "target_error": ((int, float), "a share between 0 and 1, such as 0.02"),
    "context": ((int, float), "a share from 0 to 10, such as 0.25"),
    "feature_context": ((int, float), "a share from 0 to 10, such as 0.1"),
    "seed": (int, "a whole number from 0"),
    "ahead": (int, "a whole number from 1 to 64"),
    "max_pixels": (int, "a whole number above 0"),
    "window": (list, "two numbers, the lower first, such as [29000, 31000]"),
    "keymap": (str, "the name of a keymap, in quotes"),
    "digits": (str, '"model" or "fixed"'),
    "theme": (str, "the name of a theme, in quotes"),
    "graphics": (str, 'how pictures are drawn, in quotes, such as "sixel"'),
    "pictures": (str, '"quick", or "exact" to forbid palettes'),
    "seen_guard": (str, '"auto", "on" or "off"'),
    "annotator": (str, "the annotator's name, in quotes"),
    "repeats": ((int, float), "a share from 0 to 0.5, such as 0.02"),
    "store": (str, '"postgresql://host/db", "service=NAME" or "folder:PATH", without a password'),
    "schema": (str, "the name of a schema, in quotes"),
    "durable": (str, '"disk" or "server"'),
    "on_label": (str, "a command line in quotes, with every quote inside it closed"),
    "on_finish": (str, "a command line in quotes, with every quote inside it closed"),
}
_CHOICES = {
    "box_order": BOX_ORDERS, "pictures": PICTURE_MODES, "seen_guard": SEEN_GUARD_MODES,
    "digits": DIGIT_MODES, "zero_shot": ZERO_SHOT_MODES, "durable": DURABLE_MODES,
}  # fmt: skip
_COMMANDS = ("on_label", "on_finish")
_RANGES = {
    "target_error": (0.0, 1.0),
    "context": (0.0, 10.0),
    "feature_context": (0.0, 10.0),
    "seed": (0, 2**63),
    "ahead": (1, 64),
    "max_pixels": (1, 2**40),
    "repeats": (0.0, 0.5),
}


_PERSONAL = (
    "annotator", "graphics", "pictures", "seen_guard", "keymap", "digits", "theme", "model",
    "context", "max_pixels",
)  # fmt: skip


def read_settings(file: Path, user_file: Path | None = None) -> Settings:
    """Read the settings of a project. Raises `ProjectError` with every fault of either file."""
    personal = read_personal_settings(user_file)
    table = read_settings_table(file)
    version = table.get("format", SETTINGS_FORMAT)
    if not isinstance(version, int) or version > SETTINGS_FORMAT:
        raise ProjectError(
            f"{make_printable(str(file))} has format {version!r}, but this version reads "
            f"formats up to {SETTINGS_FORMAT}. Upgrade: pip install --upgrade annotator-tui"
        )
    problems = _table_faults(table, (*_FIELDS, "classes", "format", "keys"))
    classes = read_classes(table.get("classes", []), problems)
    keys = _read_keys(personal.get("keys", {}), problems) | _read_keys(
        table.get("keys", {}), problems
    )
    find = table.get("find")
    if isinstance(find, str) and find not in {info.name for info in classes}:
        problems.append(f"find: {find!r} is not among the classes")
    problems += find_tree_faults(classes, bool(table.get("multi_label")))
    _raise_problems(problems, file)
    try:
        check_classes(tuple(info.name for info in classes), bool(table.get("multi_label")))
    except ProjectError as error:
        raise ProjectError(f"{make_printable(str(file))}: {error}") from error
    values = {k: v for k, v in {**personal, **table}.items() if k in _FIELDS}
    if "window" in values:
        values["window"] = tuple(values["window"])
    return Settings(classes=classes, keys=keys, **values)


def read_personal_settings(file: Path | None) -> dict[str, Any]:
    """Read the user's own settings. Raises `ProjectError` for a setting that is not personal."""
    if file is None or not file.is_file():
        return {}
    table = read_settings_table(file)
    problems = _table_faults(table, (*_PERSONAL, "keys"))
    _read_keys(table.get("keys", {}), problems)
    _raise_problems(problems, file)
    return table


def read_settings_table(file: Path) -> dict[str, Any]:
    """Read a file of settings; `keys = "fixed"`, without a table of keys, stands for `digits`."""
    table = read_toml(file)
    if "digits" not in table and str(table.get("keys")) in DIGIT_MODES:
        table["digits"] = table.pop("keys")
    return table


def read_toml(file: Path) -> dict[str, Any]:
    """Read a TOML file. Raises `ProjectError` with the line of the fault."""
    try:
        data = read_file(file)
        return tomllib.loads(data.decode())
    except OSError as error:
        reason = str(error.strerror)
    except UnicodeDecodeError as error:
        reason = f"line {find_bad_line(data, error)} {NOT_UTF8}"
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:
        ends = f"at the end, line {len(data.splitlines())}"
        reason = make_printable(str(error)).replace("at end of document", ends)
    raise ProjectError(f"{make_printable(str(file))} cannot be read: {reason}")


def _raise_problems(problems: list[str], file: Path) -> None:
    if problems:
        text = file.read_text("utf-8")
        shown = problems[:MOST_LISTED]  # a search for the line of each would take too long
        named = [f"{_find_line(problem, text)}{problem}" for problem in shown]
        named += problems[MOST_LISTED:]
        raise ProjectError(bullet_list(named, f"{make_printable(str(file))} has faults:"))


def _find_line(problem: str, text: str) -> str:
    """Return `line 3, ` for the key that a problem starts with; "" if the key is not found."""
    key = re.match(r"class (.+?): |([^\s:,]+)", problem)
    name = re.escape(key[1] or key[2]) if key else ""
    wanted = rf'name\s*=\s*["\']{name}["\']' if key and key[1] else rf'["\']?{name}["\']?\s*='
    found = re.search(rf"^[ \t]*(?:{wanted}|\[+{name}\])", text, re.MULTILINE) if name else None
    return f"line {text.count(chr(10), 0, found.start()) + 1}, " if found else ""


def _table_faults(table: Mapping[str, Any], known: tuple[str, ...]) -> list[str]:
    problems = []
    for key, value in table.items():
        if key not in known:
            names = ", ".join(name for name in known if name != "format")
            problems.append(f"{make_printable(key)}: not a setting of this file; it takes {names}")
        elif key in _FIELDS:
            problems += _check_value(key, value)
    return problems


def _check_value(key: str, value: object) -> list[str]:
    kind, wanted = _FIELDS[key]
    low, high = _RANGES.get(key, (None, None))
    good = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
    if good and low is not None and high is not None:
        good = low <= value <= high  # type: ignore[operator]
    if good and key in _CHOICES:
        good = value in _CHOICES[key]
    if good and key == "window":
        good = _is_range(value)
    if good and key == "store":
        good = is_store_name(str(value))
    if good and key in _COMMANDS:
        good = _is_command(str(value))
    shown = make_printable(repr(value) if isinstance(value, str) else str(value).lower())[:60]
    return [] if good else [f"{key} = {shown}: should be {wanted}"]


def _is_range(value: object) -> bool:
    """Return whether a list holds two finite numbers, the lower first."""
    numbers: list[Any] = value if isinstance(value, list) else []
    known = all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
    return len(numbers) == 2 and known and -1e15 < numbers[0] < numbers[1] < 1e15


def is_store_name(text: str) -> bool:
    """Return whether a text names a team's log, and holds no password."""
    kinds = ("postgresql://", "postgres://", "service=", "folder:")
    secret = re.search(r"://[^/@]*:[^/@]*@|password|passfile", text)
    return text.startswith(kinds) and text.isprintable() and not secret


def _is_command(line: str) -> bool:
    try:
        return bool(shlex.split(line))
    except ValueError:
        return False


def _read_keys(table: object, problems: list[str]) -> dict[str, tuple[str, ...]]:
    """Return command to keys, of lines such as `skip = "x"` or `skip = ["x", "space"]`.

    The screen checks that the commands exist.
    """
    if not isinstance(table, dict):
        problems.append(
            'keys: should be a table [keys] of lines such as skip = ["x", "space"], or, for digits '
            'that never change, digits = "fixed"'
        )
        return {}
    found = {}
    for command, keys in table.items():
        keys = [keys] if isinstance(keys, str) else keys
        if not isinstance(keys, list) or not all(isinstance(key, str) and key for key in keys):
            problems.append(f"keys, {make_printable(command)}: should be a key, or a list of keys")
        else:
            found[command] = tuple(keys)
    return found


def format_settings(settings: Settings) -> str:
    """Return the text of a new annotator.toml with `settings`, without most defaults."""
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment("An annotator project. Open screens take other classes at once."))
    document.add("format", tomlkit.item(SETTINGS_FORMAT))
    defaults = Settings(classes=())
    for key in _FIELDS:
        value = getattr(settings, key)
        if value is not None and (
            value != getattr(defaults, key) or key in ("images", "strategy", "seed")
        ):
            document.add(key, tomlkit.item(value))
    if settings.target_error is None:
        document.add(tomlkit.comment("target_error = 0.02   # advise to stop below this error"))
    if settings.keys:
        document.add(
            "keys", tomlkit.item({name: list(keys) for name, keys in settings.keys.items()})
        )
    classes = tomlkit.aot()
    for info in settings.classes:
        table = tomlkit.table()
        table.update(class_table(info))
        classes.append(table)
    document.add("classes", classes)
    return tomlkit.dumps(document)
