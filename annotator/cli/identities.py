"""identities: the review of clusters as identities, and who is where as JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.labelling import Annotator, Graphics, Theme
from annotator.cli.model_runs import told
from annotator.errors import ProjectError
from annotator.items.refs import printable, typed

if TYPE_CHECKING:
    from annotator.project.project import Project
    from annotator.tui.app import Labeller


def identities(
    folder: Annotated[Path, typer.Argument(metavar="PROJECT", help="Of faces, or of clusters.")],
    export: Annotated[
        Path | None,
        typer.Option(help="Write frames and clusters as JSON here (- for standard output)."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the file if it is there.")] = False,
    word: Annotated[str, typer.Option(help="Identities without a name are called so.")] = "person",
    again: Annotated[
        bool, typer.Option("--again", help="Show what is labelled already once more.")
    ] = False,
    annotator: Annotator = None,
    graphics: Graphics = None,
    theme: Theme = None,
) -> None:
    """Put identities right, page by page: confirm, name, merge, divide, move out, noise.

    \b
    annotator identities photos.faces
    annotator identities photos.faces --export people.json
    """
    from annotator.project.project import Project

    project = Project.open(folder)
    if export is not None:
        _export(project, export, overwrite)
    else:
        given = {"annotator": annotator, "graphics": graphics, "theme": theme}
        _review(project, given, word, again)


def _review(project: Project, given: dict[str, str | None], word: str, again: bool) -> None:
    import getpass
    from dataclasses import replace

    from annotator.cli.project_options import with_given
    from annotator.project.clusters import FILE

    name = printable(str(project.folder))
    if not (project.folder / FILE).is_file():
        raise ProjectError(
            f"{name} has no clusters: make them with `annotator faces IMAGES` "
            f"or `annotator cluster {typed(project.folder)}`"
        )
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ProjectError("pages need a terminal; over ssh give a command with `ssh -t`")
    settings = with_given(project.settings, **given)
    project = replace(project, settings=settings)
    from annotator.proposals.faces import loose_faces
    from annotator.tui.launch import run

    loose = loose_faces(project)

    def opening(app: Labeller) -> None:
        # Not before: Textual reads the environment that the terminal's answers decide.
        from annotator.tui.pages.open import open_identities

        open_identities(app, loose, word=word, again=again)

    receipt = run(
        project, annotator=settings.annotator or getpass.getuser(),
        graphics=settings.graphics, features=False, opening=opening,
    )  # fmt: skip
    typer.echo(str(receipt), err=True)
    if receipt.code:
        raise typer.Exit(receipt.code)


def _export(project: Project, file: Path, overwrite: bool) -> None:
    import json

    from annotator.log.entries import replay
    from annotator.log.store import SqliteStore
    from annotator.proposals.faces import document, faces_of, write_document

    if not len(faces_of(project)):
        name = printable(str(project.folder))
        command = f"annotator export {typed(project.folder)}"
        raise ProjectError(f"{name} has no faces; its labels go out with `{command}`")
    store = SqliteStore(project.labels_file)
    try:
        left_out: list[str] = []
        found = document(project, replay(store.entries()), 0.0, left_out.append)
    finally:
        store.close()
    for line in told(left_out):
        typer.echo(line, err=True)
    if str(file) == "-":
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    if file.exists() and not overwrite:
        raise ProjectError(
            f"{printable(str(file))} is there already; give --overwrite to replace it"
        )
    write_document(file, found)


COMMANDS = {"identities": identities}
"""What this module adds to the command line."""
