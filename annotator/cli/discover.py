"""discover: objects without any training, as items that a person accepts or rejects."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.model_runs import (
    DeviceOption,
    DtypeOption,
    ImagesArgument,
    ProgressOption,
    ProjectOption,
    WorkersOption,
    exit_if_stopped,
    format_left_out,
    open_image_project,
    suggest_next_command,
)
from annotator.cli.progress_output import catch_stop_signals, open_progress_output
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from annotator.detection.backbone import PatchNetwork
    from annotator.detection.names import ImageNamer
    from annotator.detection.objects import DiscoveredImage, ObjectSearch
    from annotator.project.project import ProjectFolder


def discover(
    images: ImagesArgument,
    model: Annotated[
        str, typer.Option(help="dino-vits16, dino-vitb8, resnet50 …, an id, or a local folder.")
    ] = "dino-vits16",
    method: Annotated[
        str, typer.Option(help="many objects an image, or one: lost or tokencut.")
    ] = "many",
    seeds: Annotated[int, typer.Option(min=1, help="Patches to start from [of many].")] = 40,
    threshold: Annotated[
        str,
        typer.Option(help="What correlates less with a seed is not its object: auto, or a number."),
    ] = "auto",
    iou: Annotated[
        float, typer.Option(min=0, max=1, help="Of boxes that overlap more the best one is kept.")
    ] = 0.5,
    patches: Annotated[
        int, typer.Option(min=16, help="Images with more patches are looked at smaller.")
    ] = 3600,
    names: Annotated[
        str,
        typer.Option(help="A classifier that names the boxes: a name, an id, a folder; or none."),
    ] = "auto",
    classes: Annotated[
        str | None,
        typer.Option(help="Your own class names, separated by commas, instead (by SigLIP 2)."),
    ] = None,
    min_name: Annotated[
        float, typer.Option(min=0, max=1, help='Less likely names become "object".')
    ] = 0.2,
    top: Annotated[int, typer.Option(min=1, help="Names to keep with their probabilities.")] = 5,
    project: ProjectOption = None,
    render: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw each image with its boxes and names.")
    ] = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    workers: WorkersOption = None,
    progress: ProgressOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON.")] = False,
) -> None:
    """Find objects that no model was trained for; each box becomes an item to accept or reject.

    \b
    annotator discover photos/ --render drawn/
    annotator discover photos/ --classes pear,apple,leaf
    annotator discover photos/ --model dino-vitb8 --method lost --names none
    annotator run photos.boxes
    """
    from annotator.detection.objects import ObjectSearch

    search = ObjectSearch(
        method=_check_method(method),
        seeds=seeds,
        threshold=_parse_threshold(threshold),
        overlap=iou,
        most_patches=patches,
        min_name=min_name,
        top=top,
    )
    words = _parse_names(classes)
    network, namer = _open_networks(model, names, words, device, dtype)
    job = _DiscoveryRun(images, project, search, network, namer, words)
    job.run(workers, progress)
    job.write(render)
    for line in job.told():
        typer.echo(line, err=True)
    if as_json:
        typer.echo(json.dumps(job.summary_dict(), ensure_ascii=False, indent=1))
    exit_if_stopped(job.complete)


def _check_method(name: str) -> str:
    from annotator.detection.objects import DISCOVERY_METHODS

    if name not in DISCOVERY_METHODS:
        raise typer.BadParameter(
            f"{name} is none of {', '.join(DISCOVERY_METHODS)}", param_hint="--method"
        )
    return name


def _parse_threshold(text: str) -> Any:
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text} is neither auto nor a number", param_hint="--threshold"
        ) from None


def _parse_names(classes: str | None) -> list[str]:
    from annotator.cli.project_options import parse_classes

    return [info.name for info in parse_classes(classes)]


def _open_networks(
    model: str, names: str, class_names: list[str], device: str, dtype: str
) -> tuple[PatchNetwork, ImageNamer | None]:
    """All that is needed, before any work begins."""
    from annotator.detection import names as naming
    from annotator.detection.backbone import PatchNetwork

    options = {"device": device, "dtype": dtype}
    network = PatchNetwork(model, **options)
    if names == "none":
        return network, None
    if class_names:
        name = naming.DEFAULT_ZERO_SHOT if names == "auto" else names
        return network, naming.ZeroShotClassifier(class_names, name, **options)
    return network, naming.ImageClassifier(
        naming.DEFAULT_CLASSIFIER if names == "auto" else names, **options
    )


@dataclass(slots=True)
class _DiscoveryRun:
    """One run over the images, and what came of it."""

    images: Path
    folder: Path | None
    search: ObjectSearch
    network: PatchNetwork
    namer: ImageNamer | None
    words: list[str]
    complete: bool = True
    looked: int = 0
    before: int = 0
    boxes: int = 0
    added: int = 0
    merged: int = 0
    drawn: int = 0
    smaller: int = 0
    left_out: list[str] = field(default_factory=list)
    _opened: ProjectFolder | None = None

    @property
    def project(self) -> ProjectFolder:
        assert self._opened is not None
        return self._opened

    def run(self, workers: int | None, progress: str) -> None:
        from annotator.detection.objects import discover_objects as look
        from annotator.images import ImageFolder
        from annotator.proposals import ProcessedImages, ProposalWriter

        opened, paths = open_image_project(self.images, self.folder, self.left_out, self.words)
        self._opened = opened
        source = ImageFolder(opened.images.resolve(), opened.settings.max_pixels)
        options = {"model": self.model, **self.search.describe(), "words": self.words}
        with ProcessedImages(opened, options) as done, ProposalWriter(opened) as writer:
            todo = [path for path in paths if path not in done]
            self.before = len(paths) - len(todo)
            with (
                open_progress_output(progress, self.model, "images") as show,
                catch_stop_signals() as stop,
            ):
                found = look(
                    todo, source, self.network, self.search, self.namer, workers=workers, stop=stop
                )
                tally = _make_counter(self.before, len(todo))
                show(tally.progress())
                for one in found:
                    self._take(one, tally, writer, done)
                    show(tally.progress())
        self.looked, self.added, self.merged = tally.computed, writer.added, writer.merged
        self.left_out += writer.left_out
        self.complete = self.looked + tally.broken_count == len(todo)

    def _take(self, image: DiscoveredImage, tally: Any, writer: Any, done: Any) -> None:
        if image.fault is not None:
            tally.count_broken(image.path, image.fault)
            self.left_out.append(image.fault)  # not done: the next run tries again
            return
        writer.add(image.proposals)
        done.add(image.path)
        self.boxes += len(image.proposals)
        self.smaller += image.smaller
        tally.count(1)

    @property
    def model(self) -> str:
        from annotator.detection.objects import discovery_model_name

        return discovery_model_name(self.network, self.search, self.namer)

    def write(self, render: Path | None) -> None:
        """The COCO file, and the pictures where they are wanted."""
        from annotator.proposals.pictures import group_by_image, write_proposals_coco
        from annotator.proposals.pictures import render_proposals as draw

        images = group_by_image(self.project, self.model)
        write_proposals_coco(self.project, images, self.coco, self.left_out.append)
        if render is not None:
            self.drawn = draw(self.project, images, render, self.left_out.append)

    @property
    def coco(self) -> Path:
        return self.project.folder / "discovered.coco.json"

    def told(self) -> list[str]:
        from annotator.items.refs import plural

        lines = [
            f"{make_printable(self.model)}: {plural(self.boxes, 'box', 'boxes')} in "
            f"{plural(self.looked, 'image')} now ({self.before:,} done before): "
            f"{plural(self.added, 'new item')}, {self.merged:,} of items that were there",
            f"all boxes of {make_printable(self.model)}: {make_printable(str(self.coco))}",
        ]
        if self.smaller:
            lines.append(
                f"looked at smaller, for more than {self.search.most_patches:,} patches "
                f"(--patches): {plural(self.smaller, 'image')}"
            )
        if self.drawn:
            lines.append(f"drawn: {plural(self.drawn, 'picture')}")
        lines += format_left_out(self.left_out)
        return [
            *lines,
            suggest_next_command(self.project, "run", "try --method many, or other images"),
        ]

    def summary_dict(self) -> dict[str, Any]:
        names = (
            "looked",
            "before",
            "boxes",
            "added",
            "merged",
            "smaller",
            "drawn",
            "complete",
            "left_out",
        )
        told = {"project": str(self.project.folder), "model": self.model, "coco": str(self.coco)}
        return {**told, **{name: getattr(self, name) for name in names}}


def _make_counter(before: int, total: int) -> Any:
    import time

    from annotator.features.pipeline import ProgressCounter

    return ProgressCounter(before, total, time.monotonic)


COMMANDS = {"discover": discover}
