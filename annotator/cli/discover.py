"""discover: objects without any training, as items to accept or reject."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.model_runs import (
    describe_replaced,
    exit_if_stopped,
    format_left_out,
    open_run_output,
    print_message,
    suggest_next_command,
)
from annotator.cli.option_types import (
    DeviceOption,
    DtypeOption,
    ImagesArgument,
    JsonOption,
    ProgressOption,
    ProjectOption,
    WorkersOption,
    complete_names,
    parse_choice,
)
from annotator.cli.project_options import print_json
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from annotator.detection.backbone import PatchNetwork
    from annotator.detection.names import ImageNamer
    from annotator.project.project import ProjectFolder
    from annotator.proposals.discover import DiscoveryOutcome


def discover(
    images: ImagesArgument,
    model: Annotated[
        str, typer.Option(help="dino-vits16, dino-vitb8, resnet50 …, an id, or a local folder.")
    ] = "dino-vits16",
    method: Annotated[
        str,
        typer.Option(
            help="many objects per image, or one: lost or tokencut.",
            autocompletion=complete_names("annotator.detection.objects:DISCOVERY_METHODS"),
        ),
    ] = "many",
    seeds: Annotated[
        int, typer.Option(min=1, help="Number of patches to start from (method many).")
    ] = 40,
    threshold: Annotated[
        str,
        typer.Option(help="Minimum correlation of a patch with its seed: auto, or a number."),
    ] = "auto",
    iou: Annotated[
        float,
        typer.Option(min=0, max=1, help="Keep only the best of boxes with a larger overlap."),
    ] = 0.5,
    patches: Annotated[
        int, typer.Option(min=16, help="Make images with more patches smaller first.")
    ] = 3600,
    names: Annotated[
        str,
        typer.Option(help="A classifier that names the boxes: a name, an id, a folder; or none."),
    ] = "auto",
    classes: Annotated[
        str | None,
        typer.Option(help="Your own class names, separated by commas, for SigLIP 2 to choose."),
    ] = None,
    min_name: Annotated[
        float,
        typer.Option(min=0, max=1, help='Minimum probability of a name; else it is "object".'),
    ] = 0.2,
    min_confidence: Annotated[
        float,
        typer.Option(min=0, max=1, help="Leave out boxes whose likeliest name is less probable."),
    ] = 0.0,
    min_score: Annotated[
        float,
        typer.Option(min=0, max=1, help="Leave out boxes whose seed patch has a lower score."),
    ] = 0.0,
    top: Annotated[
        int, typer.Option(min=1, help="Number of names to keep with their probabilities.")
    ] = 5,
    project: ProjectOption = None,
    render: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw each image with its boxes and names.")
    ] = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    workers: WorkersOption = None,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Find objects that no model was trained for; each box becomes an item to accept or reject.

    Prints a line for each box: the image, the class and its confidence.

    \b
    annotator discover photos/ --render drawn/
    annotator discover photos/ --classes pear,apple,leaf
    annotator discover photos/ --model dino-vitb8 --method lost --names none
    annotator run photos.boxes
    """
    from annotator.cli.project_options import parse_classes
    from annotator.detection.objects import DISCOVERY_METHODS, ObjectSearch
    from annotator.proposals.discover import discover_proposals, write_discoveries
    from annotator.proposals.opening import discard_if_refused, open_image_project

    parse_choice(method, DISCOVERY_METHODS, "--method")
    search = ObjectSearch(
        method=method, seeds=seeds, threshold=_parse_threshold(threshold), overlap=iou,
        most_patches=patches, min_name=min_name, top=top,
        min_score=min_score, min_confidence=min_confidence,
    )  # fmt: skip
    _require_namer(names, min_confidence)
    class_names = [info.name for info in parse_classes(classes)]
    network, namer = _open_networks(model, names, class_names, device, dtype)
    with discard_if_refused(images, project):
        opened, paths, unlisted = open_image_project(images, print_message, project, class_names)
        with open_run_output(progress) as output:
            outcome = discover_proposals(
                opened, paths, search, network, namer,
                class_names=class_names, output=output, workers=workers,
            )  # fmt: skip
    outcome.left_out[:0] = unlisted
    coco = write_discoveries(opened, outcome, render)
    for line in _summary_lines(outcome, patches, opened, coco):
        print_message(line)
    if as_json:
        print_json(_summary_dict(outcome, opened, coco) | {"found": _list_found(opened, outcome)})
    else:
        _print_found(_list_found(opened, outcome))
    exit_if_stopped(outcome.complete)


