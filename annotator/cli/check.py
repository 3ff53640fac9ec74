"""The command check: a frozen model's error and the classes' shares, valid at every look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.attach import command_again
from annotator.cli.option_types import parse_class_shares
from annotator.cli.project_options import (
    AnnotatorOption,
    GraphicsOption,
    JsonOption,
    ProjectArgument,
    override_settings,
    print_json,
    require_terminal,
    warn_of_other_model,
)
from annotator.errors import ProjectError
from annotator.items.refs import shell_quoted

if TYPE_CHECKING:
    from annotator.log.store.protocol import ProjectStore
    from annotator.project.project import ProjectFolder
    from annotator.session.check import Check
    from annotator.tui.host import ScreenHost


def check(
    project: ProjectArgument,
    max_error: Annotated[
        float | None,
        typer.Option(min=1e-6, max=1.0, help="Stop once the error is at most this share."),
    ] = None,
    min_found: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS=SHARE",
            help="Stop once people have labelled this share of a class: crack=0.95; repeatable.",
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.9999, help="The confidence of each interval.")
    ] = 0.9,
    pages: Annotated[
        bool, typer.Option("--pages", help="Ask pages of many items, not one at a time.")
    ] = False,
    new: Annotated[
        bool, typer.Option("--new", help="Check the model of now; the last check ends.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Only print the result so far.")] = False,
    annotator: AnnotatorOption = None,
    graphics: GraphicsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the error of the model of now on random items, however often you look.

    The model is frozen. Random items are shown to you without its prediction, and your labels
    count like any others. Stop and resume at any time. Exit status 1: a rule is not met yet.

    \b
    annotator check p
    annotator check p --max-error 0.05
    annotator check p --min-found crack=0.95 --pages
    annotator check p --show --json
    """
    from annotator.log.entries import replay
    from annotator.log.store.open import open_store
    from annotator.project.item_pool import load_refs
    from annotator.project.project import ProjectFolder
    from annotator.session import check as checking
    from annotator.session.check_result import StopRules

    if show and new:
        raise typer.BadParameter(
            "cannot be used with --show, which begins no check", param_hint="--new"
        )
    opened = ProjectFolder.open(project)
    warn_of_other_model(opened)
    rules = StopRules(max_error, parse_class_shares(min_found or [], "--min-found", "crack=0.95"))
    store = open_store(opened)
    if show:
        found = checking.find_check(opened, load_refs(opened), level=confidence, rules=rules)
        if found is None:
            folder = shell_quoted(opened.folder)
            raise ProjectError(f"No check has begun. Begin one: annotator check {folder}")
    else:
        require_terminal("A check", stdout=not as_json)
        found = checking.open_check(
            opened, replay(store.entries()), level=confidence, rules=rules, new=new
        )
        name = opened.settings.annotator_name(annotator)
        _run_check(found, opened, store, name, graphics, pages)
    _print_result(found, store, as_json)


def _run_check(
    found: Check,
    project: ProjectFolder,
    store: ProjectStore,
    annotator: str,
    graphics: str | None,
    pages: bool,
) -> None:
    """Ask until the rules are met, no item is left, or the annotator quits."""
    from dataclasses import replace

    from annotator.log.entries import replay
    from annotator.tui.launch import ItemSample, run_label_app

    def opening(host: ScreenHost) -> None:
        # Import late: Textual reads the environment, which depends on the terminal's replies.
        from annotator.tui.pages.check import open_check_pages

        open_check_pages(host, found, host.exit)

    settings = override_settings(project.settings, graphics=graphics)
    while not found.is_over(state := replay(store.entries())):
        found.choose_refs(state)
        if not found.refs:
            return
        refs = [*found.answered_refs, *found.refs]
        sample = ItemSample(found.name, refs, "", found.is_over, found, found.meter)
        receipt = run_label_app(
            replace(project, settings=settings), annotator=annotator, graphics=settings.graphics,
            features=False, audit=sample, opening=opening if pages else None,
            again=command_again(),
        )  # fmt: skip
        if receipt.code or receipt.remaining or receipt.taken_by:
            return


def _print_result(found: Check, store: ProjectStore, as_json: bool) -> None:
    from annotator.log.entries import replay
    from annotator.session.check_result import result_lines

    state = replay(store.entries())
    result = found.result(state)
    if as_json:
        print_json(result.as_dict(found.class_shares(state)))
    else:
        shares = found.class_shares(state, _MOST_CLASSES)
        typer.echo("\n".join(result_lines(result, shares)))
        if not result.done:
            typer.echo(f"  Continue: {found.command}")
    if result.rules and not result.done:
        raise typer.Exit(1)


_MOST_CLASSES = 20

COMMANDS = {"check": check}
