"""The texts of the labelling screen: functions of a session, without widgets or state."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING

from annotator.items.refs import Item, make_printable, plural
from annotator.log.entries import DECISIONS, Entry
from annotator.project.class_tree import ClassTree
from annotator.project.label_sets import split_label
from annotator.tui.label.class_list import ClassRow
from annotator.tui.styled_text import clip_end

if TYPE_CHECKING:
    from annotator.learn.label_conflicts import Contradiction
    from annotator.project.project import ProjectFolder
    from annotator.session.learner import StrategyChoice
    from annotator.session.progress import Progress
    from annotator.session.session import LabelSession
    from annotator.terminal.caps import TerminalCapabilities
    from annotator.tui.keymaps import Keymap

Paragraphs = list[tuple[str, str]]
LEAST = (60, 20)
"""Columns and rows below which the screen asks for a larger window."""
WIDE = 110
"""Columns from which there is more room beside the picture."""


ROOMY = (100, 36)
"""Columns and rows from which there is room for the filmstrip."""


class LabelPhase(Enum):
    """The phases of the labelling screen."""

    LISTING = auto()
    """The listing continues, without an item so far."""
    LEARNING = auto()
    """A model of the labels so far is about to pick the first item."""
    ASKING = auto()
    """An item is asked."""
    WAITING = auto()
    """All open items are on the screens of other annotators."""
    FINISHED = auto()
    """Every item has an answer."""
    AUDITING = auto()
    """An item of an audit is asked."""
    AUDITED = auto()
    """Every item of the audit has an answer."""
    LOST = auto()
    """The audit is given up."""
    EMPTY = auto()
    """The pool has no item."""


def phase_of(session: LabelSession, listed: bool) -> LabelPhase:
    """Return the phase of a session; `listed` is true once the whole pool is known."""
    audits = session.blind
    if session.current is not None:
        return LabelPhase.AUDITING if audits else LabelPhase.ASKING
    progress = session.progress
    if not listed:
        return LabelPhase.LISTING
    if session.lost:
        meter = session.mode.meter if session.mode.sample is None else None
        return LabelPhase.AUDITED if meter and meter(session.state).share >= 1 else LabelPhase.LOST
    if session.queue.paused:
        return LabelPhase.LEARNING
    if not progress.items:
        return LabelPhase.EMPTY
    if progress.remaining:
        return LabelPhase.WAITING
    return LabelPhase.AUDITED if audits else LabelPhase.FINISHED


def class_rows(
    session: LabelSession,
    keymap: Keymap,
    shares: Mapping[str, float] | None,
    chosen: Collection[str] | None,
) -> list[ClassRow]:
    """Return the rows of the project's classes, and of older classes that have labels.

    `shares` are their probabilities, `chosen` those of them that are ticked; None shows none.
    Digits that follow the picture come first. Other classes with a key keep their places. The
    others follow, the ticked ones first, then the most probable; labels break ties. In a hierarchy
    the others are indented below their parents, and an inner class counts all below it.
    """
    counts, tree = session.progress.classes, shown_tree(session)
    if session.mode.refines is not None:
        counts = session.class_counts
    shares = shares or {}
    likeliest = session.learner.predicted_classes(shares)
    ranks: dict[str, int] = {}
    if not tree.is_flat:
        counts, shares = tree.counts(counts), tree.sum_up(shares) if shares else {}
        ranks = {name: rank for rank, name in enumerate(tree.order)}
    rows = [
        ClassRow(
            name,
            keymap.classes.get(name, ""),
            count,
            shares.get(name),
            name in likeliest,
            None if chosen is None else name in chosen,
            *_place(name, tree, keymap.likeliest),
        )
        for name, count in counts.items()
    ]
    places = {name: place for place, name in enumerate(keymap.likeliest, -len(keymap.likeliest))}

    def rank(row: ClassRow) -> tuple[float, float, int]:
        if not tree.is_flat:
            return places.get(row.name, 0), ranks.get(row.name, len(ranks)), 0
        if row.key:
            return places.get(row.name, 0), 0, 0
        return 1, -2.0 if row.chosen else -(row.share or 0), -row.count

    return sorted(rows, key=rank)


def _place(name: str, tree: ClassTree, digits: Collection[str]) -> tuple[int, str]:
    """Return the depth of a class in the list, and its path if its parent stands elsewhere."""
    parent = tree.parents.get(name)
    if parent is None or name in digits or parent in digits:
        return 0, tree.path(name) if parent is not None else ""
    return _place(parent, tree, digits)[0] + 1, ""


def shown_tree(session: LabelSession) -> ClassTree:
    """Return the classes that an answer may give, as a tree."""
    parents, classes = session.learner.tree.parents, set(session.classes)
    return ClassTree({
        name: up if (up := parents.get(name)) in classes else None for name in session.classes
    })  # fmt: skip


def audit_words(session: LabelSession) -> tuple[str, ...]:
    """Return the notice of an audit or of second opinions; nothing in other sessions."""
    if session.second:
        return ("Second opinions: asked blind, compared with the first label, never replacing it.",)
    if session.audit is None:
        return ()
    if session.mode.sample is not None:
        return session.mode.sample.lines(session.state)
    asked = "likely items of a class, then random ones" if session.mode.first else "random items"
    rule = f"Audit: {asked}, labelled without the prediction. A skip counts as wrong."
    return (rule, session.mode.notice) if session.mode.notice else (rule,)


def team_words(session: LabelSession) -> tuple[str, ...]:
    """Return what holds up the way to the team's log; nothing if all is sent."""
    state = session.store.sync_state()
    if state is None:
        return ()
    to_send = f"{state.waiting:,} to send"
    if state.away_since is not None:
        seconds = max(0, int(session.clock() - state.away_since))
        minutes, hours = seconds // 60 % 60, seconds // 3600
        since = f"{hours}:{minutes:02}" if hours else f"{minutes}"
        return (f"offline {since}:{seconds % 60:02}, {to_send}",)
    if state.problem:
        return (f"The team's log refuses you, {to_send}: `annotator sync` says why",)
    if state.refused:
        return (f"{state.refused:,} of your answers not taken: `annotator sync` says why",)
    return ()


