"""The computation of features: items decoded in threads, the extractor at work meanwhile, rows on
disk.

Items are taken in a random order, so that the rows that come early represent all of them; boxes of
one image stay together, so that it is decoded once.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.features.decoding import (
    MAX_COMPUTING,
    DecodedBatch,
    DecodeSpec,
    can_share_memory,
    decode_batches,
    map_pipelined,
)
from annotator.features.extractor import Extractor
from annotator.features.growing import FeatureWriter
from annotator.images import ImageSource
from annotator.items.ref_table import RefTable
from annotator.items.refs import split_ref

_NAMED = 1000

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BrokenItem:
    """An item without features, and the reason."""

    ref: str
    reason: str


@dataclass(frozen=True, slots=True)
class ExtractionProgress:
    """The progress of the work."""

    done: int
    """Items that have features, those of earlier runs among them."""
    total: int
    """Items that the work covers."""
    broken: int
    rate: float
    """Recent items a second; 0 before it is known."""
    left_s: float | None
    """Seconds left for the other items, at this rate."""


@dataclass(frozen=True, slots=True)
class ExtractionReport:
    """The outcome of a run."""

    computed: int
    """Items whose features this run computed."""
    done: int
    """Items that have features, those of earlier runs among them."""
    total: int
    broken_count: int
    broken: tuple[BrokenItem, ...]
    """The first thousand broken items."""
    complete: bool
    """True if the run reached its end; otherwise the next run resumes it."""
    seconds: float


def extract_features(
    refs: RefTable,
    source: ImageSource,
    extractor: Extractor,
    folder: Path,
    *,
    context: float = 0.25,
    batch_size: int | None = None,
    workers: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[ExtractionProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> ExtractionReport:
    """Compute the features of `refs` that `folder` lacks, at most `limit` of them.

    They can be read while they grow (`growing.open_partial_features`). Pictures that cannot be read
    are left out, reported, and tried again by the next run. A `batch_size` of None is the
    extractor's own. Raises `FeatureError` if the folder cannot be written or another process writes
    it.
    """
    described = {**extractor.describe(), "context": context}
    with FeatureWriter(folder, refs, described, extractor.dim) as growing:
        todo = _shuffle_rows(refs, np.flatnonzero(~growing.done), seed)
        rows = todo[:limit]
        later = len(todo) - len(rows)
        tally = ProgressCounter(int(growing.done.sum()), len(rows), clock, later=later)
        progress(tally.progress())
        workers = workers or min(32, len(os.sched_getaffinity(0)))
        processes = extractor.outruns_threads and workers > 2 and can_share_memory()
        look = DecodeSpec(source, extractor.size, context)
        size = batch_size or extractor.batch_size
        batches = decode_batches(look, refs, rows.tolist(), size, workers, processes)
        for batch, found, vectors in _compute_batches(batches, extractor):
            tally.count_broken_batch(batch, refs)
            good = _check_finite(vectors, found, tally, refs)
            growing.write(found[good], vectors[good])
            tally.count(int(good.sum()))
            progress(tally.progress())
            if stop():
                return tally.report(complete=False)
        growing.finish()
        progress(tally.progress())
        return tally.report(complete=True)


def _shuffle_rows(refs: RefTable, rows: Rows, seed: int) -> Rows:
    """Return the rows in random order, but those of boxes in one image together."""
    if not len(rows):
        return rows
    paths = [split_ref(refs[row])[0] for row in rows.tolist()]
    changes = [here != before for before, here in zip(paths, paths[1:], strict=False)]
    groups = np.concatenate([[0], np.cumsum(changes, dtype=np.int64)])
    place = np.random.default_rng(seed).permutation(int(groups[-1]) + 1)
    return rows[np.argsort(place[groups], kind="stable")]


def _compute_batches(
    batches: Iterable[DecodedBatch], extractor: Extractor
) -> Iterator[tuple[DecodedBatch, Rows, Vectors]]:
    """Compute a batch while the next one is handed over and the last one is written."""

    def work(batch: DecodedBatch) -> tuple[DecodedBatch, Rows, Vectors]:
        good = np.array([reason is None for reason in batch.reasons])
        rows = np.array(batch.rows, np.int64)[good]
        if not len(rows):
            return batch, rows, np.zeros((0, extractor.dim), np.float32)
        return batch, rows, extractor(batch.pictures if good.all() else batch.pictures[good])

    threads = MAX_COMPUTING if extractor.outruns_threads else 1
    return map_pipelined(ThreadPoolExecutor(threads), work, batches, MAX_COMPUTING)


def _check_finite(
    vectors: Vectors, rows: Rows, tally: ProgressCounter, refs: RefTable
) -> NDArray[np.bool_]:
    """Return which vectors are numbers that the half precision of the file can hold."""
    good = (np.abs(vectors) < np.finfo(np.float16).max).all(axis=1)
    for row in rows[~good].tolist():
        tally.count_broken(
            refs[row], "its features are not finite. Compute them with --dtype fp32."
        )
    return np.asarray(good)


@dataclass(slots=True)
class ProgressCounter:
    """The counts of a run so far."""

    done_before: int
    wanted: int
    clock: Callable[[], float]
    computed: int = 0
    broken_count: int = 0
    broken: list[BrokenItem] = field(default_factory=list)
    started: float = 0.0
    later: int = 0
    """Items that a limit leaves to the next run."""
    marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=40))

    def __post_init__(self) -> None:
        self.started = self.clock()
        self.marks.append((self.started, 0))

    def count_broken(self, ref: str, reason: str) -> None:
        """Count an item without features."""
        self.broken_count += 1
        if len(self.broken) < _NAMED:
            self.broken.append(BrokenItem(ref, reason))

    def count_broken_batch(self, batch: DecodedBatch, refs: RefTable) -> None:
        """Count the items of a batch that have no picture."""
        for row, reason in zip(batch.rows, batch.reasons, strict=True):
            if reason is not None:
                self.count_broken(refs[row], reason)

    def count(self, more: int) -> None:
        """Count `more` computed items."""
        self.computed += more
        self.marks.append((self.clock(), self.computed + self.broken_count))

    def progress(self) -> ExtractionProgress:
        """Return the progress so far, at the rate of the last 40 batches."""
        (since, first), (now, last) = self.marks[0], self.marks[-1]
        rate = (last - first) / (now - since) if now > since else 0.0
        left = self.wanted - self.computed - self.broken_count
        done = self.done_before + self.computed
        of = self.done_before + self.wanted
        return ExtractionProgress(done, of, self.broken_count, rate, left / rate if rate else None)

    def report(self, complete: bool) -> ExtractionReport:
        """Return the outcome of the run."""
        return ExtractionReport(
            computed=self.computed,
            done=self.done_before + self.computed,
            total=self.done_before + self.wanted + self.later,
            broken_count=self.broken_count,
            broken=tuple(self.broken),
            complete=complete,
            seconds=self.clock() - self.started,
        )
