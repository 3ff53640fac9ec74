"""An ensemble of models: their detections fused, their agreement measured, proposals built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np

from annotator.detection.detections import Detections
from annotator.detection.fuse import FusedBox, fuse
from annotator.detection.proposal import Proposal, ProposalMember, clip_box
from annotator.detection.results import DetectionAnswers, ImageDetections
from annotator.errors import FeatureError
from annotator.items.refs import Box, Item, make_printable

CLASS_SYNONYMS = {
    "aeroplane": "airplane",
    "motorbike": "motorcycle",
    "sofa": "couch",
    "tvmonitor": "tv",
    "diningtable": "dining table",
    "pottedplant": "potted plant",
}
"""Names that Pascal VOC spells in one way and COCO in another, so that models of both agree."""
MIN_SCORE = 0.6
MIN_AGREEMENT = 0.9


@dataclass(frozen=True, slots=True)
class AgreementRule:
    """The conditions on which the models agree on a fused box."""

    min_score: float = MIN_SCORE
    """Minimum of the mean score: of the best score of each model that found the box."""
    min_votes: int = 1
    """Minimum number of different models that found the box."""
    min_agreement: float = MIN_AGREEMENT
    """Images with a lower agreement go to an annotator first."""

    def keeps(self, fused: FusedBox) -> bool:
        """Return whether the models agree on a fused box."""
        return fused.mean >= self.min_score and fused.votes >= self.min_votes


@dataclass(frozen=True, slots=True)
class ImageAgreement:
    """The agreement of the detectors on one image."""

    path: str
    kept: int
    """Fused boxes that the rule keeps."""
    total: int
    """All fused boxes."""
    min_agreement: float

    @property
    def agreement(self) -> float:
        """kept / total; 1 for an image without boxes, because the models agree on it."""
        return self.kept / self.total if self.total else 1.0

    @property
    def to_person(self) -> bool:
        """True if an annotator should look at this image first."""
        return self.agreement < self.min_agreement


@dataclass(frozen=True, slots=True)
class EnsembleModel:
    """A model in an ensemble."""

    name: str
    weight: float = 1.0
    threshold: float = 0.3
    """Minimum score of the detections that take part."""
    label: str = ""
    """The name in proposals, if the last part of its id would be that of another model, too."""

    @property
    def short(self) -> str:
        """The last part of its id, folder or file; the name of a program; or its `label`."""
        if self.label:
            return self.label
        kind, _, rest = self.name.partition(":")
        if kind == "cmd":
            words = rest.split()
            program = next((word for word in words if "{image}" not in word), "program")
            scripts = [word for word in words if word.endswith((".py", ".sh"))]
            return (scripts or [program])[0].rpartition("/")[2]
        if kind == "boxes":
            return rest.rpartition("/")[2]
        return self.name.rstrip("/").rpartition("/")[2] or self.name


@dataclass(frozen=True, slots=True)
class EnsembleConfig:
    """The models of an ensemble, and the options of their fusion."""

    voters: tuple[EnsembleModel, ...]
    names: frozenset[str] | None = None
    """The classes wanted; None for all."""
    renames: Mapping[str, str] = field(default_factory=dict)
    method: str = "wbf"
    iou: float = 0.55
    confidence: str = "avg"
    rule: AgreementRule = AgreementRule()

    @property
    def model(self) -> str:
        """The model's name in proposals; the names of all models if there are several."""
        return "+".join(voter.short for voter in self.voters)


@dataclass(frozen=True, slots=True)
class FusedImage:
    """The fused boxes of one image, and their agreement."""

    path: str
    size: tuple[int, int]
    fused: list[FusedBox]
    route: ImageAgreement
    silent: tuple[str, ...]
    """The models that have no answer for the image."""
    left_out: dict[str, int]
    """Number of boxes that were not valid, by reason."""


def map_class_names(
    classes: Iterable[str], renames: Mapping[str, str], wanted: Iterable[str] | None = None
) -> dict[str, str]:
    """Map each class of a model to its new name: the user's, else the common spelling.

    A name that differs from one of `wanted` by capitals or a known spelling becomes that one.
    """
    spelled = {CLASS_SYNONYMS.get(name, name).casefold(): name for name in wanted or ()}
    named = ((name, renames.get(name, name)) for name in classes)
    common = ((name, CLASS_SYNONYMS.get(new, new)) for name, new in named)
    return {name: spelled.get(new.casefold(), new) for name, new in common}


def match_classes(
    classes: Sequence[str], names: Sequence[str], renames: Mapping[str, str]
) -> tuple[frozenset[str], list[str]]:
    """Return the `names` that a model knows, in the user's spelling, and those it lacks."""
    known = set(map_class_names(classes, renames, names).values())
    return frozenset(names) & known, [name for name in names if name not in known]


