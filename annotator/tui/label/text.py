"""What the session says, in the words of the screen. No widget, no state."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from enum import Enum, auto

from annotator.items.refs import Item, make_printable
from annotator.log.entries import DECISIONS, Entry
from annotator.project.project import ProjectFolder
from annotator.session.progress import Progress
from annotator.session.session import LabelSession
from annotator.tui.keymaps import COMMANDS, Keymap
from annotator.tui.label.class_list import ClassRow
from annotator.tui.widgets.bars import KeyHint

Paragraphs = list[tuple[str, str]]
LEAST = (60, 20)
"""Columns and rows below which the screen asks for a larger window."""
WIDE = 110
"""Columns from which on there is more room beside the picture."""


class LabelPhase(Enum):
    """What the labelling screen is at."""

    LISTING = auto()
    """No item yet, and the listing goes on."""
    ASKING = auto()
    WAITING = auto()
    """All that is open is on the screens of others."""
    FINISHED = auto()
    AUDITING = auto()
    """Asking what an audit drew."""
    AUDITED = auto()
    EMPTY = auto()
    """The pool has no item."""


LIVE = {
    LabelPhase.ASKING: {
        "label", "skip", "undo", "flag", "note", "hide", "zoom", "classes", "meaning", "pages",
        "similar", "rapid", "search", "group", "strategy", "curves", "help", "palette", "quit",
    },
    LabelPhase.AUDITING: {
        "label", "skip", "undo", "flag", "note", "zoom", "classes", "meaning", "help",
        "palette", "quit",
    },
    LabelPhase.AUDITED: {"undo", "again", "help", "palette", "quit"},
    LabelPhase.FINISHED: {"undo", "again", "search", "curves", "help", "palette", "quit"},
    LabelPhase.WAITING: {"undo", "again", "search", "curves", "help", "palette", "quit"},
    LabelPhase.LISTING: {"help", "palette", "quit"},
    LabelPhase.EMPTY: {"help", "palette", "quit"},
}  # fmt: skip
"""The commands that do something in each state."""
SAME_KEY = {"rapid": "again", "again": "rapid"}
"""They share the letter R, small and capital: only one of them is live at a time."""


def phase_of(session: LabelSession, listed: bool) -> LabelPhase:
    """What to show, from what is there to ask."""
    audits = session.blind
    if session.current is not None:
        return LabelPhase.AUDITING if audits else LabelPhase.ASKING
    progress = session.progress
    if not listed:
        return LabelPhase.LISTING
    if not progress.items:
        return LabelPhase.EMPTY
    if progress.remaining:
        return LabelPhase.WAITING
    return LabelPhase.AUDITED if audits else LabelPhase.FINISHED


def class_rows(
    session: LabelSession, keymap: Keymap, hidden: bool, chosen: Collection[str] = ()
) -> list[ClassRow]:
    """The classes of the project, and those that the log alone knows if they have labels.

    Those with a key keep their places; the others come after them, the likeliest first, and of
    equally likely ones those with more labels.
    """
    counts = session.progress.classes
    shares = (None if hidden else session.prediction) or {}
    likeliest = max(shares, key=shares.__getitem__) if shares else None
    rows = [
        ClassRow(
            name,
            keymap.classes.get(name, ""),
            count,
            shares.get(name),
            name == likeliest,
            (name in chosen) if session.multi else None,
        )
        for name, count in counts.items()
    ]
    return sorted(
        rows, key=lambda row: (0, 0, 0) if row.key else (1, -(row.share or 0), -row.count)
    )


def audit_words(session: LabelSession) -> tuple[str, ...]:
    """What holds in an audit; nothing outside of one."""
    if session.second:
        return ("Second opinions: asked blind, compared with the first, never the label itself.",)
    if session.audit is None:
        return ()
    return ("Audit: drawn at random, labelled without the prediction. A skip counts as wrong.",)


def badge_text(session: LabelSession, together: bool) -> str:
    """What must not be overlooked as long as it holds; `together`: an answer is for a group."""
    if session.blind:
        return "AUDIT" if session.audit is not None else "SECOND OPINION"
    find = session.strategy.find
    words = [f"hunting {make_printable(find)}"] if find else []
    return " · ".join([*words, "whole groups"] if together else words)


def live_commands(state: LabelPhase, session: LabelSession) -> set[str]:
    """The commands that do something now."""
    asks = state in (LabelPhase.ASKING, LabelPhase.AUDITING)
    able = LIVE[state] | ({"confirm"} if session.multi and asks else set())
    return able if "again" not in able or session.progress.skipped else able - {"again"}


def label_hints(state: LabelPhase, keymap: Keymap, session: LabelSession) -> list[KeyHint]:
    """The live keys, most needed first."""
    classes, able = session.classes, live_commands(state, session)
    found = []
    if state in (LabelPhase.ASKING, LabelPhase.AUDITING) and len(classes) <= 3:
        found = [
            KeyHint(keymap.classes[name], _short(name), ("label", name), place)
            for place, name in enumerate(classes)
            if keymap.classes[name]
        ]
    commands = [
        KeyHint(keymap.keys(command.name)[0], command.title, (command.name, ""), place)
        for place, command in enumerate(COMMANDS, len(found))
        if command.name in able and keymap.keys(command.name)
    ]
    # Of more than nine classes most have no key: how to find them comes first.
    first = _FIRST if len(classes) <= 9 else ("classes", *_FIRST)
    order = {name: rank for rank, name in enumerate(first)}
    commands.sort(key=lambda hint: order.get(hint.action[0], len(order)))
    return found + commands


CLOSE = KeyHint("esc", "close", ("", ""), 0)
"""All that the footer says while a dialog is open."""

_FIRST = ("confirm", "skip", "undo", "again", "help", "quit", "flag", "hide", "strategy")
"""What stays in the footer of a narrow window."""


def _short(name: str) -> str:
    text = make_printable(name)
    return text if len(text) <= 12 else text[:11] + "…"


def answered_elsewhere(entries: Sequence[Entry], current: Item | None) -> str:
    """What somebody else just said of the picture on screen; "" for nothing."""
    for entry in entries:
        if current and entry.ref == current.ref and entry.action in DECISIONS:
            answer = make_printable(entry.label or "skipped")
            return f"{make_printable(entry.annotator)} answered this one: {answer}"
    return ""


def item_caption(session: LabelSession, item: Item, hidden: bool = False) -> tuple[str, str, str]:
    """File, box and marks of an item."""
    return item.path, box_text(item), item_marks(session, item, hidden)


def box_text(item: Item) -> str:
    """`x 12  y 40  64 × 48`, or nothing for a whole image."""
    if item.box is None:
        return ""
    x, y, w, h = item.box
    return f"x {x:g}  y {y:g}  {w:g} × {h:g}"


def item_marks(session: LabelSession, item: Item, hidden: bool = False) -> str:
    """What is proposed, its score unless that is `hidden`; flag and notes of an item."""
    before = session.learner.before
    proposed = make_printable(before.words(item.ref, hidden)) if before else ""
    flagged = [f"proposed: {proposed}"] if proposed else []
    flagged += ["⚑ flagged"] if session.is_flagged(item.ref) else []
    notes = session.notes(item.ref)
    if notes:
        more = f" (+{len(notes) - 1})" if len(notes) > 1 else ""
        flagged.append(f"✎ {make_printable(notes[-1])}{more}")
    return "  ".join(flagged)


def is_too_small(size: tuple[int, int]) -> bool:
    """Whether a window has too few columns or rows to label in."""
    return size[0] < LEAST[0] or size[1] < LEAST[1]


def too_small_notice(size: tuple[int, int]) -> tuple[str, Paragraphs]:
    """What such a window shows."""
    now, enough = (f"{columns} × {rows}" for columns, rows in (size, LEAST))
    words = f"It has {now} characters; labelling needs {enough}."
    return "This window is too small", [
        (words, "text"),
        ("Make it larger, or the font smaller.", "dim"),
    ]


def phase_notice(
    state: LabelPhase, project: ProjectFolder, progress: Progress, keymap: Keymap
) -> tuple[str, Paragraphs]:
    """Heading and paragraphs for every state but asking."""
    if state is LabelPhase.LISTING:
        return "Listing the images …", []
    if state is LabelPhase.EMPTY:
        return _empty(project)
    if state is LabelPhase.WAITING:
        return _waiting(progress)
    if state is LabelPhase.AUDITED:
        return _audited(progress, keymap)
    return _finished(project, progress, keymap)


def _empty(project: ProjectFolder) -> tuple[str, Paragraphs]:
    if project.refs_file.exists():
        place = str(project.refs_file)
        return "There is nothing to label", [
            (f"{make_printable(place)} names no item.", "text"),
            ("If the images came later, remove it and open the project again.", "dim"),
        ]
    return "There is nothing to label", [
        (f"No image is in {make_printable(str(project.images.resolve()))} or below it.", "text"),
        ("Images are .jpg .jpeg .png .webp .bmp .tif .tiff .gif", "dim"),
    ]


def _waiting(progress: Progress) -> tuple[str, Paragraphs]:
    count = progress.remaining
    items = "The last open item is" if count == 1 else f"The last {count:,} open items are"
    return "Waiting", [
        (f"{items} with others: on their screens, or leased to a script.", "text"),
        ("What they leave comes to you by itself.", "dim"),
    ]


def _audited(progress: Progress, keymap: Keymap) -> tuple[str, Paragraphs]:
    counts = f"{progress.labelled:,} labelled"
    if progress.skipped:
        counts += f", {progress.skipped:,} skipped: each of them counts as wrong"
    lines = [(counts + ".", "text")]
    again = keymap.keys("again")
    if progress.skipped and again:
        lines.append((f"{again[0]} asks the skipped ones once more.", "text"))
    end = next(iter(keymap.keys("quit")), "^C")
    lines.append(
        (f"{end}: the verdict comes next, or a few more items if it takes them.", "strong")
    )
    return "The audit is done", lines


def _finished(project: ProjectFolder, progress: Progress, keymap: Keymap) -> tuple[str, Paragraphs]:
    heading = "All labelled" if not progress.skipped else "All answered"
    counts = f"{progress.labelled:,} labelled"
    if progress.skipped:
        counts += f", {progress.skipped:,} skipped"
    if progress.flagged:
        counts += f", {progress.flagged:,} flagged"
    lines = [(counts + ".", "text")]
    again = keymap.keys("again")
    if progress.skipped and again:
        lines.append((f"{again[0]} asks the skipped ones once more.", "text"))
    folder = shlex.quote(make_printable(str(project.folder)))
    lines.append(("Take the labels out, or see how they stand:", "dim"))
    lines.append((f"annotator export {folder} labels.csv", "code"))
    lines.append((f"annotator status {folder}", "code"))
    return heading, lines
