"""The Python interface: a project, and labelling sessions on it without a screen.

    import annotator

    project = annotator.open("parts")
    with project.session(annotator="vlm") as session:
        while session.current is not None:
            session.label(ask_my_model(session.picture()))

A session here works as on the screen: items are leased, so that no other annotator is asked the
same ones; every label is on disk when `label` returns; and in a project with features a model
learns after each label.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from annotator.errors import ProjectError, RefError
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item, make_printable
from annotator.log.entries import Entry, replay, reviewed_labels
from annotator.log.store.open import open_store
from annotator.project.class_tree import ClassTree
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder as Opened
from annotator.proposals import load_proposal_prior
from annotator.session.progress import Progress
from annotator.session.scripted import ScriptedSession, resolve_class

if TYPE_CHECKING:
    from PIL.Image import Image

    from annotator.learn.error_estimate import ErrorEstimate


@dataclass(frozen=True, slots=True)
class Project:
    """An opened project folder."""

    opened: Opened

    @property
    def folder(self) -> Path:
        """The project folder."""
        return self.opened.folder

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.opened.settings.names

    @property
    def tree(self) -> ClassTree:
        """The hierarchy of the classes; flat unless some have a parent."""
        return self.opened.settings.tree

    @property
    def refs(self) -> RefTable:
        """All items in the order of refs.csv; without refs.csv the images are listed first."""
        return load_refs(self.opened)

    def labels(self) -> dict[str, str]:
        """Return ref to label, for every item with a standing label."""
        return {last.ref: str(last.label) for _, last in replay(self.log()).labels()}

    def reviewed(self) -> dict[str, list[str]]:
        """Return ref to the annotators who confirmed the label in a review, for reviewed items."""
        return dict(reviewed_labels(replay(self.log())))

    def log(self) -> Iterator[Entry]:
        """Yield every row of the log, oldest first."""
        if not self.opened.labels_file.exists():
            return
        store = open_store(self.opened)
        try:
            yield from store.entries()
        finally:
            store.close()

    def status(self) -> dict[str, Any]:
        """Return the figures of `annotator status --json`."""
        from annotator.report.status import project_status

        return project_status(self.opened)

    def predictions(self) -> Iterator[tuple[str, dict[str, float]]]:
        """Yield ref and class probabilities of every unlabelled item with features.

        In a hierarchy they are those of the leaves; `tree.sum_up` adds the classes above them.

        Raises `FeatureError` without features, `ProjectError` without labels of two classes.
        """
        from annotator.session.predict import fit, iter_predictions, unlabelled_rows

        state = replay(self.log())
        fitted = fit(self.opened, state)
        for ref, proba in iter_predictions(fitted, unlabelled_rows(fitted.refs, state)):
            yield ref, dict(zip(fitted.classes, map(float, proba), strict=True))

    def session(
        self,
        annotator: str | None = None,
        *,
        second: bool = False,
        learn: bool = True,
        lease: float = 600.0,
        clock: Callable[[], float] = time.time,
    ) -> Session:
        """Open a session of `annotator` (default: your login name).

        With `second` it asks for blind second opinions on items that others have labelled. They
        are used for agreement and review, and never change the standing label. Items are leased
        for `lease` seconds.
        """
        name = self.opened.settings.annotator_name(annotator)
        prior = load_proposal_prior(self.opened, blind=second)
        return Session(
            self.opened,
            ScriptedSession(
                self.opened, name, second=second, lease=lease, clock=clock, prior=prior
            ),
            learn,
        )


class Session:
    """A session of one annotator. Use it in a `with` statement, or call `close`."""

    def __init__(self, project: Opened, scripted: ScriptedSession, learn: bool) -> None:
        self._project, self._scripted, self._learns = project, scripted, learn
        self._learn()

    @property
    def current(self) -> Item | None:
        """The item to label, with its `ref`, `path` and `box`; None if no item is open."""
        return self._scripted.session.current

    def upcoming(self, n: int) -> list[Item]:
        """Return up to `n` items that come next.

        The session then draws that many ahead, so they are picked by a model that knows up to `n`
        labels less. A session that never calls this picks each item by all labels so far.
        """
        return self._scripted.upcoming(n)

    @property
    def prediction(self) -> Mapping[str, float] | None:
        """Class to probability for the current item; None before there is a model."""
        return self._scripted.session.prediction

    @property
    def estimate(self) -> ErrorEstimate | None:
        """The model's error on the whole pool, with its 90 % interval; None with few labels."""
        ranking = self._scripted.session.ranking
        found = ranking.estimate if ranking else None
        return found if found is not None and found.shown else None

    @property
    def progress(self) -> Progress:
        """The counts of items labelled, skipped and left."""
        return self._scripted.session.progress

    def picture(self, size: tuple[int, int] = (1024, 1024)) -> Image:
        """Return the current item's crop with some of its surroundings, at most `size` pixels.

        Raises `ImageError` if the file is not an image, `ProjectError` if no item is open.
        """
        from annotator.images import ImageFolder

        if (item := self.current) is None:
            raise ProjectError(
                "No item is open: all items are answered, or leased to other annotators."
            )
        settings = self._project.settings
        folder = ImageFolder(self._project.images, settings.max_pixels)
        return folder.crop(item, size, settings.context).image

    def label(self, name: str, ref: str | None = None) -> Entry | None:
        """Label the current item, durably, and move to the next one.

        In a multi-label project `name` may be a set of classes: "ok|dusty", or "(none)". If `ref`
        is given and is not the current item, nothing is written and None is returned. Raises
        `ProjectError` for a class that the project does not have, `StoreError` if nothing could be
        written.
        """
        return self._answered(self._scripted.session.label(resolve_class(self._project, name), ref))

    def skip(self, ref: str | None = None) -> Entry | None:
        """Skip the current item; it is not asked again."""
        return self._answered(self._scripted.session.skip(ref))

    def decide(self, answers: Mapping[str, str | None]) -> list[Entry]:
        """Label any items at once, all or none; None skips an item. One `undo` undoes them all.

        The model learns from them; the error estimate leaves them out, because they were not drawn
        at random. Raises `RefError` for a ref that is not in the project, `ProjectError` for a
        class that it does not have.
        """
        named = {
            ref: None if label is None else resolve_class(self._project, label)
            for ref, label in answers.items()
        }
        self._check(*answers)
        for ref in answers:
            if self._scripted.session.queue.row(ref) < 0:
                raise RefError(
                    f"{make_printable(ref)} has no label by another annotator to compare with."
                )
        entries = self._scripted.session.decide(named, picked_by="api")
        self._learn()
        return entries

    def undo(self) -> list[Entry]:
        """Undo this annotator's last decision; return the rows that were undone."""
        taken = self._scripted.session.undo()
        self._learn()
        return taken

    def flag(self, ref: str) -> bool:
        """Flag an item or remove its flag; return True if it is flagged now.

        Raises `RefError` for a ref that is not in the project.
        """
        self._check(ref)
        return self._scripted.session.flag(ref)

    def note(self, ref: str, text: str) -> None:
        """Attach a note to an item. Raises `RefError` for a ref that is not in the project."""
        self._check(ref)
        self._scripted.session.note(ref, text)

    @property
    def failures(self) -> Sequence[str]:
        """The failures of the project's `on_label` command as messages; labels are kept anyway."""
        return tuple(self._scripted.failures)

    def close(self) -> None:
        """Release the leased items, and wait up to a minute for `on_label`."""
        self._scripted.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check(self, *refs: str) -> None:
        asked = self._scripted.session.queue
        if (unknown := [ref for ref in refs if asked.row(ref) < 0]) == []:
            return
        pool = load_refs(self._project)  # a session of second opinions has only a part of it
        for ref in unknown:
            if pool.find(ref) < 0:
                raise RefError(
                    f"{make_printable(ref)} is not an item of this project; refs.csv lists them."
                )

    def _answered(self, entry: Entry | None) -> Entry | None:
        if entry is not None:
            self._learn()
        return entry

    def _learn(self) -> None:
        self._scripted.ask(learn=self._learns)