def badge_text(session: LabelSession, answers_group: bool) -> str:
    """Return the mode that must not be overlooked; "" for plain labelling.

    `answers_group` is true while an answer holds for all near-duplicates.
    """
    if session.mode.sample is not None:
        return "CHECK"
    if session.blind:
        return "AUDIT" if session.audit is not None else "SECOND OPINION"
    find = session.strategy.find
    words = [f"hunting {make_printable(find)}"] if find else []
    if session.mode.refines is not None:
        words.append(f"refining {make_printable(session.within)}")
    elif session.within:
        words.append(f"within {clip_end(session.within, 40)}")
    return " · ".join([*words, "whole groups"] if answers_group else words)


def answered_elsewhere(entries: Sequence[Entry], current: Item | None) -> str:
    """Return the answer that another annotator just gave to the item on screen; "" for none."""
    for entry in entries:
        if current and entry.ref == current.ref and entry.action in DECISIONS:
            answer = make_printable(entry.label or "skipped")
            return f"{make_printable(entry.annotator)} answered this one: {answer}"
    return ""


def contradiction_text(session: LabelSession, found: Sequence[Contradiction]) -> str:
    """Return a hint at the last label of this annotator that its neighbours contradict.

    Returns "" if the label was not given by this annotator, or has changed since.
    """
    features, ranking = session.learner.features, session.ranking
    if features is None or ranking is None or session.blind or not found:
        return ""
    last = found[-1]
    ref = features.store.refs[last.row]
    if last.has is not None:
        return _tag_contradiction(session, ref, last)
    decision, label = session.state.decision(ref), ranking.classes[last.label]
    if decision is None or decision.annotator != session.annotator or decision.label != label:
        return ""
    name, other = Item.parse(ref).path.rpartition("/")[2], ranking.classes[last.other]
    words, other = f"{make_printable(name)}: {make_printable(label)}", make_printable(other)
    if last.votes == last.against:
        return f"{words}, but {last.votes} of its 5 nearest are {other}"
    return f"{words}, but {last.against} of its 5 nearest are not; {last.votes} are {other}"


