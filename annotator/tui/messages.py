"""The messages of the threads and processes in the background to the app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from annotator.errors import AnnotatorError
    from annotator.features.store import FeatureStore
    from annotator.learn.label_conflicts import Contradiction
    from annotator.learn.ranking import Ranking
    from annotator.project.watching import ItemChange, SettingsChange
    from annotator.session.class_text import NameScores
    from annotator.tui.finder import FoundItems


@dataclass
class ItemsListed(Message):
    """More refs of the pool, or its end."""

    found: FoundItems


@dataclass
class ItemsChanged(Message):
    """A change of refs.csv by others, or the error of a file that cannot be read."""

    change: ItemChange | AnnotatorError


@dataclass
class SettingsChanged(Message):
    """A change of annotator.toml by others, or the error of a file that cannot be read."""

    change: SettingsChange | AnnotatorError


@dataclass
class FolderUnwatched(Message):
    """The end of the watch of the images folder."""

    reason: str


@dataclass
class RankingLearned(Message):
    """The result of a fit."""

    ranking: Ranking


@dataclass
class LabelsContradicted(Message):
    """The new labels that most of their nearest neighbours contradict."""

    found: list[Contradiction]


@dataclass
class NearDuplicatesFound(Message):
    """The near-duplicates of an item, as far as they are known."""

    ref: str
    refs: list[str]


@dataclass
class FitFailed(Message):
    """The error of a failed fit; the next label starts another."""

    error: Exception


@dataclass
class FeaturesOpened(Message):
    """The features of the project, complete or growing."""

    store: FeatureStore
    grows: bool
    """True while another process adds rows."""
    names: NameScores
    """The scores of the classes by their names."""


@dataclass
class NamesRead(Message):
    """The end of the process that reads the names of the classes."""

    failure: str
    """The last line of its messages, if it failed."""


@dataclass
class FeaturesUnusable(Message):
    """The reason why there are no features to use."""

    error: AnnotatorError


@dataclass
class FeaturesProgress(Message):
    """The progress of the child process: "done", "of", "rate" and "left_s"."""

    report: dict[str, Any]

    def can_replace(self, message: Message) -> bool:
        """Return whether a newer report makes this one useless."""
        return isinstance(message, FeaturesProgress)


@dataclass
class FeaturesEnded(Message):
    """The end of the child process."""

    code: int
    narration: str
