"""What an ensemble of detectors saw, as items of a project: the doubtful ones are asked first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from annotator.detection.ensemble import Recipe, Seen, proposals
from annotator.detection.proposal import Proposal
from annotator.detection.routing import Route, in_order
from annotator.errors import ProjectError
from annotator.items.refs import many, printable
from annotator.log.entries import Action, Entry, State, replay
from annotator.log.store import SqliteStore
from annotator.project.priorities import First, write_first
from annotator.project.project import Project
from annotator.proposals.verdict import ACCEPT
from annotator.proposals.writing import ProposalWriter

WHY = "disagreement"
_WRITTEN_AT_ONCE = 5000
_NAMED = 5


@dataclass(slots=True)
class Outcome:
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
    routes: list[Route] = field(default_factory=list)

    def no_boxes_told(self) -> list[str]:
        """What to say of them: a line for each reason."""
        lines = []
        for reason, images in self.no_boxes.items():
            names = [printable(path) for path, _ in images.most_common(_NAMED)]
            more = [f"{len(images) - _NAMED:,} more"] if len(images) > _NAMED else []
            boxes = many(images.total(), "box", "boxes")
            lines.append(f"{boxes} {reason}, in {', '.join([*names, *more])}")
        return lines


def write(
    project: Project, seen: Iterable[Seen], recipe: Recipe, *, accept: bool, at: float
) -> Outcome:
    """Write every fused box as a proposal, and which are to be asked first.

    With `accept` the boxes that the rule keeps, in images that the models agree about, are
    labelled as the machine's. A label that a person gave stays. Raises `ProjectError` where
    nothing in the project stands for yes.
    """
    outcome = Outcome()
    doubtful: dict[str, list[str]] = {}
    agreed: list[tuple[str, Proposal, Route]] = []
    with ProposalWriter(project) as writer:
        for image in seen:
            _count(outcome, image)
            made = proposals(image, recipe)
            refs = _items(writer, [proposal for _, proposal in made])
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
    order = [route.path for route in in_order(outcome.routes) if route.to_person]
    first = [First(ref, WHY) for path in order for ref in doubtful[path]]
    write_first(project, first, replace=WHY)
    if accept:
        outcome.accepted = _accept(project, agreed, recipe, at)
    return outcome


def _count(outcome: Outcome, image: Seen) -> None:
    outcome.images += 1
    outcome.boxes += len(image.fused)
    outcome.routes.append(image.route)
    if image.route.to_person:
        outcome.to_person += 1
    else:
        outcome.agreed += 1
    for reason, count in image.left_out.items():
        outcome.no_boxes.setdefault(reason, Counter())[image.path] += count


def _items(writer: ProposalWriter, made: list[Proposal]) -> list[str]:
    """The item of each, in the given order; the writer answers best score first."""
    order = sorted(range(len(made)), key=lambda row: -made[row].score)
    refs = writer.add(made)
    assert len(refs) == len(made), "the boxes of an ensemble are sound"
    placed = dict(zip(order, refs, strict=True))
    return [placed[row] for row in range(len(made))]


def _accept(
    project: Project, agreed: list[tuple[str, Proposal, Route]], recipe: Recipe, at: float
) -> int:
    store = SqliteStore(project.labels_file)
    try:
        state = replay(store.entries())
        entries = _entries(project, state, agreed, recipe, at)
        count = 0
        while group := list(islice(entries, _WRITTEN_AT_ONCE)):
            count += len(store.append(*group))
        return count
    finally:
        store.close()


def _entries(
    project: Project,
    state: State,
    agreed: list[tuple[str, Proposal, Route]],
    recipe: Recipe,
    at: float,
) -> Iterator[Entry]:
    rule = recipe.rule
    done = set[str]()
    for ref, proposal, route in agreed:
        if state.decision(ref) is not None or ref in done:
            continue
        done.add(ref)
        label = _label(project, proposal.name)
        extra: dict[str, Any] = {
            "machine": True, "agreement": round(route.agreement, 4), "votes": proposal.votes,
            "mean": (proposal.extra or {})["mean"], "min_score": rule.min_score,
            "min_votes": rule.min_votes, "enough": rule.enough,
        }  # fmt: skip
        yield Entry(
            0, at, f"model:{recipe.model}", Action.LABEL, ref, label,
            proba={label: proposal.score}, model=recipe.model, picked_by="agreement", extra=extra,
        )  # fmt: skip


def _label(project: Project, name: str) -> str:
    """The project's word for "this box holds what the models say"."""
    names = project.settings.names
    yes = next((word for word in (name, *ACCEPT) if word in names), None)
    if yes is None:
        raise ProjectError(
            f"{printable(str(project.folder))} has neither the class {printable(name)!r} nor one "
            "that says yes: --accept-agreed has no label to give; add the class to annotator.toml"
        )
    return yes
