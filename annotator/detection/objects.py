"""Object discovery in images: objects found by their patches, then perhaps named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from annotator.detection.backbone import MAX_PATCHES, PatchNetwork
from annotator.detection.lost import (
    DEFAULT_K_PATCHES,
    DEFAULT_SEEDS,
    TAU,
    DiscoveredObject,
    PatchFeatures,
    lost,
    lost_multi_seed,
    tokencut,
)
from annotator.detection.names import ImageNamer, NameProbability, square_around
from annotator.detection.proposal import (
    UNNAMED,
    Proposal,
    clip_box,
    describe_nan,
    strip_file_name,
    suppress_overlaps,
)
from annotator.errors import ImageError
from annotator.features.decoding import map_pipelined
from annotator.images import ImageFolder, Pixels
from annotator.items.refs import Item, make_printable

DISCOVERY_METHODS = ("many", "lost", "tokencut")
MIN_SIDE = 8
MAX_ASPECT = 40
_CROP = (512, 512)


@dataclass(frozen=True, slots=True)
class ObjectSearch:
    """The options of object discovery; its defaults are the command's."""

    method: str = "many"
    """many: several objects, from several seeds; lost, tokencut: one object per image."""
    seeds: int = DEFAULT_SEEDS
    threshold: float | Literal["auto"] = "auto"
    """Minimum correlation of a patch with its seed (many), in the features' units."""
    k_patches: int = DEFAULT_K_PATCHES
    """Number of patches with low degrees among which lost seeks those like the seed."""
    tau: float = TAU
    """Cosine above which tokencut joins two patches."""
    overlap: float = 0.5
    """Largest IoU of two boxes: of boxes that overlap more, only the best is kept."""
    most_patches: int = MAX_PATCHES
    min_name: float = 0.2
    """Minimum probability of a name; a box without such a name is an "object"."""
    top: int = 5
    """Number of names that are kept with their probabilities."""
    min_score: float = 0.0
    """Minimum score of a box: that of its seed patch."""
    min_confidence: float = 0.0
    """Minimum probability of the likeliest name; boxes below it are left out."""

    def describe(self) -> dict[str, Any]:
        """Return all options, as plain JSON; those that leave out nothing are not in it."""
        options = {name: getattr(self, name) for name in self.__slots__}
        for name in ("min_score", "min_confidence"):
            if not options[name]:
                del options[name]
        return options

    def find(self, features: PatchFeatures) -> list[DiscoveredObject]:
        """Find the objects among an image's patches (h, w, d)."""
        if self.method == "many":
            return lost_multi_seed(features, self.seeds, self.threshold)
        if self.method == "lost":
            one = lost(features, self.k_patches)
        else:
            one = tokencut(features, self.tau)
        return [] if one is None else [one]


class DiscoveredImage(NamedTuple):
    """The proposals of one image, or the reason for none."""

    path: str
    proposals: list[Proposal]
    fault: str | None
    """The reason why it could not be searched; None if it could."""
    smaller: bool = False
    """True if it has more patches than `most_patches`, and was made smaller."""


class _DecodedImage(NamedTuple):
    path: str
    size: tuple[int, int]
    picture: Pixels | None
    fault: str | None


