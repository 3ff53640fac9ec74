"""What an export is asked for, and one item as it is handed to a format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from annotator.formats.splits import Splits
from annotator.refs import Item

ONLY = ("labelled", "human", "flagged", "unflagged")


@dataclass(frozen=True, slots=True)
class Options:
    """What of a project is exported, and how."""

    only: tuple[str, ...] = ()
    """Of `ONLY`; all of them must hold."""
    classes: tuple[str, ...] = ()
    """Only items with one of these labels."""
    agreement: float | None = None
    """Only items that two or more people labelled, this share of them as it stands."""
    split: Splits | None = None
    probabilities: bool = False
    provenance: bool = False
    predictions: bool = False
    """The model's word, with its probability, on items that nobody has labelled."""
    crop: bool = False
    context: float = 0.0
    images: str = "symlink"
    """How image files come into a folder: symlink, copy or none."""


class Record(NamedTuple):
    """One item, as formats write it."""

    row: int
    item: Item
    label: str | None = None
    skipped: bool = False
    rejected: bool = False
    """Whether a proposal was found to hold nothing."""
    flagged: bool = False
    split: str = ""
    columns: Mapping[str, str] = {}
    """The columns of refs.csv that the program does not know."""
    predicted: str | None = None
    score: float | None = None
    """How sure a model is of `predicted`, or of the label where it accepted a proposal."""
    told: Mapping[str, Any] = {}
    """Provenance: annotator, at, model, … where it was asked for; else of a label that a model gave
    the marks `machine`, `model` and `probability`."""
    proba: Mapping[str, float] = {}


class Picture(NamedTuple):
    """One image and its items, in order."""

    path: str
    split: str
    records: list[Record]
