"""faces: faces in images, who they are, and the screen that puts it right."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.model_runs import (
    ImagesArgument,
    ProgressOption,
    TtaOption,
    WorkersOption,
    format_left_out,
    open_image_project,
    print_report,
    run_detector,
    suggest_next_command,
)
from annotator.cli.option_types import parse_list, parse_voters
from annotator.cli.progress_output import catch_stop_signals, open_progress_output
from annotator.errors import ProjectError
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from annotator.detection.descriptors import DescriptorEnsemble
    from annotator.detection.faces import FaceDetector
    from annotator.project.project import ProjectFolder


def faces(
    images: ImagesArgument,
    detectors: Annotated[
        str, typer.Option(help="yunet, or ONNX files of the same contract, with commas.")
    ] = "yunet",
    descriptors: Annotated[
        str, typer.Option(help="sface, ONNX files of faces of 112 x 112, with commas, or none.")
    ] = "sface",
    weights: Annotated[str, typer.Option(help="Of the detectors: one number, or one each.")] = "1",
    threshold: Annotated[
        str, typer.Option(help="Detections below take no part; one number, or one each.")
    ] = "0.5",
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="A face is agreed upon from this mean score.")
    ] = 0.6,
    size: Annotated[
        int, typer.Option(min=160, help="Larger pictures are looked at with this longest side.")
    ] = 1280,
    tile: Annotated[
        int | None, typer.Option(min=160, help="Also look at tiles with this side: small faces.")
    ] = None,
    tta: TtaOption = None,
    method: Annotated[str, typer.Option(help="Of the identities: dbscan or hdbscan.")] = "dbscan",
    eps: Annotated[
        float, typer.Option(min=0, max=2, help="Cosine distance up to which faces are one person.")
    ] = 0.3,
    min_samples: Annotated[int, typer.Option(min=1, help="Faces that make an identity.")] = 2,
    crops: Annotated[
        Path | None, typer.Option(help="Save each face, upright, 112 x 112, as PNG here.")
    ] = None,
    project: Annotated[
        Path | None, typer.Option(help="Where the faces of a folder go [IMAGES.faces].")
    ] = None,
    workers: WorkersOption = None,
    progress: ProgressOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print frames and clusters.")] = False,
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

    started = time.monotonic()
    every = parse_voters(detectors, weights, threshold)
    if method not in ("dbscan", "hdbscan"):
        raise typer.BadParameter(f"{method} is neither dbscan nor hdbscan", param_hint="--method")
    found = [FaceDetector(voter.name, size) for voter in every]
    described = DescriptorEnsemble(parse_list(descriptors)) if descriptors != "none" else None
    _print_licences(found, described)
    left_out: list[str] = []
    opened, paths = open_image_project(
        images, project or _default_folder(images), left_out, (FACE,)
    )
    recipe = EnsembleConfig(tuple(every), rule=AgreementRule(min_score, len(every) // 2 + 1))
    left_out += _detect_faces(
        opened, paths, found, recipe, _build_passes(tta, tile), workers, progress
    )
    if described is not None:
        left_out += _describe_faces(opened, described, workers, progress)
        _identify_faces(opened, method, eps, min_samples, progress)
    if crops is not None:
        left_out += _save_crops(opened, crops, workers)
    _write_results(opened, time.monotonic() - started, left_out, as_json)


def _print_licences(detectors: list[FaceDetector], described: DescriptorEnsemble | None) -> None:
    files = [detector.file for detector in detectors]
    files += [part.file for part in described.parts] if described else []
    for file in files:
        typer.echo(f"{make_printable(file.short)}: licence {file.licence}", err=True)


def _default_folder(images: Path) -> Path | None:
    from annotator.project.project import is_project

    whole = images.resolve()
    return None if is_project(images) else whole.with_name(f"{whole.name}.faces")


def _build_passes(tta: str | None, tile: int | None) -> Any:
    from annotator.cli.option_types import check_choices
    from annotator.detection.passes import DetectionPasses

    check_choices("wbf", "avg", tta)
    return DetectionPasses(("plain", *parse_list(tta)), tile)


def _detect_faces(
    opened: ProjectFolder,
    paths: list[str],
    detectors: list[FaceDetector],
    recipe: Any,
    passes: Any,
    workers: int | None,
    progress: str,
) -> list[str]:
    """Write the faces of all images as items; what was left out."""
    from annotator.detection.ensemble import fuse_images
    from annotator.items.refs import plural
    from annotator.proposals.detected import write_fused_images

    left_out: list[str] = []
    results = []
    for detector, voter in zip(detectors, recipe.voters, strict=True):
        answers, report = run_detector(
            opened, paths, detector, voter.short, passes, workers, progress
        )
        results.append(answers)
        left_out += [f"{make_printable(b.ref)}: {b.reason}" for b in report.broken]
    outcome = write_fused_images(
        opened, fuse_images(paths, results, recipe), recipe, accept=False, timestamp=time.time()
    )
    typer.echo(
        f"{plural(outcome.boxes, 'face')} in {plural(outcome.images, 'image')}: "
        f"{plural(outcome.added, 'new item')}",
        err=True,
    )
    return left_out + outcome.describe_invalid_boxes() + outcome.left_out


def _describe_faces(
    opened: ProjectFolder, described: DescriptorEnsemble, workers: int | None, progress: str
) -> list[str]:
    from annotator.proposals.faces import describe_faces

    name = "+".join(part.file.short for part in described.parts)
    with (
        open_progress_output(progress, name, "faces") as report_progress,
        catch_stop_signals() as stop,
    ):
        report = describe_faces(
            opened, described, workers=workers, progress=report_progress, stop=stop,
            clock=time.monotonic,
        )  # fmt: skip
    print_report(report, name, "face")
    return [f"{make_printable(broken.ref)}: {broken.reason}" for broken in report.broken]


def _identify_faces(
    opened: ProjectFolder, method: Any, eps: float, min_samples: int, progress: str
) -> None:
    from annotator.features.pipeline import ExtractionProgress
    from annotator.items.refs import plural
    from annotator.proposals.faces import identify_faces

    with open_progress_output(progress, "identities", "percent of the pairs compared") as show:
        refs, found = identify_faces(
            opened, method=method, eps=eps, min_samples=min_samples,
            progress=lambda part: show(ExtractionProgress(round(100 * part), 100, 0, 0.0, None)),
        )  # fmt: skip
    noise = int((found.cluster_of < 0).sum())
    typer.echo(
        f"{plural(len(found), 'identity', 'identities')} among {plural(len(refs), 'face')}; "
        f"like no other: {noise:,}",
        err=True,
    )


def _save_crops(opened: ProjectFolder, folder: Path, workers: int | None) -> list[str]:
    from annotator.detection.align import align_faces, save_face_crops
    from annotator.items.refs import plural
    from annotator.proposals.faces import make_crop_names, read_faces

    images = read_faces(opened).images
    names = make_crop_names(ref for every in images.values() for ref, _ in every)
    left_out: list[str] = []
    count = 0
    limit = opened.settings.max_pixels
    root = opened.images.resolve()
    for found in align_faces(images, root, max_pixels=limit, workers=workers):
        try:
            count += len(save_face_crops(found, folder, names.__getitem__))
        except OSError as error:
            raise ProjectError(
                f"{make_printable(str(folder))} cannot be written: {error.strerror}"
            ) from error
        left_out += [f"{make_printable(ref)}: {reason}" for ref, reason in found.faults.items()]
    typer.echo(f"{plural(count, 'aligned face')} in {make_printable(str(folder))}", err=True)
    return left_out


def _write_results(
    opened: ProjectFolder, seconds: float, left_out: list[str], as_json: bool
) -> None:
    from annotator.log.entries import replay
    from annotator.log.store import SqliteStore
    from annotator.project.clusters import CLUSTERS_FILE
    from annotator.proposals.faces import build_faces_document, write_faces_document

    store = SqliteStore(opened.labels_file)
    state = replay(store.entries())
    store.close()
    found = build_faces_document(opened, state, seconds, left_out.append)
    write_faces_document(opened.folder / "faces.json", found)
    then = "identities" if (opened.folder / CLUSTERS_FILE).exists() else "run"
    for line in [
        *format_left_out(left_out),
        suggest_next_command(opened, then, "try a lower --threshold, or --tile"),
    ]:
        typer.echo(line, err=True)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))


COMMANDS = {"faces": faces}
