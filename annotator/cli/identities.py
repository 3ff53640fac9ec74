"""The identities command: a review of clusters as persons, and their export as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.attach import command_again
from annotator.cli.model_runs import format_left_out, print_message
from annotator.cli.project_options import (
    AnnotatorOption,
    GraphicsOption,
    ThemeOption,
    require_terminal,
)
from annotator.errors import ProjectError
from annotator.items.json_text import to_json_text
from annotator.items.refs import make_printable, shell_quoted

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder
    from annotator.tui.host import ScreenHost


def identities(
    folder: Annotated[
        Path, typer.Argument(metavar="PROJECT", help="A project with faces or clusters.")
    ],
    export: Annotated[
        Path | None,
        typer.Option(help="Write frames and clusters as JSON to this file (-: standard output)."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the file if it is there.")] = False,
    word: Annotated[str, typer.Option(help="Word for an identity without a name.")] = "person",
    again: Annotated[
        bool, typer.Option("--again", help="Also show items that have a label.")
    ] = False,
    annotator: AnnotatorOption = None,
    graphics: GraphicsOption = None,
    theme: ThemeOption = None,
) -> None:
    """Correct identities page by page: confirm, name, merge, divide, move out, mark as noise.

    \b
    annotator identities photos.faces
    annotator identities photos.faces --export people.json
    """
    from annotator.project.project import ProjectFolder

    project = ProjectFolder.open(folder)
    if export is not None:
        _export_identities(project, export, overwrite)
    else:
        given = {"annotator": annotator, "graphics": graphics, "theme": theme}
        _review_identities(project, given, word, again)


def _review_identities(
    project: ProjectFolder, given: dict[str, str | None], word: str, again: bool
) -> None:
    from dataclasses import replace

    from annotator.cli.project_options import override_settings
    from annotator.project.clusters import CLUSTERS_FILE

    name = make_printable(str(project.folder))
    if not (project.folder / CLUSTERS_FILE).is_file():
        raise ProjectError(
            f"{name} has no clusters. Make them with `annotator faces IMAGES` "
            f"or `annotator cluster {shell_quoted(project.folder)}`."
        )
    require_terminal("This command")
    settings = override_settings(project.settings, **given)
    project = replace(project, settings=settings)
    from annotator.proposals.identities import find_unclustered_faces, open_face_groups
    from annotator.tui.launch import run_label_app

    loose, faces = find_unclustered_faces(project), open_face_groups(project)

    def opening(host: ScreenHost) -> None:
        # Not before: Textual reads the environment that the terminal's answers decide.
        from annotator.tui.pages.open import open_identities

        open_identities(host, loose, word=word, again=again, faces=faces)

    receipt = run_label_app(
        project, annotator=settings.annotator_name(),
        graphics=settings.graphics, features=False, opening=opening,
        again=command_again(),
    )  # fmt: skip
    typer.echo(str(receipt), err=True)
    if receipt.code:
        raise typer.Exit(receipt.code)


def _export_identities(project: ProjectFolder, file: Path, overwrite: bool) -> None:

    from annotator.proposals.faces import load_faces_document, read_faces, write_faces_document

    if not len(read_faces(project)):
        name = make_printable(str(project.folder))
        command = f"annotator export {shell_quoted(project.folder)}"
        raise ProjectError(f"{name} has no faces. `{command}` exports its labels.")
    document, faults = load_faces_document(project)
    for line in format_left_out(faults):
        print_message(line)
    if str(file) == "-":
        typer.echo(to_json_text(document))
        return
    if file.exists() and not overwrite:
        raise ProjectError(
            f"{make_printable(str(file))} exists already. Replace it with --overwrite."
        )
    write_faces_document(file, document)


COMMANDS = {"identities": identities}
"""The functions that this module adds to the command line."""
