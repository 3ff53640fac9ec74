"""Changes that others make, taken into the running screen: items, classes and their keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from annotator.errors import AnnotatorError, ProjectError
from annotator.items.refs import make_printable, plural, shell_quoted
from annotator.project.class_tree import ClassTree
from annotator.project.classes import ClassInfo
from annotator.project.watching import ItemChange, SettingsChange, keep_order
from annotator.tui.keymaps import Keymap, make_keymap

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder
    from annotator.project.settings import Settings
    from annotator.session.session import LabelSession

_MOST_NAMES = 5


def item_words(session: LabelSession, change: ItemChange) -> str:
    """Return what the header says of items that came; "" if none did."""
    if not change.added:
        return ""
    words = f"+{plural(len(change.added), 'item')}"
    return f"{words}, not among those that you asked for" if session.within else words


def missing_words(project: ProjectFolder, change: ItemChange) -> str:
    """Return what to do about rows that left refs.csv or have another order; "" for nothing."""
    again = f"q, then annotator run {shell_quoted(project.folder)}"
    if change.gone:
        return (
            f"refs.csv lists {plural(change.gone, 'item')} no more. This session keeps "
            f"them, and all labels stay. To follow the file: {again}"
        )
    if change.moved:
        return (
            "refs.csv has another order. This session keeps the order before, and no label is "
            f"touched. To follow the file: {again}"
        )
    return ""


def with_classes(settings: Settings, now: Sequence[ClassInfo], refines: str | None) -> Settings:
    """Return the settings of a running screen with other classes, those before in their order.

    With `refines` they are the classes below that one; if it is gone, those before stay.
    """
    kept = keep_order(settings.classes, now)
    if refines is None:
        return replace(settings, classes=kept)
    below = replace(settings, classes=tuple(now))
    return replace(settings, classes=keep_order(settings.classes, below.below(refines).classes))


def take_classes(
    session: LabelSession, settings: Settings, change: SettingsChange
) -> tuple[Settings, Keymap]:
    """Let a session use other classes; return the settings and the keys of its screen.

    Raises `ProjectError`, and changes nothing, if the keys of the classes are in conflict.
    """
    refines = session.mode.refines
    shown = with_classes(settings, change.classes, refines)
    if not shown.classes:
        raise ProjectError(f"no class is left below {refines}")
    keymap = make_keymap(shown.keymap, shown.classes, shown.keys, shown.digits)
    infos = keep_order([ClassInfo(name) for name in session.learner.classes], change.classes)
    tree = ClassTree.of(infos)
    if [*tree.parents.items()] != [*session.learner.tree.parents.items()]:
        session.use_classes(tree)
    return shown, keymap


def class_words(before: Settings, now: Settings, keymap: Keymap, at_once: bool) -> str:
    """Return what the header says of classes that came; "" if none did.

    Unless `at_once`, the keys change with the next picture.
    """
    new = [info.name for info in now.classes if info.name not in before.names]
    keys = [keymap.classes.get(name, "") for name in new]
    if not new:
        return ""
    if len(new) == 1:
        key = f": key {keys[0]}" + ("" if at_once else " from the next picture on")
        return f"new class {_list_names(new)}" + (key if keys[0] else "")
    return f"+{len(new):,} classes: {_list_names(new)}"


def unread_names_words(project: ProjectFolder, failure: str) -> str:
    """Return that the names of the classes are not read, and why, with the command to try again."""
    command = f"annotator words {shell_quoted(project.folder)}"
    return f"the names of the classes are not read: {failure}. Try again: {command}"


def gone_words(before: Settings, now: Settings, session: LabelSession) -> str:
    """Return what to do about classes that left annotator.toml; "" if none did."""
    gone = [name for name in before.names if name not in now.names]
    counts = session.progress.classes
    count = sum(counts.get(name, 0) for name in gone)
    words = f"no longer {'classes' if gone[1:] else 'a class'}: {_list_names(gone)}"
    if not count:
        return words if gone else ""
    return (
        f"{words}. {plural(count, 'label')} keep that name and teach the model nothing. Write the "
        "name into annotator.toml again, or find these items with / and label them anew"
    )


def later_words(project: ProjectFolder, change: SettingsChange) -> str:
    """Return which settings hold from the next start on; "" for none."""
    if not change.later:
        return ""
    verb = "hold" if change.later[1:] else "holds"
    start = f"q, then annotator run {shell_quoted(project.folder)}"
    return f"annotator.toml: {', '.join(change.later)} {verb} from the next start on: {start}"


def _list_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    return make_printable(", ".join(names[:_MOST_NAMES])) + more


def fault_words(file: Path, error: AnnotatorError) -> str:
    """Return the first fault of a changed file, and the number of others, in one line."""
    text = str(error).replace(make_printable(str(file)), file.name)
    first, *lines = [line.strip() for line in text.splitlines() if line.strip()]
    if first.endswith(":") and lines:
        first, *lines = lines
        first = first if first.startswith(file.name) else f"{file.name}: {first}"
        first += f" (and {len(lines)} more)" if lines else ""
    return f"{first.removesuffix('.')}. Until that is fixed, all stays as it was."
