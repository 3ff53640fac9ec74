"""browse: pages of many crops for one class."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.project_options import (
    AnnotatorOption,
    GraphicsOption,
    ProjectArgument,
    ThemeOption,
)
from annotator.errors import ProjectError
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from annotator.pages import PageRequest
    from annotator.project.project import ProjectFolder
    from annotator.tui.app import LabelApp

LabelOption = Annotated[
    str | None, typer.Option("--class", help="The class that the pages ask about.")
]
SelectOption = Annotated[
    str,
    typer.Option(
        help="What a selection means: positives (the rest is --negative), exceptions (the rest "
        "is the class), positives-only (the rest stays open)."
    ),
]


def browse(
    folder: ProjectArgument,
    label: LabelOption = None,
    select: SelectOption = "",
    negative: Annotated[
        str | None,
        typer.Option(
            help="The class of the rest, or of the exceptions; in a project of two "
            "classes the other one."
        ),
    ] = None,
    order: Annotated[
        str,
        typer.Option(
            help="random, likely, uncertain, needed, similar or clusters; likely where there "
            "is a model, else random. needed: what the model may have wrong, until so little is "
            "left that target_error (0.01) can be met."
        ),
    ] = "",
    like: Annotated[
        str | None, typer.Option(help="The ref that the others are similar to.")
    ] = None,
    per_page: Annotated[
        int, typer.Option(min=1, max=500, help="Items on a page, where the window has room.")
    ] = 48,
    prediction: Annotated[bool, typer.Option(help="Show what the model expects.")] = True,
    annotator: AnnotatorOption = None,
    graphics: GraphicsOption = None,
    theme: ThemeOption = None,
) -> None:
    """Label pages of many crops at once: select by mouse, by letters or by arrows.

    \b
    annotator browse p --class daisy
    annotator browse p --class daisy --select exceptions
    annotator browse p --order needed
    annotator browse p --order clusters
    """
    import getpass

    from annotator.cli.project_options import override_settings
    from annotator.project.project import ProjectFolder

    project = ProjectFolder.open(folder)
    settings = override_settings(
        project.settings, annotator=annotator, graphics=graphics, theme=theme
    )
    wish = build_page_request(project, label, select, negative, order, like, per_page)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ProjectError("pages need a terminal; over ssh give a command with `ssh -t`")
    from dataclasses import replace

    from annotator.tui.launch import run_label_app

    def opening(app: LabelApp) -> None:
        # Not before: Textual reads the environment that the terminal's answers decide.
        from annotator.tui.pages.open import open_first_pages

        open_first_pages(app, wish, prediction=prediction)

    receipt = run_label_app(
        replace(project, settings=settings), annotator=settings.annotator or getpass.getuser(),
        graphics=settings.graphics, opening=opening,
    )  # fmt: skip
    typer.echo(str(receipt), err=True)
    if receipt.code:
        raise typer.Exit(receipt.code)


def build_page_request(
    project: ProjectFolder,
    label: str | None,
    select: str,
    negative: str | None,
    order: str,
    like: str | None,
    per_page: int,
) -> PageRequest:
    """What the flags ask for. Raises `ProjectError` for what does not go together."""
    from annotator.errors import bullet_list
    from annotator.pages import PageOrder, PageRequest, SelectionMode, with_target

    names = project.settings.names
    order = order or ("similar" if like else "")
    problems = [
        f"no {kind} {make_printable(repr(value))}; choose one of {make_printable(', '.join(known))}"
        for kind, value, known in (
            ("class", label, names),
            ("negative class", negative, names),
            ("--select", select or None, tuple(SelectionMode)),
            ("--order", order or None, tuple(PageOrder)),
        )
        if value is not None and value not in known
    ]
    if order == "similar" and like is None:
        problems.append("--order similar needs an item to be similar to: --like REF")
    if negative is not None and negative == label:
        problems.append("--negative is the class of the rest: it should not be that of --class")
    if select == "positives" and label is None:
        problems.append("--select positives needs the class to select: --class NAME")
    if problems:
        raise ProjectError(bullet_list(problems, "these pages cannot be made:"))
    if negative is None and label is not None and len(names) == 2:
        negative = next(name for name in names if name != label)
    if select == "positives" and negative is None:
        raise ProjectError(
            f"--select positives labels the rest, but as what? name it: --negative "
            f"{make_printable(next(name for name in names if name != label))}, or leave the rest "
            "open: --select positives-only"
        )
    if not select and order == PageOrder.NEEDED:
        select = SelectionMode.EXCEPTIONS
    if not select:
        select = "positives-only" if negative is None or label is None else "positives"
    wish = PageRequest(
        label or "",
        SelectionMode(select),
        PageOrder(order or _default_order(project)),
        negative,
        per_page,
        like,
    )
    return with_target(wish, project.settings)


def _default_order(project: ProjectFolder) -> str:
    """Likeliest first where a model can be had."""
    known = (project.features_folder / "meta.json").exists() and project.labels_file.exists()
    return "likely" if known else "random"


COMMANDS = {"browse": browse}
