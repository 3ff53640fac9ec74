"""Pages on the screen: keys, letters and the mouse; what is written, and what comes back."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from annotator.items.refs import Item
from annotator.log.entries import Action, Entry
from annotator.pages import PageOrder, PageRequest, SelectionMode
from annotator.project.project import ProjectFolder
from annotator.tui.pages.open import open_pages
from annotator.tui.pages.screen import PageScreen
from tests.terminal.program_on_pty import Running
from tests.tui.conftest import Desk, Make

Log = Callable[[ProjectFolder], list[Entry]]


def page_of(desk: Desk) -> PageScreen:
    assert isinstance(desk.app.screen, PageScreen)
    return desk.app.screen


async def show(desk: Desk, **wish: Any) -> PageScreen:
    """Open pages, and wait until the first one is on the screen."""
    options = {"label": "red", "select": SelectionMode.POSITIVES, "negative": "blue", "per_page": 8}
    open_pages(desk.app, PageRequest(**{**options, **wish}))
    await on_screen(desk)
    return page_of(desk)


async def on_screen(desk: Desk) -> None:
    await desk.until(lambda: isinstance(desk.app.screen, PageScreen))
    screen = page_of(desk)
    await desk.until(lambda: screen.page is not None and screen.shows)


def labels(log: Log, project: ProjectFolder) -> dict[str, str | None]:
    return {e.ref: e.label for e in log(project) if e.action is Action.LABEL}


async def test_letters_arrows_and_enter(make: Make, opened: Any, log: Log) -> None:
    project = make(16)
    async with opened(project, size=(100, 34)) as desk:
        screen = await show(desk)
        page = screen.page
        assert page is not None
        await desk.sees("Select every red; the rest becomes blue.")
        await desk.pilot.press(*screen.tags[5])
        await desk.pilot.press("left", "space", "right", "right", "space", "space")
        await desk.sees("2 red")
        await desk.pilot.press("enter")
        await desk.until(lambda: screen.page is not page)
        assert labels(log, project) == {
            ref: "red" if place in (4, 5) else "blue" for place, ref in enumerate(page.refs)
        }
        groups = {(e.extra or {})["group"] for e in log(project)}
        assert len(groups) == 1
        assert all(e.q is not None for e in log(project)), "a random page, answered in full"


async def test_no_list_of_a_page_has_a_command_that_refuses(make: Make, opened: Any) -> None:
    async with opened(make(16), size=(140, 60)) as desk:
        screen = await show(desk)
        refusing = {"reference", "similar", "hide", "undo"}
        assert refusing.isdisjoint(hint.action[0] for hint in screen.hints())
        await desk.pilot.press("E")
        await desk.sees("The class has no reference images")
        await desk.pilot.press("H")
        await desk.sees("Small letters select tiles")
        for command in screen.commands:
            if command.help:
                assert (command.help[:40] in desk.text) == (command.name not in refusing)


async def test_a_skipped_page_that_is_taken_back_takes_no_answers_off_the_count(
    make: Make, opened: Any
) -> None:
    async with opened(make(16), size=(100, 34)) as desk:
        screen = await show(desk)
        page = screen.page
        assert page is not None
        await desk.pilot.press("enter")
        await desk.until(lambda: desk.app.pace.answers == 8 and screen.page is not page)
        await on_screen(desk)
        skipped = screen.page
        assert skipped is not None
        await desk.pilot.press("S")
        await desk.until(lambda: screen.page is not skipped)
        await desk.pilot.press("backspace")
        await desk.until(lambda: screen.page is not None and screen.page.key == skipped.key)
        await on_screen(desk)
        assert desk.app.pace.answers == 8 and screen.submitted == 1
        await desk.pilot.press("backspace")
        await desk.until(lambda: desk.app.pace.answers == 0)
        assert screen.submitted == 0 and desk.app.session.progress.labelled == 0


async def test_backspace_takes_a_page_back_with_its_selection(
    make: Make, opened: Any, log: Log
) -> None:
    project = make(16)
    async with opened(project, size=(100, 34)) as desk:
        screen = await show(desk)
        page = screen.page
        assert page is not None
        await desk.pilot.press("right", "space", "enter")
        await desk.until(lambda: screen.page is not page and screen.shows)
        await desk.pilot.press("space")  # a selection on the second page is put by
        await desk.pilot.press("backspace")
        await desk.until(lambda: screen.page is not None and screen.page.refs == page.refs)
        await on_screen(desk)
        await desk.sees("1 red")
        assert desk.app.session.progress.labelled == 0
        await desk.pilot.press("enter")
        await desk.until(lambda: len(labels(log, project)) == 8)
        await on_screen(desk)
        assert screen.selection is not None
        assert len(screen.selection.marks) == 1, "and comes back after it"


async def test_ranges_all_none_and_invert(make: Make, opened: Any) -> None:
    async with opened(make(8), size=(100, 34)) as desk:
        screen = await show(desk)
        await desk.pilot.press("shift+right", "shift+right")
        await desk.sees("3 red · 5 blue")
        await desk.pilot.press("I")
        await desk.sees("5 red · 3 blue")
        await desk.pilot.press("A")
        await desk.sees("8 red")
        await desk.pilot.press("N")
        await desk.sees("8 blue")
        await desk.pilot.press("home", "V", "right", "right", "right", "V", "right")
        await desk.sees("4 red · 4 blue")
        assert screen.selection is not None
        assert screen.selection.cursor == 4


async def test_the_mouse_selects_and_draws_ranges(make: Make, opened: Any) -> None:
    async with opened(make(8), size=(100, 34)) as desk:
        screen = await show(desk)

        async def click(place: int, **held: bool) -> None:
            left, top, width, height = screen.mosaic.picture_at(place)
            at = (int(left + width / 2), int(top + height / 2))
            await desk.pilot.click(screen.mosaic, offset=at, **held)

        await click(6)
        await desk.sees("1 red")
        await click(6)
        await desk.sees("8 blue")
        await click(2)
        await click(5, control=True)
        await desk.sees("4 red · 4 blue")
        assert screen.selection is not None
        assert [screen.selection.selected(place) for place in range(8)] == [False] * 2 + [
            True
        ] * 4 + [False] * 2


async def test_exceptions_get_a_class_by_its_digit(make: Make, opened: Any, log: Log) -> None:
    project = make(8, classes=("red", "blue", "grey"))
    async with opened(project, size=(100, 34)) as desk:
        screen = await show(desk, select=SelectionMode.EXCEPTIONS, negative=None)
        await desk.sees("All count as red. Select the exceptions: they stay open.")
        await desk.pilot.press("3", "right", "space")
        await desk.sees("6 red · 1 grey · 1 open")
        page = screen.page
        assert page is not None
        await desk.pilot.press("enter")
        await desk.until(lambda: len(labels(log, project)) == 7)
        assert labels(log, project)[page.refs[0]] == "grey"
        assert page.refs[1] not in labels(log, project)


async def test_what_cannot_be_read_stays_in_its_place_and_gets_no_label(
    make: Make, opened: Any, log: Log
) -> None:
    project = make(8)
    broken = project.images / "03.png"
    broken.write_bytes(b"no picture")
    async with opened(project, size=(100, 34)) as desk:
        screen = await show(desk)
        assert screen.page is not None
        place = screen.page.refs.index("03.png")
        await desk.pilot.press(*["right"] * place)
        await desk.sees("03.png")
        await desk.sees("1 open")
        await desk.pilot.press("A", "enter")
        await desk.until(lambda: len(labels(log, project)) == 7)
        assert "03.png" not in labels(log, project)
        assert {e.q for e in log(project)} == {None}, "a page with a gap is no random sample"


async def test_zoom_shows_one_tile_and_the_arrows_go_on(make: Make, opened: Any) -> None:
    async with opened(make(8), size=(100, 34)) as desk:
        screen = await show(desk)
        assert screen.page is not None
        refs = screen.page.refs
        await desk.pilot.press("right", "Z")
        await desk.until(lambda: screen.mosaic.item == Item.parse(refs[1]))
        await desk.pilot.press("right")
        await desk.until(lambda: screen.mosaic.item == Item.parse(refs[2]))
        await desk.pilot.press("space", "escape")
        await on_screen(desk)
        await desk.sees("1 red")
        assert isinstance(desk.app.screen, PageScreen), "escape leaves the zoom, not the page"


@contextmanager
def little_memory(spare: int) -> Iterator[None]:
    """Within, this process can take `spare` bytes more at most."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + spare, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


