"""The command finish: it accepts the model's labels if a blind audit certifies them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.attach import command_again
from annotator.cli.option_types import parse_choice, parse_class_shares
from annotator.cli.project_options import (
    AnnotatorOption,
    GraphicsOption,
    JsonOption,
    ProjectArgument,
    override_settings,
    require_terminal,
    warn_of_other_model,
)
from annotator.errors import ProjectError
from annotator.items.json_text import to_json_text
from annotator.items.refs import format_duration, plural

if TYPE_CHECKING:
    from annotator.curate.finish import Audit
    from annotator.learn.audit import AuditVerdict
    from annotator.log.entries import LogState
    from annotator.log.store.protocol import ProjectStore
    from annotator.project.project import ProjectFolder


def finish(
    project: ProjectArgument,
    max_error: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="The largest share of wrong labels to accept.")
    ] = 0.01,
    confidence: Annotated[
        float,
        typer.Option(min=0.5, max=0.9999, help="The confidence that the share is not exceeded."),
    ] = 0.95,
    of: Annotated[
        str,
        typer.Option(
            help="The labels that the share is of: accepted (those that the model gives), or set "
            "(all of the finished set, if people label the rest).",
            autocompletion=lambda: list(_PROMISES),
        ),
    ] = "accepted",
    per_class: Annotated[
        bool, typer.Option("--per-class", help="With --of set: hold the share in each class, too.")
    ] = False,
    max_missed: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS=SHARE",
            help="With --of set: the largest share of a class to lose [repeatable]: crack=0.05",
        ),
    ] = None,
    new_attempt: Annotated[
        bool,
        typer.Option(
            "--new-attempt", help="Begin a new audit, also if the last one is unfinished."
        ),
    ] = False,
    accept_ready: Annotated[
        bool,
        typer.Option(
            "--accept-ready", help="With --of set: end the audit, and accept what is certified."
        ),
    ] = False,
    annotator: AnnotatorOption = None,
    graphics: GraphicsOption = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only print what an audit would take and spare.")
    ] = False,
    take_back: Annotated[
        bool, typer.Option("--take-back", help="Undo every label that a model gave.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let the model label the rest, once an audit certifies that few of its labels are wrong.

    Items above a confidence threshold are drawn at random and shown to you without the
    prediction. Stop and resume at any time: the certificate is valid whenever it is reached.

    \b
    annotator finish p --max-error 0.01 --confidence 0.95
    annotator finish p --of set --max-missed crack=0.05
    annotator finish p --plan
    annotator finish p --take-back
    """
    from annotator.curate import finish as finishing
    from annotator.log.entries import replay
    from annotator.log.store.open import open_store
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    warn_of_other_model(opened)
    begin = _beginner(
        of, per_class, max_missed or [], max_error, confidence, new_attempt, accept_ready
    )
    name = opened.settings.annotator_name(annotator)
    store = open_store(opened)
    if take_back:
        count = finishing.undo_machine_labels(store, replay(store.entries()), name, time.time())
        typer.echo(f"undone: {plural(count, 'label')} of the model", err=True)
        return
    if plan:
        _print_plan(opened, store, begin, max_error, confidence, as_json)
        return
    audit = begin(opened, store, True)
    if accept_ready:
        verdict = audit.verdict(replay(store.entries()))
    else:
        verdict = _run_audit(audit, opened, store, name, graphics)
    accepted = _accept(opened, audit, store, verdict) if verdict.certified else None
    _print_result(audit, replay(store.entries()), verdict, accepted, as_json)
    if not verdict.certified:
        raise typer.Exit(1)


_PROMISES = ("accepted", "set")
_Begin = Callable[["ProjectFolder", "ProjectStore", bool], "Audit"]
"""The function that resumes or plans an audit of a project; the last argument stores the plan."""


def _beginner(
    of: str,
    per_class: bool,
    max_missed: list[str],
    max_error: float,
    level: float,
    anew: bool,
    ends: bool,
) -> _Begin:
    """Return the function that begins the audit of this promise."""
    missed = parse_class_shares(max_missed, "--max-missed", "crack=0.05")
    if parse_choice(of, _PROMISES, "--of") == "accepted":
        if per_class or missed or ends:
            option = "--per-class" if per_class else "--max-missed" if missed else "--accept-ready"
            raise typer.BadParameter(
                "it is about a promise on the finished set: add --of set", param_hint=option
            )

        def begin(project: ProjectFolder, store: ProjectStore, keep: bool) -> Audit:
            from annotator.curate.finish import begin_audit

            return begin_audit(
                project, store, max_error=max_error, level=level, keep=keep, anew=anew
            )

        return begin

    def begin_set(project: ProjectFolder, store: ProjectStore, keep: bool) -> Audit:
        from annotator.curate.finish_set import SetPromise, begin_set_audit

        promise = SetPromise(max_error, level, per_class, tuple(missed.items()))
        return begin_set_audit(project, store, promise, keep=keep, anew=anew, ends=ends)

    return begin_set


