"""V shows what each promise of finish would cost; an audit has a bar that fills and sinks."""

from __future__ import annotations

from typing import Any

import pytest

from annotator.curate.finish_set import SetAudit, SetPromise, begin_set_audit
from annotator.log.entries import Action, Entry, replay
from annotator.log.store import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.terminal.caps import Technique, TerminalCapabilities
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
                await pilot.press("a" if truth(ref) == "red" else "d")
                await _until(pilot, app, f"{count} audited, 0 wrong")
                filled.append(audit.verdict(app.session.state).fill)
            assert filled == sorted(filled) and filled[-1] > 0
            before = audit.verdict(app.session.state)
            ref = app.label_screen.picture.item.ref
            await pilot.press("d" if truth(ref) == "red" else "a")
            await _until(pilot, app, "4 audited, 1 wrong")
            after = audit.verdict(app.session.state)
            assert after.spared < before.spared
            while app.session.current is not None:
                ref = app.session.current.ref
                number = audit.verdict(app.session.state).audited
                await pilot.press("a" if truth(ref) == "red" else "d")
                await _until(pilot, app, f"{number + 1} audited")
            await _until(pilot, app, "The audit is done")
            await _until(pilot, app, "certified")
    assert audit.verdict(replay(SqliteStore(project.labels_file).entries())).certified
