"""next, answer: the labelling screen's twins for scripts and for models that label."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.project_options import AnnotatorOption, ProjectArgument
from annotator.errors import RefError
from annotator.items.refs import make_printable, shell_quoted

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder
    from annotator.session.scripted import ScriptedSession

SecondOption = Annotated[
    bool, typer.Option("--second", help="Second opinions on what others have labelled.")
]


def next_(
    project: ProjectArgument,
    count: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many items.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    annotator: AnnotatorOption = None,
    second: SecondOption = False,
    lease: Annotated[
        float, typer.Option(min=1, help="Seconds for which nobody else is asked them.")
    ] = 600.0,
) -> None:
    """Say which items to label next, and lease them: nobody else is asked the same meanwhile.

    Asked again it says the same, less what was answered. Prints nothing, and ends with 3, where
    nothing is left.

    \b
    annotator next p -n 5 --json --annotator vlm
    annotator next p --second --annotator vlm
    """
    from annotator.items.refs import Item, plural
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    sitting = _open_session(opened, annotator, second, lease, count)
    sitting.learn()
    sitting.sync_with_others()
    session = sitting.session
    items = [item for item in [session.current, *session.upcoming(count - 1)] if item]
    for place, item in enumerate(items):
        assert isinstance(item, Item)
        if as_json:
            typer.echo(json.dumps(_item_as_dict(opened, sitting, place, item), ensure_ascii=False))
        else:
            typer.echo(make_printable(item.ref))
    sitting.close_keeping_leases()
    if not items:
        left = session.progress.elsewhere
        others = f"; {plural(left, 'item')} on the screens of others" if left else ""
        typer.echo(f"nothing is left to label{others}", err=True)
        raise typer.Exit(3)


def _item_as_dict(
    project: ProjectFolder, sitting: ScriptedSession, place: int, item: Any
) -> dict[str, Any]:
    from annotator.project.label_sets import class_probabilities

    session = sitting.session
    pick = session.queue[place]
    proba, _ = session.learner.predict_with_source(pick.row, item.ref)
    if proba and session.multi:
        proba = class_probabilities(proba, project.settings.names)
    return {
        "ref": item.ref,
        "file": str((project.images / item.path).resolve()),
        "box": list(item.box) if item.box else None,
        "classes": list(project.settings.names),
        "multi_label": project.settings.multi_label,
        "prediction": proba and {name: round(p, 4) for name, p in proba.items()},
        "picked_by": pick.component or None,
    }


def answer(
    project: ProjectArgument,
    ref: Annotated[str, typer.Argument(metavar="REF", help="The item, as `next` names it.")],
    label: Annotated[
        str | None,
        typer.Argument(
            metavar="LABEL",
            help="A class; several as `ok|dusty` where multi_label is on; none with --skip.",
        ),
    ] = None,
    annotator: AnnotatorOption = None,
    second: SecondOption = False,
    skip: Annotated[bool, typer.Option("--skip", help="Leave it unlabelled.")] = False,
    note: Annotated[str | None, typer.Option(help="A note on the item, too.")] = None,
) -> None:
    """Label one item. It need not have been asked for, but then carries no propensity.

    \b
    annotator answer p trays/07.png ok --annotator vlm
    annotator answer p trays/07.png --skip --annotator vlm
    """
    from annotator.project.project import ProjectFolder
    from annotator.session.scripted import resolve_class

    opened = ProjectFolder.open(project)
    if (label is None) != skip:
        raise typer.BadParameter("name a class, or give --skip", param_hint="LABEL")
    if label is not None:
        label = resolve_class(opened, label)
    sitting = _open_session(opened, annotator, second, 600.0, 1)
    try:
        _record_answer(opened, sitting, ref, label)
        if note:
            sitting.session.note(ref, note)
    finally:
        sitting.close_keeping_leases()
    for words in sitting.failures:
        typer.echo(words, err=True)


def _record_answer(
    project: ProjectFolder, sitting: ScriptedSession, ref: str, label: str | None
) -> None:
    """The answer to an item, with how it was drawn if it was asked for."""
    session = sitting.session
    row = session.queue.row(ref)
    if row < 0 or session.is_answered(ref):
        raise RefError(f"{make_printable(ref)} {_refusal_reason(project, sitting, ref)}")
    asked = [session.queue[place] for place in range(len(session.queue))]
    drawn = next((pick for pick in asked if pick.row == row), None)
    if drawn is None:
        session.decide({ref: label}, picked_by="api")
        return
    session.queue.put_first(drawn)
    if label is None:
        session.skip(ref)
    else:
        session.label(label, ref)


def _refusal_reason(project: ProjectFolder, sitting: ScriptedSession, ref: str) -> str:
    """Why an item cannot be answered, and what to do instead."""
    from annotator.project.item_pool import load_refs

    folder = shell_quoted(project.folder)
    if load_refs(project).find(ref) < 0:
        return f"is no item of the project; what to label says: annotator next {folder}"
    if not sitting.session.second:
        return (
            "is labelled or skipped already; for a second opinion give --second, to change the "
            f"label: annotator review {folder}"
        )
    if sitting.session.is_answered(ref):
        return "has a second opinion of yours already"
    return "has no label of another person to compare with; to label it leave --second out"


def _open_session(
    project: ProjectFolder, annotator: str | None, second: bool, lease: float, ahead: int
) -> ScriptedSession:
    import time
    from dataclasses import replace

    from annotator.proposals import load_proposal_prior
    from annotator.session.scripted import ScriptedSession

    name = annotator or project.settings.annotator or getpass.getuser()
    settings = replace(project.settings, ahead=max(ahead, project.settings.ahead))
    opened = replace(project, settings=settings)
    prior = load_proposal_prior(opened, blind=second)
    return ScriptedSession(opened, name, second=second, lease=lease, clock=time.time, prior=prior)


COMMANDS = {"next": next_, "answer": answer}
