"""What the background tells the app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textual.message import Message

from annotator.errors import AnnotatorError
from annotator.features.store import FeatureStore
from annotator.learn.label_conflicts import Contradiction
from annotator.learn.ranking import Ranking
from annotator.tui.finder import FoundItems


@dataclass
class ItemsListed(Message):
    """More of the pool, or its end."""

    found: FoundItems


@dataclass
class RankingLearned(Message):
    """A fit is done."""

    ranking: Ranking


@dataclass
class LabelsContradicted(Message):
    """New labels that most of their nearest neighbours contradict."""

    found: list[Contradiction]


@dataclass
class NearDuplicatesFound(Message):
    """The near-duplicates of an item, as far as they are known."""

    ref: str
    refs: list[str]


@dataclass
class FitFailed(Message):
    """A fit died; the next label starts another."""

    error: Exception


@dataclass
class FeaturesOpened(Message):
    """There are features, whole or growing."""

    store: FeatureStore
    grows: bool
    """Whether more rows are still on their way."""


@dataclass
class FeaturesUnusable(Message):
    """There are none, or they are not whole."""

    error: AnnotatorError


@dataclass
class FeaturesProgress(Message):
    """How far the child process is: "done" "of" "rate" "left_s"."""

    report: dict[str, Any]

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, FeaturesProgress)


@dataclass
class FeaturesEnded(Message):
    """The child process has ended."""

    code: int
    narration: str


@dataclass
class HookFailed(Message):
    """A command of the user's failed; labelling goes on."""

    words: str
