"""The search for near-duplicates: the same file, the same look, or almost the same features.

A look is 128 bits of an item's crop: 64 say where brightness rises from left to right (dHash), 64
which of the lowest frequencies are strong (pHash; Zauner 2010, "Implementation and Benchmarking of
Perceptual Image Hash Functions"). Copies that were scaled, compressed or made brighter differ in a
few bits. Both are a few lines on Pillow and scipy, which are here anyway; the ImageHash package
would bring PyWavelets along.

The project's `.cache` keeps what was computed for the next run.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.errors import ImageError
from annotator.images import ImageFolder
from annotator.items.atomic import only_regular, write_atomically
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item
from annotator.items.tiff_pages import split_page

MAX_HASH_DISTANCE = 10
"""Bits of 128 in which two near-duplicates may differ.

Of 300 photographs at JPEG quality 40, half the size or 15 % brighter 99 % stay within; of a million
pairs of other photographs 2 do.
"""
MIN_COSINE = 0.98
"""Smallest cosine of the features of two near-duplicates."""
DISTANCE_SHARE, SCALE_RANK = 0.1, 20
"""Largest distance (1 - cosine) of two, as a share of the distance to the 20th nearest item.

Among features in which everything is alike a high cosine alone says nothing.
"""
FLAT_DEVIATION = 4.0
"""Standard deviation of brightness (of 255) below which an image is blank."""
UNKNOWN, SEEN, BLANK, BROKEN = range(4)
_ROW_DTYPE = np.dtype(
    [("stamp", "<i8"), ("file", "<u8", (2,)), ("look", "<u8", (2,)), ("state", "u1")], align=True
)
_SAVE_SECONDS = 20.0
CACHE_FAULTS = (
    OSError, ValueError, EOFError, KeyError, BadZipFile, SyntaxError, TypeError, ArithmeticError,
    MemoryError, RuntimeError, TokenError, zlib.error, struct.error,
)  # fmt: skip
"""The errors of NumPy for a cache that is cut, damaged or made to mislead."""
_AT_ONCE = 256
_CHUNK = 1 << 16

Table = NDArray[Any]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """The fingerprints of a pool."""

    refs: RefTable
    table: Table
    """(n,) of `_ROW_DTYPE`: one row for each ref."""

    def near_duplicates(self, row: int) -> Rows:
        """Return the other rows that are near-duplicates of `row` by file or look, ascending."""
        mine = self.table[row]
        if mine["state"] not in (SEEN, BLANK):
            return np.zeros(0, np.int64)
        starts = range(0, len(self.table), _CHUNK)  # a copy of all columns takes much memory
        found = [_find_alike(self.table[at : at + _CHUNK], mine) + at for at in starts]
        rows: Rows = np.concatenate(found)
        return np.asarray(rows[rows != row])

    def pairs(self, rows: Rows) -> Rows:
        """Return near-duplicates among `rows` (k,) as pairs (m, 2) that connect each group."""
        known = rows[np.isin(self.table["state"][rows], (SEEN, BLANK))]
        seen = known[self.table["state"][known] == SEEN]
        found = [*_pair_equal_rows(self.table["file"][known], known)]
        looks, first = np.unique(self.table["look"][seen], axis=0, return_index=True)
        found += [
            *_pair_equal_rows(self.table["look"][seen], seen),
            *_pair_similar_hashes(looks, seen[first]),
        ]
        return np.concatenate([np.zeros((0, 2), np.int64), *found])


def connected_components(pairs: Rows) -> list[list[int]]:
    """Return the groups of rows that `pairs` (m, 2) connect, directly or not; ascending."""
    parent: dict[int, int] = {}

    def root(row: int) -> int:
        while parent.setdefault(row, row) != row:
            parent[row] = row = parent[parent[row]]
        return row

    for one, other in pairs.tolist():
        a, b = root(one), root(other)
        parent[max(a, b)] = min(a, b)
    found: dict[int, list[int]] = {}
    for row in sorted(parent):
        found.setdefault(root(row), []).append(row)
    return list(found.values())


def load_fingerprints(cache: Path, refs: RefTable) -> Fingerprints:
    """Return the fingerprints of `refs` that are in the cache; nothing is computed."""
    try:
        kept, lines = map_npz_arrays(cache, "table", "refs")
        if kept.dtype == _ROW_DTYPE and len(kept) == len(refs) and refs.has_bytes(lines):
            return Fingerprints(refs, kept)
        known = RefTable.from_bytes(lines.tobytes())
    except CACHE_FAULTS:
        return Fingerprints(refs, np.zeros(len(refs), _ROW_DTYPE))
    table = np.zeros(len(refs), _ROW_DTYPE)
    if kept.dtype == _ROW_DTYPE and len(kept) == len(known):
        rows = known.rows(refs)
        table[rows >= 0] = kept[rows[rows >= 0]]
    return Fingerprints(refs, table)


def map_npz_arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    """Map arrays of a file that `np.savez` has written, after a look at their checksums.

    Their pages are the file's and take no memory of this process, until one is written: that stays
    here. Raises one of `CACHE_FAULTS` for a damaged file.
    """
    with open(path, "rb", opener=only_regular) as file, ZipFile(file) as archive:  # noqa: PTH123
        return [_map_member(file, archive.getinfo(f"{name}.npy")) for name in names]


def _map_member(file: BinaryIO, info: ZipInfo) -> NDArray[Any]:
    file.seek(info.header_offset + 26)
    name, extra = struct.unpack("<HH", file.read(4))
    start = info.header_offset + 30 + name + extra
    file.seek(start)
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0
    shape, fortran, dtype = read_header(file) if version == (1, 0) else ((), True, np.dtype("u1"))
    at = file.tell()
    size = math.prod(shape) * dtype.itemsize
    if info.compress_type != ZIP_STORED or fortran or dtype.hasobject:
        raise ValueError("an array that cannot be mapped")
    if len(shape) != 1 or at - start + size != info.file_size:
        raise ValueError("an array of another size")
    file.seek(start)
    header = zlib.crc32(file.read(at - start))
    found = np.memmap(file, dtype, "c", at, shape)
    if zlib.crc32(found.view(np.uint8).data, header) != info.CRC:
        raise BadZipFile("an array with another checksum")
    return found


def update_fingerprints(
    images: ImageFolder,
    cache: Path,
    refs: RefTable,
    rows: Rows,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], object] = lambda done, of: None,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> Fingerprints:
    """Compute the fingerprints of `rows` (k,) that are missing or out of date, and keep them.

    Images that cannot be read are kept as such, until their file changes. `progress` is called with
    the rows done and their total; if `stop` returns True, the rest is left to the next call.
    """
    prints = load_fingerprints(cache, refs)
    look = partial(_fingerprint, images, prints)
    saved, done = clock(), 0
    with ThreadPoolExecutor(workers or min(16, len(os.sched_getaffinity(0)))) as pool:
        for start in range(0, len(rows), _AT_ONCE):
            if stop():
                break
            part = rows[start : start + _AT_ONCE]
            for row, found in zip(part.tolist(), pool.map(look, part.tolist()), strict=True):
                prints.table[row] = found
            done += len(part)
            progress(done, len(rows))
            if clock() - saved > _SAVE_SECONDS:
                _save_fingerprints(cache, prints)
                saved = clock()
    _save_fingerprints(cache, prints)
    return prints


def fingerprints_version(cache: Path) -> int:
    """Return a number that changes with the cache; 0 while there is none."""
    try:
        return cache.stat().st_mtime_ns
    except OSError:
        return 0


def _fingerprint(folder: ImageFolder, prints: Fingerprints, row: int) -> Any:
    """Return the table's row of one item; computed only if its file has changed."""
    item = Item.parse(prints.refs[row])
    before = prints.table[row]
    found = np.zeros((), _ROW_DTYPE)
    try:
        stat = folder.file(item).stat()
    except OSError:
        found["state"] = BROKEN
        return found
    found["stamp"] = hash((stat.st_mtime_ns, stat.st_size))
    if before["state"] != UNKNOWN and before["stamp"] == found["stamp"]:
        return before
    try:
        found["file"] = _file_digest(folder.file(item), item)
        grey = Image.fromarray(folder.resized_pixels(item, (32, 32), 0.0)).convert("L")
    except (ImageError, OSError):
        found["state"] = BROKEN
        return found
    flat = np.asarray(grey, np.float64).std() < FLAT_DEVIATION
    found["state"] = BLANK if flat else SEEN
    if not flat:
        found["look"] = perceptual_hashes(grey)
    return found


