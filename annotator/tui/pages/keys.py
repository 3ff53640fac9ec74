"""The commands of a page: one table that its keys, its footer and its help read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from annotator.errors import StoreError
from annotator.items.refs import Item, make_printable, plural
from annotator.pages import Page, PageNotReady, PageSelection, PageSource
from annotator.pages.journal import PagePreferences
from annotator.session.session import LabelSession
from annotator.terminal.sheet import SheetComposer
from annotator.tui.pages.pointer_recorder import PointerRecorder
from annotator.tui.widgets.bars import KeyHint
from annotator.tui.widgets.notice import Banner


class PageHost(Protocol):
    """The screen of pages as its commands see it."""

    typed: str
    prediction: bool

    @property
    def page(self) -> Page | None:
        """The page on screen."""

    @property
    def source(self) -> PageSource:
        """The source of the pages."""

    @property
    def session(self) -> LabelSession:
        """The session that the answers go to."""

    @property
    def tags(self) -> Sequence[str]:
        """The tags of the tiles in view."""

    @property
    def first(self) -> int:
        """The place of the first tile in view."""

    @property
    def zoomed(self) -> int:
        """0 for the page, 1 for a tile in true pixels, 2 for a tile as large as fits."""

    @property
    def shows_other_item(self) -> bool:
        """True if something else is shown in place of the page."""

    @property
    def shown_at(self) -> float:
        """The time when the page came on the screen, by the monotonic clock."""

    @property
    def all_must_be_seen(self) -> bool:
        """True if a page is submitted only when all its parts were on the screen."""

    @property
    def has_references(self) -> bool:
        """True if reference images stand on top of the page."""

    @property
    def preferences(self) -> PagePreferences:
        """The annotator's preferences."""

    @property
    def composer(self) -> SheetComposer:
        """The composer of the page's picture, which knows the broken images."""

    @property
    def banner(self) -> Banner:
        """The banner for labels that cannot be saved."""

    @property
    def pointer(self) -> PointerRecorder:
        """The recorder of by-products."""

    def require_page(self) -> tuple[Page, PageSelection]:
        """Return the page on screen and its selection."""

    def refresh_tiles(self, places: set[int], by: str) -> None:
        """Draw tiles anew that a command has changed, and keep the selection."""

    def show_cursor(self) -> None:
        """Bring the cursor's tile into view."""

    def show_page(self) -> None:
        """Show the page's part in view."""

    def zoom_to(self, item: Item, level: int) -> None:
        """Show one item alone."""

    def show_references_large(self, items: list[Item]) -> None:
        """Show reference images in place of the page."""

    def count_unseen(self) -> int:
        """Return the number of tiles that were never on the screen."""

    def broken(self, page: Page) -> set[str]:
        """Return the refs of a page's broken images."""

    def note_answers(self, count: int) -> None:
        """Count a page with answers, and announce them; negative after an undo."""

    def request_similar(self, ref: str, label: str) -> None:
        """Ask the app for pages of items similar to one."""

    def advance(self) -> None:
        """Show the next page."""

    def put_back(self, page: Page) -> None:
        """Show a page that was undone."""

    def skip_page(self) -> None:
        """Show the next page; this one stays unanswered."""

    def turn(self, way: int) -> None:
        """Show another part of a large page."""

    def show_help(self) -> None:
        """Show the keys."""

    def leave(self) -> None:
        """Leave the pages."""

    def say(self, text: str, role: str = "text", seconds: float = ...) -> None:
        """Show a message at the top for some seconds."""


@dataclass(frozen=True, slots=True)
class PageCommand:
    """One command of a page: its keys, its words and its handler."""

    name: str
    handler: Callable[[Any, str], None]
    """Called with the screen, a `PageHost`, and the argument of the key."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Each key, or the character that it types, with the argument that it gives."""
    shown: str = ""
    """The keys as the footer and the help write them."""
    title: str = ""
    """A word or two for the footer; "" for a command that is not in it."""
    help: str = ""
    """A sentence for the help; "" for a command that shares the row of another."""
    without_page: bool = False
    """True if the command works without a page on the screen."""
    once: bool = False
    """True if a key held down counts once."""
    works: Callable[[Any], bool] = lambda screen: True
    """The condition under which the command does not refuse; else no list has it."""


def find_command(
    commands: Iterable[PageCommand], key: str, character: str | None, classes: Sequence[str]
) -> tuple[str, str]:
    """Return the name and argument of a key press; ("", "") for a key that does nothing.

    Small letters spell the tiles' tags, digits give classes.
    """
    for name in (character, key):
        for command in commands:
            if name and name in command.keys:
                return command.name, command.keys[name]
    if character and character.isdigit() and 0 < int(character) <= len(classes):
        return "give", classes[int(character) - 1]
    if character and len(character) == 1 and "a" <= character <= "z":
        return "spell", character
    return "", ""


FOOTER = (
    "submit", "toggle", "undo", "help", "leave", "zoom", "all", "none", "invert", "flag",
    "reference", "hide", "range", "skip",
)  # fmt: skip
"""The names of the commands in the footer, most needed first; `help` stands at its end."""


