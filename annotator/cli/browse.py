"""The command browse: pages of many crops for one class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.attach import command_again
from annotator.cli.option_types import complete_names
from annotator.cli.project_names import complete_classes
from annotator.cli.project_options import (
    AnnotatorOption,
    GraphicsOption,
    ProjectArgument,
    ThemeOption,
    require_terminal,
    warn_of_other_model,
)
from annotator.cli.search import OnlyOption, choose_part
from annotator.errors import ProjectError
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from annotator.pages import PageRequest
    from annotator.project.project import ProjectFolder
    from annotator.tui.host import ScreenHost

LabelOption = Annotated[
    str | None,
    typer.Option(
        "--class", help="The class that the pages ask about.", autocompletion=complete_classes
    ),
]
SelectOption = Annotated[
    str,
    typer.Option(
        help="The meaning of a selection: positives (all others get --negative), exceptions (all "
        "others get the class), positives-only (all others stay open).",
        autocompletion=complete_names("annotator.pages:SelectionMode"),
    ),
]


def browse(
    folder: ProjectArgument,
    label: LabelOption = None,
    select: SelectOption = "",
    negative: Annotated[
        str | None,
        typer.Option(
            help="The class of items that are not selected, or of the exceptions. Default in a "
            "project of two classes: the other class."
        ),
    ] = None,
    order: Annotated[
        str,
        typer.Option(
            help="The order of the items: random, likely, uncertain, needed, similar or clusters. "
            "Default: likely if there is a model, else random. With needed, pages end when the "
            "expected errors of the model on the rest meet target_error (0.01).",
            autocompletion=complete_names("annotator.pages:PageOrder"),
        ),
    ] = "",
    like: Annotated[
        str | None, typer.Option(help="The ref of an item; pages show similar items.")
    ] = None,
    per_page: Annotated[
        int, typer.Option(min=1, max=500, help="Items on a page; fewer in a small window.")
    ] = 48,
    only: OnlyOption = None,
    prediction: Annotated[bool, typer.Option(help="Show the model's predictions.")] = True,
    annotator: AnnotatorOption = None,
    graphics: GraphicsOption = None,
    theme: ThemeOption = None,
) -> None:
    """Label pages of many crops at once: select items by mouse, letter keys or arrow keys.

    \b
    annotator browse p --class daisy
    annotator browse p --class daisy --select exceptions
    annotator browse p --order needed
    annotator browse p --order clusters
    annotator browse p --only 'predicted:daisy p<0.6'
    """
    from annotator.cli.project_options import override_settings
    from annotator.project.project import ProjectFolder

    project = ProjectFolder.open(folder)
    warn_of_other_model(project)
    settings = override_settings(
        project.settings, annotator=annotator, graphics=graphics, theme=theme
    )
    request = build_page_request(project, label, select, negative, order, like, per_page)
    require_terminal("This command")
    from dataclasses import replace

    from annotator.tui.launch import run_label_app

    def opening(host: ScreenHost) -> None:
        # Import late: Textual reads the environment, which depends on the terminal's replies.
        from annotator.tui.pages.open import open_first_pages

        open_first_pages(host, request, prediction=prediction)

    receipt = run_label_app(
        replace(project, settings=settings), annotator=settings.annotator_name(),
        graphics=settings.graphics, opening=opening,
        part=choose_part(project, only), again=command_again(),
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
    """Return the request of the options. Raises `ProjectError` for a contradiction."""
    from annotator.pages import PageOrder, PageRequest, SelectionMode, with_target

    names = project.settings.names
    order = order or ("similar" if like else "")
    _check_page_options(names, label, select, negative, order, like)
    if negative is None and label is not None and len(names) == 2:
        negative = next(name for name in names if name != label)
    if select == "positives" and negative is None:
        raise ProjectError(
            "--select positives needs a class for the items that are not selected: --negative "
            f"{make_printable(next(name for name in names if name != label))}. Or leave those "
            "items open: --select positives-only"
        )
    if not select and order == PageOrder.NEEDED:
        select = SelectionMode.EXCEPTIONS
    if not select:
        select = "positives-only" if negative is None or label is None else "positives"
    request = PageRequest(
        label or "",
        SelectionMode(select),
        PageOrder(order or _default_order(project)),
        negative,
        per_page,
        like,
    )
    return with_target(request, project.settings)


def _check_page_options(
    names: tuple[str, ...],
    label: str | None,
    select: str,
    negative: str | None,
    order: str,
    like: str | None,
) -> None:
    """Raise `ProjectError` with every fault of the options."""
    from annotator.errors import bullet_list
    from annotator.pages import PageOrder, SelectionMode

    problems = [
        f"there is no {kind} {make_printable(repr(value))}; choose one of "
        f"{make_printable(', '.join(known))}"
        for kind, value, known in (
            ("class", label, names),
            ("negative class", negative, names),
            ("--select", select or None, tuple(SelectionMode)),
            ("--order", order or None, tuple(PageOrder)),
        )
        if value is not None and value not in known
    ]
    if order == "similar" and like is None:
        problems.append("--order similar needs an item: --like REF")
    if negative is not None and negative == label:
        problems.append("--negative and --class name the same class; name two classes")
    if select == "positives" and label is None:
        problems.append("--select positives needs a class: --class NAME")
    if problems:
        raise ProjectError(bullet_list(problems, "These options cannot be used:"))


def _default_order(project: ProjectFolder) -> str:
    """Return "likely" if the project has features and labels for a model, else "random"."""
    known = project.has_features and project.labels_file.exists()
    return "likely" if known else "random"


COMMANDS = {"browse": browse}
