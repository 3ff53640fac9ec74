"""faces: faces in images, grouped by person."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.model_runs import (
    describe_replaced,
    format_left_out,
    open_run_output,
    print_message,
    suggest_next_command,
)
from annotator.cli.option_types import (
    ImagesArgument,
    JsonOption,
    MinScoreOption,
    ProgressOption,
    ThresholdOption,
    TtaOption,
    WeightsOption,
    WorkersOption,
    parse_augmentations,
    parse_choice,
    parse_list,
    parse_voters,
)
from annotator.cli.progress_output import open_progress_output
from annotator.items.json_text import to_json_text
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from annotator.detection.cluster import ClusterMethod
    from annotator.detection.descriptors import DescriptorEnsemble
    from annotator.detection.faces import FaceDetector
    from annotator.project.project import ProjectFolder
    from annotator.proposals.detect import EnsembleOutcome
    from annotator.proposals.identities import IdentityOptions

IDENTITY_METHODS: tuple[ClusterMethod, ...] = ("dbscan", "hdbscan")
"""The clustering methods that find the number of persons by themselves."""


def faces(
    images: ImagesArgument,
    detectors: Annotated[
        str, typer.Option(help="yunet, or ONNX files of the same contract, separated by commas.")
    ] = "yunet",
    descriptors: Annotated[
        str,
        typer.Option(help="sface, ONNX files for 112 x 112 faces, separated by commas, or none."),
    ] = "sface",
    weights: WeightsOption = "1",
    threshold: ThresholdOption = "0.5",
    min_score: MinScoreOption = 0.6,
    size: Annotated[
        int, typer.Option(min=160, help="Longest side in pixels; larger images are made smaller.")
    ] = 1280,
    tile: Annotated[
        int | None,
        typer.Option(min=160, help="Side of square tiles to look at as well, for small faces."),
    ] = None,
    tta: TtaOption = None,
    method: Annotated[
        str,
        typer.Option(
            help="Clustering method: dbscan or hdbscan.",
            autocompletion=lambda: list(IDENTITY_METHODS),
        ),
    ] = "dbscan",
    eps: Annotated[
        str,
        typer.Option(help="Maximum cosine distance of one person's faces, or auto: it fits them."),
    ] = "auto",
    min_samples: Annotated[
        int, typer.Option(min=1, help="Minimum number of faces of a person.")
    ] = 2,
    crops: Annotated[
        Path | None, typer.Option(help="Save each face here: upright, 112 x 112, as PNG.")
    ] = None,
    project: Annotated[
        Path | None, typer.Option(help="The project for the faces of a folder [IMAGES.faces].")
    ] = None,
    workers: WorkersOption = None,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Find faces with their landmarks, describe them, and group those of one person.

    \b
    annotator faces photos/
    annotator faces photos/ --descriptors sface,adaface.onnx --crops crops/
    annotator identities photos.faces
    """
    from annotator.detection.descriptors import DescriptorEnsemble
    from annotator.detection.ensemble import AgreementRule, EnsembleConfig
    from annotator.detection.faces import FACE, FaceDetector
    from annotator.detection.passes import DetectionPasses
    from annotator.proposals.faces import describe_faces, detect_faces, save_project_crops
    from annotator.proposals.identities import IdentityOptions
    from annotator.proposals.opening import open_image_project

    started = time.monotonic()
    voters = parse_voters(detectors, weights, threshold)
    clustering = parse_choice(method, IDENTITY_METHODS, "--method")
    options = IdentityOptions(clustering, _parse_eps(eps), min_samples)
    passes = DetectionPasses(parse_augmentations(tta), tile)
    opened_detectors = [FaceDetector(voter.name, size) for voter in voters]
    described = DescriptorEnsemble(parse_list(descriptors)) if descriptors != "none" else None
    _print_licences(opened_detectors, described)
    folder = project or _default_folder(images)
    opened, paths, left_out = open_image_project(images, print_message, folder, (FACE,))
    config = EnsembleConfig(tuple(voters), rule=AgreementRule(min_score, len(voters) // 2 + 1))
    with open_run_output(progress) as output:
        outcome = detect_faces(opened, paths, opened_detectors, config, passes, output, workers)
        left_out += outcome.left_out
        _print_faces(outcome)
        if described is not None:
            left_out += describe_faces(opened, described, output, workers)
            _identify_faces(opened, options, progress)
    if crops is not None:
        count, faults = save_project_crops(opened, crops, workers)
        left_out += faults
        _print_crops(count, crops)
    _write_results(opened, time.monotonic() - started, left_out, as_json)


def _print_licences(detectors: list[FaceDetector], described: DescriptorEnsemble | None) -> None:
    files = [detector.file for detector in detectors]
    files += [part.file for part in described.parts] if described else []
    for file in files:
        print_message(f"{make_printable(file.short)}: licence {file.licence}")


def _default_folder(images: Path) -> Path | None:
    from annotator.project.project import is_project

    whole = images.resolve()
    return None if is_project(images) else whole.with_name(f"{whole.name}.faces")


def _print_faces(outcome: EnsembleOutcome) -> None:
    from annotator.items.refs import plural

    print_message(
        f"{plural(outcome.boxes, 'face')} in {plural(outcome.images, 'image')}: "
        f"{plural(outcome.added, 'new item')}"
    )
    for line in describe_replaced(outcome.replaced, outcome.kept):
        print_message(line)


def _parse_eps(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 2:
        raise typer.BadParameter(
            f"{text} should be auto or a number from 0 to 2", param_hint="--eps"
        )
    return value


def _identify_faces(project: ProjectFolder, options: IdentityOptions, progress: str) -> None:
    from annotator.features.pipeline import ExtractionProgress
    from annotator.items.refs import plural
    from annotator.proposals.identities import FaceGroups

    faces = FaceGroups(project, options)
    with open_progress_output(progress, "identities", "percent of the pairs compared") as show:
        groups = faces.group(
            lambda share: show(ExtractionProgress(round(100 * share), 100, 0, 0.0, None))
        )
    if described := faces.describe_eps():
        suggested, found = faces.estimate.eps, faces.estimate.has_valley
        why = "the valley between persons" if found else "no valley, so a cautious value"
        print_message(f"{described}\nsuggested: --eps {suggested:.3g} ({why})")
    noise = len(faces.refs) - sum(map(len, groups))
    print_message(
        f"{plural(len(groups), 'identity', 'identities')} among "
        f"{plural(len(faces.refs), 'face')}; in no identity: {plural(noise, 'face')}"
    )


def _print_crops(count: int, folder: Path) -> None:
    from annotator.items.refs import plural

    print_message(f"{plural(count, 'aligned face')} in {make_printable(str(folder))}")


def _write_results(
    project: ProjectFolder, seconds: float, left_out: list[str], as_json: bool
) -> None:
    from annotator.project.clusters import CLUSTERS_FILE
    from annotator.proposals.faces import load_faces_document, write_faces_document

    document, faults = load_faces_document(project, seconds)
    write_faces_document(project.folder / "faces.json", document)
    command = "identities" if (project.folder / CLUSTERS_FILE).exists() else "run"
    for line in format_left_out([*left_out, *faults]):
        print_message(line)
    print_message(suggest_next_command(project, command, "Try a lower --threshold, or --tile."))
    if as_json:
        typer.echo(to_json_text(document))


COMMANDS = {"faces": faces}
"""The functions that this module adds to the command line."""
