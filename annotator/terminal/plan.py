"""What should be encoded and sent next: the current picture, those to come, refinements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from annotator.terminal.backend import Area, Payload, Quality
from annotator.terminal.picture_cache import BytesLRU
from annotator.terminal.requests import Job, Shot
from annotator.terminal.round_trip import Budget

Have = Callable[[Shot], Job | None]


class Plan:
    """Wishes, the encoded pictures that serve them, and the budget that decides how good."""

    def __init__(self, ladder: Sequence[Quality], budget: Budget, depth: int, memory: int) -> None:
        self.ladder, self.budget, self.depth = ladder, budget, depth
        self.current: Shot | None = None
        self.upcoming: list[Shot] = []
        self._payloads: BytesLRU[Job, Payload] = BytesLRU(memory)

    def expect(self, shots: Sequence[Shot], room: int | None = None) -> None:
        """The next pictures, most wanted first, and the one before; no more than `room`."""
        most = self.depth + 1 if room is None else min(self.depth + 1, room)
        self.upcoming = [shot for shot in shots if shot != self.current][:most]

    def keep(self, job: Job, payload: Payload) -> None:
        """An encoded picture."""
        self._payloads.put(job, payload, payload.size)
        self.budget.encoded(job.quality, job.area, payload)

    def payload(self, job: Job) -> Payload | None:
        return self._payloads.get(job)

    def encoded(self, shot: Shot, area: Area) -> Job | None:
        """The best encoded version of a picture."""
        jobs = (Job(shot, area, rung) for rung in reversed(self.ladder))
        return next((job for job in jobs if job in self._payloads), None)

    def forget(self) -> None:
        """Pictures of another size are of no use any more."""
        self._payloads.clear()

    def urgent(self, area: Area) -> Job | None:
        """The job for the current picture, for somebody who waits."""
        if self.current is None:
            return None
        return self._job(self.current, area, self.budget.now(area))

    def ahead(self, area: Area, have: Have) -> list[Job]:
        """The pictures to come that are missing."""
        quality = self.budget.ahead(area)
        return [self._job(s, area, quality) for s in self.upcoming if have(s) is None]

    def refinements(self, shots: Sequence[Shot], have: Have, shown_for: float) -> Iterator[Job]:
        """Better versions, worth sending now, of pictures that are there."""
        for shot in shots:
            job = have(shot)
            if job is not None:
                better = self.budget.refined(job.area, job.quality, shown_for)
                if better is not None:
                    yield job._replace(quality=better)

    def _job(self, shot: Shot, area: Area, quality: Quality) -> Job:
        """A first look at a picture; what is encoded already serves if it may."""
        rungs = self.ladder
        if shot.zoom:
            return Job(shot, area, rungs[-1])
        allowed = rungs[: rungs.index(quality) + 1]
        jobs = [Job(shot, area, rung) for rung in (*reversed(allowed), *rungs)]
        wanted = Job(shot, area, quality)
        return next((job for job in jobs if job in self._payloads), wanted)
