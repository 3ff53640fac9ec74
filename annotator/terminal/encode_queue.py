"""The jobs to encode pictures: the current one, those to come, better versions of those ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from annotator.terminal.backend import Area, Backend, Payload, Quality
from annotator.terminal.pacing import Pacer, QualityBudget
from annotator.terminal.picture_cache import BytesLRU, TerminalPictures
from annotator.terminal.requests import EncodeJob, PictureRequest, ScreenState

FindReady = Callable[[PictureRequest], EncodeJob | None]


class PicturePlan:
    """The requested pictures, their encoded versions, and the budget for their quality."""

    def __init__(
        self, ladder: Sequence[Quality], budget: QualityBudget, depth: int, memory: int
    ) -> None:
        self.ladder, self.budget, self.depth = ladder, budget, depth
        self.current: PictureRequest | None = None
        self.upcoming: list[PictureRequest] = []
        self._payloads: BytesLRU[EncodeJob, Payload] = BytesLRU(memory)

    def expect(self, requests: Sequence[PictureRequest], room: int | None = None) -> None:
        """Set the next pictures, most urgent first, and the one before; at most `room` of them."""
        most = self.depth + 1 if room is None else min(self.depth + 1, room)
        self.upcoming = [request for request in requests if request != self.current][:most]

    def keep(self, job: EncodeJob, payload: Payload) -> None:
        """Keep an encoded picture, and learn its cost."""
        self._payloads.put(job, payload, payload.size)
        self.budget.note_encoded(job.quality, job.area, payload)

    def payload(self, job: EncodeJob) -> Payload | None:
        """Return the encoded picture of a job; None if it is not kept."""
        return self._payloads.get(job)

    def best_encoded(self, request: PictureRequest, area: Area) -> EncodeJob | None:
        """Return the job of the best encoded version of a picture."""
        jobs = (EncodeJob(request, area, rung) for rung in reversed(self.ladder))
        return next((job for job in jobs if job in self._payloads), None)

    def forget(self) -> None:
        """Forget all encoded pictures: the area's size has changed."""
        self._payloads.clear()

    def urgent_job(self, area: Area) -> EncodeJob | None:
        """Return the job for the current picture, which the annotator is waiting for."""
        if self.current is None:
            return None
        return self._job(self.current, area, self.budget.quality_now(area))

    def missing_jobs(self, area: Area, have: FindReady) -> list[EncodeJob]:
        """Return jobs for the pictures to come that are not ready."""
        quality = self.budget.quality_ahead(area)
        return [self._job(s, area, quality) for s in self.upcoming if have(s) is None]

    def refinement_jobs(
        self, requests: Sequence[PictureRequest], have: FindReady, shown_for: float
    ) -> Iterator[EncodeJob]:
        """Yield jobs for better versions, worth sending now, of pictures that are ready."""
        for request in requests:
            job = have(request)
            if job is not None:
                better = self.budget.refined_quality(job.area, job.quality, shown_for)
                if better is not None:
                    yield job._replace(quality=better)

    def _job(self, request: PictureRequest, area: Area, quality: Quality) -> EncodeJob:
        """Return the first job for a picture; an encoded version serves if good enough."""
        rungs = self.ladder
        if request.zoom:
            return EncodeJob(request, area, rungs[-1])
        allowed = rungs[: rungs.index(quality) + 1]
        jobs = [EncodeJob(request, area, rung) for rung in (*reversed(allowed), *rungs)]
        wanted = EncodeJob(request, area, quality)
        return next((job for job in jobs if job in self._payloads), wanted)


