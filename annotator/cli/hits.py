"""hits: tasks of a few pages for annotators, with known items among them, and what came of them."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.project_options import GraphicsOption, JsonOption, ProjectArgument
from annotator.errors import ProjectError
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from annotator.hits.assignments import Assignment, SubmitChecks
    from annotator.hits.files import HitSet
    from annotator.project.project import ProjectFolder

HELP = "Give out pages of images as tasks, and see who did them and how well."
NameOption = Annotated[
    str | None, typer.Option("--name", help="Which set of HITs, where there are several.")
]
WorkerOption = Annotated[
    str, typer.Option("--worker", help="Who works; only a salted hash of it is written down.")
]
AssignmentOption = Annotated[
    str, typer.Option("--assignment", help="The id that whoever sent the worker knows it by.")
]
HitOption = Annotated[str, typer.Option("--hit", help="This HIT, and no other.")]
NamesOption = Annotated[
    bool, typer.Option("--names/--no-names", help="Write the worker's name as it is.")
]


def make(
    project: ProjectArgument,
    class_: Annotated[
        str, typer.Option("--class", help="What is asked for; several separated by commas.")
    ],
    name: Annotated[str, typer.Option(help="Names the set.")] = "hits",
    pages: Annotated[int, typer.Option(min=1, help="Pages of a HIT.")] = 10,
    images: Annotated[int, typer.Option(min=1, help="Images of a page.")] = 48,
    gold: Annotated[
        int, typer.Option(min=0, help="Known positives on each page, and as many known negatives.")
    ] = 2,
    hits: Annotated[
        int | None, typer.Option(min=1, help="At most so many [as there are candidates for].")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Workers of each HIT; 0 for any number.")] = 1,
    unique: Annotated[bool, typer.Option(help="A worker does one HIT, no more.")] = True,
    order: Annotated[
        str, typer.Option(help="Candidates: random, or likely (what the model takes for it).")
    ] = "random",
    negative: Annotated[
        str | None,
        typer.Option(help="Label what is not selected as this class [of two, the other]."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Makes every draw repeatable.")] = 0,
) -> None:
    """Draw HITs from what nobody has labelled, with known items among them.

    \b
    annotator hits make p --class crack
    annotator hits make p --class rose,tulip --order likely --gold 3 --name flowers-2
    """
    from annotator.cli.project_options import parse_classes
    from annotator.hits.files import save_hit_set
    from annotator.hits.make import HitRecipe
    from annotator.hits.make import make_hits as draw
    from annotator.log.entries import replay
    from annotator.log.store import SqliteStore
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    classes = tuple(info.name for info in parse_classes(class_))
    store = SqliteStore(opened.labels_file)
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
        f"{len(made.hits)} HITs of {count} pages and {shown} images in all: {where}\n"
        f"next: annotator hits run {shlex.quote(str(project))} --worker NAME",
        err=True,
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
        Path | None, typer.Option(help="Where the project of a file goes [FILE.annotator].")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="The folder of a file's images [the file's own].")
    ] = None,
    pointer: Annotated[
        bool, typer.Option(help="A red dot at the pointer, left where an image was selected.")
    ] = False,
    original: Annotated[
        bool, typer.Option(help="Images as they are, or blurred until they are looked at.")
    ] = True,
    min_seconds: Annotated[
        float | None,
        typer.Option(min=0, help="Least time on a page [0.2 an image]; 0 turns the check off."),
    ] = None,
    unseen_check: Annotated[
        bool, typer.Option(help="Submit a page only when all of it was looked at.")
    ] = True,
    names: NamesOption = False,
    graphics: GraphicsOption = None,
) -> None:
    """Do a HIT: its pages one after the other, taken up where they were left.

    \b
    annotator hits run p --worker A1B2 --assignment 36DSNE9QZFQKO
    annotator hits run hits.json --worker A1B2 --images photos/ --pointer --no-original
    """
    from dataclasses import replace

    from annotator.cli.project_options import override_settings
    from annotator.hits.assignments import Assignments, SubmitChecks
    from annotator.hits.work import default_checks, write_missing_labels
    from annotator.log.store import SqliteStore

    opened, hits = _open_hits(path, project, images, name)
    store = SqliteStore(opened.labels_file)
    write_missing_labels(opened, store, _now_ms())
    one = Assignments(store, _now_ms).assign(
        hits, _worker_name(opened, worker, names), external, hit, names
    )
    store.close()
    usual = default_checks(hits).min_seconds
    checks = SubmitChecks(usual if min_seconds is None else min_seconds, unseen_check)
    version = f"{'' if pointer else 'NO_'}POINTER_{'' if original else 'NO_'}ORIGINAL"
    opened = replace(opened, settings=override_settings(opened.settings, graphics=graphics))
    _run_hit(opened, hits, one, version, checks)


def _run_hit(
    project: ProjectFolder, hits: HitSet, assignment: Assignment, version: str, checks: SubmitChecks
) -> None:
    """Open the pages, and say what came of them."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ProjectError("a HIT needs a terminal; over ssh give a command with `ssh -t`")
    from annotator.tui.launch import run_label_app
    from annotator.tui.pages.open import hit_opener

    codes: list[str] = []
    receipt = run_label_app(
        project, annotator=assignment.worker, graphics=project.settings.graphics, features=False,
        opening=hit_opener(hits, assignment.id, version, checks, codes),
    )  # fmt: skip
    if codes:
        typer.echo(f"HIT completed. Your completion code is {codes[0]}", err=True)
    else:
        typer.echo(
            "all is saved; the same command goes on where you left, selections included", err=True
        )
    if receipt.code:
        raise typer.Exit(receipt.code)


