"""Decoding, scaling and encoding of pictures, in daemon threads beside the user interface."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from annotator.errors import AnnotatorError
from annotator.images import Crop, draw_box
from annotator.terminal.backend import Area, Backend, Payload
from annotator.terminal.picture_cache import BytesLRU
from annotator.terminal.requests import EncodeJob, PictureRequest
from annotator.terminal.sheet import LoadCrop

WHOLE_SIZE = (1 << 20, 1 << 20)
"""A size that asks for the source's own pixels."""


@dataclass(frozen=True, slots=True)
class EncodeResult:
    """A finished job: a payload, or the reason why there is none."""

    job: EncodeJob
    payload: Payload | None
    reason: str = ""


class PictureEncoder:
    """Threads that each work on the first job that no other works on.

    Two of them, so that one enormous image does not hold back the small ones behind it. They are
    daemons: the program never waits for a decoder at its end.
    """

    def __init__(
        self,
        load: LoadCrop,
        backend: Backend,
        done: Callable[[EncodeResult], None],
        *,
        threads: int = 2,
        memory: int = 96 << 20,
    ) -> None:
        """Start the threads; `done` is called in them, `memory` bytes of crops are kept."""
        self._load, self._backend, self._done = load, backend, done
        self._crops: BytesLRU[tuple[PictureRequest, tuple[int, int]], Image.Image] = BytesLRU(
            memory
        )
        self._jobs: list[EncodeJob] = []
        self._taken: set[EncodeJob] = set()
        self._changed = threading.Condition()
        self._closed = False
        for number in range(threads):
            threading.Thread(target=self._run, name=f"picture-{number}", daemon=True).start()

    def want(self, jobs: Sequence[EncodeJob]) -> None:
        """Replace the list of jobs; most urgent first."""
        with self._changed:
            self._jobs = list(jobs)
            self._changed.notify_all()

    def close(self) -> None:
        """Let the threads end after their current job."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        _yield_to_others()
        while (job := self._take()) is not None:
            developed = self._develop(job)
            with self._changed:
                self._taken.discard(job)
                self._jobs = [other for other in self._jobs if other != job]
            self._done(developed)

    def _take(self) -> EncodeJob | None:
        with self._changed:
            while not self._closed:
                job = next((job for job in self._jobs if self._free(job)), None)
                if job is not None:
                    self._taken.add(job)
                    return job
                self._changed.wait()
        return None

    def _free(self, job: EncodeJob) -> bool:
        """Return whether no thread decodes the picture: another quality waits for the crop."""
        return all(job.request != other.request for other in self._taken)

    def _develop(self, job: EncodeJob) -> EncodeResult:
        try:
            image = self._image(job.request, job.area)
            return EncodeResult(job, self._backend.encode(image, job.area, job.quality))
        except AnnotatorError as error:
            return EncodeResult(job, None, str(error))
        except Exception as error:  # a worker's boundary: a decoder's fault must not end labelling
            return EncodeResult(job, None, f"{type(error).__name__}: {error}")

    def _image(self, request: PictureRequest, area: Area) -> Image.Image:
        key = request, area.size
        with self._changed:
            image = self._crops.get(key)
        if image is None:
            image = self._read_image(request, area)
            with self._changed:
                self._crops.put(key, image, image.width * image.height * 3)
        return image

    def _read_image(self, request: PictureRequest, area: Area) -> Image.Image:
        if request.zoom:
            return true_pixels(self._load(request.item, WHOLE_SIZE), area.size)
        crop = self._load(request.item, area.size)
        return draw_box(crop)


def _yield_to_others() -> None:
    """Let the screen's thread, and a terminal on the same machine, go first."""
    sys.setswitchinterval(min(sys.getswitchinterval(), 0.001))
    if sys.platform == "linux":  # where a thread has a priority of its own
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def true_pixels(crop: Crop, room: tuple[int, int]) -> Image.Image:
    """Return the middle of the box or picture, with every source pixel drawn as a whole square.

    If the source is smaller than the room, its pixels become squares of 2, 3 ... pixels.
    """
    image = crop.image
    factor = max(1, min(room[0] // image.width, room[1] // image.height))
    if factor > 1:
        size = image.width * factor, image.height * factor
        return _centred(image.resize(size, Image.Resampling.NEAREST), room)
    middle = image.width / 2, image.height / 2
    if crop.box is not None:
        middle = crop.box.x + crop.box.w / 2, crop.box.y + crop.box.h / 2
    left = _within(round(middle[0] - room[0] / 2), image.width - room[0])
    top = _within(round(middle[1] - room[1] / 2), image.height - room[1])
    right, bottom = min(image.width, left + room[0]), min(image.height, top + room[1])
    return _centred(image.crop((left, top, right, bottom)), room)


def _within(value: int, most: int) -> int:
    return max(0, min(value, most))


def _centred(image: Image.Image, room: tuple[int, int]) -> Image.Image:
    if image.size == room:
        return image
    whole = Image.new("RGB", room)
    whole.paste(image, ((room[0] - image.width) // 2, (room[1] - image.height) // 2))
    return whole
