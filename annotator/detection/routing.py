"""Which images a person should look at first: those over which the detectors disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from annotator.detection.fuse import FusedBox

MIN_SCORE = 0.6
MIN_AGREEMENT = 0.9


@dataclass(frozen=True, slots=True)
class AgreementRule:
    """When a fused box counts as agreed upon."""

    min_score: float = MIN_SCORE
    """For the mean over the models that found it of their best scores."""
    min_votes: int = 1
    """How many different models must have found it."""
    min_agreement: float = MIN_AGREEMENT
    """Images whose agreement is below go to a person first."""

    def keeps(self, fused: FusedBox) -> bool:
        return fused.mean >= self.min_score and fused.votes >= self.min_votes


@dataclass(frozen=True, slots=True)
class ImageAgreement:
    """What the detectors' agreement over one image says."""

    path: str
    kept: int
    """Fused boxes that the rule keeps."""
    total: int
    """All fused boxes."""
    min_agreement: float

    @property
    def agreement(self) -> float:
        """kept / total; 1 where nobody found anything: there is nothing to disagree about."""
        return self.kept / self.total if self.total else 1.0

    @property
    def to_person(self) -> bool:
        """Whether a person should look at this image first."""
        return self.agreement < self.min_agreement


def measure_agreement(path: str, fused: Sequence[FusedBox], rule: AgreementRule) -> ImageAgreement:
    kept = sum(rule.keeps(each) for each in fused)
    return ImageAgreement(path, kept, len(fused), rule.min_agreement)


def sort_by_agreement(routes: Sequence[ImageAgreement]) -> list[ImageAgreement]:
    """Those for a person first, the least agreement first; then the rest as they came."""
    return sorted(routes, key=lambda each: each.agreement if each.to_person else 2.0)
