"""Decoding, scaling and encoding of pictures, in daemon threads beside the user interface."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from PIL import Image

from annotator.errors import AnnotatorError
from annotator.images import Crop, draw_box
from annotator.images.contrast import PLAIN, render_part, render_tones
from annotator.items.refs import Box, Item
from annotator.terminal.backend import Area, Backend, Payload
from annotator.terminal.picture_cache import BytesLRU
from annotator.terminal.requests import EncodeJob, PictureRequest
from annotator.terminal.sheet import LoadCrop, Sheet
from annotator.tui.picture.pixel_view import PixelView, place_view

WHOLE_SIZE = (1 << 20, 1 << 20)
"""A size that asks for the source's own pixels."""

_KEPT_PIXELS = 25_000_000
"""Pixels of the largest image that is kept while the view moves on it."""


@dataclass(frozen=True, slots=True)
class EncodeResult:
    """A finished job: a payload, or the reason why there is none."""

    job: EncodeJob
    payload: Payload | None
    reason: str = ""
    view: PixelView | None = None
    """The pixels in view, if they are true pixels."""
    note: str = ""
    """A note for people on the image."""


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
        self._crops: BytesLRU[tuple[PictureRequest, tuple[int, int]], FinishedPicture] = BytesLRU(
            memory
        )
        self._whole: tuple[Item, Crop] | None = None
        """The last crop in true pixels: the view moves on it."""
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
            found = self._picture(job.request, job.area)
            payload = self._backend.encode(found.image, job.area, job.quality)
            return EncodeResult(job, payload, view=found.view, note=found.note)
        except AnnotatorError as error:
            return EncodeResult(job, None, str(error))
        except Exception as error:  # a worker's boundary: a decoder's fault must not end labelling
            return EncodeResult(job, None, f"{type(error).__name__}: {error}")

    def _picture(self, request: PictureRequest, area: Area) -> FinishedPicture:
        key = request, area.size
        with self._changed:
            found = self._crops.get(key)
        if found is None:
            found = self._read_picture(request, area)
            with self._changed:
                self._crops.put(key, found, found.image.width * found.image.height * 3)
        return found

    def _read_picture(self, request: PictureRequest, area: Area) -> FinishedPicture:
        if request.zoom:
            crop = self._whole_crop(request.item)
            return true_pixels(crop, request, area.size)
        crop = self._load(request.item, area.size)
        return FinishedPicture(draw_box(_with_contrast(crop, request)), None, crop.note)

    def _whole_crop(self, item: Item) -> Crop:
        """Return a crop of source pixels; the last one is kept for the next move."""
        with self._changed:
            kept = self._whole
        if kept is not None and kept[0] == item:
            return kept[1]
        crop = self._load(item, WHOLE_SIZE)
        with self._changed:
            self._whole = (item, crop) if math.prod(crop.source) <= _KEPT_PIXELS else None
        return crop


class FinishedPicture(NamedTuple):
    """A picture before it is encoded, and what is known of it."""

    image: Image.Image
    view: PixelView | None
    note: str


def _with_contrast(crop: Crop, request: PictureRequest) -> Crop:
    """Return the crop in the requested contrast; a sheet has made it for each of its pictures."""
    if request.contrast == PLAIN or isinstance(request.item, Sheet) or crop.tones is None:
        return crop
    return replace(crop, image=render_tones(crop.tones, request.contrast))


def _yield_to_others() -> None:
    """Let the screen's thread, and a terminal on the same machine, go first."""
    sys.setswitchinterval(min(sys.getswitchinterval(), 0.001))
    if sys.platform == "linux":  # where a thread has a priority of its own
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def true_pixels(crop: Crop, request: PictureRequest, room: tuple[int, int]) -> FinishedPicture:
    """Return true pixels of the whole image behind a crop, or of the crop without its values."""
    tones = crop.tones
    whole, box = (crop.image, crop.box) if tones is None else (tones.whole, request.item.box)
    view = place_view(whole.size, crop.image.size, box, room, request)
    part = whole.crop((view.left, view.top, view.left + view.width, view.top + view.height))
    if tones is not None:
        part = render_part(part, tones, request.contrast)
    squares = part.resize(
        (view.width * view.scale, view.height * view.scale), Image.Resampling.NEAREST
    )
    if box is not None:
        x, y = (box.x - view.left) * view.scale, (box.y - view.top) * view.scale
        shown = Box(x, y, box.w * view.scale, box.h * view.scale)
        squares = draw_box(Crop(squares, shown, view.scale, crop.source))
    return FinishedPicture(_centred(squares, room), view, crop.note)


def _centred(image: Image.Image, room: tuple[int, int]) -> Image.Image:
    if image.size == room:
        return image
    whole = Image.new("RGB", room)
    whole.paste(image, ((room[0] - image.width) // 2, (room[1] - image.height) // 2))
    return whole
