"""The review of identities: confirm, move out, name, merge, divide, noise; all in the log."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from textual.widgets import Input

from annotator.features.growing import FeatureWriter
from annotator.log.entries import Action, replay
from annotator.project.clusters import ClusterMember, write_clusters
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder, append_classes
from annotator.project.settings import ClassInfo
from annotator.proposals.identities import FaceGroups, IdentityOptions, find_unclustered_faces
from annotator.proposals.table import PROPOSAL_COLUMNS, ProposalRow
from annotator.tui.pages.identities import IdentitiesScreen
from annotator.tui.pages.open import open_identities

GROUPS = (range(0, 6), range(6, 10), range(10, 12))
LOOSE = ["12.png", "13.png"]


@pytest.fixture
def album(make: Any) -> ProjectFolder:
    """14 pictures: three clusters, and two that are loose."""
    project: ProjectFolder = make(14, classes=("face", "none"))
    write_clusters(
        project,
        [
            ClusterMember(f"{n:02d}.png", number, "")
            for number, group in enumerate(GROUPS)
            for n in group
        ],
    )
    return project


class Review:
    """The review on screen and the means to look at it."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk

    @property
    def screen(self) -> IdentitiesScreen:
        return next(s for s in self.desk.app.screen_stack if isinstance(s, IdentitiesScreen))

    @property
    def refs(self) -> tuple[str, ...]:
        return self.screen.page.refs if self.screen.page else ()

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.desk.until(self._ready)
            await self.desk.pilot.press(key)

    def _ready(self) -> bool:
        screen = self.screen
        seen = screen.mosaic.seen == screen._sheet and screen.shows
        return self.desk.app.screen is not screen or bool(screen.page and seen)

    async def type(self, name: str) -> None:
        """A name into the box that is open, in place of what it holds."""
        await self.desk.until(lambda: self.desk.app.screen.query(Input))
        self.desk.app.screen.query_one(Input).value = name
        await self.desk.pilot.press("enter")
        await self.desk.until(lambda: self.desk.app.screen is self.screen)


@pytest.fixture
def reviewing(opened: Any) -> Callable[..., Any]:
    @asynccontextmanager
    async def review(
        project: ProjectFolder, loose: Sequence[str] = LOOSE, again: bool = False
    ) -> AsyncIterator[Review]:
        async with opened(project, size=(100, 40)) as desk:
            open_identities(desk.app, loose, word="person", again=again)
            await desk.until(lambda: isinstance(desk.app.screen, IdentitiesScreen))
            shown = Review(desk)
            await desk.until(shown._ready)
            yield shown

    return review


def _labels(project: ProjectFolder, log: Any) -> dict[str, str | None]:
    return {ref: stack[-1].label for ref, stack in replay(log(project)).standing.items()}


async def test_a_new_identity_leaves_the_screen_below_as_it_is(
    album: ProjectFolder, reviewing: Any
) -> None:
    async with reviewing(album) as review:
        await review.press("enter")  # the project has a third class now, without a key
        await review.desk.sees("person 2")
        await review.press("Q")
        await review.desk.until(lambda: not review.desk.app.is_running or review.desk.app._exit)
        assert review.desk.app._exception is None
        review.desk.app.label_screen.show_keys()


async def test_the_largest_comes_first_and_enter_confirms_it(
    album: ProjectFolder, reviewing: Any, log: Any
) -> None:
    async with reviewing(album) as review:
        await review.desk.sees("person 1")
        assert review.refs == tuple(f"{n:02d}.png" for n in GROUPS[0])
        await review.press("enter")
        await review.desk.sees("person 2")
    labels = _labels(album, log)
    assert labels == {f"{n:02d}.png": "person 1" for n in GROUPS[0]}
    assert ProjectFolder.open(album.folder).settings.names == ("face", "none", "person 1")


async def test_what_is_moved_out_comes_again_among_the_loose(
    album: ProjectFolder, reviewing: Any, log: Any
) -> None:
    async with reviewing(album) as review:
        await review.press("right", "space", "enter", "enter", "enter")
        await review.desk.until(lambda: set(review.refs) == {*LOOSE, "01.png"})
        # All but the last belong to the second identity; the last one stays open.
        await review.press("space", "right", "space", "E")
        await review.type("person 2")
        await review.press("enter")
        shown = (*LOOSE, "01.png")
        await review.desk.until(lambda: not review.refs)
    labels = _labels(album, log)
    assert labels["00.png"] == "person 1"
    assert [labels.get(ref) for ref in shown] == ["person 2", "person 2", None]
    rows = [entry for entry in log(album) if entry.ref == "01.png"]
    assert [entry.action for entry in rows] == [Action.SKIP]
    async with reviewing(album) as review:
        assert review.refs == ("01.png",)


async def test_merge_is_offered_once_an_identity_has_a_name(
    album: ProjectFolder, reviewing: Any
) -> None:
    async with reviewing(album) as review:
        assert "merge" not in review.desk.text
        await review.press("M")
        await review.desk.sees("no identity has a name yet")
        await review.press("H")
        await review.desk.sees("Name this identity")
        assert "Choose the named identity" not in review.desk.text
        await review.press("escape", "enter")
        await review.desk.sees("M merge")


