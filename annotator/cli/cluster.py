"""cluster: items that look alike, as pages, as names and as an order of the queue."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.model_runs import Device
from annotator.items.refs import printable, typed

if TYPE_CHECKING:
    from annotator.detection.names import Namer
    from annotator.items.ref_table import RefTable
    from annotator.project.project import Project
    from annotator.proposals.clusters import Group

QUEUES = ("typical", "runs")
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
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the clusters as JSON.")] = False,
) -> None:
    """Put items that look alike together: pages to label at one go, names, an order to ask in.

    \b
    annotator cluster p                                 then: annotator browse p --order clusters
    annotator cluster p --method dbscan --eps 0.2 --queue typical
    annotator cluster p --names convnext-base
    """
    from annotator.project.item_pool import load
    from annotator.project.project import Project
    from annotator.proposals.clusters import ask_first, write

    _check(method, queue)
    opened = Project.open(project)
    namer = _namer(names, classes, device)
    refs = load(opened)
    found, without = _found(opened, refs, features, sample, namer, (method, count, eps, min_size))
    write(opened, refs, found)
    asked = ask_first(opened, refs, found, queue) if queue else 0
    _tell(opened, refs, found, without, asked, as_json)


def _check(method: str, queue: str | None) -> None:
    from annotator.detection.cluster import METHODS

    if method not in METHODS:
        raise typer.BadParameter(f"{method} is none of {', '.join(METHODS)}", param_hint="--method")
    if queue is not None and queue not in QUEUES:
        raise typer.BadParameter(f"{queue} is none of {', '.join(QUEUES)}", param_hint="--queue")


def _namer(names: str, classes: str | None, device: str) -> Namer | None:
    from annotator.cli.project_options import parse_classes

    words = [info.name for info in parse_classes(classes)]
    if names == "none" and not words:
        return None
    from annotator.detection import names as naming

    if words:
        name = naming.DEFAULT_WORDS if names == "none" else names
        return naming.Words(words, name, device=device)
    return naming.Classifier(names, device=device)


def _found(
    opened: Project,
    refs: RefTable,
    features: Path | None,
    sample: int | None,
    namer: Namer | None,
    how: tuple[Any, int | None, float, int],
) -> tuple[list[Group], int]:
    """The clusters, and how many items are in none."""
    from annotator.detection.cluster import cluster as compute
    from annotator.features.store import FeatureStore
    from annotator.log.entries import State, replay
    from annotator.log.store import SqliteStore
    from annotator.proposals.clusters import Vote, groups, usable

    method, count, eps, min_size = how
    store = FeatureStore.open(features or opened.features_folder)
    rows, vectors = usable(store, refs, sample, opened.settings.seed)
    clustering = compute(
        vectors, method, count=count, eps=eps, min_size=min_size, seed=opened.settings.seed,
        progress=_percent,
    )  # fmt: skip
    state = State()
    if opened.labels_file.exists():
        state = replay(SqliteStore(opened.labels_file).entries())
    found = groups(clustering, rows, refs, Vote(opened, state, namer))
    return found, len(refs) - sum(len(group.rows) for group in found)


def _percent(part: float) -> None:
    if sys.stderr.isatty():
        end = "\n" if part >= 1 else ""
        typer.echo(f"\r{part:.0%} of the pairs compared", err=True, nl=bool(end))


def _tell(
    opened: Project, refs: RefTable, found: list[Group], without: int, asked: int, as_json: bool
) -> None:
    from annotator.items.refs import many

    if as_json:
        clusters = [_figures(number, group, refs) for number, group in enumerate(found)]
        told = {"clusters": clusters, "in_none": without, "asked_first": asked}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    for number, group in enumerate(found[:_SHOWN]):
        said = group.suggestion
        name = (
            f"  {printable(said.name)} ({said.share:.0%} of {printable(said.by)})" if said else ""
        )
        size, first = len(group.rows), printable(refs[int(group.rows[0])])
        typer.echo(f"{number:>4}: {many(size, 'item'):>13}{name}  {first}")
    if len(found) > _SHOWN:
        typer.echo(f"  … and {len(found) - _SHOWN:,} smaller ones")
    folder = typed(opened.folder)
    typer.echo(f"{many(len(found), 'cluster')}; in none: {many(without, 'item')}", err=True)
    if not found:
        typer.echo("try a larger --eps, a smaller --min-size, or --method kmeans", err=True)
        return
    if asked:
        typer.echo(f"asked first: {many(asked, 'item')}: annotator run {folder}", err=True)
    typer.echo(f"page by page: annotator browse {folder} --order clusters", err=True)


def _figures(number: int, group: Group, refs: RefTable) -> dict[str, Any]:
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
