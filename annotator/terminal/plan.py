"""What should be encoded and sent next: the current picture, those to come, refinements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from annotator.terminal.backend import Area, Payload, Quality
from annotator.terminal.picture_cache import BytesLRU
from annotator.terminal.requests import EncodeJob, PictureRequest
from annotator.terminal.round_trip import QualityBudget

FindReady = Callable[[PictureRequest], EncodeJob | None]


class PicturePlan:
    """Wishes, the encoded pictures that serve them, and the budget that decides how good."""

    def __init__(
        self, ladder: Sequence[Quality], budget: QualityBudget, depth: int, memory: int
    ) -> None:
        self.ladder, self.budget, self.depth = ladder, budget, depth
        self.current: PictureRequest | None = None
        self.upcoming: list[PictureRequest] = []
        self._payloads: BytesLRU[EncodeJob, Payload] = BytesLRU(memory)

    def expect(self, shots: Sequence[PictureRequest], room: int | None = None) -> None:
        """The next pictures, most wanted first, and the one before; no more than `room`."""
        most = self.depth + 1 if room is None else min(self.depth + 1, room)
        self.upcoming = [shot for shot in shots if shot != self.current][:most]

    def keep(self, job: EncodeJob, payload: Payload) -> None:
        """An encoded picture."""
        self._payloads.put(job, payload, payload.size)
        self.budget.encoded(job.quality, job.area, payload)

    def payload(self, job: EncodeJob) -> Payload | None:
        return self._payloads.get(job)

    def encoded(self, shot: PictureRequest, area: Area) -> EncodeJob | None:
        """The best encoded version of a picture."""
        jobs = (EncodeJob(shot, area, rung) for rung in reversed(self.ladder))
        return next((job for job in jobs if job in self._payloads), None)

    def forget(self) -> None:
        """Pictures of another size are of no use any more."""
        self._payloads.clear()

    def urgent_job(self, area: Area) -> EncodeJob | None:
        """The job for the current picture, for somebody who waits."""
        if self.current is None:
            return None
        return self._job(self.current, area, self.budget.now(area))

    def ahead(self, area: Area, have: FindReady) -> list[EncodeJob]:
        """The pictures to come that are missing."""
        quality = self.budget.ahead(area)
        return [self._job(s, area, quality) for s in self.upcoming if have(s) is None]

    def refinement_jobs(
        self, shots: Sequence[PictureRequest], have: FindReady, shown_for: float
    ) -> Iterator[EncodeJob]:
        """Better versions, worth sending now, of pictures that are there."""
        for shot in shots:
            job = have(shot)
            if job is not None:
                better = self.budget.refined_quality(job.area, job.quality, shown_for)
                if better is not None:
                    yield job._replace(quality=better)

    def _job(self, shot: PictureRequest, area: Area, quality: Quality) -> EncodeJob:
        """A first look at a picture; what is encoded already serves if it may."""
        rungs = self.ladder
        if shot.zoom:
            return EncodeJob(shot, area, rungs[-1])
        allowed = rungs[: rungs.index(quality) + 1]
        jobs = [EncodeJob(shot, area, rung) for rung in (*reversed(allowed), *rungs)]
        wanted = EncodeJob(shot, area, quality)
        return next((job for job in jobs if job in self._payloads), wanted)