async def test_names_merge_divide_and_the_noise_bin(
    album: ProjectFolder, reviewing: Any, log: Any
) -> None:
    async with reviewing(album) as review:
        await review.press("E")
        await review.type("Ada")
        await review.desk.sees("Ada")
        # The first two are another person, the third is not a person.
        await review.press("space", "right", "space", "D")
        await review.type("Grace")
        await review.press("right", "X", "enter")
        # The second cluster is Ada, too.
        await review.press("M")
        await review.type("Ada")
        await review.press("enter")
        await review.desk.until(lambda: len(review.refs) == 2)
    labels = _labels(album, log)
    assert labels["00.png"] == labels["01.png"] == "Grace"
    assert labels["02.png"] == "noise"
    ada = [*GROUPS[0][3:], *GROUPS[1]]
    assert all(labels[f"{n:02d}.png"] == "Ada" for n in ada)
    names = ProjectFolder.open(album.folder).settings.names
    assert set(names) == {"face", "none", "Ada", "Grace", "noise"}


async def test_a_page_is_taken_back_whole_also_on_another_day(
    album: ProjectFolder, reviewing: Any, log: Any
) -> None:
    async with reviewing(album) as review:
        await review.press("space", "enter")
        await review.desk.sees("person 2")
        await review.press("backspace")
        await review.desk.until(lambda: len(review.refs) == 6)
        assert review.screen.selection is not None and set(review.screen.selection.marks) == {
            "00.png"
        }
        await review.press("enter")
    assert len(_labels(album, log)) == 6
    async with reviewing(album) as review:
        await review.desk.until(lambda: len(review.refs) == 4)
        await review.press("backspace")
        await review.desk.until(lambda: len(review.refs) == 6)
    assert _labels(album, log) == {}


async def test_confirmed_identities_come_once_more_if_asked(
    album: ProjectFolder, reviewing: Any, log: Any
) -> None:
    async with reviewing(album) as review:
        await review.press("enter")
        await review.desk.sees("person 2")
    async with reviewing(album, again=True) as review:
        assert len(review.refs) == 6
        await review.press("E")
        await review.type("Ada")
        await review.press("enter")
        await review.desk.until(lambda: len(review.refs) == 4)
    assert _labels(album, log)["03.png"] == "Ada"


def test_new_classes_go_to_the_end_and_nothing_else_changes(make: Any) -> None:
    project: ProjectFolder = make(2, classes=(ClassInfo("face", key="x"), "none"))
    file = project.folder / "annotator.toml"
    file.write_text("# mine\n" + file.read_text())
    before = file.read_text()
    changed = append_classes(project, ["Ada", "face", "Ada", 'O"Brien'])
    assert changed.settings.names == ("face", "none", "Ada", 'O"Brien')
    assert file.read_text().startswith(before.rstrip("\n"))
    assert ProjectFolder.open(project.folder).settings.classes == changed.settings.classes


def _described(project: ProjectFolder) -> FaceGroups:
    """The faces 00 to 09 with descriptors: two pairs of pairs, and two that are alone."""
    refs = load_refs(project)
    angles = np.radians([0, 4, 12, 16, 90, 94, 102, 106, 180, 250])
    rows = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    with FeatureWriter(project.features_folder, refs, {"name": "d", "faces": True}, 2) as written:
        written.write(np.arange(10), rows)
        written.finish()
    points = json.dumps({"points": [[0, 0]] * 5})
    with project.proposals_file.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(PROPOSAL_COLUMNS)
        table.writerows(ProposalRow(f"{n:02d}.png", 1.0, 1, "face", "m", points) for n in range(10))
    eps = 1 - np.cos(np.radians(7.5))  # the pairs, 4 degrees apart
    groups = FaceGroups(project, IdentityOptions(eps=float(eps)))
    groups.group()
    return groups


async def test_brackets_change_eps_and_confirmed_names_stay_whole(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(10, classes=("face", "none"))
    faces = _described(project)
    loose = find_unclustered_faces(project)
    async with opened(project, size=(110, 40)) as desk:
        open_identities(desk.app, loose, word="person", again=False, faces=faces)
        await desk.until(lambda: isinstance(desk.app.screen, IdentitiesScreen))
        review = Review(desk)
        await desk.until(review._ready)
        await desk.sees("nearest distances")
        assert set(review.refs) == {"00.png", "01.png"}
        await review.press("enter")  # person 1
        await desk.until(lambda: set(review.refs) == {"02.png", "03.png"})
        await review.press("space", "]")
        await desk.sees("confirms this page first")
        await review.press("space")
        for _ in range(3):  # 7.5 degrees become 8.6: pairs that are 8 degrees apart join
            await review.press("]")
            await desk.until(lambda: not review.screen._is_grouping)
        await desk.sees("2 groups, 2 loose")
        assert set(review.refs) == {"02.png", "03.png"}
        assert review.screen.page.label == "person 1"
        await review.press("enter")
        await desk.until(lambda: set(review.refs) == {f"0{n}.png" for n in range(4, 8)})
        await review.press("enter")
        await desk.until(lambda: set(review.refs) == {"08.png", "09.png"})
        await review.press("enter")
        await desk.sees("Without a name: 2 loose items")
    labels = _labels(project, log)
    assert {labels[f"0{n}.png"] for n in range(4)} == {"person 1"}
    assert {labels[f"0{n}.png"] for n in range(4, 8)} == {"person 2"}


async def test_groups_that_are_not_of_faces_have_no_eps(
    album: ProjectFolder, reviewing: Any
) -> None:
    async with reviewing(album) as review:
        await review.press("]")
        await review.desk.sees("not of faces")
        assert "eps" not in {hint.action[0] for hint in review.screen.hints()}
