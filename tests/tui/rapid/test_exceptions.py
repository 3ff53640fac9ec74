"""A stream of what the model takes for a class: what is not of it is marked, and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from annotator.features.growing import FeatureWriter
from annotator.items.ref_table import RefTable
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.session.session import LabelSession
from annotator.tui.rapid.text import RapidMode, StreamQuestion
from tests.tui.rapid.test_rapid import Rapid, labels
from tests.tui.rapid.test_rapid import rapid as rapid  # a fixture

ODD = (13, 18, 26)
"""Images that look to the model like the other colour."""


def taught(make: Any, truth: Any) -> ProjectFolder:
    """Forty images, ten of them labelled, with features that fool a model about three others."""
    project: ProjectFolder = make(40, target_error=0.001)
    refs = [f"{n:02}.png" for n in range(40)]
    kinds = np.array([(int(Path(ref).stem) + (int(Path(ref).stem) in ODD)) % 2 for ref in refs])
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(40, 8)).astype(np.float32) * 0.15
    matrix[:, 0] += np.where(kinds, 1.0, -1.0)
    with FeatureWriter(project.features_folder, RefTable(refs), {"name": "made"}, 8) as growing:
        growing.write(np.arange(40), matrix)
        growing.finish()
    store = SqliteStore(project.labels_file)
    session = LabelSession(store, ("red", "blue"), annotator="ann")
    session.decide({ref: truth(ref) for ref in refs[:10]}, picked_by="test")
    store.close()
    return project


async def streamed(hand: Rapid) -> None:
    """Choose the stream of exceptions of blue, and mark what is red."""
    session = hand.screen.session
    await hand.until(lambda: session.ranking is not None and session.ranking.model is not None)
    await hand.pilot.press("o", "o")
    assert hand.screen.asked.excepts
    hand.screen.measured = True  # the delay was measured before
    truth, hand.truth = hand.truth, lambda ref: "blue" if hand_truth(ref) == "red" else "red"
    hand_truth = truth
    await hand.pilot.press("-", "-", "-", "enter")
    await hand.mark()
    await hand.look_again()
    hand.truth = truth


async def test_what_is_marked_is_given_its_class_and_the_rest_is_the_class(
    make: Any, rapid: Any, truth: Any
) -> None:
    project = taught(make, truth)
    async with rapid(project) as hand:
        await streamed(hand)
        screen = hand.screen
        shown = [item.ref for item in screen._player.items]
        wrong = {ref for ref in shown if truth(ref) == "red"}
        assert wrong, "the model is fooled"
        assert screen.mode is RapidMode.NAMING
        assert not set(shown) & set(labels(project)), "nothing is written before the end"
        while screen.mode is RapidMode.NAMING:
            item = screen.picture.item
            await hand.until(lambda item=item: screen.picture.seen == item)
            await hand.pilot.press("1")
        await hand.pilot.press("q")
    found = labels(project)
    assert {ref: found[ref] for ref in shown} == {ref: truth(ref) for ref in shown}


async def test_what_is_left_unnamed_stays_open(make: Any, rapid: Any, truth: Any) -> None:
    project = taught(make, truth)
    async with rapid(project) as hand:
        await streamed(hand)
        screen = hand.screen
        shown = [item.ref for item in screen._player.items]
        await hand.until(lambda: screen.picture.seen == screen.picture.item)
        await hand.pilot.press("s")
        await hand.pilot.press("q")
    found = labels(project)
    red = {ref for ref in shown if truth(ref) == "red"}
    assert not red & set(found)
    assert {found[ref] for ref in shown if ref not in red} == {"blue"}


def test_the_choices_go_round_and_on_where_undo_took_the_model_away() -> None:
    classes = ("a", "b")
    first = StreamQuestion("a")
    second = first.next_question(classes, True)
    third = second.next_question(classes, True)
    assert (second.rest, third.excepts) == ("b", True)
    assert third.next_question(classes, True) == first
    assert third.next_question(classes, False) == first
