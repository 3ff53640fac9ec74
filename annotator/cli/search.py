"""search: items by name, class, state, likeness or words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.project_options import JsonOption, ProjectArgument
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from annotator.items.ref_table import RefTable
    from annotator.log.entries import LogState
    from annotator.project.project import ProjectFolder
    from annotator.session.pool_features import PoolFeatures


def search(
    project: ProjectArgument,
    query: Annotated[list[str], typer.Argument(help="Terms with spaces between; all must hold.")],
    as_json: JsonOption = False,
    most: Annotated[int, typer.Option("-n", "--most", min=1, help="Only so many.")] = 100,
) -> None:
    """Print the refs of the items that fulfil a query, the best first where it ranks them.

    \b
    annotator search p _top.jpg                  part of a file name, in whatever case
    annotator search p 'cam3_*.png' open         a glob; open, labelled, skipped or flagged
    annotator search p 'label:crack -by:ana'     cracks that are not ana's
    annotator search p like:IMG_0042.jpg -n 20   what looks like an item
    annotator search p 'text:"rusty edge"'       words, with features of SigLIP2
    """
    from annotator.curate.search import Searcher
    from annotator.log.entries import replay
    from annotator.log.store import SqliteStore
    from annotator.project.item_pool import load_refs
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    refs = load_refs(opened)
    store = SqliteStore(opened.labels_file)
    state = replay(store.entries())
    store.close()
    terms = " ".join(query)
    searcher = Searcher(refs, _load_features(opened, refs, terms), folder=str(project))
    found = searcher.find(terms, state, limit=most, classes=opened.settings.names)
    scores = found.scores.tolist() if found.scores is not None else [None] * len(found.rows)
    rows = [
        _result_dict(refs[row], state, score) for row, score in zip(found.rows, scores, strict=True)
    ]
    if as_json:
        answer = {"query": terms, "total": found.total, "items": rows}
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=1))
        return
    for row in rows:
        typer.echo(make_printable(row["ref"]))
    if found.total > len(rows):
        typer.echo(f"{len(rows):,} of {found.total:,}; -n {found.total} prints all", err=True)


def _load_features(project: ProjectFolder, refs: RefTable, query: str) -> PoolFeatures | None:
    """The features, only where the query needs them."""
    from annotator.curate.search import parse_query
    from annotator.features.store import FeatureStore
    from annotator.session.pool_features import PoolFeatures

    if not any(term.kind in ("like", "text") for term in parse_query(query)):
        return None
    features = PoolFeatures(FeatureStore.open(project.features_folder), refs)
    features.available = features.store.available()
    return features


def _result_dict(ref: str, state: LogState, score: float | None) -> dict[str, Any]:
    decision = state.decision(ref)
    found = {
        "ref": ref,
        "label": state.label(ref),
        "state": "open" if decision is None else "labelled" if decision.label else "skipped",
        "flagged": ref in state.flagged,
    }
    return found if score is None else {**found, "score": round(score, 4)}


COMMANDS: dict[str, Callable[..., None]] = {"search": search}
