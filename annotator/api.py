"""annotator in Python: a project, and sittings on it without a screen.

    import annotator

    project = annotator.open("parts")
    with project.session(annotator="vlm") as session:
        while session.current is not None:
            session.label(ask_my_model(session.picture()))

A session here is the one that the screen runs on: what it asks is leased, so that nobody else is
asked the same, every label is on disk when `label` returns, and a model learns after each of
them where the project has features.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from annotator.errors import ProjectError, RefError
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item, make_printable
from annotator.log.entries import Entry, replay
from annotator.log.store import SqliteStore
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
        return self.opened.folder

    @property
    def classes(self) -> tuple[str, ...]:
        return self.opened.settings.names

    @property
    def refs(self) -> RefTable:
        """All items, in the order of refs.csv; lists the images where nobody has yet."""
        return load_refs(self.opened)

    def labels(self) -> dict[str, str]:
        """Ref to label, of every item whose label stands."""
        return {last.ref: str(last.label) for _, last in replay(self.log()).labels()}

    def log(self) -> Iterator[Entry]:
        """Every row of the log, oldest first."""
        if not self.opened.labels_file.exists():
            return
        store = SqliteStore(self.opened.labels_file)
        try:
            yield from store.entries()
        finally:
            store.close()

    def status(self) -> dict[str, Any]:
        """The figures of `annotator status --json`."""
        from annotator.report import project_status

        return project_status(self.opened)

    def predictions(self) -> Iterator[tuple[str, dict[str, float]]]:
        """Of every item without a label that has features: its ref, and class to probability.

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
        """A sitting of `annotator` (your login name if not given).

        With `second` it asks, blind, what others have labelled: those answers are compared with
        theirs (agreement, review) and never change the label that counts. What is asked is
        leased for `lease` seconds.
        """
        who = annotator or self.opened.settings.annotator or getpass.getuser()
        prior = load_proposal_prior(self.opened, blind=second)
        return Session(
            self.opened,
            ScriptedSession(self.opened, who, second=second, lease=lease, clock=clock, prior=prior),
            learn,
        )


class Session:
    """One annotator's sitting. Use it in a `with`, or call `close`."""

    def __init__(self, project: Opened, sitting: ScriptedSession, learn: bool) -> None:
        self._project, self._sitting, self._learns = project, sitting, learn
        self._learn()

    @property
    def current(self) -> Item | None:
        """What is asked: an item with its `ref`, `path` and `box`; None when nothing is open."""
        return self._sitting.session.current

    def upcoming(self, n: int) -> list[Item]:
        """What is asked after it, as far as that is known."""
        return self._sitting.session.upcoming(n)

    @property
    def prediction(self) -> Mapping[str, float] | None:
        """Class to probability for the current item; None before there is a model."""
        return self._sitting.session.prediction

    @property
    def estimate(self) -> ErrorEstimate | None:
        """The model's error on the whole pool, with its 90 % interval; None with few labels."""
        ranking = self._sitting.session.ranking
        found = ranking.estimate if ranking else None
        return found if found is not None and found.shown else None

    @property
    def progress(self) -> Progress:
        return self._sitting.session.progress

    def picture(self, size: tuple[int, int] = (1024, 1024)) -> Image:
        """The current item's crop with some of its surroundings, at most so wide and high.

        Raises `ImageError` for a file that is no picture, `ProjectError` when nothing is open.
        """
        from annotator.images import ImageFolder

        if (item := self.current) is None:
            raise ProjectError("nothing is open: all is answered, or on the screens of others")
        settings = self._project.settings
        folder = ImageFolder(self._project.images, settings.max_pixels)
        return folder.crop(item, size, settings.context).image

    def label(self, name: str, ref: str | None = None) -> Entry | None:
        """Label the current item, durably, and go on to the next.

        In a multi-label project `name` may be a set of classes: "ok|dusty", or "(none)". With
        `ref` only if that is the current item's: None, and nothing is written, if it is not.
        Raises `ProjectError` for a class that the project does not have, `StoreError` where
        nothing could be written.
        """
        return self._answered(self._sitting.session.label(resolve_class(self._project, name), ref))

    def skip(self, ref: str | None = None) -> Entry | None:
        """Leave the current item unlabelled, and do not ask it again."""
        return self._answered(self._sitting.session.skip(ref))

    def decide(self, answers: Mapping[str, str | None]) -> list[Entry]:
        """Label any items at once, all or none, None for a skip; one `undo` takes all back.

        They carry no propensity: the model learns from them, the error estimate leaves them out.
        Raises `RefError` for what is not in the project, `ProjectError` for a class that it does
        not have.
        """
        named = {
            ref: None if label is None else resolve_class(self._project, label)
            for ref, label in answers.items()
        }
        self._check(*answers)
        for ref in answers:
            if self._sitting.session.queue.row(ref) < 0:
                raise RefError(
                    f"{make_printable(ref)} has no label of another person to compare with"
                )
        entries = self._sitting.session.decide(named, picked_by="api")
        self._learn()
        return entries

    def undo(self) -> list[Entry]:
        """Take back this annotator's last decision; what was taken back."""
        taken = self._sitting.session.undo()
        self._learn()
        return taken

    def flag(self, ref: str) -> bool:
        """Flag an item, or take its flag off; whether it is flagged now.

        Raises `RefError` for what is not in the project; so does `note`.
        """
        self._check(ref)
        return self._sitting.session.flag(ref)

    def note(self, ref: str, text: str) -> None:
        """Write down `text` about an item."""
        self._check(ref)
        self._sitting.session.note(ref, text)

    @property
    def failures(self) -> Sequence[str]:
        """What the project's `on_label` command could not do, in words; labels are kept anyway."""
        return tuple(self._sitting.failures)

    def close(self) -> None:
        """Let go of what was asked, for others, and wait for `on_label`, a minute at most."""
        self._sitting.close()

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
        asked = self._sitting.session.queue
        if (unknown := [ref for ref in refs if asked.row(ref) < 0]) == []:
            return
        pool = load_refs(self._project)  # of second opinions only a part is asked
        for ref in unknown:
            if pool.find(ref) < 0:
                raise RefError(
                    f"{make_printable(ref)} is not in the project: see refs.csv for its refs"
                )

    def _answered(self, entry: Entry | None) -> Entry | None:
        if entry is not None:
            self._learn()
        return entry

    def _learn(self) -> None:
        if self._learns:
            self._sitting.learn()
        self._sitting.sync_with_others()
