"""Batches of pictures, decoded ahead of their use in threads, or in processes if those are too
slow.

Threads decode one or two thousand pictures a second, then the interpreter is busy; a GPU takes
more. Either way pictures are decoded into the batch's own memory, and copied no more; processes
share that memory.
"""

from __future__ import annotations

import math
import mmap
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from annotator.errors import FeatureError, ImageError, RefError
from annotator.images import ImageSource, Pixels
from annotator.items.processes import spawn_context
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item

_MIN_TASK = 8
"""Smallest number of pictures in a worker's task: boxes of one image should share one."""
_MAX_TASK = 32
MAX_COMPUTING = 2
"""Number of batches computed at a time: one is handed over while another one is at work."""

S = TypeVar("S")
T = TypeVar("T")
Reasons = list[str | None]


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """Pictures of some items. Valid until `MAX_COMPUTING` + 1 more batches have been taken."""

    rows: list[int]
    pictures: Pixels
    """(n, height, width, 3), arbitrary for an item with a reason."""
    reasons: Reasons
    """The reason for each item without a picture, else None."""


@dataclass(frozen=True, slots=True)
class DecodeSpec:
    """The source, size and context of items' pictures."""

    source: ImageSource
    size: tuple[int, int]
    context: float

    def fill(self, refs: Sequence[str], pictures: Pixels) -> Reasons:
        """Decode items into (n, height, width, 3); return why, for each that cannot be decoded."""
        return [self._fill(ref, picture) for ref, picture in zip(refs, pictures, strict=True)]

    def _fill(self, ref: str, picture: Pixels) -> str | None:
        try:
            picture[:] = self.source.resized_pixels(Item.parse(ref), self.size, self.context)
        except (ImageError, RefError) as error:
            return str(error)
        return None


def map_pipelined(
    pool: Executor, work: Callable[[S], T], tasks: Iterable[S], ahead: int
) -> Iterator[T]:
    """Yield `map(work, tasks)` from a pool that runs at most `ahead` + 1 tasks ahead."""
    pending: deque[Future[T]] = deque()
    try:
        for task in tasks:
            pending.append(pool.submit(work, task))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def decode_batches(
    spec: DecodeSpec,
    refs: RefTable,
    rows: Sequence[int],
    batch_size: int,
    workers: int,
    processes: bool,
) -> Iterator[DecodedBatch]:
    """Yield the pictures of `rows` in their order. Processes need a source that can be pickled.

    Raises `FeatureError` if a process dies.
    """
    ahead = max(2, math.ceil(2 * workers * _MIN_TASK / batch_size))
    shape = (ahead + MAX_COMPUTING + 2, batch_size, spec.size[1], spec.size[0], 3)
    parts = max(_MIN_TASK, min(_MAX_TASK, batch_size // (2 * workers)))
    spans = [slice(at, at + parts) for at in range(0, batch_size, parts)]
    ring = _SharedMemory(shape) if processes else _ThreadMemory(shape)
    pool = ring.pool(spec, workers)
    pending: deque[tuple[list[int], Pixels, list[Future[Reasons]]]] = deque()
    try:
        for number, at in enumerate(range(0, len(rows), batch_size)):
            taken, place = list(rows[at : at + batch_size]), number % shape[0]
            names = [refs[row] for row in taken]
            begun = [
                pool.submit(ring.work(spec), place, span.start, names[span])
                for span in spans
                if span.start < len(taken)
            ]
            pending.append((taken, ring.pixels[place, : len(taken)], begun))
            if len(pending) > ahead:
                yield _finish_batch(*pending.popleft())
        while pending:
            yield _finish_batch(*pending.popleft())
    except BrokenProcessPool as error:
        raise FeatureError(
            "A process that decodes images died, perhaps because memory ran out. What is done is "
            "kept. Run the same command with fewer --workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
        ring.close()


def _finish_batch(rows: list[int], pictures: Pixels, begun: list[Future[Reasons]]) -> DecodedBatch:
    return DecodedBatch(rows, pictures, [reason for part in begun for reason in part.result()])


Work = Callable[[int, int, list[str]], Reasons]


class _ThreadMemory:
    """Memory of this process, for threads."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.pixels: Pixels = np.empty(shape, np.uint8)

    def pool(self, spec: DecodeSpec, workers: int) -> Executor:
        return ThreadPoolExecutor(workers)

    def work(self, spec: DecodeSpec) -> Work:
        def fill(place: int, start: int, names: list[str]) -> Reasons:
            return spec.fill(names, self.pixels[place, start : start + len(names)])

        return fill

    def close(self) -> None:
        pass


class _SharedMemory:
    """Memory without a name that processes share; it ends with the last of them."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._file = os.memfd_create("annotator-pictures", os.MFD_CLOEXEC)
        os.ftruncate(self._file, math.prod(shape))
        self.pixels: Pixels = _map_memory(self._file, shape)

    def pool(self, spec: DecodeSpec, workers: int) -> Executor:
        path = f"/proc/{os.getpid()}/fd/{self._file}"
        given, spawn = (spec, path, self._shape), spawn_context()
        return ProcessPoolExecutor(workers, spawn, initializer=_init_process, initargs=given)

    def work(self, spec: DecodeSpec) -> Work:
        return _fill_shared

    def close(self) -> None:
        os.close(self._file)


def can_share_memory() -> bool:
    """Return whether processes can share memory here: on Linux."""
    return hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir()


def _map_memory(file: int, shape: tuple[int, ...]) -> Pixels:
    return np.frombuffer(mmap.mmap(file, math.prod(shape)), np.uint8).reshape(shape)


_pixels: Pixels
_decode_spec: DecodeSpec


def _init_process(spec: DecodeSpec, path: str, shape: tuple[int, ...]) -> None:
    """Prepare a decoding process."""
    global _pixels, _decode_spec
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's to handle
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    _pixels = _map_memory(file, shape)
    os.close(file)
    _decode_spec = spec


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _fill_shared(place: int, start: int, names: list[str]) -> Reasons:
    return _decode_spec.fill(names, _pixels[place, start : start + len(names)])