def perceptual_hashes(grey: Image.Image) -> NDArray[np.uint64]:
    """Return dHash and pHash (2,) of a grey picture of 32 x 32 pixels."""
    from scipy.fft import dctn

    small = np.asarray(grey.resize((9, 8), Image.Resampling.LANCZOS), np.int16)
    rises = (small[:, 1:] > small[:, :-1]).ravel()
    low = dctn(np.asarray(grey, np.float64))[:8, :8].ravel()
    strong = low > np.median(low[1:])
    return np.packbits(np.concatenate([rises, strong])).view("<u8")


def _file_digest(path: Path, item: Item) -> NDArray[np.uint64]:
    """Return a digest (2,) of the file's bytes and the box."""
    with open(path, "rb", opener=only_regular) as file:  # noqa: PTH123
        found = hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16))
    found.update(repr(item.box).encode())
    if (page := split_page(item.path)[1]) > 1:
        found.update(str(page).encode())
    return np.frombuffer(found.digest(), "<u8")


def _find_alike(table: Table, mine: Any) -> Rows:
    """Return the rows of `table` with the file or the look of `mine`, ascending."""
    near = (table["file"] == mine["file"]).all(axis=1) & (table["state"] != UNKNOWN)
    if mine["state"] == SEEN:
        looks = _within_hash_distance(table["look"], mine["look"])
        near |= looks & (table["state"] == SEEN)
    return np.flatnonzero(near)


