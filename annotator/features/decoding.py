"""Pictures decoded ahead of their use, in threads, or in processes where those are too slow.

Threads decode some four thousand pictures a second, then the interpreter is busy; a GPU may take
more. Processes hand their pixels over in shared memory.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import TypeVar

import numpy as np

from annotator.errors import FeatureError, ImageError, RefError
from annotator.features.extractor import Pixels
from annotator.images import ImageSource
from annotator.refs import Item
from annotator.reftable import RefTable

TASK = 8
"""Pictures that a worker takes at once: few, for boxes of one image should share a task."""

S = TypeVar("S")
T = TypeVar("T")

Prepared = list[tuple[int, Pixels | str]]
"""Rows with their pixels, or with the reason why they have none."""


@dataclass(frozen=True, slots=True)
class Look:
    """How items are looked at."""

    source: ImageSource
    size: tuple[int, int]
    context: float

    def __call__(self, ref: str) -> Pixels | str:
        """The pixels of an item, or why there are none."""
        try:
            return self.source.squeezed(Item.parse(ref), self.size, self.context)
        except (ImageError, RefError) as error:
            return str(error)


def pipelined(
    pool: Executor, work: Callable[[S], T], tasks: Iterable[S], ahead: int
) -> Iterator[T]:
    """`map(work, tasks)` in a pool, at most `ahead` + 1 of them begun and not yet taken."""
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


def in_threads(
    look: Look, refs: RefTable, rows: Sequence[int], workers: int, ahead: int
) -> Iterator[Prepared]:
    """The pictures of `rows`, in their order, `TASK` at a time."""

    def work(some: Sequence[int]) -> Prepared:
        return [(row, look(refs[row])) for row in some]

    return pipelined(ThreadPoolExecutor(workers), work, _tasks(rows), ahead)


def in_processes(
    look: Look, refs: RefTable, rows: Sequence[int], workers: int, ahead: int
) -> Iterator[Prepared]:
    """The same from processes; `look.source` must be fit for pickling, as `Folder` is."""
    slots = ahead + 1
    shape = (slots, TASK, look.size[1], look.size[0], 3)
    size = math.prod(shape)
    if not _room_for(size):
        yield from in_threads(look, refs, rows, workers, ahead)
        return
    memory = SharedMemory(create=True, size=size)
    pixels = np.ndarray(shape, np.uint8, memory.buf)
    pool = ProcessPoolExecutor(
        workers,
        multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(look, memory.name, shape),
    )
    tasks = (
        (number % slots, list(some), [refs[row] for row in some])
        for number, some in enumerate(_tasks(rows))
    )
    try:
        for slot, some, reasons in pipelined(pool, _fill, tasks, ahead):
            found = zip(some, pixels[slot], reasons, strict=False)
            yield [(row, reason or picture.copy()) for row, picture, reason in found]
    except BrokenProcessPool as error:
        raise FeatureError(
            "a process that decodes images has died, of too little memory perhaps; what is "
            "done is kept, go on with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
        del pixels
        memory.close()
        memory.unlink()


def _room_for(size: int) -> bool:
    """Whether shared memory has room; writing past its limit, low in containers, is fatal."""
    try:
        limit = os.statvfs("/dev/shm")
    except OSError:
        return True
    return limit.f_bavail * limit.f_frsize > 1.25 * size


def _tasks(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    return (rows[at : at + TASK] for at in range(0, len(rows), TASK))


_memory: SharedMemory
_pixels: Pixels
_look: Look


def _begin(look: Look, name: str, shape: tuple[int, ...]) -> None:
    """What a decoding process does first."""
    global _memory, _pixels, _look
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's to handle
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    _memory = SharedMemory(name)
    _pixels = np.ndarray(shape, np.uint8, _memory.buf)
    _look = look


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _fill(
    task: tuple[int, list[int], list[str]],
) -> tuple[int, list[int], list[str | None]]:
    """Decode into a slot of the shared memory; a reason where there is no picture."""
    slot, rows, refs = task
    reasons: list[str | None] = []
    for place, ref in enumerate(refs):
        found = _look(ref)
        if isinstance(found, str):
            reasons.append(found)
        else:
            _pixels[slot, place] = found
            reasons.append(None)
    return slot, rows, reasons
