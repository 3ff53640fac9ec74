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
    DeviceOption,
    DtypeOption,
    ImagesArgument,
    IouOption,
    ProgressOption,
    ProjectOption,
    TtaOption,
    WorkersOption,
    format_left_out,
    open_image_project,
    run_detector,
    suggest_next_command,
)
from annotator.cli.option_types import check_choices, parse_list, parse_renames, parse_voters
from annotator.errors import ExtraMissing, ProjectError
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from annotator.detection.ensemble import EnsembleConfig, EnsembleModel
    from annotator.detection.passes import DetectionPasses
    from annotator.detection.results import DetectionCache
    from annotator.project.project import ProjectFolder
    from annotator.proposals.detected import EnsembleOutcome


def detect(
    images: ImagesArgument,
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
    tta: TtaOption = None,
    fuse: Annotated[str, typer.Option(help="wbf, nms or soft-nms.")] = "wbf",
    iou: IouOption = 0.55,
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
    project: ProjectOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    batch_size: Annotated[int | None, typer.Option(min=1, help="Pictures at once [auto].")] = None,
    workers: WorkersOption = None,
    progress: ProgressOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON.")] = False,
) -> None:
    """Find objects with one or more detectors; each box becomes an item to accept or reject.

    \b
    annotator detect photos/ --models ustc-community/dfine-medium-coco,PekingU/rtdetr_v2_r50vd --classes person
    annotator detect photos/ --models google/owlv2-base-patch16-ensemble --text "a ripe pear"
    annotator run photos.boxes
    """  # noqa: E501
    from annotator.detection.ensemble import AgreementRule, EnsembleConfig
    from annotator.detection.passes import DetectionPasses

    every = parse_voters(models, weights, threshold)
    texts = list(text or [])
    names = [*parse_list(classes), *texts] if classes else []
    check_choices(fuse, fused_score, tta)
    augment = ("plain", *parse_list(tta))
    recipe = EnsembleConfig(
        tuple(every), None, parse_renames(rename or []), fuse, iou, fused_score,
        AgreementRule(min_score, min_votes or 0, agreement),
    )  # fmt: skip
    job = _DetectionRun(
        images,
        project,
        recipe,
        names,
        texts or parse_list(classes),
        DetectionPasses(augment, tile, overlap),
        {"device": device, "dtype": dtype, "batch_size": batch_size},
        workers,
        progress,
    )
    opened, found = job.run(accept_agreed)
    found.left_out[:0] = job.left_out()
    precision = job.precision(truth) if truth else {}
    for line in [*_summary_lines(found, job.recipe, opened), *_precision_lines(precision)]:
        typer.echo(line, err=True)
    if as_json:
        figures = {
            **_summary_dict(found, job.recipe, opened),
            **({"ap50": precision} if truth else {}),
        }
        typer.echo(json.dumps(figures, ensure_ascii=False, indent=1))


