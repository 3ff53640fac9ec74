"""What each key of a page does, and the commands that keys and clicks ask for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from annotator.errors import StoreError
from annotator.items.refs import Item, make_printable
from annotator.pages import PageNotReady, answers_of_page
from annotator.tui.pages.help import PageHelpScreen

if TYPE_CHECKING:
    from annotator.tui.pages.screen import PageScreen

KEYS: dict[str, tuple[str, str]] = {
    "space": ("toggle", ""), "enter": ("submit", ""), "backspace": ("undo", ""),
    "ctrl+h": ("undo", ""), "escape": ("escape", ""), "ctrl+c": ("leave", ""), "Q": ("leave", ""),
    "left": ("step", "left"), "right": ("step", "right"), "up": ("step", "up"),
    "down": ("step", "down"), "home": ("step", "home"), "end": ("step", "end"),
    "shift+left": ("stretch", "left"), "shift+right": ("stretch", "right"),
    "shift+up": ("stretch", "up"), "shift+down": ("stretch", "down"),
    "pageup": ("turn", "-1"), "pagedown": ("turn", "1"),
    "A": ("all", ""), "N": ("none", ""), "I": ("invert", ""), "V": ("range", ""),
    "Z": ("zoom", ""), "F": ("flag", ""), "P": ("hide", ""), "R": ("reference", ""),
    "S": ("skip", ""), "B": ("similar", ""), "H": ("help", ""), "?": ("help", ""),
}  # fmt: skip
"""Key, or the character that it types, -> command and argument."""
ALWAYS = ("leave", "help", "undo", "escape")
"""Commands that need no page on the screen."""

ONCE = ("submit", "skip", "undo")
"""Commands that a key held down gives once."""


def page_action(key: str, character: str | None, classes: Sequence[str]) -> tuple[str, str]:
    """The command of a key press; ("", "") for none. Small letters spell the tiles' tags."""
    for name in (character, key):
        if name and name in KEYS:
            return KEYS[name]
    if character and character.isdigit() and 0 < int(character) <= len(classes):
        return "give", classes[int(character) - 1]
    if character and len(character) == 1 and "a" <= character <= "z":
        return "spell", character
    return "", ""


# --- selecting


def toggle_tile(screen: PageScreen) -> None:
    board = screen.require_selection()
    screen.renew(board.toggle(board.cursor), "key")


def step_cursor(screen: PageScreen, way: str) -> None:
    """Move the cursor; while a range is open it selects what it passes."""
    board = screen.require_selection()
    before, ranged = board.cursor, board.anchor if screen.ranges else None
    changed = _moved(screen, way)
    if ranged is not None:
        target, board.cursor = board.cursor, before
        changed |= board.extend(target)
    screen.renew(changed, "range")
    screen.show_cursor()


def extend_selection(screen: PageScreen, way: str) -> None:
    """Move the cursor and select all from where it was."""
    board = screen.require_selection()
    before = board.cursor
    _moved(screen, way)
    target, board.cursor = board.cursor, before
    screen.renew(board.extend(target), "range")
    screen.show_cursor()


def _moved(screen: PageScreen, way: str) -> set[int]:
    board = screen.require_selection()
    if way in ("home", "end"):
        return board.go(0 if way == "home" else len(board) - 1)
    right = {"left": -1, "right": 1}.get(way, 0)
    return board.step(right, {"up": -1, "down": 1}.get(way, 0))


def type_tag(screen: PageScreen, letter: str) -> None:
    """One more letter of a tag; a whole tag selects its tile."""
    typed = screen.typed + letter
    matching = [i for i, tag in enumerate(screen.tags) if tag.startswith(typed)]
    if not matching:
        screen.say(f"no tile has {typed}", "dim", 1.5)
        screen.type("")
    elif screen.tags[matching[0]] == typed:
        screen.type("")
        screen.renew(screen.require_selection().toggle(screen.first + matching[0]), "letter")
    else:
        screen.type(typed)


def select_all(screen: PageScreen) -> None:
    screen.renew(screen.require_selection().all(), "all")


def select_none(screen: PageScreen) -> None:
    screen.renew(screen.require_selection().none(), "none")


def invert_selection(screen: PageScreen) -> None:
    screen.renew(screen.require_selection().invert(), "invert")


def toggle_range(screen: PageScreen) -> None:
    """Begin a range at the cursor, or end the one that is open."""
    board = screen.require_selection()
    screen.ranges = not screen.ranges
    if screen.ranges:
        board.anchor = board.cursor
        screen.renew(board.extend(board.cursor), "range")
        screen.say("range: move, then V ends it", "dim", 30)
    else:
        board.anchor = None
        screen.say("")


