"""Lists and pairs on the command line: models with their weights, names with other names."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from annotator.detection.ensemble import EnsembleModel


def parse_voters(models: str, weights: str, thresholds: str) -> list[EnsembleModel]:
    from annotator.detection.ensemble import EnsembleModel

    names = parse_list(models)
    if not names:
        raise typer.BadParameter("names no model", param_hint="--models")
    if len(set(names)) < len(names):
        raise typer.BadParameter("names a model twice", param_hint="--models")
    weighed = parse_numbers(weights, len(names), "--weights", lambda value: value > 0)
    cut = parse_numbers(thresholds, len(names), "--threshold", lambda value: 0 <= value <= 1)
    return [EnsembleModel(*each) for each in zip(names, weighed, cut, strict=True)]


def parse_list(text: str | None) -> list[str]:
    if not text:
        return []
    return [part.strip() for part in next(csv.reader([text]), []) if part.strip()]


def parse_numbers(text: str, count: int, option: str, fits: Callable[[float], bool]) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) not in (1, count) or not all(map(fits, found)):
        raise typer.BadParameter(
            f"{text} should be one number, or {count}: one a model", param_hint=option
        )
    return found * count if len(found) == 1 else found


def parse_renames(pairs: Sequence[str]) -> dict[str, str]:
    parts = [pair.partition("=") for pair in pairs]
    if any(not old.strip() or not new.strip() for old, _, new in parts):
        raise typer.BadParameter("should be its name=your name", param_hint="--rename")
    return {old.strip(): new.strip() for old, _, new in parts}


def check_choices(fuse: str, score: str, tta: str | None) -> None:
    from annotator.detection.fuse import CONFIDENCE_TYPES, FUSION_METHODS
    from annotator.detection.passes import AUGMENTATIONS

    for value, known, option in (
        (fuse, FUSION_METHODS, "--fuse"),
        (score, CONFIDENCE_TYPES, "--fused-score"),
        *((part, AUGMENTATIONS[1:], "--tta") for part in parse_list(tta)),
    ):
        if value not in known:
            raise typer.BadParameter(f"{value} is none of {', '.join(known)}", param_hint=option)
