"""cluster: items that look alike, as pages, as names and as an order of the queue."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.model_runs import DeviceOption
from annotator.items.refs import make_printable, shell_quoted

if TYPE_CHECKING:
    from annotator.detection.names import ImageNamer
    from annotator.items.ref_table import RefTable
    from annotator.project.project import ProjectFolder
    from annotator.proposals.clusters import ItemCluster

QUEUE_ORDERS = ("typical", "runs")
_SHOWN = 20


def cluster(
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="A project with features.")],
    method: Annotated[str, typer.Option(help="kmeans, dbscan or hdbscan.")] = "kmeans",
    count: Annotated[
        int | None, typer.Option(min=1, help="Clusters of kmeans [one for 24 items].")
    ] = None,
    eps: Annotated[
        float, typer.Option(min=0, max=2, help="Of dbscan: the cosine distance of neighbours.")
    ] = 0.3,
    min_size: Annotated[
        int, typer.Option(min=1, help="Of dbscan and hdbscan: items that make a cluster.")
    ] = 5,
    features: Annotated[
        Path | None, typer.Option(help="Another folder of features [that of the project].")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Only so many items, drawn at random.")
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(help="Ask first: typical (one item a cluster) or runs (cluster by cluster)."),
    ] = None,
    names: Annotated[
        str, typer.Option(help="A classifier that names clusters without labels; or none.")
    ] = "none",
    classes: Annotated[
        str | None, typer.Option(help="Names of your own to choose from, by SigLIP 2.")
    ] = None,
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the clusters as JSON.")] = False,
) -> None:
    """Put items that look alike together: pages to label at one go, names, an order to ask in.

    \b
    annotator cluster p                                 then: annotator browse p --order clusters
    annotator cluster p --method dbscan --eps 0.2 --queue typical
    annotator cluster p --names convnext-base
    """
    from annotator.project.item_pool import load_refs
    from annotator.project.project import ProjectFolder
    from annotator.proposals.clusters import prioritize_clusters, write_item_clusters

    _check_options(method, queue)
    opened = ProjectFolder.open(project)
    namer = _open_namer(names, classes, device)
    refs = load_refs(opened)
    found, without = _compute_clusters(
        opened, refs, features, sample, namer, (method, count, eps, min_size)
    )
    write_item_clusters(opened, refs, found)
    asked = prioritize_clusters(opened, refs, found, queue) if queue else 0
    _print_clusters(opened, refs, found, without, asked, as_json)


def _check_options(method: str, queue: str | None) -> None:
    from annotator.detection.cluster import CLUSTER_METHODS

    if method not in CLUSTER_METHODS:
        raise typer.BadParameter(
            f"{method} is none of {', '.join(CLUSTER_METHODS)}", param_hint="--method"
        )
    if queue is not None and queue not in QUEUE_ORDERS:
        raise typer.BadParameter(
            f"{queue} is none of {', '.join(QUEUE_ORDERS)}", param_hint="--queue"
        )


def _open_namer(names: str, classes: str | None, device: str) -> ImageNamer | None:
    from annotator.cli.project_options import parse_classes

    words = [info.name for info in parse_classes(classes)]
    if names == "none" and not words:
        return None
    from annotator.detection import names as naming

    if words:
        name = naming.DEFAULT_ZERO_SHOT if names == "none" else names
        return naming.ZeroShotClassifier(words, name, device=device)
    return naming.ImageClassifier(names, device=device)


def _compute_clusters(
    opened: ProjectFolder,
    refs: RefTable,
    features: Path | None,
    sample: int | None,
    namer: ImageNamer | None,
    options: tuple[Any, int | None, float, int],
) -> tuple[list[ItemCluster], int]:
    """The clusters, and how many items are in none."""
    from annotator.detection.cluster import cluster_vectors as compute
    from annotator.features.store import FeatureStore
    from annotator.log.entries import LogState, replay
    from annotator.log.store import SqliteStore
    from annotator.proposals.clusters import ClusterNamer, build_item_clusters, select_featured_rows

    method, count, eps, min_size = options
    store = FeatureStore.open(features or opened.features_folder)
    rows, vectors = select_featured_rows(store, refs, sample, opened.settings.seed)
    clustering = compute(
        vectors, method, count=count, eps=eps, min_size=min_size, seed=opened.settings.seed,
        progress=_show_percent,
    )  # fmt: skip
    state = LogState()
    if opened.labels_file.exists():
        state = replay(SqliteStore(opened.labels_file).entries())
    found = build_item_clusters(clustering, rows, refs, ClusterNamer(opened, state, namer))
    return found, len(refs) - sum(len(group.rows) for group in found)


def _show_percent(share: float) -> None:
    if sys.stderr.isatty():
        end = "\n" if share >= 1 else ""
        typer.echo(f"\r{share:.0%} of the pairs compared", err=True, nl=bool(end))


def _print_clusters(
    opened: ProjectFolder,
    refs: RefTable,
    item_clusters: list[ItemCluster],
    without: int,
    asked: int,
    as_json: bool,
) -> None:
    from annotator.items.refs import plural

    if as_json:
        clusters = [
            _cluster_as_dict(number, group, refs) for number, group in enumerate(item_clusters)
        ]
        told = {"clusters": clusters, "in_none": without, "asked_first": asked}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    for number, group in enumerate(item_clusters[:_SHOWN]):
        said = group.suggestion
        name = (
            f"  {make_printable(said.name)} ({said.share:.0%} of {make_printable(said.by)})"
            if said
            else ""
        )
        size, first = len(group.rows), make_printable(refs[int(group.rows[0])])
        typer.echo(f"{number:>4}: {plural(size, 'item'):>13}{name}  {first}")
    if len(item_clusters) > _SHOWN:
        typer.echo(f"  … and {len(item_clusters) - _SHOWN:,} smaller ones")
    folder = shell_quoted(opened.folder)
    typer.echo(
        f"{plural(len(item_clusters), 'cluster')}; in none: {plural(without, 'item')}", err=True
    )
    if not item_clusters:
        typer.echo("try a larger --eps, a smaller --min-size, or --method kmeans", err=True)
        return
    if asked:
        typer.echo(f"asked first: {plural(asked, 'item')}: annotator run {folder}", err=True)
    typer.echo(f"page by page: annotator browse {folder} --order clusters", err=True)


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
