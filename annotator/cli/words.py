"""The command words: what the names of the classes say of the items, before any label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.progress_output import (
    catch_stop_signals,
    exit_with_parent,
    open_progress_output,
)
from annotator.cli.project_options import JsonOption, ProjectArgument, print_json
from annotator.items.refs import make_printable, plural, shell_quoted

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder
    from annotator.session.class_text import TextReport


def words(
    project: ProjectArgument,
    model: Annotated[
        str | None,
        typer.Option(
            envvar="ANNOTATOR_WORDS_MODEL",
            help="A network for pictures and text: siglip2-base, a Hugging Face id, or a local "
            "folder. Default: that of the features, or of the last run.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    limit: Annotated[
        int,
        typer.Option(
            min=2, help="The most images to look at, if the features are another model's."
        ),
    ] = 2_000,
    as_json: JsonOption = False,
    progress: Annotated[str, typer.Option(help="auto, none or json.", hidden=True)] = "auto",
) -> None:
    """Read the names of the classes, so that the model starts from them, without a label.

    Names, synonyms and descriptions of the classes are given to a network for pictures and text.
    The first pages, the search for a rare class and the predictions follow what it says, until
    labels speak for themselves. `run --zero-shot off` does without.

    \b
    annotator words p
    annotator words p --model siglip2-base
    annotator words p --json
    """
    if progress == "json":
        exit_with_parent()
    from annotator.features.paired import PairedTowers
    from annotator.features.store import FeatureStore
    from annotator.project.project import ProjectFolder
    from annotator.session.class_text import compute_class_texts, require_text_model

    opened = ProjectFolder.open(project)
    store = FeatureStore.open(opened.features_folder)
    network = PairedTowers(require_text_model(opened, store, model), device=device)
    shown = "none" if as_json else progress
    with open_progress_output(shown, network.name) as show, catch_stop_signals() as stop:
        found = compute_class_texts(
            opened, store, network, limit=limit, progress=show, stop=stop
        )  # fmt: skip
    if found is None:
        typer.echo("Stopped. Run the same command to resume.", err=True)
        raise typer.Exit(130)
    if as_json:
        print_json(_as_dict(found))
    elif progress != "json":
        _print_report(opened, found)


def _as_dict(found: TextReport) -> dict[str, object]:
    classes = [
        {"name": one.name, "prompts": list(one.prompts), "share": round(one.share, 4)}
        for one in found.classes
    ]
    return {"model": found.model, "items": found.items, "classes": classes}


def _print_report(project: ProjectFolder, found: TextReport) -> None:
    """Print the classes with their share of the items, from the names alone."""
    width = max(len(make_printable(one.name)) for one in found.classes)
    for one in found.classes:
        prompts = plural(len(one.prompts), "prompt")
        typer.echo(f"{make_printable(one.name):{width}}  {one.share:>6.1%}  {prompts}")
    typer.echo(
        f"Shares of {plural(found.items, 'item')} from the names alone, by "
        f"{make_printable(found.model)}. The model starts from them: "
        f"annotator run {shell_quoted(project.folder)}",
        err=True,
    )


COMMANDS = {"words": words}
