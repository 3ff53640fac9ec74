"""The command review: doubtful labels, one after the other, on a screen or as a list."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.option_types import complete_names
from annotator.cli.project_options import (
    AnnotatorOption,
    GraphicsOption,
    ProjectArgument,
    override_settings,
    print_json,
    require_terminal,
)
from annotator.errors import ProjectError
from annotator.items.refs import make_printable, plural, shell_quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from annotator.curate.review_evidence import Evidence
    from annotator.curate.review_queues import ReviewQueues
    from annotator.images.near_duplicates import Fingerprints
    from annotator.items.ref_table import RefTable
    from annotator.log.entries import LogState
    from annotator.project.project import ProjectFolder

_QUICK_ITEMS = 2000
"""Up to this number of labelled items are compared for duplicates without a request."""
_MANY_ITEMS = 5000
"""Comparing more labels than this takes long enough for a message."""


def review(
    project: ProjectArgument,
    queue: Annotated[
        str | None,
        typer.Option(
            help="The queue: gold, disagreements, disputed, duplicates, errors, neighbours, "
            "outliers, overlooked, misplaced, swapped, flagged or skipped. Default: all of them. "
            "unreviewed has every label that no review confirmed.",
            autocompletion=complete_names("annotator.curate.review_case:QUEUES"),
        ),
    ] = None,
    order: Annotated[
        str,
        typer.Option(
            help="The order of likely errors: likely, or ambiguous for those of alike classes "
            "first.",
            autocompletion=complete_names("annotator.curate.review_case:ORDERS"),
        ),
    ] = "likely",
    as_json: Annotated[bool, typer.Option("--json", help="Print the cases as JSON.")] = False,
    as_list: Annotated[
        bool, typer.Option("--list", help="Print the cases, one per line, without a screen.")
    ] = False,
    most: Annotated[
        int | None,
        typer.Option("-n", "--most", min=1, help="The largest number of cases to print per queue."),
    ] = None,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Compare all items for near-duplicates now, and exit.")
    ] = False,
    annotator: AnnotatorOption = None,
    graphics: GraphicsOption = None,
    progress: Annotated[str, typer.Option(help="auto, none or json.", hidden=True)] = "auto",
) -> None:
    """Review doubtful labels: change them with a class key, confirm them with Enter.

    \b
    annotator review p                       all queues, one after the other
    annotator review p --queue errors        likely label errors
    annotator review p --queue errors --order ambiguous
    annotator review p --json -n 20          the cases, for scripts
    annotator review p --prepare             find near-duplicates among all items
    """
    from annotator.curate.review_case import ORDERS, QUEUES
    from annotator.project.item_pool import load_refs
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    if queue is not None and queue not in QUEUES:
        raise typer.BadParameter(f"{queue} is not one of {', '.join(QUEUES)}", param_hint="--queue")
    if order not in ORDERS:
        raise typer.BadParameter(f"{order} is not one of {', '.join(ORDERS)}", param_hint="--order")
    refs = load_refs(opened)
    if prepare:
        _prepare_fingerprints(opened, refs, progress)
        return
    evidence, found = _find_cases(opened, refs, queue, order, progress)
    if queue is not None and queue in found.why_not and not as_json:
        raise ProjectError(f"The queue {queue} cannot be made. {found.why_not[queue]}")
    if as_json or as_list:
        _print_cases(found, evidence, most, as_json)
    else:
        _run_review_screen(opened, found, evidence, queue, annotator, graphics)


def _find_cases(
    project: ProjectFolder, refs: RefTable, queue: str | None, order: str, progress: str
) -> tuple[Evidence, ReviewQueues]:
    """Find the cases, with messages on stderr about slow steps."""
    from annotator.curate.review_case import DOUBTFUL_QUEUES
    from annotator.curate.review_evidence import gather_evidence
    from annotator.curate.review_queues import find_cases
    from annotator.log.entries import replay
    from annotator.log.store.open import open_store

    store = open_store(project)
    state = replay(store.entries())
    prints = _load_fingerprints(project, refs, state, queue, progress)
    if (count := state.counts.total() - state.counts[None]) > _MANY_ITEMS:
        typer.echo(f"comparing {count:,} labels with each other …", err=True)
    evidence = gather_evidence(project, state)
    queues = DOUBTFUL_QUEUES if queue is None else (queue,)
    found = find_cases(project, store, state, evidence, prints, queues, order)
    store.close()
    return evidence, found


def _load_fingerprints(
    project: ProjectFolder, refs: RefTable, state: LogState, queue: str | None, progress: str
) -> Fingerprints:
    """Return the fingerprints of the labelled items; compute them if that is quick or asked for."""
    from annotator.images import near_duplicates

    known = near_duplicates.load_fingerprints(project.fingerprints_file, refs)
    if queue not in (None, "duplicates"):
        return known
    rows = refs.rows([ref for ref in state.standing if state.label(ref) is not None])
    rows = rows[rows >= 0]
    missing = int((known.table["state"][rows] == near_duplicates.UNKNOWN).sum())
    if queue is None and missing > _QUICK_ITEMS:
        folder = shell_quoted(project.folder)
        typer.echo(
            f"duplicates: {missing:,} labelled items have not been compared yet. "
            f"Compare them: annotator review {folder} --queue duplicates",
            err=True,
        )
        return known
    return _compute_fingerprints(project, refs, rows, progress if missing else "none")


def _prepare_fingerprints(project: ProjectFolder, refs: RefTable, progress: str) -> None:
    import numpy as np

    from annotator.cli.progress_output import exit_with_parent
    from annotator.images import near_duplicates

    if progress == "beside":  # a child of the app: low priority, and it ends with the app
        os.nice(15)
        exit_with_parent()
        progress = "none"
    state = _compute_fingerprints(project, refs, np.arange(len(refs)), progress).table["state"]
    broken = int((state == near_duplicates.BROKEN).sum())
    compared = int((state != near_duplicates.UNKNOWN).sum())
    left = f"; {broken:,} cannot be read" if broken else ""
    typer.echo(f"{plural(compared, 'item')} compared{left}", err=True)
    if (state == near_duplicates.UNKNOWN).any():
        raise typer.Exit(130)


def _compute_fingerprints(
    project: ProjectFolder, refs: RefTable, rows: NDArray[np.int64], progress: str
) -> Fingerprints:
    from annotator.cli.progress_output import (
        catch_stop_signals,
        open_progress_output,
        with_rate,
    )
    from annotator.images import ImageFolder, near_duplicates

    images = ImageFolder(project.images, project.settings.max_pixels)
    cache = project.fingerprints_file
    with open_progress_output(progress, "comparing images") as show, catch_stop_signals() as stop:
        return near_duplicates.update_fingerprints(
            images, cache, refs, rows, progress=with_rate(show), stop=stop
        )


def _print_cases(
    cases_by_queue: ReviewQueues, evidence: Evidence, limit: int | None, as_json: bool
) -> None:
    """Print the cases on stdout, and the counts on stderr."""
    from annotator.curate.review_case import QUEUES

    cases = {name: list(some)[:limit] for name, some in cases_by_queue.cases.items()}
    if as_json:
        queues: dict[str, Any] = {
            name: {"count": len(some), "about": QUEUES[name]}
            for name, some in cases_by_queue.cases.items()
        }
        queues |= {
            name: {"count": None, "about": QUEUES[name], "reason": reason}
            for name, reason in cases_by_queue.why_not.items()
        }
        listed = [
            evidence.with_evidence(case).as_dict() for some in cases.values() for case in some
        ]
        print_json({"queues": queues, "cases": listed})
        return
    for some in cases.values():
        for case in some:
            cells = (case.queue, case.ref, case.label or "-", case.suggestion or "-", case.reason)
            typer.echo("\t".join(map(make_printable, cells)))
    for line in _count_lines(cases_by_queue.counts, cases_by_queue.why_not):
        typer.echo(line, err=True)


def _count_lines(counts: dict[str, int], why_not: Any) -> list[str]:
    lines = [f"{count:>7,}  {name}" for name, count in counts.items()]
    return lines + [
        f"      -  {name}: {make_printable(reason)}" for name, reason in why_not.items()
    ]


def _run_review_screen(
    project: ProjectFolder,
    found: ReviewQueues,
    evidence: Evidence,
    queue: str | None,
    annotator: str | None,
    graphics: str | None,
) -> None:
    from dataclasses import replace

    from annotator.tui.launch import run_review_app

    require_terminal("Reviewing without --list or --json")
    settings = override_settings(project.settings, annotator=annotator, graphics=graphics)
    done = run_review_app(
        replace(project, settings=settings), found, evidence, queue=queue,
        annotator=settings.annotator_name(), graphics=settings.graphics,
    )  # fmt: skip
    cases = plural(done.cases, "case")
    typer.echo(f"{cases} decided in {done.seconds:.0f} s; still to review:", err=True)
    for line in _count_lines(done.left, found.why_not):
        typer.echo(line, err=True)
    if done.code:
        raise typer.Exit(done.code)


COMMANDS: dict[str, Callable[..., None]] = {"review": review}
