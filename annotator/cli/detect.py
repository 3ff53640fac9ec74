"""detect: several detectors over images, fused into items to accept or reject."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.model_runs import (
    describe_replaced,
    format_left_out,
    open_run_output,
    print_message,
    suggest_next_command,
)
from annotator.cli.option_types import (
    DeviceOption,
    DtypeOption,
    ImagesArgument,
    IouOption,
    JsonOption,
    MinScoreOption,
    ProgressOption,
    ProjectOption,
    ThresholdOption,
    TtaOption,
    WeightsOption,
    WorkersOption,
    complete_names,
    parse_augmentations,
    parse_choice,
    parse_list,
    parse_renames,
    parse_voters,
)
from annotator.cli.project_options import print_json
from annotator.errors import ExtraMissing, FeatureError
from annotator.items.refs import make_printable, shell_quoted

if TYPE_CHECKING:
    from annotator.detection.ensemble import EnsembleConfig
    from annotator.detection.evaluate import DetectionFigures
    from annotator.project.project import ProjectFolder
    from annotator.proposals.detect import DetectionRequest, EnsembleAnswers, EnsembleOutcome
    from annotator.proposals.table import ProposalRow


def detect(
    images: ImagesArgument,
    models: Annotated[
        str,
        typer.Option(
            help="Hugging Face ids, local folders, boxes:FILE or 'cmd:PROGRAM {image}', separated "
            "by commas."
        ),
    ],
    instances: Annotated[
        Path | None,
        typer.Option(help="COCO JSON that numbers the images and classes of boxes:FILE."),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Only these classes, separated by commas [all].")
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(help="Text that a zero-shot model looks for; repeat it for more."),
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option(help="A model's class under another name: human=person.")
    ] = None,
    weights: WeightsOption = "1",
    threshold: ThresholdOption = "0.3",
    tile: Annotated[
        int | None,
        typer.Option(min=32, help="Side of square tiles, in pixels, to look at as well."),
    ] = None,
    overlap: Annotated[
        float, typer.Option(min=0, max=0.9, help="Overlap of tiles, as a share of their side.")
    ] = 0.2,
    tta: TtaOption = None,
    fuse: Annotated[
        str,
        typer.Option(
            help="Fusion method: wbf, nms or soft-nms.",
            autocompletion=complete_names("annotator.detection.fuse:FUSION_METHODS"),
        ),
    ] = "wbf",
    iou: IouOption = 0.55,
    fused_score: Annotated[
        str,
        typer.Option(
            help="Score with wbf: avg, max, box_and_model_avg or absent_model_aware_avg.",
            autocompletion=complete_names("annotator.detection.fuse:CONFIDENCE_TYPES"),
        ),
    ] = "avg",
    min_score: MinScoreOption = 0.6,
    min_votes: Annotated[
        int | None,
        typer.Option(min=1, help="Minimum number of models that must agree [more than half]."),
    ] = None,
    agreement: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Ask first about images with a smaller share of agreed boxes."
        ),
    ] = 0.9,
    accept_agreed: Annotated[
        bool,
        typer.Option("--accept-agreed", help="Label the agreed boxes of all other images."),
    ] = False,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="COCO JSON of these images: print AP, precision and recall of each model."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all boxes as COCO JSON to FILE as well."),
    ] = None,
    project: ProjectOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Number of images per batch [auto].")
    ] = None,
    workers: WorkersOption = None,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Find objects with one or more detectors; each box becomes an item to accept or reject.

    \b
    annotator detect photos/ --models ustc-community/dfine-medium-coco,PekingU/rtdetr_v2_r50vd --classes person
    annotator detect photos/ --models google/owlv2-base-patch16-ensemble --text "a ripe pear"
    annotator detect photos/ --models ustc-community/dfine-medium-coco --out boxes.json
    annotator run photos.boxes
    """  # noqa: E501
    from annotator.detection.ensemble import AgreementRule, EnsembleConfig
    from annotator.detection.evaluate import read_truth
    from annotator.detection.fuse import CONFIDENCE_TYPES, FUSION_METHODS
    from annotator.detection.passes import DetectionPasses
    from annotator.proposals.detect import DetectionRequest
    from annotator.proposals.voters import VoterOptions

    voters = parse_voters(models, weights, threshold)
    parse_choice(fuse, FUSION_METHODS, "--fuse")
    parse_choice(fused_score, CONFIDENCE_TYPES, "--fused-score")
    config = EnsembleConfig(
        tuple(voters), None, parse_renames(rename or []), fuse, iou, fused_score,
        AgreementRule(min_score, min_votes or 0, agreement),
    )  # fmt: skip
    texts, listed = tuple(text or ()), tuple(dict.fromkeys(parse_list(classes)))
    options = VoterOptions(
        DetectionPasses(parse_augmentations(tta), tile, overlap),
        tuple(dict.fromkeys((*listed, *texts))) if listed else (), texts or listed,
        config.renames, instances, device, dtype, batch_size,
    )  # fmt: skip
    if truth:
        read_truth(truth)  # before the models run
    run = images, project, DetectionRequest(config, options), progress, workers, accept_agreed
    opened, answers, outcome = _run_detection(*run)
    _write_results(opened, answers, outcome, truth, out, as_json)


