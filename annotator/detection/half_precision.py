"""Half precision for detectors: the network is fast, and the heads that place boxes stay exact."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from annotator.detection.detections import Detections, compute_ious

_EXACT_PARTS = ("box", "integral", "lqe")
"""Parts of the names of modules that compute coordinates."""


def keep_box_heads_exact(torch: Any, model: Any, device: str) -> None:
    """Let the modules that compute coordinates run in fp32 within autocast."""
    kind = device.partition(":")[0]
    for name, module in model.named_modules():
        places_boxes = any(part in name for part in _EXACT_PARTS)
        if places_boxes and not isinstance(module, torch.nn.ModuleList):
            module.forward = _without_autocast(torch, kind, module.forward)


def _without_autocast(torch: Any, kind: str, forward: Callable[..., Any]) -> Callable[..., Any]:
    def exact(value: Any) -> Any:
        floating = isinstance(value, torch.Tensor) and value.is_floating_point()
        return value.float() if floating else value

    @functools.wraps(forward)
    def run(*values: Any, **named: Any) -> Any:
        with torch.autocast(kind, enabled=False):
            return forward(*map(exact, values), **{key: exact(each) for key, each in named.items()})

    return run


def describe_difference(
    half: Sequence[Detections | str], exact: Sequence[Detections | str], dtype: str
) -> str:
    """Describe how far the boxes in half precision are from those in fp32, in the same images."""
    ious, scores = list[float](), list[float]()
    for ours, theirs in zip(half, exact, strict=True):
        if isinstance(ours, str) or isinstance(theirs, str):
            continue
        for box, score, name in zip(theirs.boxes, theirs.scores, theirs.names, strict=True):
            if score < 0.3:
                continue
            rows = [row for row, called in enumerate(ours.names) if called == name]
            shared = compute_ious(ours.boxes[rows], box)
            best = int(shared.argmax()) if len(rows) else -1
            ious.append(float(shared[best]) if best >= 0 else 0.0)
            scores.append(abs(score - ours.scores[rows[best]]) if best >= 0 else float(score))
    if not ious:
        return f"{dtype} beside fp32: the first images hold no box with a score of 0.3."
    return (
        f"{dtype} beside fp32, first images: {len(ious):,} boxes, median IoU "
        f"{np.median(ious):.3f}, lowest {min(ious):.3f}; scores differ by {np.median(scores):.3f}. "
        "If that is too much, use --dtype fp32."
    )