class PictureStock:
    """The requested pictures that are ready: in the terminal, drawn, or only encoded."""

    def __init__(self, backend: Backend, plan: PicturePlan) -> None:
        self._backend, self._plan = backend, plan
        self.slots = TerminalPictures(backend.ladder)
        self.drawn: EncodeJob | None = None
        """The picture on the screen, for a technique that stores nothing."""

    def best_ready(self, request: PictureRequest, area: Area) -> EncodeJob | None:
        """Return the best version of a picture that needs nothing more than a key."""
        if self._backend.slots:
            return self.slots.best_job(request)
        if self.drawn is not None and self.drawn.request == request:
            return self.drawn
        return self._plan.best_encoded(request, area)

    def is_delivered(self, request: PictureRequest) -> bool:
        """Return whether a picture needs no more bytes than the command that shows it."""
        if self._backend.slots:
            return self.slots.best_slot(request) is not None
        return self.drawn is not None and self.drawn.request == request

    def fill(self, job: EncodeJob, payload: Payload, shown: PictureRequest | None) -> int:
        """Return a slot for a picture, never one that is shown or expected."""
        wanted = (self._plan.current, shown, *self._plan.upcoming)
        kept = {self.slots.best_slot(request) for request in wanted if request is not None}
        slot = self.slots.free_slot(self._backend.slots, kept)
        self.slots.fill(slot, job, payload)
        return slot

    def forget(self) -> None:
        """Forget everything that was sent or drawn."""
        self.slots.clear()
        self.drawn = None


GRACE_SECONDS = 0.06
"""Seconds that the last picture stays on the screen while the next one is not ready."""
NEAR = 0.02
"""Round trip in seconds below which program and terminal share a machine and its processor."""


class EncodeQueue:
    """The jobs for an area, most urgent first."""

    def __init__(
        self,
        backend: Backend,
        plan: PicturePlan,
        stock: PictureStock,
        state: ScreenState,
        pacer: Pacer,
    ) -> None:
        self._backend, self._plan, self._stock = backend, plan, stock
        self._state, self._pacer = state, pacer

    def jobs(self, area: Area) -> Iterator[EncodeJob]:
        """Yield the awaited picture, those to come, then better versions of ready ones."""
        if not area.usable:
            return
        plan, current = self._plan, self._plan.current
        urgent = plan.urgent_job(area)
        if urgent is not None and not self._stock.is_delivered(urgent.request):
            yield urgent
        if self._drawing_now():
            return
        near, missing = self._near(area), self._missing(area)
        yield from near
        shown = current is not None and self._state.shown == current
        if current is not None and shown and not near:
            yield from self._better((current,), area)
        yield from missing[len(near) :]
        if shown and not missing and self._backend.slots:
            yield from self._better(plan.upcoming, area)

    def _better(self, requests: Sequence[PictureRequest], area: Area) -> Iterator[EncodeJob]:
        have, shown_for = partial(self.best_ready, area=area), self._state.shown_for
        return self._plan.refinement_jobs(requests, have, shown_for)

    def best_ready(self, request: PictureRequest, area: Area) -> EncodeJob | None:
        """Return the best version of a picture that needs nothing more than a key."""
        return self._stock.best_ready(request, area)

    def ready(self, area: Area) -> int:
        """Return the number of expected pictures that need nothing more than a key."""
        return sum(self.best_ready(request, area) is not None for request in self._plan.upcoming)

    def gives_way(self, sent: EncodeJob, area: Area) -> bool:
        """Return whether the transfer holds back a more urgent picture that is encoded."""
        urgent = self._plan.urgent_job(area)
        refining = bool(self._backend.slots) and self._stock.is_delivered(sent.request)
        if urgent is None or (sent.request == urgent.request and not refining):
            return False
        if not self._backend.slots:
            return True
        if not self._stock.is_delivered(urgent.request):
            return self._plan.payload(urgent) is not None
        # A refinement gives way to a picture that is not there at all.
        first = self._near(area) if sent.request == urgent.request else self._missing(area)
        return refining and any(self._plan.payload(job) is not None for job in first)

    def may_wait(self, area: Area) -> bool:
        """Return whether no picture that a key may ask for soon is missing."""
        current = self._plan.current
        shown = current is None or self._stock.is_delivered(current)
        return shown and not self._missing(area)

    def _near(self, area: Area) -> list[EncodeJob]:
        """Return the missing pictures among those that will be requested first."""
        plan = self._plan
        first = plan.upcoming[: plan.budget.pictures_before_refining(area, plan.depth)]
        return [job for job in self._missing(area) if job.request in first]

    def _missing(self, area: Area) -> list[EncodeJob]:
        return self._plan.missing_jobs(area, lambda request: self.best_ready(request, area))

    def _drawing_now(self) -> bool:
        """Return whether the terminal needs the processor to draw what it was just sent."""
        state = self._state
        waiting = state.shown is not None and state.seen != state.shown and self._pacer.rtt < NEAR
        return waiting and state.shown_for < GRACE_SECONDS
