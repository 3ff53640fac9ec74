"""cluster: items that look alike, as pages, with names, and as an order of the queue."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.model_runs import print_message
from annotator.cli.option_types import DeviceOption, JsonOption, complete_names, parse_choice
from annotator.cli.project_options import print_json, warn_of_other_model
from annotator.items.refs import make_printable, shell_quoted

if TYPE_CHECKING:
    from annotator.detection.names import ImageNamer
    from annotator.items.ref_table import RefTable
    from annotator.project.project import ProjectFolder
    from annotator.proposals.clusters import ItemCluster

_SHOWN = 20


def cluster(
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="A project with features.")],
    method: Annotated[
        str,
        typer.Option(
            help="kmeans, dbscan or hdbscan.",
            autocompletion=complete_names("annotator.detection.cluster:CLUSTER_METHODS"),
        ),
    ] = "kmeans",
    count: Annotated[
        int | None, typer.Option(min=1, help="Number of kmeans clusters [one per 24 items].")
    ] = None,
    eps: Annotated[
        float, typer.Option(min=0, max=2, help="Maximum cosine distance of neighbours (dbscan).")
    ] = 0.3,
    min_size: Annotated[
        int, typer.Option(min=1, help="Minimum number of items of a cluster (dbscan, hdbscan).")
    ] = 5,
    features: Annotated[
        Path | None, typer.Option(help="Another folder of features [the project's].")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Only this number of items, drawn at random.")
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(
            help="Ask first: typical (one item per cluster), runs (all, cluster by cluster).",
            autocompletion=complete_names("annotator.proposals.clusters:QUEUE_ORDERS"),
        ),
    ] = None,
    names: Annotated[
        str, typer.Option(help="A classifier that names clusters without labels; or none.")
    ] = "none",
    classes: Annotated[
        str | None, typer.Option(help="Your own names, for SigLIP 2 to choose from.")
    ] = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Group items that look alike: pages to label at once, names, an order to ask in.

    \b
    annotator cluster p                                 then: annotator browse p --order clusters
    annotator cluster p --method dbscan --eps 0.2 --queue typical
    annotator cluster p --names convnext-base
    """
    from annotator.detection.cluster import CLUSTER_METHODS
    from annotator.features.store import FeatureStore
    from annotator.project.item_pool import load_refs
    from annotator.project.project import ProjectFolder
    from annotator.proposals import clusters

    checked = parse_choice(method, CLUSTER_METHODS, "--method")
    if queue is not None:
        parse_choice(queue, clusters.QUEUE_ORDERS, "--queue")
    opened = ProjectFolder.open(project)
    if features is None:
        warn_of_other_model(opened)
    namer = _open_namer(names, classes, device)
    refs = load_refs(opened)
    store = FeatureStore.open(features or opened.features_folder)
    found = clusters.find_item_clusters(
        opened, refs, store, checked,
        count=count, eps=eps, min_size=min_size, sample=sample, namer=namer,
        progress=_show_percent,
    )  # fmt: skip
    clusters.write_item_clusters(opened, refs, found)
    asked = clusters.prioritize_clusters(opened, refs, found, queue) if queue else 0
    (_print_json if as_json else _print_clusters)(opened, refs, found, asked)


def _open_namer(names: str, classes: str | None, device: str) -> ImageNamer | None:
    from annotator.cli.project_options import parse_classes

    class_names = [info.name for info in parse_classes(classes)]
    if names == "none" and not class_names:
        return None
    from annotator.detection.names import open_namer

    return open_namer(None if names == "none" else names, class_names, device=device)


def _show_percent(share: float) -> None:
    if sys.stderr.isatty():
        end = "\n" if share >= 1 else ""
        typer.echo(f"\r{share:.0%} of the pairs compared", err=True, nl=bool(end))


def _count_without(refs: RefTable, clusters: list[ItemCluster]) -> int:
    return len(refs) - sum(len(group.rows) for group in clusters)


def _print_clusters(
    project: ProjectFolder, refs: RefTable, clusters: list[ItemCluster], asked: int
) -> None:
    from annotator.items.refs import plural

    for number, group in enumerate(clusters[:_SHOWN]):
        suggestion = group.suggestion
        name = (
            f"  {make_printable(suggestion.name)} "
            f"({suggestion.share:.0%} of {make_printable(suggestion.by)})"
            if suggestion
            else ""
        )
        size, first = len(group.rows), make_printable(refs[int(group.rows[0])])
        typer.echo(f"{number:>4}: {plural(size, 'item'):>13}{name}  {first}")
    if len(clusters) > _SHOWN:
        typer.echo(f"  … and {plural(len(clusters) - _SHOWN, 'smaller cluster')}")
    without = plural(_count_without(refs, clusters), "item")
    print_message(f"{plural(len(clusters), 'cluster')}; in no cluster: {without}")
    if not clusters:
        print_message("Try a larger --eps, a smaller --min-size, or --method kmeans.")
        return
    folder = shell_quoted(project.folder)
    if asked:
        print_message(f"asked first: {plural(asked, 'item')}: annotator run {folder}")
    print_message(f"page by page: annotator browse {folder} --order clusters")


def _print_json(
    project: ProjectFolder, refs: RefTable, clusters: list[ItemCluster], asked: int
) -> None:
    document = {
        "clusters": [
            _cluster_as_dict(number, group, refs) for number, group in enumerate(clusters)
        ],
        "in_none": _count_without(refs, clusters),
        "asked_first": asked,
    }
    print_json(document)


def _cluster_as_dict(number: int, group: ItemCluster, refs: RefTable) -> dict[str, Any]:
    suggested = group.suggestion
    return {
        "cluster": number,
        "size": len(group.rows),
        "name": suggested.name if suggested else None,
        "share": round(suggested.share, 4) if suggested else None,
        "by": suggested.by if suggested else None,
        "typical": [refs[row] for row in group.rows[:4].tolist()],
    }


COMMANDS = {"cluster": cluster}
"""The functions that this module adds to the command line."""