def _tag_contradiction(session: LabelSession, ref: str, found: Contradiction) -> str:
    """Return the hint at one class of several that an item has or lacks."""
    decision, name = session.state.decision(ref), session.classes[found.other]
    if decision is None or decision.annotator != session.annotator or not decision.label:
        return ""
    if (name in split_label(decision.label)) != found.has:
        return ""
    path, shown = Item.parse(ref).path.rpartition("/")[2], make_printable(name)
    given, others = ("is", "are not") if found.has else ("is not", "are")
    return f"{make_printable(path)} {given} {shown}, but {found.votes} of its 5 nearest {others}"


def item_caption(session: LabelSession, item: Item, hidden: bool = False) -> tuple[str, str, str]:
    """Return the file, the box and the marks of an item."""
    return item.path, box_text(item), item_marks(session, item, hidden)


def box_text(item: Item) -> str:
    """Return `x 12  y 40  64 × 48`; "" for a whole image."""
    if item.box is None:
        return ""
    x, y, w, h = item.box
    return f"x {x:g}  y {y:g}  {w:g} × {h:g}"


def item_marks(session: LabelSession, item: Item, hidden: bool = False) -> str:
    """Return the proposal, the flag and the notes of an item.

    `hidden` leaves the score of the proposal out.
    """
    before = session.learner.prior
    proposed = make_printable(before.describe(item.ref, hidden)) if before else ""
    flagged = [f"proposed: {proposed}"] if proposed else []
    if not hidden and is_by_name(session, item):
        flagged.append("predicted from the name alone")
    flagged += ["⚑ flagged"] if session.is_flagged(item.ref) else []
    notes = session.notes(item.ref)
    if notes:
        more = f" (+{len(notes) - 1})" if len(notes) > 1 else ""
        flagged.append(f"✎ {make_printable(notes[-1])}{more}")
    return "  ".join(flagged)


def is_by_name(session: LabelSession, item: Item) -> bool:
    """Return whether only the name of a class speaks for the prediction of the asked item."""
    if session.blind or session.current != item:
        return False
    return session.learner.is_by_name(session.prediction, session.class_counts)


def is_too_small(size: tuple[int, int]) -> bool:
    """Return whether a window has too few columns or rows for labelling."""
    return size[0] < LEAST[0] or size[1] < LEAST[1]


def is_roomy(size: tuple[int, int]) -> bool:
    """Return whether a window has room for the filmstrip."""
    return size[0] >= ROOMY[0] and size[1] >= ROOMY[1]


def too_small_notice(size: tuple[int, int]) -> tuple[str, Paragraphs]:
    """Return the heading and the paragraphs of a window that is too small."""
    now, enough = (f"{columns} × {rows}" for columns, rows in (size, LEAST))
    words = f"It has {now} characters; labelling needs {enough}."
    return "This window is too small", [
        (words, "text"),
        ("Make it larger, or the font smaller.", "dim"),
    ]


def phase_notice(
    phase: LabelPhase,
    project: ProjectFolder,
    progress: Progress,
    keymap: Keymap,
    within: str = "",
    refines: str | None = None,
) -> tuple[str, Paragraphs]:
    """Return the heading and the paragraphs of every phase in which nothing is asked.

    `within` is the query whose items alone are asked; "" for all items. `refines` is the class
    whose items get a finer label.
    """
    if phase is LabelPhase.LISTING:
        return "Listing the images …", []
    if phase is LabelPhase.LEARNING:
        return "Learning from the labels so far …", []
    if phase is LabelPhase.EMPTY:
        return _empty(project)
    if phase is LabelPhase.WAITING:
        return _waiting(progress)
    if phase is LabelPhase.AUDITED:
        return _audited(progress, keymap)
    if phase is LabelPhase.LOST:
        return _lost(progress, keymap)
    if refines is not None:
        return _finished_refining(refines, project, progress, keymap)
    if within:
        return _finished_within(within, keymap)
    return _finished(project, progress, keymap)


def _finished_refining(
    name: str, project: ProjectFolder, progress: Progress, keymap: Keymap
) -> tuple[str, Paragraphs]:
    name, kept = make_printable(name), plural(progress.skipped, "item stays", "items stay")
    lines = [(f"No item is left that is labelled {name} and may get a finer label.", "text")]
    if progress.skipped:
        again = next(iter(keymap.keys("again")), "")
        lines.append((f"{kept} {name}." + (f" {again} asks again." if again else ""), "strong"))
    folder = shlex.quote(make_printable(str(project.folder)))
    lines.append(("The other classes that can be refined:", "dim"))
    lines.append((f"annotator status {folder}", "code"))
    return "All refined", lines


