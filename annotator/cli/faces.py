"""faces: faces in images, who they are, and the screen that puts it right."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.model_runs import (
    Images,
    Shown,
    Tta,
    Workers,
    next_step,
    opened_images,
    run_models,
    say,
    told,
)
from annotator.cli.option_types import split, voters
from annotator.cli.progress_output import narrated, stoppable
from annotator.errors import ProjectError
from annotator.items.refs import printable

if TYPE_CHECKING:
    from annotator.detection.descriptors import Described
    from annotator.detection.faces import FaceDetector
    from annotator.project.project import Project


def faces(
    images: Images,
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
    tta: Tta = None,
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
    workers: Workers = None,
    progress: Shown = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print frames and clusters.")] = False,
) -> None:
    """Find faces with their landmarks, describe them, and group those of one person.

    \b
    annotator faces photos/
    annotator faces photos/ --descriptors sface,adaface.onnx --crops crops/
    annotator identities photos.faces
    """
    from annotator.detection.descriptors import Described
    from annotator.detection.ensemble import Recipe
    from annotator.detection.faces import FACE, FaceDetector
    from annotator.detection.routing import Rule

    started = time.monotonic()
    every = voters(detectors, weights, threshold)
    if method not in ("dbscan", "hdbscan"):
        raise typer.BadParameter(f"{method} is neither dbscan nor hdbscan", param_hint="--method")
    found = [FaceDetector(voter.name, size) for voter in every]
    described = Described(split(descriptors)) if descriptors != "none" else None
    _say_licences(found, described)
    left_out: list[str] = []
    opened, paths = opened_images(images, project or _beside(images), left_out, (FACE,))
    recipe = Recipe(tuple(every), rule=Rule(min_score, len(every) // 2 + 1))
    left_out += _detect(opened, paths, found, recipe, _passes(tta, tile), workers, progress)
    if described is not None:
        left_out += _describe(opened, described, workers, progress)
        _identify(opened, method, eps, min_samples, progress)
    if crops is not None:
        left_out += _save(opened, crops, workers)
    _finish(opened, time.monotonic() - started, left_out, as_json)


def _say_licences(found: list[FaceDetector], described: Described | None) -> None:
    files = [detector.file for detector in found]
    files += [part.file for part in described.parts] if described else []
    for file in files:
        typer.echo(f"{printable(file.short)}: licence {file.licence}", err=True)


def _beside(images: Path) -> Path | None:
    from annotator.project.project import is_project

    whole = images.resolve()
    return None if is_project(images) else whole.with_name(f"{whole.name}.faces")


def _passes(tta: str | None, tile: int | None) -> Any:
    from annotator.cli.option_types import check
    from annotator.detection.detect import Passes

    check("wbf", "avg", tta)
    return Passes(("plain", *split(tta)), tile)


def _detect(
    opened: Project,
    paths: list[str],
    found: list[FaceDetector],
    recipe: Any,
    passes: Any,
    workers: int | None,
    progress: str,
) -> list[str]:
    """Write the faces of all images as items; what was left out."""
    from annotator.detection.ensemble import ensemble
    from annotator.items.refs import many
    from annotator.proposals.detected import write

    left_out: list[str] = []
    results = []
    for detector, voter in zip(found, recipe.voters, strict=True):
        answers, report = run_models(
            opened, paths, detector, voter.short, passes, workers, progress
        )
        results.append(answers)
        left_out += [f"{printable(b.ref)}: {b.reason}" for b in report.broken]
    outcome = write(opened, ensemble(paths, results, recipe), recipe, accept=False, at=time.time())
    typer.echo(
        f"{many(outcome.boxes, 'face')} in {many(outcome.images, 'image')}: "
        f"{many(outcome.added, 'new item')}",
        err=True,
    )
    return left_out + outcome.no_boxes_told() + outcome.left_out


def _describe(
    opened: Project, described: Described, workers: int | None, progress: str
) -> list[str]:
    from annotator.proposals.faces import describe

    name = "+".join(part.file.short for part in described.parts)
    with narrated(progress, name, "faces") as report_progress, stoppable() as stop:
        report = describe(
            opened, described, workers=workers, progress=report_progress, stop=stop,
            clock=time.monotonic,
        )  # fmt: skip
    say(report, name, "face")
    return [f"{printable(broken.ref)}: {broken.reason}" for broken in report.broken]


def _identify(opened: Project, method: Any, eps: float, min_samples: int, progress: str) -> None:
    from annotator.features.pipeline import Progress
    from annotator.items.refs import many
    from annotator.proposals.faces import identify

    with narrated(progress, "identities", "percent of the pairs compared") as show:
        refs, found = identify(
            opened, method=method, eps=eps, min_samples=min_samples,
            progress=lambda part: show(Progress(round(100 * part), 100, 0, 0.0, None)),
        )  # fmt: skip
    noise = int((found.member < 0).sum())
    typer.echo(
        f"{many(len(found), 'identity', 'identities')} among {many(len(refs), 'face')}; "
        f"like no other: {noise:,}",
        err=True,
    )


def _save(opened: Project, folder: Path, workers: int | None) -> list[str]:
    from annotator.detection.identities import aligned_faces, save_crops
    from annotator.items.refs import many
    from annotator.proposals.faces import crop_names, faces_of

    images = faces_of(opened).images
    names = crop_names(ref for every in images.values() for ref, _ in every)
    left_out: list[str] = []
    count = 0
    limit = opened.settings.max_pixels
    root = opened.images.resolve()
    for found in aligned_faces(images, root, max_pixels=limit, workers=workers):
        try:
            count += len(save_crops(found, folder, names.__getitem__))
        except OSError as error:
            raise ProjectError(
                f"{printable(str(folder))} cannot be written: {error.strerror}"
            ) from error
        left_out += [f"{printable(ref)}: {reason}" for ref, reason in found.faults.items()]
    typer.echo(f"{many(count, 'aligned face')} in {printable(str(folder))}", err=True)
    return left_out


def _finish(opened: Project, seconds: float, left_out: list[str], as_json: bool) -> None:
    from annotator.log.entries import replay
    from annotator.log.store import SqliteStore
    from annotator.project.clusters import FILE
    from annotator.proposals.faces import document, write_document

    store = SqliteStore(opened.labels_file)
    state = replay(store.entries())
    store.close()
    found = document(opened, state, seconds, left_out.append)
    write_document(opened.folder / "faces.json", found)
    then = "identities" if (opened.folder / FILE).exists() else "run"
    for line in [*told(left_out), next_step(opened, then, "try a lower --threshold, or --tile")]:
        typer.echo(line, err=True)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))


COMMANDS = {"faces": faces}