def _require_namer(names: str, min_confidence: float) -> None:
    if min_confidence and names == "none":
        raise typer.BadParameter("needs a classifier: --names", param_hint="--min-confidence")


def _print_found(boxes: list[dict[str, Any]]) -> None:
    """Print a line for each box: the image, the class and its confidence."""
    for box in boxes:
        p = box["confidence"]
        cells = (box["image"], box["name"], "-" if p is None else f"{p:.2f}")
        typer.echo("\t".join(map(make_printable, cells)))


def _parse_threshold(text: str) -> Any:
    if text == "auto":
        return text
    with contextlib.suppress(ValueError):
        if math.isfinite(value := float(text)):
            return value
    raise typer.BadParameter(f"{text} should be auto or a number", param_hint="--threshold")


def _open_networks(
    model: str, names: str, class_names: list[str], device: str, dtype: str
) -> tuple[PatchNetwork, ImageNamer | None]:
    """Open all networks that the run needs, before any work begins."""
    from annotator.detection.backbone import PatchNetwork
    from annotator.detection.names import open_namer

    network = PatchNetwork(model, device=device, dtype=dtype)
    if names == "none":
        return network, None
    name = None if names == "auto" else names
    return network, open_namer(name, class_names, device=device, dtype=dtype)


def _summary_lines(
    outcome: DiscoveryOutcome, patches: int, project: ProjectFolder, coco: Path
) -> list[str]:
    from annotator.items.refs import plural

    model = make_printable(outcome.model)
    lines = [
        f"{model}: {plural(outcome.boxes, 'box', 'boxes')} in {plural(outcome.looked, 'image')} "
        f"now ({outcome.before:,} done before): {plural(outcome.added, 'new item')}, "
        f"{outcome.merged:,} in items that were there before",
        f"all boxes of {model}: {make_printable(str(coco))}",
    ]
    lines += describe_replaced(outcome.replaced, outcome.kept)
    if outcome.smaller:
        lines.append(
            f"made smaller, because of more than {patches:,} patches (--patches): "
            f"{plural(outcome.smaller, 'image')}"
        )
    if outcome.drawn:
        lines.append(f"drawn: {plural(outcome.drawn, 'image')}")
    lines += format_left_out(outcome.left_out)
    return [
        *lines,
        suggest_next_command(project, "run", "Try --method many, or other images."),
    ]


def _summary_dict(outcome: DiscoveryOutcome, project: ProjectFolder, coco: Path) -> dict[str, Any]:
    counts = (
        "looked",
        "before",
        "boxes",
        "added",
        "merged",
        "replaced",
        "kept",
        "smaller",
        "drawn",
    )
    return {
        "project": str(project.folder), "model": outcome.model, "coco": str(coco),
        **{name: getattr(outcome, name) for name in (*counts, "complete", "left_out")},
    }  # fmt: skip


def _list_found(project: ProjectFolder, outcome: DiscoveryOutcome) -> list[dict[str, Any]]:
    """Return all boxes of the outcome's model: image, class, its confidence, seed score, box."""
    from annotator.proposals.pictures import (
        get_class_confidence,
        get_proposal_box,
        group_by_image,
    )

    return [
        {
            "image": path, "name": row.name, "confidence": get_class_confidence(row),
            "score": row.score, "bbox": list(get_proposal_box(row)),
        }
        for path, rows in group_by_image(project, outcome.model).items()
        for row in rows
    ]  # fmt: skip


COMMANDS = {"discover": discover}
"""The functions that this module adds to the command line."""