def _finished_within(within: str, keymap: Keymap) -> tuple[str, Paragraphs]:
    lines = [(f"Every item that matches {within} has an answer.", "text")]
    if keys := keymap.keys("strategy"):
        lines.append((f"{keys[0]} asks the other items, or those of another query.", "strong"))
    return "This part is done", lines


def _empty(project: ProjectFolder) -> tuple[str, Paragraphs]:
    if project.refs_file.exists():
        place = str(project.refs_file)
        return "There is nothing to label", [
            (f"{make_printable(place)} lists no items.", "text"),
            ("If you added the images later, delete this file and open the project again.", "dim"),
        ]
    return "There is nothing to label", [
        (
            f"There is no image in {make_printable(str(project.images.resolve()))} or below it.",
            "text",
        ),
        ("Image files end with .jpg .jpeg .png .webp .bmp .tif .tiff or .gif.", "dim"),
    ]


def _waiting(progress: Progress) -> tuple[str, Paragraphs]:
    count = progress.remaining
    items = "The last open item is" if count == 1 else f"The last {count:,} open items are"
    return "Waiting", [
        (f"{items} leased: to another screen, or to a script of others or your own.", "text"),
        ("You get each item that is not answered when its lease ends.", "dim"),
    ]


def _audited(progress: Progress, keymap: Keymap) -> tuple[str, Paragraphs]:
    counts = f"{progress.labelled:,} labelled"
    if progress.skipped:
        counts += f", {progress.skipped:,} skipped: each skip counts as wrong"
    lines = [(counts + ".", "text")]
    again = keymap.keys("again")
    if progress.skipped and again:
        lines.append((f"{again[0]} asks the skipped items again.", "text"))
    end = next(iter(keymap.keys("quit")), "^C")
    lines.append(
        (f"{end} shows the result, or asks a few more items if the result needs them.", "strong")
    )
    return "The audit is done", lines


def _lost(progress: Progress, keymap: Keymap) -> tuple[str, Paragraphs]:
    end, undo = (next(iter(keymap.keys(name)), "^C") for name in ("quit", "undo"))
    return "The audit is given up", [
        ("Too many predictions were wrong: it would hardly succeed any more.", "text"),
        (f"{progress.labelled:,} labelled. All labels are kept, and the model learns.", "text"),
        (f"{end} shows the result. {undo} takes the last answer back.", "strong"),
    ]


def check_notice(
    session: LabelSession, phase: LabelPhase, keymap: Keymap
) -> tuple[str, Paragraphs] | None:
    """Return the heading and the paragraphs at the end of a check; None before, and in others."""
    sample = session.mode.sample
    if sample is None or phase not in (LabelPhase.AUDITED, LabelPhase.LOST):
        return None
    end, undo = (next(iter(keymap.keys(name)), "^C") for name in ("quit", "undo"))
    shown = [(line, "text") for line in sample.lines(session.state)[:-1]]
    if phase is LabelPhase.LOST:
        words = f"{end} shows the result. {undo} takes the last answer back."
        return "The check has shown it", [*shown, (words, "strong")]
    return "All of these are checked", [
        *shown,
        (f"{end} shows the result, or asks more.", "strong"),
    ]


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
        lines.append((f"{again[0]} asks the skipped items again.", "text"))
    folder = shlex.quote(make_printable(str(project.folder)))
    lines.append(("Export the labels, or show their state:", "dim"))
    lines.append((f"annotator export {folder} labels.csv", "code"))
    lines.append((f"annotator status {folder}", "code"))
    return heading, lines


def strategy_title(choice: StrategyChoice) -> str:
    """Return a short name of a choice."""
    if choice.find is None:
        return choice.name
    if choice.name == "max-probability":
        return f"likeliest {make_printable(choice.find)}"
    return f"hunt {make_printable(choice.find)}"


def rapid_refusal(caps: TerminalCapabilities, session: LabelSession) -> str:
    """Return why there is no rapid mode here; "" if there is."""
    if not (caps.technique.stores and caps.answers):
        return "Rapid mode needs kitty or Ghostty: this terminal cannot hold pictures ahead"
    if session.multi or len(session.classes) < 2:
        return "Rapid mode needs two classes or more, and one class for each item"
    return ""