class _DetectionRun:
    """One run: each model over all images, then the fusion."""

    def __init__(
        self,
        images: Path,
        folder: Path | None,
        recipe: EnsembleConfig,
        names: Sequence[str],
        texts: Sequence[str],
        passes: DetectionPasses,
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
            lines.append(f"{make_printable(ref)}: {reason}{whom}")
        return [*self._without, *self._unlisted, *lines]

    def run(self, accept: bool) -> tuple[ProjectFolder, EnsembleOutcome]:
        from annotator.detection.ensemble import fuse_images
        from annotator.proposals.detected import write_fused_images

        self._check_weights()
        opened, paths = open_image_project(self.images, self.folder, self._unlisted)
        asked = [self._ask(voter, opened, paths) for voter in self.recipe.voters]
        voters = [(v, a) for v, a in zip(self.recipe.voters, asked, strict=True) if a]
        if not voters:
            raise ProjectError(
                f"no model is left that knows {make_printable(', '.join(self.names))}"
            )
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
        seen = fuse_images(*self._asked, self.recipe)
        return opened, write_fused_images(
            opened, seen, self.recipe, accept=accept, timestamp=time.time()
        )

    def precision(self, truth: Path) -> dict[str, dict[str, float]]:
        """The AP of each class by each model, and by all together."""
        from annotator.detection.ensemble import fuse_detections
        from annotator.detection.evaluate import detection_average_precision, read_truth

        (paths, results), recipe = self._asked, self.recipe
        known = read_truth(truth, sorted(recipe.names or ()))
        found = {}
        for voter, answers in zip(recipe.voters, results, strict=True):
            alone = replace(recipe, voters=(voter,))
            found[voter.short] = detection_average_precision(
                known, fuse_detections(paths, [answers], alone)
            )
        if len(results) > 1:
            every = fuse_detections(paths, results, recipe)
            found[f"{recipe.method} of {len(results)}"] = detection_average_precision(known, every)
        return found

    def _check_weights(self) -> None:
        """Before hours of work with the first model, see whether the last one is there.

        Raises `ExtraMissing` that names every one that is not.
        """
        from annotator.detection.networks import DETECTORS
        from annotator.features.weights import find_weights

        absent = []
        for voter in self.recipe.voters:
            try:
                find_weights(voter.name, DETECTORS, alternative="")
            except ExtraMissing as error:
                absent.append(str(error))
        if absent:
            raise ExtraMissing("\n".join(dict.fromkeys(absent)))

    def _ask(
        self, voter: EnsembleModel, opened: ProjectFolder, paths: Sequence[str]
    ) -> tuple[DetectionCache, frozenset[str]] | None:
        """What a model finds in all images; None where it knows none of the classes."""
        from annotator.detection.detectors import TransformersDetector
        from annotator.detection.ensemble import describe_unknown_classes, match_classes

        detector = TransformersDetector(voter.name, self.texts, **self.options)
        names, missing = match_classes(detector.classes, self.names, self.recipe.renames)
        if missing and not detector.zero_shot:
            typer.echo(describe_unknown_classes(voter.name, missing, detector.classes), err=True)
        if self.names and not names:
            self._without.append(f"{make_printable(voter.name)}: knows none of the classes")
            return None
        results, report = run_detector(
            opened, paths, detector, voter.short, self.passes, self.workers, self.progress
        )
        for broken in report.broken:
            self._unread.setdefault((broken.ref, broken.reason), []).append(voter.short)
        return results, names


def _summary_lines(
    outcome: EnsembleOutcome, recipe: EnsembleConfig, opened: ProjectFolder
) -> list[str]:
    from annotator.items.refs import plural

    rule = recipe.rule
    lines = [
        f"{plural(outcome.boxes, 'box', 'boxes')} in {plural(outcome.images, 'image')}: "
        f"{plural(outcome.added, 'new item')}, {outcome.merged:,} of items that were there",
        f"agreed upon: from {rule.min_votes} of {plural(len(recipe.voters), 'model')} and a mean "
        f"score of {rule.min_score:g}; first to be asked: "
        f"{plural(outcome.to_person, 'image')} with an agreement below {rule.min_agreement:g}",
    ]
    if outcome.accepted:
        lines.append(f"labelled by the machine, as model:…: {plural(outcome.accepted, 'item')}")
    lines += format_left_out([*outcome.left_out, *outcome.describe_invalid_boxes()])
    return [
        *lines,
        suggest_next_command(opened, "run", "try a lower --threshold, or another model"),
    ]


def _precision_lines(precisions: dict[str, dict[str, float]]) -> list[str]:
    return [
        f"AP at IoU 0.5, {make_printable(name)}: {sum(each.values()) / max(1, len(each)):.3f}"
        for name, each in precisions.items()
    ]


def _summary_dict(
    outcome: EnsembleOutcome, recipe: EnsembleConfig, opened: ProjectFolder
) -> dict[str, Any]:
    routes = [
        {"path": r.path, "kept": r.kept, "total": r.total, "agreement": round(r.agreement, 4)}
        for r in outcome.routes
    ]
    names = ("images", "boxes", "added", "merged", "to_person", "agreed", "accepted")
    return {
        "project": str(opened.folder), "model": recipe.model,
        **{name: getattr(outcome, name) for name in names}, "routes": routes,
        "left_out": outcome.left_out, "no_boxes": dict(outcome.no_boxes),
    }  # fmt: skip


COMMANDS = {"detect": detect}
