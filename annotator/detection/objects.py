"""Objects in images without any training: found by their patches, then perhaps named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from annotator.detection.backbone import MOST_PATCHES, PatchNetwork
from annotator.detection.lost import K_PATCHES, SEEDS, Features, Found, lost, many
from annotator.detection.names import Named, Namer, around
from annotator.detection.proposal import UNNAMED, Proposal, no_numbers, reason, suppressed, within
from annotator.detection.tokencut import TAU, tokencut
from annotator.errors import ImageError
from annotator.features.decoding import pipelined
from annotator.features.extractor import Pixels
from annotator.images import Folder
from annotator.items.refs import Item, printable

METHODS = ("many", "lost", "tokencut")
LEAST_SIDE = 8
MOST_SKEW = 40
_CROP = (512, 512)


@dataclass(frozen=True, slots=True)
class Search:
    """How objects are looked for; its defaults are the command's."""

    method: str = "many"
    """many: several objects, from several seeds; lost, tokencut: one object an image."""
    seeds: int = SEEDS
    threshold: float | Literal["auto"] = "auto"
    """Of `many`: what correlates less with a seed is not its object; in the features' units."""
    k_patches: int = K_PATCHES
    """Of `lost`: among how many low degrees the patches like the seed are looked for."""
    tau: float = TAU
    """Of `tokencut`: the cosine from which on two patches are joined."""
    overlap: float = 0.5
    """Non-maximum suppression: of boxes that overlap with a higher IoU the best one is kept."""
    most_patches: int = MOST_PATCHES
    min_name: float = 0.2
    """A name with a smaller probability is not used: the box is an "object" then."""
    top: int = 5
    """How many names are kept with their probabilities."""

    def describe(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def find(self, features: Features) -> list[Found]:
        """The objects among an image's patches (h, w, d)."""
        if self.method == "many":
            return many(features, self.seeds, self.threshold)
        if self.method == "lost":
            one = lost(features, self.k_patches)
        else:
            one = tokencut(features, self.tau)
        return [] if one is None else [one]


class Looked(NamedTuple):
    """What came of one image."""

    path: str
    proposals: list[Proposal]
    fault: str | None
    """Why it could not be looked at."""
    smaller: bool = False
    """Whether it has more patches than `Search.most_patches`, and was looked at smaller."""


class _Seen(NamedTuple):
    path: str
    size: tuple[int, int]
    picture: Pixels | None
    fault: str | None


def discover(
    paths: Sequence[str],
    source: Folder,
    network: PatchNetwork,
    search: Search,
    namer: Namer | None = None,
    *,
    workers: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Looked]:
    """The proposals in each image, the best first, in the order of `paths`.

    Images that cannot be read, or are too small or too thin, come with a fault. Images with more
    than `search.most_patches` patches are looked at smaller.
    """
    threads = workers or min(4, len(os.sched_getaffinity(0)))
    model = model_name(network, search, namer)

    def read(path: str) -> _Seen:
        return _read(path, source, network, search)

    for seen in pipelined(ThreadPoolExecutor(threads), read, paths, threads + 1):
        if seen.picture is None:
            yield Looked(seen.path, [], seen.fault)
        else:
            yield _looked(seen, source, network, search, namer, model)
        if stop():
            return


def model_name(network: PatchNetwork, search: Search, namer: Namer | None) -> str:
    """`many:dino-vits16+convnext-base-224-22k`: what the scores and the names depend on."""
    named = f"+{_short(namer.name)}" if namer else ""
    return f"{search.method}:{_short(network.name)}{named}"


def _short(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]


def _read(path: str, source: Folder, network: PatchNetwork, search: Search) -> _Seen:
    item = Item(path)
    try:
        size = source.size(item)
        if min(size) < LEAST_SIDE or max(size) > MOST_SKEW * min(size):
            raise ImageError(
                f"{size[0]} x {size[1]} pixels are too few, or too thin, to look for objects in"
            )
        look = network.look_size(size, search.most_patches)
        return _Seen(path, size, source.squeezed(item, look), None)
    except ImageError as error:
        return _Seen(path, (0, 0), None, _fault(path, source, error))


def _fault(path: str, source: Folder, error: ImageError) -> str:
    return f"{printable(path)}: {reason(error, source.path(Item(path)))}"


def _looked(
    seen: _Seen,
    source: Folder,
    network: PatchNetwork,
    search: Search,
    namer: Namer | None,
    model: str,
) -> Looked:
    assert seen.picture is not None
    if (seen.picture == seen.picture[0, 0]).all():
        return Looked(seen.path, [], None)  # one colour: there is nothing
    features = network(seen.picture)
    if not np.isfinite(features).all():
        fault = f"{printable(seen.path)}: {no_numbers(network.half)}"
        return Looked(seen.path, [], fault)
    stride = seen.size[0] / features.shape[1], seen.size[1] / features.shape[0]
    found = []
    for one in search.find(features):
        box = within(one.box(stride, seen.size), seen.size)
        if box is not None:
            item, score = Item(seen.path, box), min(1.0, max(0.0, one.score))
            found.append(Proposal(item, score, model=model))
    kept = suppressed(found, search.overlap)
    try:
        named = _named(kept, seen.size, source, search, namer) if namer and kept else kept
    except ImageError as error:
        fault = _fault(seen.path, source, error)  # it was there a moment ago
        return Looked(seen.path, [], fault)
    smaller = seen.size[0] * seen.size[1] > search.most_patches * network.patch**2
    return Looked(seen.path, named, None, smaller)


def _named(
    found: list[Proposal], size: tuple[int, int], source: Folder, search: Search, namer: Namer
) -> list[Proposal]:
    pictures = [
        source.crop(Item(one.item.path, around(one.box, size)), _CROP, context=0).image
        for one in found
    ]
    named = zip(found, namer(pictures, search.top), strict=True)
    return [_with_names(proposal, names, search.min_name) for proposal, names in named]


def _with_names(proposal: Proposal, names: list[Named], least: float) -> Proposal:
    best = names[0]
    told = [[name, round(p, 4)] for name, p in names]
    name = best.name if best.p >= least else UNNAMED
    return Proposal(
        proposal.item, proposal.score, name, proposal.model, extra={"names": told}
    )  # fmt: skip
