"""The commands next and answer: labelling for scripts and for models, without a screen."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.project_options import AnnotatorOption, ProjectArgument, warn_of_other_model
from annotator.errors import AnnotatorError, RefError
from annotator.items.json_text import to_json_text
from annotator.items.refs import make_printable, shell_quoted
from annotator.items.tiff_pages import split_page

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder
    from annotator.session.scripted import ScriptedSession

SecondOption = Annotated[
    bool, typer.Option("--second", help="Give second opinions on items that others have labelled.")
]


def next_(
    project: ProjectArgument,
    count: Annotated[int, typer.Option("-n", min=1, max=1000, help="The number of items.")] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line.")
    ] = False,
    annotator: AnnotatorOption = None,
    second: SecondOption = False,
    lease: Annotated[
        float, typer.Option(min=1, help="The seconds for which the items are yours.")
    ] = 600.0,
) -> None:
    """Print the next items to label, and lease them, so that no other annotator gets them.

    The same command prints the same items again, without those answered. If nothing is left, it
    prints nothing and exits with code 3.

    \b
    annotator next p -n 5 --json --annotator vlm
    annotator next p --second --annotator vlm
    """
    from annotator.items.refs import Item, plural
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    scripted = _open_session(opened, annotator, second, lease, count - 1)
    scripted.ask()
    session = scripted.session
    items = [item for item in [session.current, *session.upcoming(count - 1)] if item]
    for place, item in enumerate(items):
        assert isinstance(item, Item)
        if as_json:
            typer.echo(to_json_text(_item_as_dict(opened, scripted, place, item)))
        else:
            typer.echo(make_printable(item.ref))
    scripted.close_keeping_leases()
    if not items:
        left = session.progress.elsewhere
        others = f"; {plural(left, 'item')} leased to other annotators" if left else ""
        typer.echo(f"Nothing is left to label{others}.", err=True)
        raise typer.Exit(3)


def _item_as_dict(
    project: ProjectFolder, scripted: ScriptedSession, place: int, item: Any
) -> dict[str, Any]:
    from annotator.project.label_sets import class_probabilities

    session = scripted.session
    pick = session.queue[place]
    proba, _ = session.learner.predict_with_source(pick.row, item.ref)
    if proba and session.multi:
        proba = class_probabilities(proba, project.settings.names)
    file, page = split_page(item.path)
    return {
        "ref": item.ref,
        "file": str((project.images / file).resolve()),
        "page": page,
        "box": list(item.box) if item.box else None,
        "classes": list(project.settings.names),
        "multi_label": project.settings.multi_label,
        "prediction": proba and {name: round(p, 4) for name, p in proba.items()},
        "by_name": session.learner.is_by_name(proba, session.class_counts),
        "picked_by": pick.component or None,
    }


def answer(
    project: ProjectArgument,
    ref: Annotated[str, typer.Argument(metavar="REF", help="The item's ref, as `next` prints it.")],
    label: Annotated[
        str | None,
        typer.Argument(
            metavar="LABEL",
            help="A class, or with multi_label several as `ok|dusty`; leave it out with --skip.",
        ),
    ] = None,
    annotator: AnnotatorOption = None,
    second: SecondOption = False,
    skip: Annotated[bool, typer.Option("--skip", help="Skip the item.")] = False,
    note: Annotated[str | None, typer.Option(help="A note on the item.")] = None,
) -> None:
    """Label one item, also one that `next` did not print.

    The error estimate leaves such items out, because they were not drawn at random.

    \b
    annotator answer p trays/07.png ok --annotator vlm
    annotator answer p trays/07.png --skip --annotator vlm
    """
    from annotator.project.project import ProjectFolder
    from annotator.session.scripted import resolve_class

    opened = ProjectFolder.open(project)
    if (label is None) != skip:
        raise typer.BadParameter("give either a class or --skip", param_hint="LABEL")
    if label is not None:
        label = resolve_class(opened, label)
    ref = _find_ref(opened, ref)
    scripted = _open_session(opened, annotator, second, 600.0, 0)
    try:
        with contextlib.suppress(AnnotatorError):  # a fit that fails never loses an answer
            scripted.learn()  # the log keeps what the model said before the answer
        _record_answer(opened, scripted, ref, label)
        if note:
            scripted.session.note(ref, note)
    finally:
        scripted.close_keeping_leases()
    for words in scripted.failures:
        typer.echo(words, err=True)


def _find_ref(project: ProjectFolder, ref: str) -> str:
    """Return the ref of an item that is given in any spelling of its path."""
    from annotator.items.ref_keys import RefIndex
    from annotator.project.item_pool import load_refs

    refs = load_refs(project)
    row = RefIndex(refs, project.images).find(ref)
    return refs[row] if row >= 0 else ref


def _record_answer(
    project: ProjectFolder, scripted: ScriptedSession, ref: str, label: str | None
) -> None:
    """Write the answer to an item, with its draw if the session asked for it."""
    session = scripted.session
    row = session.queue.row(ref)
    if row < 0 or session.is_answered(ref):
        raise RefError(f"{make_printable(ref)} {_refusal_reason(project, scripted, ref)}")
    asked = [session.queue[place] for place in range(len(session.queue))]
    drawn = next((pick for pick in asked if pick.row == row), None)
    if drawn is None:
        session.decide({ref: label}, picked_by="api", only_open=[ref])
        _check_taken(project, scripted, ref)
        return
    session.queue.put_first(drawn)
    if label is None:
        session.skip(ref)
    else:
        session.label(label, ref)
    _check_taken(project, scripted, ref)


def _check_taken(project: ProjectFolder, scripted: ScriptedSession, ref: str) -> None:
    """Raise `RefError` if another process has answered the item a moment before."""
    if scripted.session.beaten_by:
        raise RefError(f"{make_printable(ref)} {_refusal_reason(project, scripted, ref)}")


def _refusal_reason(project: ProjectFolder, scripted: ScriptedSession, ref: str) -> str:
    """Return why an item cannot be answered, with the command that helps."""
    from annotator.project.item_pool import load_refs

    folder = shell_quoted(project.folder)
    if load_refs(project).find(ref) < 0:
        return f"is not an item of this project. List items to label: annotator next {folder}"
    if not scripted.session.second:
        return (
            "is labelled or skipped already. Give a second opinion: --second. Change the label: "
            f"annotator review {folder}"
        )
    if scripted.session.is_answered(ref):
        return "already has your second opinion"
    return "has no label by another annotator to compare with. Label it without --second."


def _open_session(
    project: ProjectFolder, annotator: str | None, second: bool, lease: float, ahead: int
) -> ScriptedSession:
    import time

    from annotator.proposals import load_proposal_prior
    from annotator.session.scripted import ScriptedSession

    warn_of_other_model(project)
    name = project.settings.annotator_name(annotator)
    return ScriptedSession(
        project, name, second=second, lease=lease, clock=time.time, ahead=ahead,
        prior=load_proposal_prior(project, blind=second),
    )  # fmt: skip


COMMANDS = {"next": next_, "answer": answer}
