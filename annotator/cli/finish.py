"""The command finish: it accepts the model's labels if a blind audit certifies them."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from annotator.items.refs import format_duration, plural, shell_quoted

if TYPE_CHECKING:
    from annotator.curate.finish import Audit
    from annotator.learn.audit import AuditVerdict
    from annotator.log.store import SqliteStore
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
    annotator finish p --plan
    annotator finish p --take-back
    """
    from annotator.curate import finish as finishing
    from annotator.log.entries import replay
    from annotator.log.store import SqliteStore
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    warn_of_other_model(opened)
    name = opened.settings.annotator_name(annotator)
    store = SqliteStore(opened.labels_file)
    if take_back:
        count = finishing.undo_machine_labels(store, replay(store.entries()), name, time.time())
        typer.echo(f"undone: {plural(count, 'label')} of the model", err=True)
        return
    if plan:
        _print_plan(opened, store, max_error, confidence, as_json)
        return
    audit = finishing.begin_audit(opened, store, max_error=max_error, level=confidence)
    verdict = _run_audit(audit, opened, store, name, graphics)
    accepted = None
    if verdict.certified:
        accepted = audit.accept(store, replay(store.entries()), time.time())
        _run_finish_hook(opened, audit, verdict, accepted)
    _print_result(audit, verdict, accepted, as_json)
    if not verdict.certified:
        raise typer.Exit(1)


def _print_plan(
    project: ProjectFolder, store: SqliteStore, max_error: float, level: float, as_json: bool
) -> None:
    """Print the price list, then the audit with this error, or why there is none."""
    from annotator.curate.audit_offers import offer_lines
    from annotator.curate.finish import audit_offers, begin_audit
    from annotator.log.entries import label_seconds, replay

    state = replay(store.entries())
    offers = audit_offers(project, state, max_error=max_error, level=level)
    seconds = label_seconds(state)
    prices = {"offers": [asdict(offer) for offer in offers], "seconds_per_label": seconds}
    if not as_json:
        typer.echo("\n".join(offer_lines(offers, seconds)))
    try:
        audit = begin_audit(project, store, max_error=max_error, level=level, keep=False)
    except ProjectError as refusal:
        if as_json:
            typer.echo(to_json_text({**prices, "refused": str(refusal)}))
        raise
    verdict = audit.verdict(state)
    if as_json:
        typer.echo(to_json_text({**_result_dict(audit, verdict, None), **prices}))
    else:
        typer.echo(_result_text(audit, verdict, None))


def _run_finish_hook(
    project: ProjectFolder, audit: Audit, verdict: AuditVerdict, accepted: int
) -> None:
    """Send the certificate to the `on_finish` command."""
    from annotator.project.hooks import TIMEOUT, Hooks

    hooks = Hooks(
        {"on_finish": project.settings.on_finish}, project.folder,
        lambda words: typer.echo(words, err=True),
    )  # fmt: skip
    hooks.send("on_finish", _result_dict(audit, verdict, accepted))
    hooks.close(TIMEOUT)


def _run_audit(
    audit: Audit, project: ProjectFolder, store: SqliteStore, annotator: str, graphics: str | None
) -> AuditVerdict:
    """Ask until the audit certifies, can no longer certify, or the annotator quits."""
    from dataclasses import replace

    from annotator.curate.audit_offers import USUAL_SECONDS, risk_lines
    from annotator.log.entries import label_seconds, replay
    from annotator.tui.launch import ItemSample, run_label_app

    state = replay(store.entries())
    verdict, seconds = audit.verdict(state), label_seconds(state) or USUAL_SECONDS
    while not verdict.certified and verdict.more is not None:
        require_terminal("The audit")
        state = replay(store.entries())
        spared = audit.attempt.plan.size - verdict.audited - verdict.more
        words = f"It spares up to {spared:,} labels ({format_duration(spared * seconds)})."
        sample = ItemSample(
            audit.attempt.name, audit.refs_to_ask(state),
            " ".join([words, *risk_lines(audit.risks)]), audit.is_lost,
        )  # fmt: skip
        settings = override_settings(project.settings, graphics=graphics)
        receipt = run_label_app(
            replace(project, settings=settings), annotator=annotator, graphics=settings.graphics,
            features=False, audit=sample,
        )  # fmt: skip
        before, verdict = verdict, audit.verdict(replay(store.entries()))
        if receipt.code or verdict.audited - before.audited < (before.more or 0):
            break
    return verdict


def _print_result(audit: Audit, verdict: AuditVerdict, accepted: int | None, as_json: bool) -> None:
    if as_json:
        typer.echo(to_json_text(_result_dict(audit, verdict, accepted)))
    else:
        typer.echo(_result_text(audit, verdict, accepted))


def _result_dict(audit: Audit, verdict: AuditVerdict, accepted: int | None) -> dict[str, Any]:
    plan = audit.attempt.plan
    return {
        "attempt": audit.attempt.number, "model": audit.model, "threshold": plan.threshold,
        "items": plan.size, "max_error": plan.max_error, "confidence": audit.attempt.level,
        "expected_error": plan.expected_error, **asdict(verdict), "accepted": accepted,
        "at_risk": [asdict(risk) for risk in audit.risks],
    }  # fmt: skip


def _result_text(audit: Audit, verdict: AuditVerdict, accepted: int | None) -> str:
    from annotator.curate.audit_offers import risk_lines

    return "\n".join([_verdict_text(audit, verdict, accepted), *risk_lines(audit.risks)])


def _verdict_text(audit: Audit, verdict: AuditVerdict, accepted: int | None) -> str:
    plan, level = audit.attempt.plan, audit.attempt.level
    items = f"{plan.size:,} items at p ≥ {plan.threshold:.3f}"
    folder = shell_quoted(audit.project.folder)
    again = f"annotator finish {folder} --max-error {plan.max_error:g} --confidence {level:g}"
    if verdict.certified:
        done = "" if accepted is None else f"{accepted:,} labels accepted; "
        return (
            f"{done}{items}: error ≤ {verdict.bound:.2%} with {level:.0%} confidence, "
            f"{verdict.audited:,} audited, {verdict.wrong:,} of them wrong"
        )
    if verdict.more is None:
        return (
            f"{items}: {verdict.wrong:,} of {verdict.audited:,} audited were wrong. The audit is "
            f"given up: an error of {100 * plan.max_error:g} % will hardly be certified. Now it is "
            f"at most {verdict.bound:.1%}.\n"
            "The audit's labels are kept, and the model learns from them. Start a new attempt "
            f"with a higher threshold and fewer items:\n  {again}\n"
            f"Or allow a larger error: --max-error {min(0.5, 1.2 * verdict.bound):.2g}"
        )
    outlook = ""
    if verdict.audited < plan.expected_audit:
        outlook = (
            f". With the expected {plan.expected_error:.1%} wrong, the audit takes about "
            f"{plan.expected_audit:,} in all"
        )
    return (
        f"{items}: {verdict.audited:,} audited, {verdict.wrong:,} wrong; {verdict.more:,} more "
        f"without an error will certify them{outlook}. Continue:\n  {again}"
    )


COMMANDS = {"finish": finish}