def assign_label(screen: PageScreen, label: str) -> None:
    screen.renew(screen.require_selection().give(label), "class")


# --- the page


def submit_page(screen: PageScreen) -> None:
    page, board = screen.page, screen.require_selection()
    assert page is not None
    unseen = screen.unseen()
    if unseen and screen.all_must_be_seen:
        screen.say(f"{unseen} tiles were not on screen yet: PgDn shows them", "warn")
        return
    shown_ms = round(1000 * (time.monotonic() - screen.shown_at))
    submit_ = partial(
        screen.source.submit, page, board.marks, broken=screen.broken(page), shown_ms=shown_ms,
        prediction=screen.prediction and bool(page.chances),
    )  # fmt: skip
    try:
        entries = screen.banner.run_saving(submit_)
    except PageNotReady as error:
        screen.say(make_printable(str(error)), "warn")
        return
    if entries is None:
        return
    if screen.pointer_recorder is not None:
        screen.pointer_recorder.submitted()
    screen.submitted += 1
    screen.post_message(screen.Submitted(len(entries)))
    screen.advance()


def undo_page(screen: PageScreen) -> None:
    """The letters typed, else the page submitted last."""
    if screen.typed:
        screen.type("")
        return
    try:
        page = screen.source.undo()
    except StoreError as error:
        screen.banner.warn("store", f"NOT SAVED: {make_printable(str(error))}")
        return
    if page is None:
        screen.say("no page left to take back", "dim")
        return
    screen.submitted -= 1
    screen.post_message(screen.Submitted(-len(answers_of_page(page, page.selected))))
    screen.put_back(page)
    screen.say("page taken back")


def skip_page(screen: PageScreen) -> None:
    """Go on without an answer."""
    screen.pass_over()


def turn_part(screen: PageScreen, way: str) -> None:
    """Another part of a page that is larger than the window."""
    screen.turn(int(way))


def leave_pages(screen: PageScreen) -> None:
    screen.dismiss(screen.submitted)


def escape_innermost(screen: PageScreen) -> None:
    """Out of whatever is open, innermost first."""
    if screen.typed:
        screen.type("")
    elif screen.shows_other_item:
        screen.deal()
    else:
        leave_pages(screen)


# --- looking


def zoom_tile(screen: PageScreen) -> None:
    """Page -> true pixels -> as large as fits -> page."""
    board, page = screen.require_selection(), screen.page
    assert page is not None
    item = Item.parse(page.refs[board.cursor])
    if item in screen.composer.broken:
        screen.say("this image cannot be read", "warn")
    elif screen.zoomed == 2:
        screen.deal()
    else:
        screen.zoom_to(item, screen.zoomed + 1)


def cycle_references(screen: PageScreen) -> None:
    """Large, then none on top of the page, then on top again."""
    page = screen.page
    assert page is not None
    info, habits = screen.source.describe(page), screen.habits
    if info is None or not info.examples:
        screen.say("the class has no reference images: `examples` in annotator.toml", "dim")
        return
    if not habits.references:
        habits.show_references(True)
        screen.deal()
        if screen.has_references:
            screen.say("reference images on top", "dim")
            return
    screen.show_references_large([Item.parse(ref) for ref in info.examples])


def request_similar(screen: PageScreen) -> None:
    """Pages of what looks like the tile under the cursor."""
    board, page = screen.require_selection(), screen.page
    assert page is not None
    screen.post_message(screen.Similar(page.refs[board.cursor], page.label))


def flag_tile(screen: PageScreen) -> None:
    board, page = screen.require_selection(), screen.page
    assert page is not None
    if screen.banner.run_saving(lambda: screen.session.flag(page.refs[board.cursor])) is not None:
        screen.renew({board.cursor}, "flag")


def toggle_prediction(screen: PageScreen) -> None:
    screen.prediction = not screen.prediction
    if screen.pointer_recorder is not None:
        screen.pointer_recorder.prediction(screen.prediction)
    screen.renew(set(range(len(screen.require_selection()))), "prediction")


def show_page_help(screen: PageScreen) -> None:
    screen.app.push_screen(PageHelpScreen())


COMMANDS: dict[str, Callable[..., None]] = {
    "toggle": toggle_tile,
    "step": step_cursor,
    "stretch": extend_selection,
    "spell": type_tag,
    "all": select_all,
    "none": select_none,
    "invert": invert_selection,
    "range": toggle_range,
    "give": assign_label,
    "submit": submit_page,
    "undo": undo_page,
    "skip": skip_page,
    "turn": turn_part,
    "leave": leave_pages,
    "escape": escape_innermost,
    "zoom": zoom_tile,
    "reference": cycle_references,
    "similar": request_similar,
    "flag": flag_tile,
    "hide": toggle_prediction,
    "help": show_page_help,
}
