"""search: the items of a project that match a query; and the queries of other commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.project_names import complete_search_names, complete_searches
from annotator.cli.project_options import JsonOption, ProjectArgument, print_json
from annotator.errors import QueryError
from annotator.items.refs import make_printable, plural, shell_quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from annotator.curate.search import Searcher, SearchResults
    from annotator.items.ref_table import RefTable
    from annotator.log.entries import LogState
    from annotator.project.project import ProjectFolder
    from annotator.tui.launch import PoolPart

OnlyOption = Annotated[
    str | None,
    typer.Option(
        "--only",
        metavar="QUERY",
        help="Only items that match a query, or a saved one: @NAME.",
        autocompletion=complete_searches,
    ),
]


def search(
    project: ProjectArgument,
    query: Annotated[
        list[str] | None,
        typer.Argument(
            help="Terms separated by spaces; an item must match all of them.",
            autocompletion=complete_searches,
        ),
    ] = None,
    as_json: JsonOption = False,
    most: Annotated[
        int, typer.Option("-n", "--most", min=1, help="The largest number of items to print.")
    ] = 100,
    save: Annotated[
        str | None, typer.Option(metavar="NAME", help="Save the query; @NAME stands for it.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Print the saved searches.")] = False,
    forget: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Delete a saved search.", autocompletion=complete_search_names
        ),
    ] = None,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Look into all images for size and brightness, once."),
    ] = False,
) -> None:
    """Print the refs of the items that match a query; like: and text: put the best first.

    \b
    cam3 '*_top.jpg' path:'cam3/*' name:open   a part or a glob of the path
    open labelled skipped flagged reviewed     a state
    label:crack   by:ana   note:blurred        what annotators gave
    'at>=2026-11-01'   reviewed:ana            when; whose review confirmed the label
    predicted:crack 'p>0.9' 'margin<0.1'       what the model says
    'p:crack>0.3'                              its probability of a class
    'size<32'   'brightness<0.2'               side in pixels (COCO: area < 32 x 32)
    camera=3 'temp>20' '"lens no"=7'           columns of refs.csv
    like:IMG_0042.jpg   'text:"rusty edge"'    similar items; words (SigLIP2)
    -label:ok   @night                         not; a saved search

    \b
    annotator search p label:crack -by:ana
    annotator search p 'camera=3' 'at>=2026-11-01' --save night
    annotator run p --only @night
    """
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    if forget is not None:
        from annotator.project.saved_searches import forget_search

        forget_search(opened, forget.removeprefix("@"))
        typer.echo(f"@{make_printable(forget.removeprefix('@'))} is forgotten", err=True)
    if list_:
        _print_saved(opened, as_json)
    if not query:
        if measure:
            _measure(opened)
        elif not (list_ or forget):
            raise typer.BadParameter("give a query, such as label:crack, or --list")
        return
    if measure:
        _measure(opened)
    _search(opened, " ".join(query), as_json, most, save)


def _search(project: ProjectFolder, query: str, as_json: bool, most: int, save: str | None) -> None:
    refs, state, found = find_items(project, query, limit=most)
    if save is not None:
        _save(project, save.removeprefix("@"), query)
    scores = found.scores.tolist() if found.scores is not None else [None] * len(found.rows)
    rows = [
        _result_dict(refs[row], state, score) for row, score in zip(found.rows, scores, strict=True)
    ]
    if as_json:
        answer = {"query": query, "total": found.total, "items": rows}
        print_json(answer | ({"notes": list(found.notes)} if found.notes else {}))
        return
    for row in rows:
        typer.echo(make_printable(row["ref"]))
    if found.total > len(rows):
        typer.echo(f"{len(rows):,} of {found.total:,}; -n {found.total} prints all", err=True)
    elif not rows:
        typer.echo(f"No item matches {make_printable(query)!r}.", err=True)
    for note in found.notes:
        typer.echo(note, err=True)


def find_items(
    project: ProjectFolder, query: str, *, limit: int | None = None
) -> tuple[RefTable, LogState, SearchResults]:
    """Return the items, the state of the log, and what a query finds."""
    from annotator.log.store.open import load_log_state
    from annotator.project.item_pool import load_refs

    refs, state = load_refs(project), load_log_state(project)
    searcher = open_searcher(project, refs, query)
    return refs, state, searcher.find(query, state, limit=limit, classes=project.settings.names)


def open_searcher(project: ProjectFolder, refs: RefTable, query: str) -> Searcher:
    """Return a searcher; it has features if the query needs them."""
    from annotator.curate.query import parse_query, uses_features
    from annotator.curate.search import Searcher
    from annotator.features.store import FeatureStore
    from annotator.project.saved_searches import read_searches
    from annotator.session.pool_features import PoolFeatures

    features = None
    if uses_features(parse_query(query, read_searches(project))) and project.has_features:
        store = FeatureStore.open(project.features_folder)
        features = PoolFeatures(store, refs, store.available())
    return Searcher(refs, features, project=project)


def choose_items(project: ProjectFolder, query: str) -> NDArray[np.bool_]:
    """Return which items match the query of `--only`, (n,); print what is unknown about others.

    Raises `QueryError` if no item matches.
    """
    import numpy as np

    refs, _, found = find_items(project, query)
    if not found.total:
        notes = "".join(f"\n{note}" for note in found.notes)
        raise QueryError(f"No item matches --only {shell_quoted(query)}.{notes}")
    for note in found.notes:
        typer.echo(note, err=True)
    mask = np.zeros(len(refs), bool)
    mask[found.rows] = True
    return mask


def choose_part(project: ProjectFolder, query: str | None) -> PoolPart | None:
    """Return the part of the pool that `--only` names; None without it."""
    if query is None:
        return None
    from annotator.tui.launch import PoolPart

    return PoolPart(choose_items(project, query), make_printable(query))


def _save(project: ProjectFolder, name: str, query: str) -> None:
    from annotator.curate.query import SAVED_NAME, parse_query
    from annotator.project.saved_searches import read_searches, save_search

    if not SAVED_NAME.fullmatch(name):
        raise typer.BadParameter(
            f"{make_printable(name)!r} has other signs than letters, digits, - and _",
            param_hint="--save",
        )
    parse_query(query, {**read_searches(project), name: query})  # no search may name itself
    replaced = save_search(project, name, query)
    word = "saved in place of the one before" if replaced else "saved"
    where = shell_quoted(project.folder)
    typer.echo(f"@{name} {word}. Label its items: annotator run {where} --only @{name}", err=True)


def _print_saved(project: ProjectFolder, as_json: bool) -> None:
    from annotator.project.saved_searches import read_searches

    found = read_searches(project)
    if as_json:
        print_json(found)
        return
    for name, query in found.items():
        typer.echo(make_printable(f"@{name}  {query}"))
    if not found:
        typer.echo(
            "No search is saved. Save one: annotator search PROJECT QUERY --save NAME", err=True
        )


def _measure(project: ProjectFolder) -> None:
    """Measure the items that were not measured yet."""
    import numpy as np

    from annotator.cli.progress_output import open_progress_output, with_rate
    from annotator.images import ImageFolder
    from annotator.images.measures import measure_items, measures_file
    from annotator.project.item_pool import load_refs

    refs = load_refs(project)
    images = ImageFolder(project.images.resolve(), project.settings.max_pixels)
    with open_progress_output("auto", "measure") as show:
        found = measure_items(
            images, measures_file(project.folder), refs, np.arange(len(refs)),
            progress=with_rate(show),
        )  # fmt: skip
    broken = int(np.isnan(found.size).sum())
    faulty = f"; {plural(broken, 'image')} cannot be read" if broken else ""
    typer.echo(f"{plural(len(refs), 'item')} measured{faulty}", err=True)


def _result_dict(ref: str, state: LogState, score: float | None) -> dict[str, Any]:
    decision = state.decision(ref)
    found = {
        "ref": ref,
        "label": state.label(ref),
        "state": "open" if decision is None else "labelled" if decision.label else "skipped",
        "flagged": ref in state.flagged,
    }
    return found if score is None else {**found, "score": round(score, 4)}


COMMANDS = {"search": search}
"""The functions that this module adds to the command line."""