def _open_hits(
    path: Path, folder: Path | None, images: Path | None, name: str | None
) -> tuple[ProjectFolder, HitSet]:
    from annotator.hits.files import select_hit_set
    from annotator.hits.opening import hits_project_folder, open_hits_file
    from annotator.project.project import ProjectFolder

    if path.is_dir():
        if folder is not None or images is not None:
            raise typer.BadParameter("goes with a file of HITs", param_hint="--project, --images")
        opened = ProjectFolder.open(path)
        return opened, select_hit_set(opened, name)
    return open_hits_file(path, folder or hits_project_folder(path), images)


def assign(
    project: ProjectArgument,
    worker: WorkerOption,
    name: NameOption = None,
    hit: HitOption = "",
    external: AssignmentOption = "",
    names: NamesOption = False,
) -> None:
    """Give a worker a HIT before they come; prints its id.

    \b
    annotator hits assign p --worker A1B2 --assignment 36DSNE9QZFQKO
    """
    from annotator.hits.assignments import Assignments
    from annotator.hits.files import select_hit_set
    from annotator.log.store import SqliteStore
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    store = SqliteStore(opened.labels_file)
    book = Assignments(store, _now_ms)
    one = book.assign(
        select_hit_set(opened, name), _worker_name(opened, worker, names), external, hit, names
    )
    store.close()
    typer.echo(one.hit)


def status(
    project: ProjectArgument,
    as_json: JsonOption = False,
) -> None:
    """Say how far the HITs are, who did them, their completion codes and gold scores.

    \b
    annotator hits status p
    annotator hits status p --json | jq .
    """
    from annotator.hits.scores import format_hits_status
    from annotator.hits.scores import hits_status as figures
    from annotator.hits.work import write_missing_labels
    from annotator.log.store import SqliteStore
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    store = SqliteStore(opened.labels_file)
    write_missing_labels(opened, store, _now_ms())
    found = figures(opened, store)
    store.close()
    typer.echo(
        json.dumps(found, ensure_ascii=False, indent=1) if as_json else format_hits_status(found)
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _worker_name(project: ProjectFolder, name: str, keep_name: bool) -> str:
    from annotator.hits.assignments import worker_id

    if not name.strip():
        raise ProjectError("a worker needs a name: --worker NAME")
    return name if keep_name else worker_id(project, name)


COMMANDS: dict[str, Callable[..., None]] = {
    "make": make,
    "run": run,
    "assign": assign,
    "status": status,
}
