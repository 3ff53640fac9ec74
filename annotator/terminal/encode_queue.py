"""What is wanted and not there yet, and what of it may wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from annotator.terminal.backend import Area, Backend
from annotator.terminal.pacing import Pacer
from annotator.terminal.picture_slots import PictureStock
from annotator.terminal.plan import PicturePlan
from annotator.terminal.requests import EncodeJob, PictureRequest
from annotator.terminal.screen_state import ScreenState

GRACE_SECONDS = 0.06
"""Seconds that the last picture stays while the next one is not there."""
NEAR = 0.02
"""Round trip in seconds below which program and terminal share a machine and its cores."""


class EncodeQueue:
    """The jobs for an area, most urgent first."""

    def __init__(
        self,
        backend: Backend,
        plan: PicturePlan,
        stock: PictureStock,
        view: ScreenState,
        line: Pacer,
    ) -> None:
        self._backend, self._plan, self._stock = backend, plan, stock
        self._view, self._line = view, line

    def jobs(self, area: Area) -> Iterator[EncodeJob]:
        """The picture that is waited for, those to come, then better versions of what is there."""
        if not area.usable:
            return
        plan, current = self._plan, self._plan.current
        urgent = plan.urgent_job(area)
        if urgent is not None and not self._stock.delivered(urgent.shot):
            yield urgent
        if self._drawing_now():
            return
        near, missing = self._near(area), self._missing(area)
        yield from near
        shown = current is not None and self._view.shown == current
        if current is not None and shown and not near:
            yield from self._better((current,), area)
        yield from missing[len(near) :]
        if shown and not missing and self._backend.slots:
            yield from self._better(plan.upcoming, area)

    def _better(self, shots: Sequence[PictureRequest], area: Area) -> Iterator[EncodeJob]:
        have, shown_for = partial(self.have, area=area), self._view.shown_for
        return self._plan.refinement_jobs(shots, have, shown_for)

    def have(self, shot: PictureRequest, area: Area) -> EncodeJob | None:
        return self._stock.have(shot, area)

    def ready(self, area: Area) -> int:
        """How many of the expected pictures need nothing but a key."""
        return sum(self.have(shot, area) is not None for shot in self._plan.upcoming)

    def gives_way(self, sent: EncodeJob, area: Area) -> bool:
        """Whether something that could be sent at once is held back by what is being sent."""
        urgent = self._plan.urgent_job(area)
        refining = bool(self._backend.slots) and self._stock.delivered(sent.shot)
        if urgent is None or (sent.shot == urgent.shot and not refining):
            return False
        if not self._backend.slots:
            return True
        if not self._stock.delivered(urgent.shot):
            return self._plan.payload(urgent) is not None
        # A refinement gives way to a picture that is not there at all.
        first = self._near(area) if sent.shot == urgent.shot else self._missing(area)
        return refining and any(self._plan.payload(job) is not None for job in first)

    def _near(self, area: Area) -> list[EncodeJob]:
        """The missing ones of those that will be asked for first."""
        plan = self._plan
        first = plan.upcoming[: plan.budget.pictures_before_refining(area, plan.depth)]
        return [job for job in self._missing(area) if job.shot in first]

    def _missing(self, area: Area) -> list[EncodeJob]:
        return self._plan.ahead(area, lambda shot: self.have(shot, area))

    def _drawing_now(self) -> bool:
        """Whether the terminal needs the cores for what it was just told to show."""
        view = self._view
        waiting = view.shown is not None and view.seen != view.shown and self._line.rtt < NEAR
        return waiting and view.shown_for < GRACE_SECONDS