def _write_results(
    opened: ProjectFolder,
    answers: EnsembleAnswers,
    outcome: EnsembleOutcome,
    truth: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    from annotator.proposals.detect import write_detections

    coco = write_detections(opened, outcome)
    if out is not None:
        write_detections(opened, outcome, out)
    figures = answers.figures(truth) if truth else {}
    if truth and not figures:
        print_message(
            f"{make_printable(str(truth))} has no box of these classes in these images, so AP is "
            "not defined."
        )
    print_message(f"all boxes with their scores: {make_printable(str(out or coco))}")
    for line in _summary_lines(outcome, answers.config, opened) + _figure_lines(figures):
        print_message(line)
    if as_json:
        summary = _summary_dict(outcome, answers.config, opened) | {"coco": str(out or coco)}
        print_json(summary | (_figures_dict(figures) if truth else {}))


def _figures_dict(figures: dict[str, DetectionFigures]) -> dict[str, Any]:
    return {
        "ap50": {name: each.ap50 for name, each in figures.items()},
        "figures": {name: each.means() for name, each in figures.items()},
    }


def _run_detection(
    images: Path,
    folder: Path | None,
    request: DetectionRequest,
    progress: str,
    workers: int | None,
    accept: bool,
) -> tuple[ProjectFolder, EnsembleAnswers, EnsembleOutcome]:
    from annotator.detection.networks import find_absent_weights
    from annotator.proposals.detect import run_ensemble, write_fused_images
    from annotator.proposals.opening import discard_if_refused, open_image_project

    voters = [voter.name for voter in request.config.voters]
    models = [name for name in voters if not name.startswith(("boxes:", "cmd:"))]
    absent = find_absent_weights(models)
    if len(absent) == len(voters):
        kind = ExtraMissing if any(isinstance(e, ExtraMissing) for e in absent) else FeatureError
        raise kind("\n".join(dict.fromkeys(map(str, absent))))
    classes = request.options.classes
    with discard_if_refused(images, folder):
        project, paths, unlisted = open_image_project(images, print_message, folder, classes)
        with open_run_output(progress) as output:
            answers = run_ensemble(project, paths, request, output, workers)
        outcome = write_fused_images(
            project, answers.fused(), answers.config, accept=accept, timestamp=time.time()
        )
    outcome.left_out[:0] = [*unlisted, *answers.left_out]
    _warn_of_absent_classes(project, classes)
    return project, answers, outcome


def _warn_of_absent_classes(project: ProjectFolder, classes: tuple[str, ...]) -> None:
    """Print the wanted classes that no label of the project can give."""
    from annotator.proposals.verdicts import ACCEPT_LABELS

    names = project.settings.names
    absent = [name for name in classes if name not in names]
    if absent and not set(ACCEPT_LABELS) & set(names):
        words = " ".join(f"--class {shell_quoted(name)}" for name in absent)
        print_message(
            f"The project has no class {make_printable(', '.join(absent))}, so its boxes can only "
            f"be rejected. Add it: annotator add {shell_quoted(project.folder)} {words}"
        )


def _summary_lines(
    outcome: EnsembleOutcome, config: EnsembleConfig, project: ProjectFolder
) -> list[str]:
    from annotator.items.refs import plural

    rule = config.rule
    lines = [
        f"{plural(outcome.boxes, 'box', 'boxes')} in {plural(outcome.images, 'image')}: "
        f"{plural(outcome.added, 'new item')}, {outcome.merged:,} in items that were there before",
        f"Models agree on a box from {plural(rule.min_votes, 'vote')} of {len(config.voters):,} "
        f"and a mean score of {rule.min_score:g}.",
        f"asked first: {plural(outcome.to_person, 'image')} with an agreement below "
        f"{rule.min_agreement:g}",
    ]
    lines += describe_replaced(outcome.replaced, outcome.kept)
    if outcome.accepted:
        lines.append(f"labelled by the machine (model:…): {plural(outcome.accepted, 'item')}")
    lines += format_left_out([*outcome.left_out, *outcome.describe_invalid_boxes()])
    advice = "Try a lower --threshold, or another model."
    return [*lines, suggest_next_command(project, "run", advice)]


def _figure_lines(figures: dict[str, DetectionFigures]) -> list[str]:
    lines = []
    for name, each in figures.items():
        mean = each.means()
        lines.append(
            f"{make_printable(name)}: AP50–95 {mean['ap']:.3f}, AP50 {mean['ap50']:.3f}, AP75 "
            f"{mean['ap75']:.3f}; from --threshold on, precision {mean['precision']:.3f}, recall "
            f"{mean['recall']:.3f}"
        )
    return lines


def _summary_dict(
    outcome: EnsembleOutcome, config: EnsembleConfig, project: ProjectFolder
) -> dict[str, Any]:
    routes = [
        {
            "path": r.path,
            "kept": r.kept,
            "total": r.total,
            "agreement": round(r.agreement, 4),
            "boxes": [_box_dict(row) for row in outcome.found[r.path]],
        }  # fmt: skip
        for r in outcome.routes
    ]
    names = (
        "images",
        "boxes",
        "added",
        "merged",
        "replaced",
        "kept",
        "to_person",
        "agreed",
        "accepted",
    )
    return {
        "project": str(project.folder), "model": config.model,
        **{name: getattr(outcome, name) for name in names}, "routes": routes,
        "left_out": outcome.left_out, "no_boxes": dict(outcome.no_boxes),
    }  # fmt: skip


def _box_dict(row: ProposalRow) -> dict[str, Any]:
    from annotator.proposals.pictures import get_proposal_box

    box = list(get_proposal_box(row))
    return {"bbox": box, "name": row.name, "score": row.score, "votes": row.votes}


COMMANDS = {"detect": detect}
"""The functions that this module adds to the command line."""
