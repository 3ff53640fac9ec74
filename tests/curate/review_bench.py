"""A project of 90 items in three clouds, to be labelled with errors and reviewed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from annotator.curate.review import Review
from annotator.curate.review_evidence import gather_evidence
from annotator.curate.review_queues import ReviewQueues, find_cases
from annotator.features.store import FeatureStore
from annotator.images import near_duplicates
from annotator.items.ref_table import RefTable
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.session.session import LabelSession

COUNT = 90


def truth(ref: str) -> str:
    return ("ok", "crack", "rust")[int(ref[:2]) % 3]


class Bench:
    """A project of 90 items in three well separated clouds, its log, and reviews of it."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(classes=tuple(map(ClassInfo, ("ok", "crack", "rust"))), images=".")
        self.project = ProjectFolder.create(folder / "p", settings)
        self.refs = [f"{n:02d}.png" for n in range(COUNT)]
        self.project.refs_file.write_text("filename\n" + "\n".join(self.refs) + "\n")
        rng = np.random.default_rng(5)
        matrix = rng.normal(0, 0.12, (COUNT, 12)).astype(np.float32)
        matrix[np.arange(COUNT), np.arange(COUNT) % 3] += 1.0
        np.save(folder / "x.npy", matrix)
        FeatureStore.adopt(self.project.features_folder, folder / "x.npy", RefTable(self.refs))
        self.store = SqliteStore(self.project.labels_file)

    def label(self, ref: str, label: str, who: str = "ana", **fields: Any) -> Entry:
        entry = Entry(0, 1000.0, who, Action.LABEL, ref, label, **fields)
        return self.store.append(entry)[0]

    def label_all(self, wrong: Sequence[str] = ()) -> None:
        """By the truth; `wrong` ones as the next class."""
        names = ["ok", "crack", "rust"]
        for ref in self.refs[:60]:
            shift = ref in wrong
            self.label(ref, names[(names.index(truth(ref)) + shift) % 3])

    @property
    def state(self) -> LogState:
        return replay(self.store.entries())

    def found(self) -> ReviewQueues:
        prints = near_duplicates.load_fingerprints(
            self.project.fingerprints_file, load_refs(self.project)
        )
        evidence = gather_evidence(self.project, self.state)
        return find_cases(self.project, self.store, self.state, evidence, prints)

    def refs_in(self, queue: str) -> list[str]:
        return [case.ref for case in self.found().cases[queue]]

    def review(self, queue: str | None = None, who: str = "bo") -> Review:
        session = LabelSession(self.store, self.project.settings.names, annotator=who)
        return Review(session, self.found(), gather_evidence(self.project, self.state), queue)