def page_hints(commands: Iterable[PageCommand], footer: Sequence[str] = FOOTER) -> list[KeyHint]:
    """Return the footer of a page, most needed first."""
    known = {command.name: command for command in commands if command.title}
    shown = [known[name] for name in footer if name in known]
    return [
        KeyHint(c.shown, c.title, (c.name, ""), 99 if c.name == "help" else place)
        for place, c in enumerate(shown)
    ]


# --- selecting


def _select(
    by: str, change: Callable[[PageSelection, str], set[int]], *, follows: bool = False
) -> Callable[[PageHost, str], None]:
    """Return the handler of a command that changes the selection.

    `by` names the change in the by-products; `follows` brings the cursor into view.
    """

    def handle(screen: PageHost, argument: str) -> None:
        selection = screen.require_page()[1]
        screen.refresh_tiles(change(selection, argument), by)
        if follows:
            screen.show_cursor()

    return handle


def type_tag(screen: PageHost, letter: str) -> None:
    """Add a letter to the tag that is being typed; a whole tag toggles its tile."""
    typed = screen.typed + letter
    matching = [i for i, tag in enumerate(screen.tags) if tag.startswith(typed)]
    if matching and screen.tags[matching[0]] != typed:
        _set_typed(screen, typed)
        return
    selection = screen.require_page()[1]
    _set_typed(screen, "", selection.toggle(screen.first + matching[0]) if matching else set())
    if not matching:
        screen.say(f"no tile has {typed}", "dim", 1.5)


def _set_typed(screen: PageHost, letters: str, changed: Set[int] = frozenset()) -> None:
    """Show the letters typed and the tiles that `changed`, at once: a terminal draws once then."""
    screen.typed = letters
    view = range(screen.first, screen.first + len(screen.tags))
    screen.refresh_tiles({*view, *changed}, "letter")


def toggle_range(screen: PageHost, _: str) -> None:
    """Begin a range at the cursor, or end the range that is open."""
    selection = screen.require_page()[1]
    changed = selection.toggle_range()
    if selection.ranging:
        screen.refresh_tiles(changed, "range")
        screen.say("range: move, then V ends it", "dim", 30)
    else:
        screen.say("")


# --- the page


def submit_page(screen: PageHost, _: str) -> None:
    """Write the answers of the page and show the next one."""
    page, selection = screen.require_page()
    unseen = screen.count_unseen()
    if unseen and screen.all_must_be_seen:
        screen.say(f"not on screen yet: {plural(unseen, 'tile')}. PgDn shows them", "warn")
        return
    submit = partial(
        screen.source.submit, page, selection.marks, broken=screen.broken(page),
        shown_ms=round(1000 * (time.monotonic() - screen.shown_at)),
        prediction=screen.prediction and bool(page.chances),
    )  # fmt: skip
    try:
        entries = screen.banner.run_saving(submit)
    except PageNotReady as error:
        place = -1 if error.place is None else error.place - screen.first
        first = f" (first: {screen.tags[place]})" if 0 <= place < len(screen.tags) else ""
        screen.say(make_printable(f"{error}{first}"), "warn")
        return
    if entries is not None:
        screen.pointer.submitted()
        screen.note_answers(len(entries))
        screen.advance()


def undo_page(screen: PageHost, _: str) -> None:
    """Take back the letters typed, or else the page submitted last."""
    if screen.typed:
        _set_typed(screen, "")
        return
    last = screen.session.undoable
    try:
        page = screen.source.undo()
    except StoreError as error:
        screen.banner.warn("store", f"NOT SAVED: {make_printable(str(error))}")
        return
    if page is None:
        screen.say("no page left to take back", "dim")
        return
    # A page that was skipped has no answers to take back.
    screen.note_answers(-len(last) if screen.session.undoable != last else 0)
    screen.put_back(page)
    screen.say("page taken back")


def escape_innermost(screen: PageHost, _: str) -> None:
    """Leave whatever is open, innermost first."""
    if screen.typed:
        _set_typed(screen, "")
    elif screen.shows_other_item:
        screen.show_page()
    else:
        screen.leave()


# --- looking


def zoom_tile(screen: PageHost, _: str) -> None:
    """Show the tile in true pixels, then as large as fits, then the page."""
    page, selection = screen.require_page()
    item = Item.parse(page.refs[selection.cursor])
    if item in screen.composer.broken:
        screen.say("this image cannot be read", "warn")
    elif screen.zoomed == 2:
        screen.show_page()
    else:
        screen.zoom_to(item, screen.zoomed + 1)


def cycle_references(screen: PageHost, _: str) -> None:
    """Show the reference images large, then not at all, then on top of the page again."""
    page = screen.require_page()[0]
    info, preferences = screen.source.describe(page), screen.preferences
    if info is None or not info.examples:
        screen.say("The class has no reference images: add `examples` in annotator.toml", "dim")
        return
    if not preferences.references:
        preferences.show_references(True)
        screen.show_page()
        if screen.has_references:
            screen.say("reference images on top", "dim")
            return
    screen.show_references_large([Item.parse(ref) for ref in info.examples])


