"""What an ensemble of detectors saw, as items of a project: the doubtful ones are asked first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from annotator.detection.ensemble import (
    EnsembleConfig,
    FusedImage,
    ImageAgreement,
    build_proposals,
    sort_by_agreement,
)
from annotator.detection.proposal import Proposal
from annotator.errors import ProjectError
from annotator.items.refs import make_printable, plural
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.log.store import SqliteStore
from annotator.project.item_pool import Priority, write_priorities
from annotator.project.project import ProjectFolder
from annotator.proposals.verdicts import ACCEPT_LABELS
from annotator.proposals.writing import ProposalWriter

DISAGREEMENT_REASON = "disagreement"
_BATCH = 5000
_MAX_NAMED = 5


@dataclass(slots=True)
class EnsembleOutcome:
    """What came of a run."""

    images: int = 0
    boxes: int = 0
    """Fused boxes, over all images."""
    added: int = 0
    """Items that are new."""
    merged: int = 0
    """Boxes that belong to items that were there."""
    to_person: int = 0
    """Images whose agreement is too low: a person looks at them first."""
    agreed: int = 0
    """Images over which the models agree, such with no box among them."""
    accepted: int = 0
    """Items that were labelled by the machine."""
    no_boxes: dict[str, Counter[str]] = field(default_factory=dict)
    """Boxes that were no boxes: why, in which image, and how many."""
    left_out: list[str] = field(default_factory=list)
    """Images, models and proposals that take no part, and why."""
    routes: list[ImageAgreement] = field(default_factory=list)

    def describe_invalid_boxes(self) -> list[str]:
        """What to say of them: a line for each reason."""
        lines = []
        for reason, images in self.no_boxes.items():
            names = [make_printable(path) for path, _ in images.most_common(_MAX_NAMED)]
            more = [f"{len(images) - _MAX_NAMED:,} more"] if len(images) > _MAX_NAMED else []
            boxes = plural(images.total(), "box", "boxes")
            lines.append(f"{boxes} {reason}, in {', '.join([*names, *more])}")
        return lines


def write_fused_images(
    project: ProjectFolder,
    images: Iterable[FusedImage],
    recipe: EnsembleConfig,
    *,
    accept: bool,
    timestamp: float,
) -> EnsembleOutcome:
    """Write every fused box as a proposal, and which are to be asked first.

    With `accept` the boxes that the rule keeps, in images that the models agree about, are
    labelled as the machine's. A label that a person gave stays. Raises `ProjectError` where
    nothing in the project stands for yes.
    """
    outcome = EnsembleOutcome()
    doubtful: dict[str, list[str]] = {}
    agreed: list[tuple[str, Proposal, ImageAgreement]] = []
    with ProposalWriter(project) as writer:
        for image in images:
            _count_image(outcome, image)
            made = build_proposals(image, recipe)
            refs = _write_proposals(writer, [proposal for _, proposal in made])
            if image.route.to_person:
                doubtful[image.path] = list(dict.fromkeys(refs))
                continue
            agreed += [
                (ref, proposal, image.route)
                for ref, (fused, proposal) in zip(refs, made, strict=True)
                if recipe.rule.keeps(fused)
            ]
        outcome.added, outcome.merged = writer.added, writer.merged + writer.repeated
        outcome.left_out += writer.left_out
    order = [route.path for route in sort_by_agreement(outcome.routes) if route.to_person]
    first = [Priority(ref, DISAGREEMENT_REASON) for path in order for ref in doubtful[path]]
    write_priorities(project, first, replace=DISAGREEMENT_REASON)
    if accept:
        outcome.accepted = _accept_agreed(project, agreed, recipe, timestamp)
    return outcome


def _count_image(outcome: EnsembleOutcome, image: FusedImage) -> None:
    outcome.images += 1
    outcome.boxes += len(image.fused)
    outcome.routes.append(image.route)
    if image.route.to_person:
        outcome.to_person += 1
    else:
        outcome.agreed += 1
    for reason, count in image.left_out.items():
        outcome.no_boxes.setdefault(reason, Counter())[image.path] += count


def _write_proposals(writer: ProposalWriter, proposals: list[Proposal]) -> list[str]:
    """The item of each, in the given order; the writer answers best score first."""
    order = sorted(range(len(proposals)), key=lambda row: -proposals[row].score)
    refs = writer.add(proposals)
    assert len(refs) == len(proposals), "the boxes of an ensemble are sound"
    placed = dict(zip(order, refs, strict=True))
    return [placed[row] for row in range(len(proposals))]


def _accept_agreed(
    project: ProjectFolder,
    agreed: list[tuple[str, Proposal, ImageAgreement]],
    recipe: EnsembleConfig,
    timestamp: float,
) -> int:
    store = SqliteStore(project.labels_file)
    try:
        state = replay(store.entries())
        entries = _agreed_entries(project, state, agreed, recipe, timestamp)
        count = 0
        while group := list(islice(entries, _BATCH)):
            count += len(store.append(*group))
        return count
    finally:
        store.close()


def _agreed_entries(
    project: ProjectFolder,
    state: LogState,
    agreed: list[tuple[str, Proposal, ImageAgreement]],
    recipe: EnsembleConfig,
    timestamp: float,
) -> Iterator[Entry]:
    rule = recipe.rule
    done = set[str]()
    for ref, proposal, route in agreed:
        if state.decision(ref) is not None or ref in done:
            continue
        done.add(ref)
        label = _accept_label(project, proposal.name)
        extra: dict[str, Any] = {
            "machine": True, "agreement": round(route.agreement, 4), "votes": proposal.votes,
            "mean": (proposal.extra or {})["mean"], "min_score": rule.min_score,
            "min_votes": rule.min_votes, "enough": rule.min_agreement,
        }  # fmt: skip
        yield Entry(
            0, timestamp, f"model:{recipe.model}", Action.LABEL, ref, label,
            proba={label: proposal.score}, model=recipe.model, picked_by="agreement", extra=extra,
        )  # fmt: skip


def _accept_label(project: ProjectFolder, name: str) -> str:
    """The project's word for "this box holds what the models say"."""
    names = project.settings.names
    yes = next((word for word in (name, *ACCEPT_LABELS) if word in names), None)
    if yes is None:
        raise ProjectError(
            f"{make_printable(str(project.folder))} has neither the class {make_printable(name)!r} nor one "
            "that says yes: --accept-agreed has no label to give; add the class to annotator.toml"
        )
    return yes