async def test_true_pixels_of_one_tile_take_no_memory_for_the_next_pages(
    make: Make, opened: Any
) -> None:
    async with opened(make(24), size=(100, 34)) as desk:
        screen = await show(desk)
        await desk.until(lambda: screen.mosaic.ready >= 1)
        with little_memory(4 << 30):
            await desk.pilot.press("Z")
            await desk.until(lambda: screen.mosaic.pixels_in_view is not None)
            await desk.until(lambda: screen.mosaic.ready >= 1)


async def test_a_small_window_shows_a_page_in_parts(make: Make, opened: Any, log: Log) -> None:
    project = make(24)
    async with opened(project, size=(130, 40)) as desk:
        screen = await show(desk, per_page=24)
        page = screen.page
        assert page is not None
        assert len(page.refs) == 24
        await desk.pilot.resize_terminal(60, 20)
        await desk.until(lambda: len(screen.in_view()) < 24 and screen.shows)
        first = len(screen.in_view())
        await desk.pilot.press("pagedown")
        await desk.until(lambda: screen.in_view().start == first and screen.shows)
        await desk.pilot.press("space")
        while screen.in_view().stop < 24:
            await desk.pilot.press("pagedown")
            await on_screen(desk)
        await desk.pilot.press("enter")
        await desk.until(lambda: len(labels(log, project)) == 24)
        assert labels(log, project)[page.refs[first]] == "red"


