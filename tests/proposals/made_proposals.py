"""Proposals and their labels, written for tests."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from annotator.detection.proposal import Proposal
from annotator.items.refs import Box, Item
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.proposals import ProposalWriter


def proposal(
    x: float = 10, score: float = 0.8, name: str = "cat", model: str = "m", path: str = "a.png",
    w: float = 40,
) -> Proposal:  # fmt: skip
    return Proposal(Item(path, Box(x, 10, w, 30)), score, name, model)


def write(project: ProjectFolder, *proposals: Proposal) -> ProposalWriter:
    with ProposalWriter(project) as writer:
        writer.add(proposals)
    return writer


def label(project: ProjectFolder, labels: dict[str, str], **more: object) -> None:
    store = SqliteStore(project.labels_file)
    store.append(
        *(Entry(0, 1.0, "ann", Action.LABEL, ref, name, **more) for ref, name in labels.items())  # type: ignore[arg-type]
    )
    store.close()


def state_of(project: ProjectFolder) -> LogState:
    store = SqliteStore(project.labels_file)
    try:
        return replay(store.entries())
    finally:
        store.close()


def photos(folder: Path) -> Path:
    """A new folder with two photographs of 200 x 100, a.png and b.png."""
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (200, 100), (50, 90, 120)).save(folder / name)
    return folder
