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

from annotator.cli.labelling import Graphics
from annotator.errors import ProjectError
from annotator.items.refs import printable

if TYPE_CHECKING:
    from annotator.hits.assignments import Assignment, Checks
    from annotator.hits.sets import HitSet
    from annotator.project.project import Project

HELP = "Give out pages of images as tasks, and see who did them and how well."
ProjectPath = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder.")]
Name = Annotated[
    str | None, typer.Option("--name", help="Which set of HITs, where there are several.")
]
Worker = Annotated[
    str, typer.Option("--worker", help="Who works; only a salted hash of it is written down.")
]
External = Annotated[
    str, typer.Option("--assignment", help="The id that whoever sent the worker knows it by.")
]
HitId = Annotated[str, typer.Option("--hit", help="This HIT, and no other.")]
Named = Annotated[
    bool, typer.Option("--names/--no-names", help="Write the worker's name as it is.")
]


def make(
    project: ProjectPath,
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
    from annotator.hits.make import Recipe
    from annotator.hits.make import make as draw
    from annotator.hits.sets import save
    from annotator.log.entries import replay
    from annotator.log.store import SqliteStore
    from annotator.project.project import Project

    opened = Project.open(project)
    classes = tuple(info.name for info in parse_classes(class_))
    store = SqliteStore(opened.labels_file)
    recipe = Recipe(
        name, classes, pages, images, gold, hits, workers or None, unique, order, negative, seed
    )
    made = draw(opened, replay(store.entries()), recipe)
    store.close()
    file = save(opened, made)
    count = sum(len(hit.pages) for hit in made.hits)
    shown = sum(len(page.images) for hit in made.hits for page in hit.pages)
    where = printable(str(file))
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
    worker: Worker,
    external: External = "",
    hit: HitId = "",
    name: Name = None,
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
    names: Named = False,
    graphics: Graphics = None,
) -> None:
    """Do a HIT: its pages one after the other, taken up where they were left.

    \b
    annotator hits run p --worker A1B2 --assignment 36DSNE9QZFQKO
    annotator hits run hits.json --worker A1B2 --images photos/ --pointer --no-original
    """
    from dataclasses import replace

    from annotator.cli.project_options import with_given
    from annotator.hits.assignments import Checks
    from annotator.hits.book import Book
    from annotator.hits.labels import annotation_to_labels
    from annotator.hits.work import default_checks
    from annotator.log.store import SqliteStore

    opened, hits = _opened(path, project, images, name)
    store = SqliteStore(opened.labels_file)
    annotation_to_labels(opened, store, _now())
    one = Book(store, _now).assign(hits, _worker(opened, worker, names), external, hit, names)
    store.close()
    usual = default_checks(hits).min_seconds
    checks = Checks(usual if min_seconds is None else min_seconds, unseen_check)
    version = f"{'' if pointer else 'NO_'}POINTER_{'' if original else 'NO_'}ORIGINAL"
    opened = replace(opened, settings=with_given(opened.settings, graphics=graphics))
    _work(opened, hits, one, version, checks)


def _work(project: Project, hits: HitSet, one: Assignment, version: str, checks: Checks) -> None:
    """Open the pages, and say what came of them."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ProjectError("a HIT needs a terminal; over ssh give a command with `ssh -t`")
    from annotator.tui.launch import run as run_app
    from annotator.tui.pages.open import opening

    codes: list[str] = []
    receipt = run_app(
        project, annotator=one.worker, graphics=project.settings.graphics, features=False,
        opening=opening(hits, one.id, version, checks, codes),
    )  # fmt: skip
    if codes:
        typer.echo(f"HIT completed. Your completion code is {codes[0]}", err=True)
    else:
        typer.echo(
            "all is saved; the same command goes on where you left, selections included", err=True
        )
    if receipt.code:
        raise typer.Exit(receipt.code)


def _opened(
    path: Path, folder: Path | None, images: Path | None, name: str | None
) -> tuple[Project, HitSet]:
    from annotator.hits.opening import beside, open_file
    from annotator.hits.sets import chosen
    from annotator.project.project import Project

    if path.is_dir():
        if folder is not None or images is not None:
            raise typer.BadParameter("goes with a file of HITs", param_hint="--project, --images")
        opened = Project.open(path)
        return opened, chosen(opened, name)
    return open_file(path, folder or beside(path), images)


def assign(
    project: ProjectPath,
    worker: Worker,
    name: Name = None,
    hit: HitId = "",
    external: External = "",
    names: Named = False,
) -> None:
    """Give a worker a HIT before they come; prints its id.

    \b
    annotator hits assign p --worker A1B2 --assignment 36DSNE9QZFQKO
    """
    from annotator.hits.book import Book
    from annotator.hits.sets import chosen
    from annotator.log.store import SqliteStore
    from annotator.project.project import Project

    opened = Project.open(project)
    store = SqliteStore(opened.labels_file)
    book = Book(store, _now)
    one = book.assign(chosen(opened, name), _worker(opened, worker, names), external, hit, names)
    store.close()
    typer.echo(one.hit)


def status(
    project: ProjectPath,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how far the HITs are, who did them, their completion codes and gold scores.

    \b
    annotator hits status p
    annotator hits status p --json | jq .
    """
    from annotator.hits.labels import annotation_to_labels
    from annotator.hits.scores import as_text
    from annotator.hits.scores import status as figures
    from annotator.log.store import SqliteStore
    from annotator.project.project import Project

    opened = Project.open(project)
    store = SqliteStore(opened.labels_file)
    annotation_to_labels(opened, store, _now())
    found = figures(opened, store)
    store.close()
    typer.echo(json.dumps(found, ensure_ascii=False, indent=1) if as_json else as_text(found))


def _now() -> int:
    return time.time_ns() // 1_000_000


def _worker(project: Project, name: str, named: bool) -> str:
    from annotator.hits.workers import worker_id

    if not name.strip():
        raise ProjectError("a worker needs a name: --worker NAME")
    return name if named else worker_id(project, name)


COMMANDS: dict[str, Callable[..., None]] = {
    "make": make,
    "run": run,
    "assign": assign,
    "status": status,
}
