"""V shows what each promise of finish would cost; an audit has a bar that fills and sinks."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from annotator.curate.finish_set import SetAudit, SetPromise, begin_set_audit
from annotator.log.entries import Action, Entry, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.session.price_list import OFFERED_ERRORS, AuditOffer, PriceList
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.app import LabelApp
from annotator.tui.label.price_screen import shown_prices
from annotator.tui.launch import ItemSample, prepare_label_app
from tests.tui.label.test_audit import _until

REFS = [f"{number:02d}.png" for number in range(120)]


def _label(project: ProjectFolder, truth: Any, count: int) -> None:
    store = SqliteStore(project.labels_file)
    store.append(
        *(
            Entry(0, 2.0 * n, "ann", Action.LABEL, ref, truth(ref), picked_by="random",
                  q=1 / (len(REFS) - n), pool=len(REFS) - n)
            for n, ref in enumerate(REFS[:count])
        )
    )  # fmt: skip
    store.close()


@pytest.fixture
def project(make: Any, give_features: Any, truth: Any) -> ProjectFolder:
    made: ProjectFolder = make(len(REFS))
    give_features(made, REFS)
    return made


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_v_shows_the_price_list_and_renews_it(
    project: ProjectFolder, truth: Any, opened: Any, size: tuple[int, int]
) -> None:
    _label(project, truth, 40)
    async with opened(project, size=size) as desk:
        await desk.until(lambda: desk.app.label_screen.listed)
        await desk.learnt()
        await desk.press("v")
        await desk.sees("what a certificate costs")
        await desk.sees("for 80 open items")
        await desk.sees("labels for you")
        await desk.sees("--of set")
        await desk.press("v")
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)


async def test_without_labels_the_price_list_says_what_it_needs(
    project: ProjectFolder, opened: Any
) -> None:
    async with opened(project, size=(80, 24)) as desk:
        await desk.until(lambda: desk.app.label_screen.listed)
        await desk.press("v")
        await desk.sees("Prices appear with the first model")


def _begin(project: ProjectFolder) -> tuple[SetAudit, list[str]]:
    store = SqliteStore(project.labels_file)
    audit = begin_set_audit(project, store, SetPromise(0.05, 0.9))
    asked = audit.refs_to_ask(replay(store.entries()))
    store.close()
    return audit, asked


async def _press(pilot: Pilot[Any], app: LabelApp, key: str) -> None:
    """Press a key once the terminal has the picture."""
    picture = app.label_screen.picture
    while picture.seen is None or picture.seen != picture.item:
        await pilot.pause(0.02)
    await pilot.press(key)


def test_a_price_list_of_a_large_pool_fits_a_small_window_with_its_command() -> None:
    offers = tuple(AuditOffer(error, 1, 12_345, 123_456, 1_234_567) for error in OFFERED_ERRORS)
    lines = shown_prices(PriceList(1_358_023, offers, offers), 2.0, "p", 80)
    assert len(lines) < 24, "the last line of the window holds the keys"
    shown = ["".join(text for text, _ in line) for line in lines]
    assert max(map(len, shown)) <= 80
    assert "annotator finish p --of set" in shown[-1]


async def test_an_audit_asks_first_what_it_must_and_ends_by_itself(
    project: ProjectFolder, truth: Any
) -> None:
    _label(project, truth, 30)
    store = SqliteStore(project.labels_file)
    audit = begin_set_audit(project, store, SetPromise(0.05, 0.9))
    refs = list(audit.askable(replay(store.entries())))
    store.close()
    first = tuple(refs[-3:])
    sample = ItemSample(
        audit.attempt.name, refs, is_lost=audit.is_lost, meter=audit.meter, first=first
    )
    caps = TerminalCapabilities(Technique.HALFCELL)
    with prepare_label_app(project, "ann", caps, features=False, audit=sample) as app:
        async with app.run_test(size=(120, 40)) as pilot:
            await _until(pilot, app, "0 audited, 0 wrong")
            asked: list[str] = []
            while app.session.current is not None:
                ref = app.session.current.ref
                asked.append(ref)
                await _press(pilot, app, "a" if truth(ref) == "red" else "d")
                await _until(pilot, app, f"{len(asked)} audited")
            await _until(pilot, app, "The audit is done")
    assert set(asked[: len(first)]) == set(first)
    assert audit.verdict(replay(SqliteStore(project.labels_file).entries())).certified
    assert len(asked) < len(refs)


async def test_the_bar_fills_item_by_item_sinks_with_an_error_and_ends_certified(
    project: ProjectFolder, truth: Any
) -> None:
    _label(project, truth, 30)
    audit, asked = _begin(project)
    sample = ItemSample(
        audit.attempt.name, asked, is_lost=audit.is_lost, meter=audit.meter
    )  # fmt: skip
    caps = TerminalCapabilities(Technique.HALFCELL)
    with prepare_label_app(project, "ann", caps, features=False, audit=sample) as app:
        async with app.run_test(size=(120, 40)) as pilot:
            await _until(pilot, app, "0 audited, 0 wrong")
            filled = [0]
            for count in range(1, 4):
                ref = app.label_screen.picture.item.ref
                await _press(pilot, app, "a" if truth(ref) == "red" else "d")
                await _until(pilot, app, f"{count} audited, 0 wrong")
                filled.append(audit.verdict(app.session.state).fill)
            assert filled == sorted(filled) and filled[-1] > 0
            before = audit.verdict(app.session.state)
            ref = app.label_screen.picture.item.ref
            await _press(pilot, app, "d" if truth(ref) == "red" else "a")
            await _until(pilot, app, "4 audited, 1 wrong")
            after = audit.verdict(app.session.state)
            assert after.spared < before.spared
            while app.session.current is not None:
                ref = app.session.current.ref
                number = audit.verdict(app.session.state).audited
                await _press(pilot, app, "a" if truth(ref) == "red" else "d")
                await _until(pilot, app, f"{number + 1} audited")
            await _until(pilot, app, "The audit is done")
            await _until(pilot, app, "certified")
    assert audit.verdict(replay(SqliteStore(project.labels_file).entries())).certified
