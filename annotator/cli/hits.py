"""The commands of `hits`: tasks of a few pages for workers, with known answers among them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.attach import command_again
from annotator.cli.option_types import complete_names
from annotator.cli.project_options import (
    GraphicsOption,
    JsonOption,
    ProjectArgument,
    print_json,
    require_terminal,
)
from annotator.errors import ProjectError
from annotator.items.refs import make_printable, plural, shell_quoted

if TYPE_CHECKING:
    from annotator.hits.assignments import Assignment, SubmitChecks
    from annotator.hits.model import HitSet
    from annotator.project.project import ProjectFolder

HELP = "Give pages of images to workers as tasks (HITs), and see their progress and scores."
NameOption = Annotated[
    str | None, typer.Option("--name", help="The set of HITs; needed if there are several.")
]
WorkerOption = Annotated[
    str, typer.Option("--worker", help="The worker's name; only a salted hash of it is stored.")
]
AssignmentOption = Annotated[
    str,
    typer.Option("--assignment", help="The assignment's id on the platform that sent the worker."),
]
HitOption = Annotated[
    str, typer.Option("--hit", help="The id of the HIT. Default: the next free one.")
]
NamesOption = Annotated[
    bool, typer.Option("--names/--no-names", help="Store the worker's name itself, not a hash.")
]


def make(
    project: ProjectArgument,
    class_: Annotated[
        str, typer.Option("--class", help="The class to select; several separated by commas.")
    ],
    name: Annotated[str, typer.Option(help="The name of the set.")] = "hits",
    pages: Annotated[int, typer.Option(min=1, help="Pages per HIT.")] = 10,
    images: Annotated[int, typer.Option(min=1, help="Images per page.")] = 48,
    gold: Annotated[
        int,
        typer.Option(
            min=0, help="Known positives on each page, and the same number of known negatives."
        ),
    ] = 2,
    hits: Annotated[
        int | None,
        typer.Option(min=1, help="The largest number of HITs. Default: until candidates run out."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Workers per HIT; 0 for any number.")] = 1,
    unique: Annotated[bool, typer.Option(help="Give each worker only one HIT.")] = True,
    order: Annotated[
        str,
        typer.Option(
            help="Candidates: random, or likely (predicted as the class).",
            autocompletion=complete_names("annotator.hits.make:ORDERS"),
        ),
    ] = "random",
    negative: Annotated[
        str | None,
        typer.Option(
            help="The class of images not selected. Default with two classes: the other one."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed of all random draws.")] = 0,
) -> None:
    """Draw HITs from unlabelled items, with known answers among them.

    \b
    annotator hits make p --class crack
    annotator hits make p --class rose,tulip --order likely --gold 3 --name flowers-2
    """
    from annotator.cli.project_options import parse_classes
    from annotator.hits.files import save_hit_set
    from annotator.hits.make import HitRecipe
    from annotator.hits.make import make_hits as draw
    from annotator.log.entries import replay
    from annotator.log.store.open import open_store
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    classes = tuple(info.name for info in parse_classes(class_))
    store = open_store(opened)
    recipe = HitRecipe(
        name, classes, pages, images, gold, hits, workers or None, unique, order, negative, seed
    )
    made = draw(opened, replay(store.entries()), recipe)
    store.close()
    file = save_hit_set(opened, made)
    count = sum(len(hit.pages) for hit in made.hits)
    shown = sum(len(page.images) for hit in made.hits for page in hit.pages)
    where = make_printable(str(file))
    typer.echo(
        f"{plural(len(made.hits), 'HIT')} of {plural(count, 'page')} and "
        f"{plural(shown, 'image')} in all: {where}\n{_describe_gold(opened, file, gold)}"
        f"next: annotator hits run {shell_quoted(project)} --worker NAME",
        err=True,
    )


def _describe_gold(project: ProjectFolder, file: Path, gold: int) -> str:
    from annotator.hits.files import gold_file

    if not gold:
        return ""
    return (
        f"gold answers: {make_printable(str(gold_file(file)))}, which only your account may read. "
        f"A worker's account can still read the labels of {project.labels_file.name}, which it "
        "writes to: for workers with accounts of their own, make HITs from a project without the "
        "gold items' labels (docs/hits.md).\n"
    )


def run(
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE|PROJECT", help="HITs (.json, .jsonl, .csv), or a project."),
    ],
    worker: WorkerOption,
    external: AssignmentOption = "",
    hit: HitOption = "",
    name: NameOption = None,
    project: Annotated[
        Path | None, typer.Option(help="The project folder of a file. Default: FILE.annotator.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="The folder of a file's images. Default: the file's folder.")
    ] = None,
    pointer: Annotated[
        bool, typer.Option(help="Draw a red dot at the pointer and at each selection.")
    ] = False,
    original: Annotated[
        bool,
        typer.Option(help="Show the original images, or blur them until the pointer is on them."),
    ] = True,
    min_seconds: Annotated[
        float | None,
        typer.Option(
            min=0, help="The shortest time on a page. Default: 0.2 per image; 0 for no check."
        ),
    ] = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Leave out a file's images that are not there.")
    ] = False,
    unseen_check: Annotated[
        bool, typer.Option(help="Refuse to submit a page before all its images were looked at.")
    ] = True,
    names: NamesOption = False,
    graphics: GraphicsOption = None,
) -> None:
    """Do a HIT: its pages one after the other. Run it again to resume.

    \b
    annotator hits run p --worker A1B2 --assignment 36DSNE9QZFQKO
    annotator hits run hits.json --worker A1B2 --images photos/ --pointer --no-original
    """
    from dataclasses import replace

    from annotator.cli.project_options import override_settings
    from annotator.hits.assignments import Assignments, SubmitChecks
    from annotator.hits.work import default_checks, write_missing_labels
    from annotator.log.store.open import open_store

    opened, hits = _open_hits(path, project, images, name, skip_missing)
    store = open_store(opened)
    write_missing_labels(opened, store, _now_ms())
    assignment = Assignments(store, _now_ms).assign(
        hits, _worker_name(opened, worker, names), external, hit, names
    )
    store.close()
    usual = default_checks(hits).min_seconds
    checks = SubmitChecks(usual if min_seconds is None else min_seconds, unseen_check)
    version = f"{'' if pointer else 'NO_'}POINTER_{'' if original else 'NO_'}ORIGINAL"
    opened = replace(opened, settings=override_settings(opened.settings, graphics=graphics))
    _run_hit(opened, hits, assignment, version, checks)


def _run_hit(
    project: ProjectFolder, hits: HitSet, assignment: Assignment, version: str, checks: SubmitChecks
) -> None:
    """Open the pages of an assignment, and print the completion code."""
    require_terminal("A HIT")
    from annotator.tui.launch import run_label_app
    from annotator.tui.pages.open import hit_opener

    codes: list[str] = []
    receipt = run_label_app(
        project, annotator=assignment.worker, graphics=project.settings.graphics, features=False,
        opening=hit_opener(hits, assignment.id, version, checks, codes), again=command_again(),
    )  # fmt: skip
    if codes:
        typer.echo(f"HIT completed. Your completion code is {codes[0]}", err=True)
    else:
        typer.echo(
            "Everything is saved, also selections. Run the same command to resume.", err=True
        )
    if receipt.code:
        raise typer.Exit(receipt.code)


def _open_hits(
    path: Path, folder: Path | None, images: Path | None, name: str | None, skip_missing: bool
) -> tuple[ProjectFolder, HitSet]:
    from annotator.hits.files import select_hit_set
    from annotator.hits.opening import hits_project_folder, open_hits_file
    from annotator.project.project import ProjectFolder

    if path.is_dir():
        if folder is not None or images is not None:
            raise typer.BadParameter("needs a file of HITs", param_hint="--project, --images")
        opened = ProjectFolder.open(path)
        return opened, select_hit_set(opened, name)
    missing: list[str] = []
    found = open_hits_file(
        path, folder or hits_project_folder(path), images, missing if skip_missing else None
    )
    if missing:
        typer.echo(f"left out: {plural(len(missing), 'image')} not there", err=True)
    return found


def assign(
    project: ProjectArgument,
    worker: WorkerOption,
    name: NameOption = None,
    hit: HitOption = "",
    external: AssignmentOption = "",
    names: NamesOption = False,
) -> None:
    """Assign a HIT to a worker in advance, and print its id.

    \b
    annotator hits assign p --worker A1B2 --assignment 36DSNE9QZFQKO
    """
    from annotator.hits.assignments import Assignments
    from annotator.hits.files import select_hit_set
    from annotator.log.store.open import open_store
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    store = open_store(opened)
    assignment = Assignments(store, _now_ms).assign(
        select_hit_set(opened, name), _worker_name(opened, worker, names), external, hit, names
    )
    store.close()
    typer.echo(assignment.hit)


def status(
    project: ProjectArgument,
    as_json: JsonOption = False,
) -> None:
    """Show the progress of the HITs: workers, completion codes and gold scores.

    \b
    annotator hits status p
    annotator hits status p --json | jq .
    """
    from annotator.hits.scores import format_hits_status
    from annotator.hits.scores import hits_status as figures
    from annotator.hits.work import write_missing_labels
    from annotator.log.store.open import open_store
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    store = open_store(opened)
    write_missing_labels(opened, store, _now_ms())
    found = figures(opened, store)
    store.close()
    if as_json:
        print_json(found)
    else:
        typer.echo(format_hits_status(found))


def list_decisions(
    project: ProjectArgument,
    min_gold: Annotated[
        float, typer.Option(min=0, max=1, help="Least share of right gold answers to approve.")
    ] = 0.75,
    as_json: JsonOption = False,
) -> None:
    """Print the completed assignments of Mechanical Turk to approve and to reject, as CSV.

    Upload the file in the requester's website, in place of its results.

    \b
    annotator hits decide p --min-gold 0.8 > decisions.csv
    """
    from annotator.hits.scores import Decision, decide_assignments
    from annotator.items.text_files import csv_bytes
    from annotator.log.store.open import open_store
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    store = open_store(opened)
    decisions, others = decide_assignments(opened, store, min_gold)
    store.close()
    if as_json:
        print_json([decision._asdict() for decision in decisions])
    else:
        typer.echo(csv_bytes(Decision._fields, decisions).decode(), nl=False)
    approved = sum(bool(decision.Approve) for decision in decisions)
    typer.echo(
        f"approve: {approved:,}; reject: {len(decisions) - approved:,}; completed without an id "
        f"of the platform (--assignment): {others:,}",
        err=True,
    )


def replay(
    project: ProjectArgument,
    worker: Annotated[str, typer.Option(help="Only this worker's pages: a name, or an id.")] = "",
    hit: Annotated[str, typer.Option(help="Only pages of this HIT.")] = "",
    speed: Annotated[
        float, typer.Option(min=0.1, max=100, help="Speed of the replay; 1 is that of the worker.")
    ] = 4.0,
    graphics: GraphicsOption = None,
) -> None:
    """Show a worker's pointer and selections over the pages, as they were.

    \b
    annotator hits replay p --worker A1B2C3 --speed 8
    """
    from dataclasses import replace

    from annotator.cli.project_options import override_settings
    from annotator.hits.replay import find_replays
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    replays = find_replays(opened, worker, hit)
    require_terminal("A replay")
    from annotator.tui.launch import run_label_app
    from annotator.tui.pages.open import replay_opener

    opened = replace(opened, settings=override_settings(opened.settings, graphics=graphics))
    receipt = run_label_app(
        opened, annotator=opened.settings.annotator_name(), graphics=opened.settings.graphics,
        features=False, opening=replay_opener(replays, speed),
    )  # fmt: skip
    if receipt.code:
        raise typer.Exit(receipt.code)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _worker_name(project: ProjectFolder, name: str, keep_name: bool) -> str:
    from annotator.hits.assignments import worker_id

    if not name.strip():
        raise ProjectError("The worker has no name. Give one: --worker NAME")
    return name if keep_name else worker_id(project, name)


GROUP: dict[str, Callable[..., None]] = {
    "make": make,
    "run": run,
    "assign": assign,
    "status": status,
    "decide": list_decisions,
    "replay": replay,
}
