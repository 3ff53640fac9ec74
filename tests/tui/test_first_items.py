"""The first items of a new annotator on the screen: those that the model of all labels picks."""

from __future__ import annotations

from typing import Any

from annotator.session.session import LabelSession

REFS = [f"{number:02d}.png" for number in range(40)]


def session_of(desk: Any) -> LabelSession:
    session = desk.app.session
    assert isinstance(session, LabelSession)
    return session


async def test_no_item_of_a_new_annotator_is_random_if_there_is_a_model(
    make: Any, give_features: Any, opened: Any, truth: Any
) -> None:
    project = make(40)
    give_features(project, REFS)
    async with opened(project) as desk:
        for _ in range(8):
            await desk.learnt()
            await desk.press("a" if truth(desk.current) == "red" else "d")
    async with opened(project, annotator="new") as desk:
        await desk.until(lambda: session_of(desk).current is not None)
        queue = session_of(desk).queue
        assert session_of(desk).ranking is not None
        drawn = {queue[place].row for place in range(len(queue))}
        assert len(drawn) == queue.ahead + 1 and not drawn & queue._stand_ins


async def test_random_stand_ins_give_way_to_the_first_ranking(
    make: Any, give_features: Any, opened: Any
) -> None:
    project = make(40)
    give_features(project, REFS)
    async with opened(project) as desk:
        await desk.learnt()
        queue = session_of(desk).queue
        picked = [queue[place].component for place in range(1, len(queue))]
        assert len(picked) == queue.ahead and "cold" in picked


async def test_features_that_cannot_be_read_keep_nobody_waiting(
    make: Any, give_features: Any, opened: Any
) -> None:
    project = make(8)
    give_features(project, REFS[:8])
    async with opened(project) as desk:
        await desk.press("a")
    (project.features_folder / "features.npy").write_bytes(b"cut")
    async with opened(project, annotator="new") as desk:
        await desk.until(lambda: session_of(desk).current is not None)
        await desk.sees("asking at random")
