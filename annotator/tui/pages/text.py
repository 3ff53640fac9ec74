"""What a page says in words. No widget, no state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from annotator.items.refs import make_printable
from annotator.pages import Page, PageSelection, SelectionMode, answers_of_page
from annotator.project.settings import ClassInfo
from annotator.tui.pages.mosaic import TileFrame
from annotator.tui.styled_text import Line, clip_end, justify_line, line_width
from annotator.tui.widgets.bars import KeyHint

ORDERS = {
    "random": "at random",
    "likely": "likeliest first",
    "uncertain": "least certain first",
    "needed": "worth a look",
    "similar": "nearest in features",
    "clusters": "one cluster",
}

KEYS: tuple[tuple[str, str, str], ...] = (
    ("letters", "", "Small ones select the tile that has them, or no longer."),
    ("CAPITALS", "", "With shift: the commands below, so f is a tile and F flags."),
    ("← ↑ ↓ →", "", "Move from tile to tile; with shift, select all on the way."),
    ("space", "select", "Select the tile, or no longer. A click does the same."),
    ("V", "range", "Begin a range here; move, and V ends it. Ctrl+click: to there."),
    ("A N I", "all none invert", "Select all, nothing, or the other tiles."),
    ("1 … 9", "class", "Give that class to what is selected, else to the tile."),
    ("⏎", "submit", "Answer the page; the next one is here already."),
    ("⌫", "undo", "Take the last page back, with its selection."),
    ("Z", "zoom", "The tile in true pixels, as large as fits, the page."),
    ("R", "reference", "The class's reference images: large; away; on top of the page."),
    ("B", "similar", "Pages of what looks most like the tile."),
    ("F", "flag", "Mark the tile for a second look, or take the mark off."),
    ("P", "prediction", "Hide or show what the model expects."),
    ("S", "skip page", "Leave the page unanswered."),
    ("PgUp PgDn", "", "The parts of a page that is larger than the window."),
    ("Q esc", "leave", "Leave; the selection on this page is kept."),
)
"""Keys, a title for the footer, and a sentence for the help."""


def page_hints() -> list[KeyHint]:
    """The footer, most needed first."""
    wanted = ("⏎", "a-z space", "⌫", "Q esc", "Z", "A N I", "F", "R", "P", "V", "S")
    titles = {keys: title for keys, title, _ in KEYS} | {"a-z space": "select"}
    actions = {"⏎": "submit", "a-z space": "toggle", "⌫": "undo", "Q esc": "leave", "Z": "zoom"}
    actions |= {"F": "flag", "R": "reference", "P": "hide", "V": "range", "S": "skip"}
    found = [KeyHint("H", "help", ("help", ""), 99)]
    for place, keys in enumerate(wanted):
        found.insert(
            min(3, len(found)) if place < 3 else len(found),
            KeyHint(keys, titles[keys], (actions.get(keys, ""), ""), place),
        )
    return found


def describe_selection(page: Page, *, multi: bool = False) -> str:
    """What selecting says, in a sentence. With `multi` an item may have several classes, and an
    answer here is the whole of them."""
    label, negative = make_printable(page.label), make_printable(page.negative or "")
    if multi and label:
        label += " alone"
    if page.select is SelectionMode.EXCEPTIONS:
        become = f"they become {negative}" if negative else "they stay open"
        return f"All count as {label}: select the exceptions, {become}."
    if not label:
        return "Select, and press the digit of a class; the rest stays unanswered."
    rest = (
        f"becomes {negative}"
        if page.select is SelectionMode.POSITIVES and negative
        else "stays open"
    )
    return f"Select every {label}; the rest {rest}."


def describe_outcome(page: Page, board: PageSelection, broken: Collection[str]) -> str:
    """What Enter would write: `5 daisy · 43 other · 2 open`."""
    found = answers_of_page(page, board.marks, broken)
    counts = Counter(found.values()).most_common()
    counts.sort(key=lambda pair: pair[0] != page.label)
    parts = [f"{count} {make_printable(label)}" for label, count in counts]
    if left := len(page.refs) - len(found):
        parts.append(f"{left} open")
    return " · ".join(parts)


def describe_order(page: Page, *, prediction: bool) -> str:
    """How the items came here, and whether the model's word on them is shown."""
    words = [ORDERS.get(page.order, page.order)] if page.order else []
    if page.draws and page.select is not SelectionMode.POSITIVES_ONLY:
        words.append("counts for the error estimate")
    if page.chances:
        words.append("prediction shown" if prediction else "prediction hidden")
    return ", ".join(words)


def describe_references(page: Page) -> str:
    """What is said of the reference images on top."""
    return f"{make_printable(page.label)} looks like this (R: larger, or away)"


def format_page_number(page: Page) -> str:
    return f"page {page.number:,} of {page.of:,}" if page.of else f"page {page.number:,}"


def header_lines(
    page: Page, info: ClassInfo | None, title: str, sentences: Sequence[str], cells: int, rows: int
) -> list[Line]:
    """The top of a page: the class, what is known of it, what a selection means."""
    name = make_printable(info.name) if info else make_printable(title)
    lines: list[Line] = []
    first: Line = [(f" {clip_end(name, cells // 2)} ", "key")]
    if info and info.synonyms:
        first.append((f"  {clip_end(', '.join(info.synonyms), cells // 3)}", "text"))
    room = cells - line_width(first) - len(format_page_number(page)) - 6
    if info and info.link and room > 8:
        first.append((f"  {clip_end(info.link, room)}", "code"))
    lines.append(justify_line(first, [(f"{format_page_number(page)} ", "dim")], cells))
    if info and info.description and rows > 2:
        lines.append([(f" {clip_end(info.description, cells - 2)}", "dim")])
    meant, counts, how = sentences
    room = cells - len(counts) - 4
    left: Line = [
        (f" {clip_end(meant, room)}", "strong"),
        (f"  {clip_end(counts, cells - 2)}", "good"),
    ]
    lines.append(justify_line(left, [(f"{how} ", "dim")], cells))
    return lines


def frame_tile(
    page: Page,
    board: PageSelection,
    place: int,
    tag: str,
    *,
    typed: int,
    prediction: bool,
    flagged: bool,
) -> TileFrame:
    """How a tile is framed."""
    ref = page.refs[place]
    given = board.given(place)
    words = [make_printable(given)] if given else []
    words += [f"not {make_printable(name)}" for name in sorted(page.excluded.get(ref, ()))]
    if prediction and ref in page.chances:
        words.append(f"{min(99, max(1, round(100 * page.chances[ref])))}%")
    if flagged:
        words.append("⚑")
    bad = page.select is SelectionMode.EXCEPTIONS
    return TileFrame(
        tag, typed, board.selected(place), board.cursor == place,
        "✗" if bad else "✓", " ".join(words), bad,
    )  # fmt: skip