def _within_hash_distance(looks: Table, mine: Table) -> NDArray[np.bool_]:
    """Return which of the looks (n, 2) differ from `mine` (2,) in few bits, (n,)."""
    counts = np.bitwise_count(looks[:, 0] ^ mine[0]) + np.bitwise_count(looks[:, 1] ^ mine[1])
    return np.asarray(counts <= MAX_HASH_DISTANCE)


def _pair_equal_rows(values: Table, rows: Rows) -> Iterator[Rows]:
    """Yield each row with the first one of the same value (n, 2)."""
    if len(rows):
        _, first, which = np.unique(values, axis=0, return_index=True, return_inverse=True)
        leader = rows[first][which.ravel()]
        same = leader != rows
        yield np.stack([leader[same], rows[same]], axis=1)


def _pair_similar_hashes(looks: Table, rows: Rows) -> Iterator[Rows]:
    """Yield pairs of the distinct `looks` (n, 2) that differ in few bits.

    If they are cut into MAX_HASH_DISTANCE + 1 bands, two such looks share at least one whole band
    (the pigeonhole principle), so only those that share one are compared.
    """
    edges = np.linspace(0, 128, MAX_HASH_DISTANCE + 2).astype(int)
    bits = np.unpackbits(np.ascontiguousarray(looks).view(np.uint8).reshape(-1, 16), axis=1)
    for start, stop in zip(edges, edges[1:], strict=False):
        keys = bits[:, start:stop] @ (1 << np.arange(stop - start))
        order = np.argsort(keys, kind="stable")
        ends = np.flatnonzero(np.diff(keys[order], append=-1)) + 1
        for first, last in zip([0, *ends], ends, strict=False):
            bucket = order[first:last]
            for place in range(len(bucket) - 1):
                rest = bucket[place + 1 :]
                near = rest[_within_hash_distance(looks[rest], looks[bucket[place]])]
                if len(near):
                    yield np.stack([np.full(len(near), rows[bucket[place]]), rows[near]], axis=1)


def feature_duplicates(unit: NDArray[np.floating[Any]], rows: Sequence[int] | Rows) -> Rows:
    """Return pairs (m, 2) of `rows` (k,) whose unit features (k, d) are almost the same."""
    rows, found = np.asarray(rows, np.int64), [np.zeros((0, 2), np.int64)]
    for start in range(0, len(rows), _AT_ONCE):
        cosines = unit[start : start + _AT_ONCE] @ unit.T
        one, other = np.nonzero(cosines >= cosine_threshold(cosines)[:, None])
        later = other > one + start
        found.append(np.stack([rows[one[later] + start], rows[other[later]]], axis=1))
    return np.concatenate(found)


def cosine_threshold(cosines: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return the smallest cosine of a near-duplicate, (m,).

    `cosines` (m, n) are those of m items with all items, themselves among them.
    """
    n = cosines.shape[1]
    at = n - min(n, SCALE_RANK + 1)
    scale = 1 - np.partition(cosines, at, axis=1)[:, at]
    return np.asarray(np.maximum(MIN_COSINE, 1 - DISTANCE_SHARE * scale))


def _save_fingerprints(cache: Path, prints: Fingerprints) -> None:
    data = io.BytesIO()
    np.savez(data, table=prints.table, refs=np.frombuffer(prints.refs.to_bytes(), np.uint8))
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
        cache.parent.mkdir(exist_ok=True)
        write_atomically(cache, data.getvalue())