async def test_a_window_that_is_too_small_for_any_tile_says_so(make: Make, opened: Any) -> None:
    async with opened(make(8), size=(100, 34)) as desk:
        screen = await show(desk)
        await desk.pilot.press("space")
        await desk.pilot.resize_terminal(40, 5)
        await desk.sees("too small")
        await desk.pilot.press("enter")  # of a page that is not on the screen
        await desk.pilot.resize_terminal(100, 34)
        await on_screen(desk)
        await desk.sees("1 red")
        assert desk.app.session.progress.labelled == 0
        assert screen.selection is not None


async def test_the_next_page_is_there_before_it_is_asked_for(make: Make, opened: Any) -> None:
    async with opened(make(24), size=(100, 34)) as desk:
        screen = await show(desk)
        await desk.until(lambda: "ready 1" in screen.mosaic.status)
        await desk.pilot.press("enter")
        await on_screen(desk)
        await desk.sees("page 2")


async def test_g_offers_pages_and_b_what_is_similar(
    make: Make, opened: Any, give_features: Any, truth: Any
) -> None:
    project = make(24)
    give_features(project, [f"{n:02}.png" for n in range(24)])
    async with opened(project, size=(100, 34)) as desk:
        await desk.press("a", "d")
        await desk.until(lambda: desk.app.session.ranking and desk.app.session.ranking.model)
        await desk.pilot.press("g")
        await desk.sees("accept red")
        await desk.pilot.press("escape")
        asked = desk.current
        await desk.press("b")
        await on_screen(desk)
        screen = page_of(desk)
        assert screen.page is not None
        alike = screen.page.refs[:6]
        assert {truth(ref) for ref in alike} == {truth(asked)}
        await desk.pilot.press("Q")
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)


