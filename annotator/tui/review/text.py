"""The texts of the review screen, and its panel."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size

from annotator.curate.review import Review
from annotator.curate.review_boxes import BOX_QUEUES
from annotator.curate.review_case import ORDERS, QUEUES, ReviewCase
from annotator.items.refs import Item, make_printable, plural
from annotator.log.entries import Action, find_confirmations
from annotator.project.label_sets import class_probabilities
from annotator.tui.keymaps import Keymap
from annotator.tui.label.class_list import ClassRow
from annotator.tui.label.text import Paragraphs, box_text
from annotator.tui.styled_text import Line, clip_end, clip_start, justify_line, wrap_text
from annotator.tui.widgets.lines import Lines

AHEAD = 3
"""Cases whose pictures are prepared ahead."""
_MOST_RELATED, _LEAST_RELATED = 8, 1
"""Items to compare that the panel names at once; the least, in a low window."""


def review_class_rows(
    case: ReviewCase | None, review: Review, keymap: Keymap, hidden: bool, chosen: Collection[str]
) -> list[ClassRow]:
    """Return the rows of the classes: keys, numbers of labels, and probabilities for the case.

    In a multi-label project, `chosen` are the classes of the item, or those chosen for it.
    """
    session = review.session
    shares: Mapping[str, float] = {} if hidden or case is None else case.proba or {}
    if session.multi and shares:
        shares = class_probabilities(shares, session.classes)
    likeliest = max(shares, key=shares.__getitem__) if shares else None
    counts = session.progress.classes
    rows = [
        ClassRow(
            name, keymap.classes.get(name, ""), counts[name], shares.get(name), name == likeliest,
            (name in chosen) if session.multi else None,
        )
        for name in session.classes
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (not row.key, 0 if row.key else -(row.share or 0)))


def review_panel_lines(
    case: ReviewCase | None, review: Review, cells: int, height: int, shown: int
) -> list[Line]:
    """Return the label, the doubt, the items to compare, and the queues.

    In a low panel, the queues become one line, and some of the items and of a long doubt are left
    out. `shown` is the place of the compared item on screen, or -1.
    """
    queues = _queues(review, cells)
    if case is None:
        return queues
    about = [*_label(case, cells), *_confirmed(case, review, cells), []]
    reason = _reason(case, cells)
    related = related_items(case, review)
    compared = _related(case, related, cells, height, shown) if related else []
    lines = [*about, *reason, *([[], *compared] if related else []), [], *queues]
    if len(lines) <= height:
        return lines
    least = _LEAST_RELATED + 2 if related else 0
    reason = _shorten(reason, height - len(about) - least - 1, cells)
    rows = height - len(about) - len(reason) - 3
    compared = [[], *_related(case, related, cells, rows, shown)] if related else []
    lines = [*about, *reason, *compared]
    return [*lines, *([[]] if len(lines) + 1 < height else []), _queue_line(review, cells)]


def _shorten(lines: list[Line], rows: int, cells: int) -> list[Line]:
    """Return the first `rows` lines, one at least; "…" stands for the others."""
    kept = lines[: max(1, rows)]
    if len(kept) < len(lines):
        text, role = kept[-1][-1]
        kept[-1] = [(set_cell_size(text, min(cell_len(text), cells - 2)) + "…", role)]
    return kept


def related_items(case: ReviewCase, review: Review) -> list[tuple[str, str, float | None]]:
    """Return the (ref, label, cosine) of a case's near-duplicates, or else of its neighbours."""
    if case.group:
        label = review.session.state.label
        return [(ref, str(label(ref)), None) for ref in case.group[1:]]
    return [(near.ref, near.label, near.similarity) for near in case.neighbours]


def items_ahead(case: ReviewCase, review: Review) -> list[Item]:
    """Return what the next key may show: the next cases, the items to compare, the case itself."""
    related = [ref for ref, _, _ in related_items(case, review)[:2]]
    coming = [next_case.ref for next_case in review.upcoming(AHEAD)]
    return [Item.parse(ref) for ref in [*coming[:1], *related, *coming[1:], case.ref]]


def _label(case: ReviewCase, cells: int) -> list[Line]:
    if case.label is None:
        return [[(" no label", "strong"), (_by(case.by, cells - 9), "dim")]]
    label = clip_end(case.label, cells - 8)
    return [[(" label ", "dim"), (label, "strong"), (_by(case.by, cells - 7 - len(label)), "dim")]]


def _confirmed(case: ReviewCase, review: Review, cells: int) -> list[Line]:
    """Return who confirmed the label in an earlier review."""
    rows = find_confirmations(review.session.state.standing.get(case.ref, ()))
    names = dict.fromkeys(entry.annotator for entry in rows if entry.action is Action.LABEL)
    return [[(clip_end(f" confirmed by {', '.join(names)}", cells), "dim")]] if names else []


def _by(name: str, cells: int) -> str:
    return clip_end(f" by {name}", cells) if name and cells > 6 else ""


