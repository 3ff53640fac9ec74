"""The slices of the pool on the screen of curves: their computation, and their lines."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

from annotator.errors import AnnotatorError
from annotator.items.refs import format_interval, format_percent, make_printable, plural
from annotator.report.slices import RULE, Slice, SliceTable, describe_worst, find_slices
from annotator.session.predict import prepare_fit
from annotator.tui.host import ScreenHost
from annotator.tui.styled_text import Line, clip_end, line_width, wrap_text

NO_SLICES = "Slices appear with the estimate of the error, once some have enough labels."
_BAR = 20
"""Cells of the bar with the interval."""
_KNOWN: WeakKeyDictionary[ScreenHost, tuple[object, SliceTable]] = WeakKeyDictionary()
"""The slices of each app, with the ranking that they belong to."""


def prepare_slices(host: ScreenHost) -> Callable[[], SliceTable]:
    """Read the labels now, and return the function that estimates slices in another thread."""
    session, ranking = host.session, host.session.ranking
    features = session.learner.features
    if features is None or ranking is None or ranking.model is None or session.blind:
        return SliceTable
    if (known := _KNOWN.get(host)) is not None and known[0] is ranking:
        return lambda: known[1]
    fit = prepare_fit(host.project, features, session.queue.refs, session.state)

    def find() -> SliceTable:
        try:
            table = find_slices(fit(), host.project, ranking.estimate)
        except AnnotatorError:
            table = SliceTable()  # too few classes
        _KNOWN[host] = ranking, table
        return table

    return find


def slice_lines(table: SliceTable | None, cells: int, height: int) -> list[Line]:
    """Return the slices, the largest expected error first, with the rule below."""
    lines: list[Line] = [[(" estimated error by slice", "title")], []]
    if table is None or not table.slices:
        words = NO_SLICES if table is not None else "Comparing the slices …"
        return [*lines, *([(f" {line}", "text")] for line in wrap_text(words, cells - 2))]
    notes = [f"{describe_worst(table.as_dict())}.".capitalize(), RULE]
    if table.few:
        notes.append(f"{plural(table.few, 'slice')} with too few labels.")
    below: list[Line] = [
        [(f" {line}", "dim")] for note in notes for line in wrap_text(note, cells - 2)
    ]
    name = min(40, max(12, cells - 62))
    head = f" {'slice':{name}}  error   90 % interval   expected  labels"
    lines[1:] = [[(clip_end(head, cells), "dim")]]
    room = max(1, height - len(lines) - len(below) - 1)
    lines += [_row(one, name, cells) for one in table.slices[:room]]
    return [*lines, [], *below][:height]


def _row(one: Slice, name: int, cells: int) -> Line:
    e = one.found.estimate
    title = clip_end(make_printable(one.query), name)
    span = format_interval(e.low, e.high)
    line: Line = [
        (f" {title:{name}}", "strong"),
        (f"  {format_percent(e.error):>5}", "text"),
        (f"   {span:<14}", "text"),
        (f"  {format_percent(one.found.expected):>7}", "text"),
        (f"  {e.labels:>6,}  ", "dim"),
    ]
    roomy = cells - line_width(line) > _BAR
    return [*line, *(_interval_bar(e.low, e.error, e.high) if roomy else [])]


def _interval_bar(low: float, value: float, high: float) -> Line:
    start, place, end = (min(round(share * (_BAR - 1)), _BAR - 1) for share in (low, value, high))
    signs = ["━" if start <= at <= end else "·" for at in range(_BAR)]
    signs[place] = "┃"
    return [("".join(signs), "best")]