async def test_the_model_learns_from_a_page(
    make: Make, opened: Any, give_features: Any, truth: Any
) -> None:
    project = make(40)
    give_features(project, [f"{n:02}.png" for n in range(40)])
    async with opened(project, size=(100, 34)) as desk:
        await desk.until(lambda: desk.app.session.has_features)
        screen = await show(desk, order=PageOrder.RANDOM)
        assert screen.page is not None
        for place, ref in enumerate(screen.page.refs):
            if truth(ref) == "red":
                await desk.pilot.press(*screen.tags[place])
        await desk.pilot.press("enter")
        await desk.until(lambda: desk.app.session.ranking and desk.app.session.ranking.model)
        await desk.pilot.press("Q")
        screen = await show(
            desk, select=SelectionMode.EXCEPTIONS, order=PageOrder.LIKELY, negative=None
        )
        assert screen.page is not None
        assert {truth(ref) for ref in screen.page.refs} == {"red"}
        await desk.sees("prediction shown")
        await desk.pilot.press("P")
        await desk.sees("prediction hidden")


async def test_leaving_gives_the_items_back(make: Make, opened: Any) -> None:
    async with opened(make(8), size=(100, 34)) as desk:
        screen = await show(desk)
        assert screen.page is not None
        await desk.pilot.press("Q")
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)
        desk.app.session.refresh()
        assert desk.app.session.queue.leased_by_others == set()


async def test_the_footer_has_only_what_does_something_now(make: Make, opened: Any) -> None:
    async with opened(make(8), size=(100, 34)) as desk:
        screen = await show(desk)
        await desk.sees("⏎ submit")
        assert "undo" not in desk.text
        await desk.pilot.press("a")
        await desk.until(lambda: ("⌫ undo" in desk.text) == bool(screen.typed))
        await desk.pilot.press("enter")
        await desk.sees("No more pages")
        await desk.until(lambda: "submit" not in desk.text)
        assert "undo" in desk.text
        assert "leave" in desk.text
        await desk.pilot.press("backspace")
        await on_screen(desk)
        await desk.sees("⏎ submit")
        await desk.pilot.resize_terminal(40, 5)
        await desk.sees("too small")
        await desk.until(lambda: "submit" not in desk.text)
        assert screen.page is not None


async def test_a_small_q_leaves_when_no_tile_has_that_letter(make: Make, opened: Any) -> None:
    async with opened(make(8), size=(100, 34)) as desk:
        await show(desk)
        await desk.pilot.press("enter")
        await desk.sees("Q or Esc leaves")
        await desk.pilot.press("q")
        await desk.until(lambda: not isinstance(desk.app.screen, PageScreen))


def test_a_selection_sends_what_has_changed_and_no_other_frame(make: Make) -> None:
    """Tags of two letters: the first one marks many tiles, the second one selects one of them."""
    command = ["browse", str(make(48).folder), "--class", "red", "--order", "random"]
    with Running(["-m", "annotator", *command], size=(160, 50)) as running:
        running.wait(lambda screen: " fj " in screen.text() and "›ff" in screen.text())
        _wait_quiet(running)

        def press(letter: bytes) -> int:
            before = running.sent
            running.press(letter)
            _wait_quiet(running)
            return running.sent - before

        def sides() -> int:
            return running.look(lambda screen: screen.text().count("▐"))

        one_tile = sides()  # the cursor's
        sent = [press(letter) for letter in (b"f", b"j", b"f", b"d", b"f", b"k", b"f", b"s")]
        shown = running.look(lambda screen: screen.text())
        assert all(sign in shown for sign in ("✓fj", "✓fd", "✓fk", "✓›fs", " ff "))
        assert sides() == 4 * one_tile
        # The sides of the tiles that are selected already are not sent again at each letter.
        assert sent[7] < sent[1] + 200 and sent[6] < sent[0] + 200
        press(b"f")
        press(b"d")
        shown = running.look(lambda screen: screen.text())
        assert "✓fs" in shown and "✓fd" not in shown and "›fd" in shown
        assert sides() >= 3 * one_tile


def _wait_quiet(running: Running) -> None:
    """Wait until the program has written nothing for a moment."""
    since, sent = time.monotonic(), -1
    while time.monotonic() - since < 0.5:
        if running.sent != sent:
            since, sent = time.monotonic(), running.sent
        time.sleep(0.02)