def discover_objects(
    paths: Sequence[str],
    source: ImageFolder,
    network: PatchNetwork,
    search: ObjectSearch,
    namer: ImageNamer | None = None,
    *,
    workers: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[DiscoveredImage]:
    """Yield the proposals in each image, the best first, in the order of `paths`.

    Images that cannot be read, or are too small or too thin, come with a fault. Images with more
    than `search.most_patches` patches are made smaller.
    """
    threads = workers or min(4, len(os.sched_getaffinity(0)))
    model = discovery_model_name(network, search, namer)

    def read(path: str) -> _DecodedImage:
        return _read_image(path, source, network, search)

    for decoded in map_pipelined(ThreadPoolExecutor(threads), read, paths, threads + 1):
        if decoded.picture is None:
            yield DiscoveredImage(decoded.path, [], decoded.fault)
        else:
            yield _discover_in_image(decoded, source, network, search, namer, model)
        if stop():
            return


def discovery_model_name(
    network: PatchNetwork, search: ObjectSearch, namer: ImageNamer | None
) -> str:
    """Return the name of a search: `many:dino-vits16+convnext-base-224-22k`.

    It holds all that scores and names depend on.
    """
    named = f"+{_short(namer.name)}" if namer else ""
    return f"{search.method}:{_short(network.name)}{named}"


def _short(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]


def _read_image(
    path: str, source: ImageFolder, network: PatchNetwork, search: ObjectSearch
) -> _DecodedImage:
    item = Item(path)
    try:
        size = source.size(item)
        if min(size) < MIN_SIDE or max(size) > MAX_ASPECT * min(size):
            raise ImageError(
                f"{size[0]} x {size[1]} pixels are too few, or too thin, to find objects in"
            )
        look = network.input_size(size, search.most_patches)
        return _DecodedImage(path, size, source.resized_pixels(item, look), None)
    except ImageError as error:
        return _DecodedImage(path, (0, 0), None, _fault(path, source, error))


def _fault(path: str, source: ImageFolder, error: ImageError) -> str:
    return f"{make_printable(path)}: {strip_file_name(error, source.path(Item(path)))}"


def _discover_in_image(
    decoded: _DecodedImage,
    source: ImageFolder,
    network: PatchNetwork,
    search: ObjectSearch,
    namer: ImageNamer | None,
    model: str,
) -> DiscoveredImage:
    assert decoded.picture is not None
    if (decoded.picture == decoded.picture[0, 0]).all():
        return DiscoveredImage(decoded.path, [], None)  # one colour: there is no object
    features = network(decoded.picture)
    if not np.isfinite(features).all():
        fault = f"{make_printable(decoded.path)}: {describe_nan(network.half_precision)}"
        return DiscoveredImage(decoded.path, [], fault)
    stride = decoded.size[0] / features.shape[1], decoded.size[1] / features.shape[0]
    proposals = []
    for found_object in search.find(features):
        box = clip_box(found_object.box(stride, decoded.size), decoded.size)
        if box is not None and found_object.score >= search.min_score:
            item, score = Item(decoded.path, box), min(1.0, max(0.0, found_object.score))
            proposals.append(Proposal(item, score, model=model))
    kept = suppress_overlaps(proposals, search.overlap)
    try:
        named = (
            _name_proposals(kept, decoded.size, source, search, namer) if namer and kept else kept
        )
    except ImageError as error:
        fault = _fault(decoded.path, source, error)  # it could be read a moment ago
        return DiscoveredImage(decoded.path, [], fault)
    smaller = decoded.size[0] * decoded.size[1] > search.most_patches * network.patch**2
    return DiscoveredImage(decoded.path, named, None, smaller)


def _name_proposals(
    proposals: list[Proposal],
    size: tuple[int, int],
    source: ImageFolder,
    search: ObjectSearch,
    namer: ImageNamer,
) -> list[Proposal]:
    pictures = [
        source.crop(Item(one.item.path, square_around(one.box, size)), _CROP, context=0).image
        for one in proposals
    ]
    named = zip(proposals, namer(pictures, search.top), strict=True)
    return [
        _with_best_name(proposal, names, search.min_name)
        for proposal, names in named
        if names[0].p >= search.min_confidence
    ]


def _with_best_name(
    proposal: Proposal, names: list[NameProbability], min_probability: float
) -> Proposal:
    best = names[0]
    rounded = [[name, round(p, 4)] for name, p in names]
    name = best.name if best.p >= min_probability else UNNAMED
    return Proposal(
        proposal.item, proposal.score, name, proposal.model, extra={"names": rounded}
    )  # fmt: skip