def describe_unknown_classes(model: str, missing: Sequence[str], classes: Sequence[str]) -> str:
    """Describe a model that lacks some of the wanted classes, with its nearest classes."""
    near = [near for name in missing for near in get_close_matches(name, classes, n=3, cutoff=0.5)]
    some = list(dict.fromkeys(near)) or list(classes[:8])
    more = "" if len(classes) <= len(some) else f" … ({len(classes)} in all)"
    return make_printable(
        f"{model} knows no {', '.join(missing)}. It knows {', '.join(some)}{more}. "
        f"If it has another word for the class, add --rename '{some[0] if some else 'its name'}="
        f"{missing[0]}'."
    )


def measure_image_agreement(
    path: str, fused: Sequence[FusedBox], rule: AgreementRule
) -> ImageAgreement:
    """Measure the agreement of the models on one image."""
    kept = sum(rule.keeps(each) for each in fused)
    return ImageAgreement(path, kept, len(fused), rule.min_agreement)


def sort_by_agreement(routes: Sequence[ImageAgreement]) -> list[ImageAgreement]:
    """Put the images for an annotator first, by rising agreement; the others keep their order."""
    return sorted(routes, key=lambda each: each.agreement if each.to_person else 2.0)


def fuse_images(
    paths: Sequence[str], results: Sequence[DetectionAnswers], config: EnsembleConfig
) -> Iterator[FusedImage]:
    """Yield each image that a model answered, with its fused boxes, in the given order."""
    if len(results) != len(config.voters):
        raise FeatureError("An ensemble needs the results of each of its models.")
    for path in paths:
        answers = [each.get(path) for each in results]
        answered = [(place, answer) for place, answer in enumerate(answers) if answer is not None]
        if answered:
            fused = _fuse_answers(answered, config)
            silent = tuple(
                voter.short
                for voter, answer in zip(config.voters, answers, strict=True)
                if answer is None
            )
            routed = measure_image_agreement(path, fused, config.rule)
            yield FusedImage(
                path, answered[0][1].size, fused, routed, silent, _count_left_out(answered)
            )


def fuse_detections(
    paths: Sequence[str], results: Sequence[DetectionAnswers], config: EnsembleConfig
) -> dict[str, Detections]:
    """Return the fused boxes of each image, as those of one detector."""
    detections = {}
    for image in fuse_images(paths, results, config):
        boxes = np.array([fused.box for fused in image.fused], np.float64).reshape(-1, 4)
        scores = np.array([fused.score for fused in image.fused], np.float64)
        names = tuple(fused.name for fused in image.fused)
        detections[image.path] = Detections(boxes, scores, names)
    return detections


def list_detections(
    paths: Sequence[str], answers: DetectionAnswers, config: EnsembleConfig
) -> dict[str, Detections]:
    """Return the boxes of an ensemble's one model as it gave them; several passes are fused."""
    (voter,) = config.voters
    detections: dict[str, Detections] = {}
    for path in paths:
        answer = answers.get(path)
        if answer is None:
            continue
        if len(answer.passes) > 1:
            detections |= fuse_detections([path], [answers], config)
            continue
        (found,) = answer.passes.values()
        renames = map_class_names(set(found.names), config.renames, config.names)
        some = found.above_score(voter.threshold).select_classes(config.names, renames)
        detections[path] = some
    return detections


def _count_left_out(answers: Sequence[tuple[int, ImageDetections]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for _, answer in answers:
        counts.update(answer.left_out)
    return dict(counts)


def _fuse_answers(
    answers: Sequence[tuple[int, ImageDetections]], config: EnsembleConfig
) -> list[FusedBox]:
    lists: list[Detections] = []
    weights: list[float] = []
    models: list[int] = []
    for place, answer in answers:
        voter = config.voters[place]
        for found in answer.passes.values():
            renames = map_class_names(set(found.names), config.renames, config.names)
            lists.append(found.above_score(voter.threshold).select_classes(config.names, renames))
            weights.append(voter.weight)
            models.append(place)
    return fuse(
        lists, weights, models=models,
        method=config.method, iou=config.iou, confidence=config.confidence,
    )  # fmt: skip


def build_proposals(image: FusedImage, config: EnsembleConfig) -> list[tuple[FusedBox, Proposal]]:
    """Make a proposal of each fused box of an image, with its members."""
    made = []
    for fused in image.fused:
        box = clip_box(_box_from_corners(fused.box), image.size)
        if box is None:
            continue
        members = tuple(
            ProposalMember(
                _box_from_corners(source.box),
                round(source.score, 4),
                config.voters[source.model].short,
            )
            for source in fused.members
        )
        extra: dict[str, Any] = {
            "agreement": round(image.route.agreement, 4), "mean": round(fused.mean, 4),
            "method": config.method,
        }  # fmt: skip
        if fused.points is not None:
            extra["points"] = np.round(fused.points, 2).tolist()
        proposal = Proposal(
            Item(image.path, box), min(1.0, fused.score), fused.name, config.model, fused.votes,
            members if len(config.voters) > 1 or len(members) > 1 else (), extra,
        )  # fmt: skip
        made.append((fused, proposal))
    return made


def _box_from_corners(corners: Sequence[float]) -> Box:
    left, top, right, bottom = (round(float(value), 2) for value in corners)
    return Box(left, top, round(right - left, 2), round(bottom - top, 2))
