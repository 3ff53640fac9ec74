"""The texts of a page, without widgets or state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from annotator.items.refs import make_printable
from annotator.pages import Page, PageSelection, SelectionMode, answers_of_page
from annotator.tui.pages.mosaic import TileFrame

ORDER_NAMES = {
    "random": "at random",
    "likely": "likeliest first",
    "uncertain": "least certain first",
    "needed": "worth a look",
    "similar": "nearest in features",
    "clusters": "one cluster",
}


def describe_selection(page: Page, *, multi: bool = False) -> str:
    """Return the meaning of a selection in a sentence.

    With `multi` an item may have several classes, and an answer here is all of them.
    """
    label, negative = make_printable(page.label), make_printable(page.negative or "")
    if multi and label:
        label += " alone"
    if page.select is SelectionMode.EXCEPTIONS:
        become = f"become {negative}" if negative else "stay open"
        return f"All count as {label}. Select the exceptions: they {become}."
    if not label:
        return "Select, and press the digit of a class; the rest stays unanswered."
    rest = (
        f"becomes {negative}"
        if page.select is SelectionMode.POSITIVES and negative
        else "stays open"
    )
    return f"Select every {label}; the rest {rest}."


def describe_outcome(page: Page, selection: PageSelection, broken: Collection[str]) -> str:
    """Return the answers that Enter writes: `5 daisy · 43 other · 2 open`."""
    found = answers_of_page(page, selection.marks, broken)
    counts = Counter(found.values()).most_common()
    counts.sort(key=lambda pair: pair[0] != page.label)
    parts = [f"{count} {make_printable(label)}" for label, count in counts]
    if left := len(page.refs) - len(found):
        parts.append(f"{left} open")
    return " · ".join(parts)


def describe_order(page: Page, *, prediction: bool) -> str:
    """Return how the items were chosen, and whether the model's prediction is shown."""
    parts = [ORDER_NAMES.get(page.order, page.order)] if page.order else []
    if page.draws and page.select is not SelectionMode.POSITIVES_ONLY:
        parts.append("counts for the error estimate")
    if page.chances:
        parts.append("prediction shown" if prediction else "prediction hidden")
    return ", ".join(parts)


def describe_references(page: Page) -> str:
    """Return the title of the reference images on top."""
    return f"{make_printable(page.label)} looks like this (E: larger, or away)"


def frame_tile(
    page: Page,
    selection: PageSelection,
    place: int,
    tag: str,
    *,
    typed: int,
    prediction: bool,
    flagged: bool,
) -> TileFrame:
    """Return the frame of a tile."""
    ref = page.refs[place]
    label = selection.assigned_label(place)
    details = [make_printable(label)] if label else []
    details += [f"not {make_printable(name)}" for name in sorted(page.excluded.get(ref, ()))]
    if prediction and ref in page.chances:
        details.append(f"{min(99, max(1, round(100 * page.chances[ref])))}%")
    if flagged:
        details.append("⚑")
    bad = page.select is SelectionMode.EXCEPTIONS
    return TileFrame(
        tag, typed, selection.selected(place), selection.cursor == place,
        "✗" if bad else "✓", " ".join(details), bad,
    )  # fmt: skip
