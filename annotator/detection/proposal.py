"""Proposals: boxes of a model, with their class, score and members."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.detection.detections import iou
from annotator.errors import ImageError
from annotator.items.refs import Box, Item, make_printable

UNNAMED = "object"
"""The class of a proposal that has only a place."""


@dataclass(frozen=True, slots=True)
class ProposalMember:
    """One of the boxes that a proposal was fused from."""

    box: Box
    score: float
    model: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"box": list(self.box), "score": self.score, "model": self.model}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A box in an image, to accept or reject."""

    item: Item
    """The image and the box, in pixels of the upright image."""
    score: float
    """The model's confidence, from 0 to 1."""
    name: str = UNNAMED
    """The class that the model gives the box."""
    model: str = ""
    """The model that proposed the box, with all that its scores depend on: "lost:dino-vits16" …"""
    votes: int = 1
    """The number of models that found the box."""
    members: tuple[ProposalMember, ...] = ()
    """The boxes that this one was fused from; () for a single box."""
    extra: Mapping[str, Any] | None = None
    """Anything else worth keeping: landmarks, the probabilities of other names …; plain JSON."""

    @property
    def box(self) -> Box:
        """The box of its item."""
        assert self.item.box is not None
        return self.item.box

    def fault(self) -> str | None:
        """Return the reason why this is not a valid proposal; None for a valid one."""
        if self.item.box is None:
            return "has no box"
        if not all(map(math.isfinite, self.box)) or self.box.w <= 0 or self.box.h <= 0:
            return "has an empty box"
        if not 0 <= self.score <= 1:  # NaN compares false
            return f"has the score {self.score}, which is not from 0 to 1"
        return None


def strip_file_name(error: ImageError, file: Path) -> str:
    """Return the text of an image error without the path in front."""
    return str(error).removeprefix(f"{make_printable(str(file))}: ")


def describe_nan(half_precision: bool) -> str:
    """Describe an image for which a network in half or full precision gives NaN."""
    remedy = (
        "try --dtype fp32" if half_precision else "fetch its weights again, or leave this model out"
    )
    return f"the model gives no numbers (NaN) for it; {remedy}"


def clip_box(box: Box, size: tuple[int, int]) -> Box | None:
    """Cut `box` to an image of (width, height), and round it to hundredths of a pixel.

    Return None if nothing is left, or if a coordinate is not a number.
    """
    if not all(map(math.isfinite, box)):
        return None
    left, top = round(max(0.0, box.x), 2), round(max(0.0, box.y), 2)
    right, bottom = round(min(box.right, size[0]), 2), round(min(box.bottom, size[1]), 2)
    if right - left < 0.01 or bottom - top < 0.01:
        return None
    return Box(left, top, round(right - left, 2), round(bottom - top, 2))


def suppress_overlaps(proposals: Sequence[Proposal], max_iou: float) -> list[Proposal]:
    """Apply greedy non-maximum suppression, and return the boxes left, the best first.

    A box goes if a better one of the same image and class overlaps it with an IoU above `max_iou`.
    """
    kept: dict[tuple[str, str], list[Proposal]] = {}
    for proposal in sorted(proposals, key=lambda p: -p.score):
        rivals = kept.setdefault((proposal.item.path, proposal.name), [])
        if all(iou(proposal.box, better.box) <= max_iou for better in rivals):
            rivals.append(proposal)
    best = [proposal for group in kept.values() for proposal in group]
    return sorted(best, key=lambda p: -p.score)