def _reason(case: ReviewCase, cells: int) -> list[Line]:
    return [[(f" {line}", "text")] for line in wrap_text(make_printable(case.reason), cells - 2)]


def _related(
    case: ReviewCase,
    related: Sequence[tuple[str, str, float | None]],
    cells: int,
    rows: int,
    shown: int,
) -> list[Line]:
    """Return a title, and as many items as `rows` has room for, the one on screen among them."""
    title = "near-duplicates" if case.group else "nearest labelled"
    title = "the detector's box" if case.queue in BOX_QUEUES else title
    lines: list[Line] = [justify_line([(f" {title}", "title")], [("[ ] look ", "dim")], cells)]
    most = max(_LEAST_RELATED, min(_MOST_RELATED, rows))
    first = max(0, shown + 1 - most)
    for place, (ref, label, cosine) in list(enumerate(related))[first : first + most]:
        right: Line = [(f"{cosine:.2f} ", "dim")] if cosine is not None else []
        mark = "▸" if place == shown else " "
        role = "warn" if label != case.label else "text"
        name = clip_end(label, cells // 2)
        path = clip_start(Item.parse(ref).path, cells - len(name) - 9)
        lines.append(justify_line([(f"{mark}{name} ", role), (path, "dim")], right, cells))
    if len(related) > _MOST_RELATED and most == _MOST_RELATED:
        lines.append([(f"  and {len(related) - _MOST_RELATED} more", "dim")])
    return lines


def _queues(review: Review, cells: int) -> list[Line]:
    lines: list[Line] = [justify_line([(" queues", "title")], [("tab next ", "dim")], cells)]
    for name, count in review.queues.items():
        if not count and name != review.queue:
            continue
        mark, role = ("▸", "strong") if name == review.queue else (" ", "text")
        title = _queue_title(review, name)
        lines.append(justify_line([(f"{mark}{title}", role)], [(f"{count:,} ", role)], cells))
    return lines


def _queue_line(review: Review, cells: int) -> Line:
    """Return the queue on screen, and how many others have cases."""
    queues = review.queues
    others = sum(count > 0 for name, count in queues.items() if name != review.queue)
    title = f"▸{_queue_title(review, review.queue)} {queues.get(review.queue, 0):,}"
    more = f"tab {plural(others, 'more queue')} " if others else ""
    return justify_line([(title, "strong")], [(more, "dim")], cells)


def _queue_title(review: Review, name: str) -> str:
    if name == review.queue and review.order != next(iter(ORDERS)) and review.has_orders:
        return f"{name}, {review.order} first"
    return name


def review_caption(case: ReviewCase, review: Review, shown: int) -> tuple[str, str, str]:
    """Return the file, the box and the marks of the case, or of the item compared with it."""
    if shown >= 0:
        ref, label, _ = related_items(case, review)[shown]
        if case.queue in BOX_QUEUES:
            about = f"the detector's box: {make_printable(label)}"
            takes = "enter takes it · " if review.can_take_other_box(case) else ""
            return Item.parse(ref).path, about, f"{takes}[ back"
        return (
            Item.parse(ref).path,
            f"to compare: labelled {make_printable(label)}",
            "] next · [ back",
        )
    session = review.session
    marks = ["⚑ flagged"] if session.is_flagged(case.ref) else []
    marks += [f"✎ {make_printable(note)}" for note in session.notes(case.ref)[-1:]]
    if case.group:
        marks.insert(0, f"an answer holds for all {len(case.group)} near-duplicates")
    item = Item.parse(case.ref)
    return item.path, box_text(item), "  ".join(marks)


def review_notice(review: Review) -> tuple[str, Paragraphs]:
    """Return the heading and the paragraphs of a queue without cases."""
    left = {name: count for name, count in review.queues.items() if count}
    if not left:
        done = f"{plural(review.done, 'case')} decided in this session." if review.done else ""
        return "Nothing is left to review", [(done, "text"), *_missing(review)]
    name = next(iter(left))
    heading = f"Nothing is left in the queue {review.queue}" if review.queue else "Nothing is left"
    return heading, [(QUEUES.get(review.queue, ""), "dim"), (f"tab: continue with {name}", "text")]


def _missing(review: Review) -> Paragraphs:
    """Return the queues that could not be made, each with its reason."""
    return [
        (f"{name}: {make_printable(reason)}", "dim")
        for name, reason in review.found.why_not.items()
    ]


class ReviewPanel(Lines):
    """The evidence of the case, and the number of cases in each queue."""

    def __init__(self, review: Review, **options: Any) -> None:
        super().__init__(**options)
        self._review, self._shown = review, -1
        self._case: ReviewCase | None = None

    def show(self, case: ReviewCase | None, shown: int) -> None:
        """Show a case, with the place of the compared item, or -1."""
        self._case, self._shown = case, shown
        self.update()

    def draw(self, cells: int, height: int) -> Sequence[Line]:
        """Return the lines of the panel."""
        return review_panel_lines(self._case, self._review, cells, height, self._shown)
