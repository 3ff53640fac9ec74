"""detect: several detectors over images, fused into items that a person accepts or rejects."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.model_runs import (
    Device,
    Dtype,
    Images,
    Into,
    Iou,
    Shown,
    Tta,
    Workers,
    next_step,
    opened_images,
    run_models,
    told,
)
from annotator.cli.option_types import check, renames, split, voters
from annotator.errors import ExtraMissing, ProjectError
from annotator.items.refs import printable

if TYPE_CHECKING:
    from annotator.detection.detect import Passes
    from annotator.detection.ensemble import Recipe, Voter
    from annotator.detection.results import Results
    from annotator.project.project import Project
    from annotator.proposals.detected import Outcome


def detect(
    images: Images,
    models: Annotated[
        str, typer.Option(help="Hugging Face ids or local folders, separated by commas.")
    ],
    classes: Annotated[
        str | None, typer.Option(help="Only these classes, separated by commas [all].")
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(help="What a zero-shot model is to find; several times for several."),
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option(help="A model's class under another name: human=person.")
    ] = None,
    weights: Annotated[str, typer.Option(help="One number, or one a model: 2,1.")] = "1",
    threshold: Annotated[
        str, typer.Option(help="Detections below take no part; one number, or one a model.")
    ] = "0.3",
    tile: Annotated[
        int | None, typer.Option(min=32, help="Also look at tiles with this side, in pixels.")
    ] = None,
    overlap: Annotated[
        float, typer.Option(min=0, max=0.9, help="Of neighbouring tiles, as a share of a side.")
    ] = 0.2,
    tta: Tta = None,
    fuse: Annotated[str, typer.Option(help="wbf, nms or soft-nms.")] = "wbf",
    iou: Iou = 0.55,
    fused_score: Annotated[
        str,
        typer.Option(help="With wbf: avg, max, box_and_model_avg or absent_model_aware_avg."),
    ] = "avg",
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="A box counts as agreed upon from this mean score.")
    ] = 0.6,
    min_votes: Annotated[
        int | None, typer.Option(min=1, help="… and from so many models [more than half].")
    ] = None,
    agreement: Annotated[
        float,
        typer.Option(min=0, max=1, help="Images with a smaller share of agreed boxes come first."),
    ] = 0.9,
    accept_agreed: Annotated[
        bool, typer.Option("--accept-agreed", help="Label agreed boxes of all other images.")
    ] = False,
    truth: Annotated[
        Path | None, typer.Option(help="COCO JSON of these images: say each model's AP at IoU 0.5.")
    ] = None,
    project: Into = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    batch_size: Annotated[int | None, typer.Option(min=1, help="Pictures at once [auto].")] = None,
    workers: Workers = None,
    progress: Shown = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON.")] = False,
) -> None:
    """Find objects with one or more detectors; each box becomes an item to accept or reject.

    \b
    annotator detect photos/ --models ustc-community/dfine-medium-coco,PekingU/rtdetr_v2_r50vd --classes person
    annotator detect photos/ --models google/owlv2-base-patch16-ensemble --text "a ripe pear"
    annotator run photos.boxes
    """  # noqa: E501
    from annotator.detection.detect import Passes
    from annotator.detection.ensemble import Recipe
    from annotator.detection.routing import Rule

    every = voters(models, weights, threshold)
    texts = list(text or [])
    names = [*split(classes), *texts] if classes else []
    check(fuse, fused_score, tta)
    augment = ("plain", *split(tta))
    recipe = Recipe(
        tuple(every), None, renames(rename or []), fuse, iou, fused_score,
        Rule(min_score, min_votes or 0, agreement),
    )  # fmt: skip
    job = _Job(
        images, project, recipe, names, texts or split(classes), Passes(augment, tile, overlap),
        {"device": device, "dtype": dtype, "batch_size": batch_size}, workers, progress,
    )  # fmt: skip
    opened, found = job.run(accept_agreed)
    found.left_out[:0] = job.left_out()
    precision = job.precision(truth) if truth else {}
    for line in [*_told(found, job.recipe, opened), *_precise(precision)]:
        typer.echo(line, err=True)
    if as_json:
        figures = {**_figures(found, job.recipe, opened), **({"ap50": precision} if truth else {})}
        typer.echo(json.dumps(figures, ensure_ascii=False, indent=1))


class _Job:
    """One run: each model over all images, then the fusion."""

    def __init__(
        self,
        images: Path,
        folder: Path | None,
        recipe: Recipe,
        names: Sequence[str],
        texts: Sequence[str],
        passes: Passes,
        options: dict[str, Any],
        workers: int | None,
        progress: str,
    ) -> None:
        self.images, self.folder, self.recipe = images, folder, recipe
        self.names, self.texts, self.passes = names, texts, passes
        self.options, self.workers, self.progress = options, workers, progress
        self._without: list[str] = []
        self._unlisted: list[str] = []
        self._unread: dict[tuple[str, str], list[str]] = {}

    def left_out(self) -> list[str]:
        """The models that took no part, and the images, each once, with what is wrong."""
        every = len(self.recipe.voters)
        lines = []
        for (ref, reason), names in self._unread.items():
            whom = "" if len(names) >= every else f" (for {', '.join(names)})"
            lines.append(f"{printable(ref)}: {reason}{whom}")
        return [*self._without, *self._unlisted, *lines]

    def run(self, accept: bool) -> tuple[Project, Outcome]:
        from annotator.detection.ensemble import ensemble
        from annotator.proposals.detected import write

        self._weights_are_here()
        opened, paths = opened_images(self.images, self.folder, self._unlisted)
        asked = [self._ask(voter, opened, paths) for voter in self.recipe.voters]
        voters = [(v, a) for v, a in zip(self.recipe.voters, asked, strict=True) if a]
        if not voters:
            raise ProjectError(f"no model is left that knows {printable(', '.join(self.names))}")
        known = frozenset(name for _, (_, names) in voters for name in names)
        rule = self.recipe.rule
        self.recipe = replace(
            self.recipe,
            voters=tuple(v for v, _ in voters),
            names=known if self.names else None,
            # More than half of those that took part, unless a number was given.
            rule=replace(rule, min_votes=rule.min_votes or len(voters) // 2 + 1),
        )
        self._asked = paths, [results for _, (results, _) in voters]
        seen = ensemble(*self._asked, self.recipe)
        return opened, write(opened, seen, self.recipe, accept=accept, at=time.time())

    def precision(self, truth: Path) -> dict[str, dict[str, float]]:
        """The AP of each class by each model, and by all together."""
        from annotator.detection.ensemble import detected
        from annotator.detection.evaluate import average_precision, read_truth

        (paths, results), recipe = self._asked, self.recipe
        known = read_truth(truth, sorted(recipe.names or ()))
        found = {}
        for voter, answers in zip(recipe.voters, results, strict=True):
            alone = replace(recipe, voters=(voter,))
            found[voter.short] = average_precision(known, detected(paths, [answers], alone))
        if len(results) > 1:
            every = detected(paths, results, recipe)
            found[f"{recipe.method} of {len(results)}"] = average_precision(known, every)
        return found

    def _weights_are_here(self) -> None:
        """Before hours of work with the first model, see whether the last one is there.

        Raises `ExtraMissing` that names every one that is not.
        """
        from annotator.detection.networks import DETECTORS
        from annotator.features.weights import find_weights

        absent = []
        for voter in self.recipe.voters:
            try:
                find_weights(voter.name, DETECTORS, instead="")
            except ExtraMissing as error:
                absent.append(str(error))
        if absent:
            raise ExtraMissing("\n".join(dict.fromkeys(absent)))

    def _ask(
        self, voter: Voter, opened: Project, paths: Sequence[str]
    ) -> tuple[Results, frozenset[str]] | None:
        """What a model finds in all images; None where it knows none of the classes."""
        from annotator.detection.detectors import TransformersDetector
        from annotator.detection.ensemble import unknown, wanted

        detector = TransformersDetector(voter.name, self.texts, **self.options)
        names, missing = wanted(detector.classes, self.names, self.recipe.renames)
        if missing and not detector.zero_shot:
            typer.echo(unknown(voter.name, missing, detector.classes), err=True)
        if self.names and not names:
            self._without.append(f"{printable(voter.name)}: knows none of the classes")
            return None
        results, report = run_models(
            opened, paths, detector, voter.short, self.passes, self.workers, self.progress
        )
        for broken in report.broken:
            self._unread.setdefault((broken.ref, broken.reason), []).append(voter.short)
        return results, names


def _told(found: Outcome, recipe: Recipe, opened: Project) -> list[str]:
    from annotator.items.refs import many

    rule = recipe.rule
    lines = [
        f"{many(found.boxes, 'box', 'boxes')} in {many(found.images, 'image')}: "
        f"{many(found.added, 'new item')}, {found.merged:,} of items that were there",
        f"agreed upon: from {rule.min_votes} of {many(len(recipe.voters), 'model')} and a mean "
        f"score of {rule.min_score:g}; first to be asked: "
        f"{many(found.to_person, 'image')} with an agreement below {rule.enough:g}",
    ]
    if found.accepted:
        lines.append(f"labelled by the machine, as model:…: {many(found.accepted, 'item')}")
    lines += told([*found.left_out, *found.no_boxes_told()])
    return [*lines, next_step(opened, "run", "try a lower --threshold, or another model")]


def _precise(found: dict[str, dict[str, float]]) -> list[str]:
    return [
        f"AP at IoU 0.5, {printable(name)}: {sum(each.values()) / max(1, len(each)):.3f}"
        for name, each in found.items()
    ]


def _figures(found: Outcome, recipe: Recipe, opened: Project) -> dict[str, Any]:
    routes = [
        {"path": r.path, "kept": r.kept, "total": r.total, "agreement": round(r.agreement, 4)}
        for r in found.routes
    ]
    names = ("images", "boxes", "added", "merged", "to_person", "agreed", "accepted")
    return {
        "project": str(opened.folder), "model": recipe.model,
        **{name: getattr(found, name) for name in names}, "routes": routes,
        "left_out": found.left_out, "no_boxes": dict(found.no_boxes),
    }  # fmt: skip


COMMANDS = {"detect": detect}