def request_similar(screen: PageHost, _: str) -> None:
    """Ask for pages of items similar to the tile under the cursor."""
    page, selection = screen.require_page()
    screen.request_similar(page.refs[selection.cursor], page.label)


def flag_tile(screen: PageHost, _: str) -> None:
    """Flag the tile for a second look, or take the flag off."""
    page, selection = screen.require_page()
    ref = page.refs[selection.cursor]
    if screen.banner.run_saving(lambda: screen.session.flag(ref)) is not None:
        screen.refresh_tiles({selection.cursor}, "flag")


def toggle_prediction(screen: PageHost, _: str) -> None:
    """Hide or show what the model predicts."""
    screen.prediction = not screen.prediction
    screen.pointer.prediction(screen.prediction)
    selection = screen.require_page()[1]
    screen.refresh_tiles(set(range(len(selection))), "prediction")


def _has_examples(screen: PageHost) -> bool:
    info = screen.source.describe(screen.page) if screen.page is not None else None
    return info is not None and bool(info.examples)


def _has_prediction(screen: PageHost) -> bool:
    return screen.page is not None and bool(screen.page.chances)


PAGE_COMMANDS: tuple[PageCommand, ...] = (
    PageCommand(
        "toggle", _select("key", lambda selection, _: selection.toggle(selection.cursor)),
        {"space": ""}, "a-z space", "select",
        "Select the tile with these letters, or the one under the cursor; again to unselect it. "
        "A click does the same.",
    ),
    PageCommand("spell", type_tag),
    PageCommand(
        "step", _select("range", lambda selection, way: selection.move(way), follows=True),
        {way: way for way in ("left", "right", "up", "down", "home", "end")}, "← ↑ ↓ →", "",
        "Move from tile to tile; with shift, select all on the way.",
    ),
    PageCommand(
        "stretch",
        _select("range", lambda selection, way: selection.move(way, selecting=True), follows=True),
        {f"shift+{way}": way for way in ("left", "right", "up", "down")},
    ),
    PageCommand(
        "range", toggle_range, {"V": ""}, "V", "range",
        "Begin a range here; move, and V ends it. Ctrl+click selects up to the tile.",
    ),
    PageCommand(
        "all", _select("all", lambda selection, _: selection.select_all()), {"A": ""}, "A", "all",
        "Select all tiles.",
    ),
    PageCommand(
        "none", _select("none", lambda selection, _: selection.select_none()), {"N": ""}, "N",
        "none", "Select nothing.",
    ),
    PageCommand(
        "invert", _select("invert", lambda selection, _: selection.invert()), {"I": ""}, "I",
        "invert", "Select the other tiles.",
    ),
    PageCommand(
        "give", _select("class", lambda selection, label: selection.assign_label(label)), {},
        "1 … 9", "", "Give that class to the selected tiles, or else to the tile.",
    ),
    PageCommand(
        "submit", submit_page, {"enter": ""}, "⏎", "submit",
        "Answer the page; the next one is ready.", once=True,
    ),
    PageCommand(
        "undo", undo_page, {"backspace": "", "ctrl+h": ""}, "⌫", "undo",
        "Take the last page back, with its selection.", without_page=True, once=True,
        works=lambda screen: bool(screen.typed) or screen.source.can_undo,
    ),
    PageCommand(
        "zoom", zoom_tile, {"Z": ""}, "Z", "zoom",
        "Show the tile in true pixels; again for as large as fits; again for the page.",
    ),
    PageCommand(
        "reference", cycle_references, {"E": ""}, "E", "examples",
        "Show the class's reference images large, then hide them, then show them on top.",
        works=_has_examples,
    ),
    PageCommand(
        "similar", request_similar, {"B": ""}, "B", "",
        "Open pages of the items most similar to the tile.",
        works=lambda screen: screen.session.has_features,
    ),
    PageCommand(
        "flag", flag_tile, {"F": ""}, "F", "flag",
        "Flag the tile for a second look, or take the flag off.",
    ),
    PageCommand(
        "hide", toggle_prediction, {"P": ""}, "P", "prediction",
        "Hide or show what the model predicts.", works=_has_prediction,
    ),
    PageCommand(
        "skip", lambda screen, _: screen.skip_page(), {"S": ""}, "S", "skip page",
        "Leave the page unanswered.", once=True,
    ),
    PageCommand(
        "turn", lambda screen, way: screen.turn(int(way)), {"pageup": "-1", "pagedown": "1"},
        "PgUp PgDn", "", "Show the other parts of a page that is larger than the window.",
    ),
    PageCommand(
        "help", lambda screen, _: screen.show_help(), {"H": "", "?": ""}, "H", "help",
        "Show this list.", without_page=True,
    ),
    PageCommand("escape", escape_innermost, {"escape": ""}, without_page=True),
    PageCommand(
        "leave", lambda screen, _: screen.leave(), {"Q": "", "ctrl+c": ""}, "Q esc", "leave",
        "Leave; the selection on this page is kept.", without_page=True,
    ),
)  # fmt: skip
"""All commands, in the order of the help."""