def _print_plan(
    project: ProjectFolder,
    store: ProjectStore,
    begin: _Begin,
    max_error: float,
    level: float,
    as_json: bool,
) -> None:
    """Print the price list, then the audit of this promise, or why there is none."""
    from annotator.curate.finish import audit_prices
    from annotator.log.entries import replay
    from annotator.session.price_list import price_lines

    state = replay(store.entries())
    prices = audit_prices(project, state, max_error=max_error, level=level)
    if not as_json:
        typer.echo("\n".join(price_lines(prices)))
    try:
        audit = begin(project, store, False)
    except ProjectError as refusal:
        if as_json:
            typer.echo(to_json_text({**prices.as_dict(), "refused": str(refusal)}))
        raise
    verdict = audit.verdict(state)
    if as_json:
        typer.echo(to_json_text({**_result_dict(audit, state, verdict, None), **prices.as_dict()}))
    else:
        typer.echo(_result_text(audit, state, verdict, None))


def _accept(
    project: ProjectFolder, audit: Audit, store: ProjectStore, verdict: AuditVerdict
) -> int:
    """Write the model's labels, send the certificate to the `on_finish` command, return how many
    labels were written."""
    from annotator.log.entries import replay
    from annotator.project.hooks import TIMEOUT, Hooks

    accepted = audit.accept(store, replay(store.entries()), time.time())
    state = replay(store.entries())

    hooks = Hooks(
        {"on_finish": project.settings.on_finish}, project.folder,
        lambda words: typer.echo(words, err=True),
    )  # fmt: skip
    hooks.send("on_finish", _result_dict(audit, state, verdict, accepted))
    hooks.close(TIMEOUT)
    return accepted


def _run_audit(
    audit: Audit, project: ProjectFolder, store: ProjectStore, annotator: str, graphics: str | None
) -> AuditVerdict:
    """Ask until the audit certifies, can no longer certify, or the annotator quits."""
    from dataclasses import replace

    from annotator.curate.audit_risks import risk_lines
    from annotator.log.entries import label_seconds, replay
    from annotator.session.price_list import USUAL_SECONDS
    from annotator.tui.launch import ItemSample, run_label_app

    state = replay(store.entries())
    verdict, seconds = audit.verdict(state), label_seconds(state) or USUAL_SECONDS
    while not verdict.certified and verdict.more is not None:
        require_terminal("The audit")
        state = replay(store.entries())
        spared = audit.spared(verdict)
        words = f"It spares up to {spared:,} labels ({format_duration(spared * seconds)})."
        sample = ItemSample(
            audit.attempt.name, [*(first := audit.asked_first(state)), *audit.askable(state)],
            " ".join([words, *risk_lines(audit.risks)]), audit.is_lost, first=first,
            meter=audit.meter,
        )  # fmt: skip
        settings = override_settings(project.settings, graphics=graphics)
        receipt = run_label_app(
            replace(project, settings=settings), annotator=annotator, graphics=settings.graphics,
            features=False, audit=sample, again=command_again(),
        )  # fmt: skip
        verdict = audit.verdict(replay(store.entries()))
        if receipt.code or receipt.remaining or receipt.taken_by:
            break
    return verdict


def _print_result(
    audit: Audit, state: LogState, verdict: AuditVerdict, accepted: int | None, as_json: bool
) -> None:
    if as_json:
        typer.echo(to_json_text(_result_dict(audit, state, verdict, accepted)))
    else:
        typer.echo(_result_text(audit, state, verdict, accepted))


def _result_dict(
    audit: Audit, state: LogState, verdict: AuditVerdict, accepted: int | None
) -> dict[str, Any]:
    plan = audit.attempt.plan
    return {
        "attempt": audit.attempt.number, "model": audit.model, "threshold": plan.threshold,
        "items": plan.size, "max_error": plan.max_error, "confidence": audit.attempt.level,
        "expected_error": plan.expected_error, **asdict(verdict), "accepted": accepted,
        "at_risk": [asdict(risk) for risk in audit.risks], **audit.promise_dict(state, verdict),
    }  # fmt: skip


def _result_text(audit: Audit, state: LogState, verdict: AuditVerdict, accepted: int | None) -> str:
    from annotator.curate.audit_risks import risk_lines

    lines = audit.result_lines(state, verdict, accepted)
    return "\n".join([*lines, *risk_lines(audit.risks)])


COMMANDS = {"finish": finish}
