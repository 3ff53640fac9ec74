"""finish: accept the model's labels where a blind audit certifies them."""

from __future__ import annotations

import getpass
import json
import shlex
import sys
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
)
from annotator.errors import ProjectError
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from annotator.curate.finish import Audit
    from annotator.learn.audit import AuditVerdict
    from annotator.log.store import SqliteStore
    from annotator.project.project import ProjectFolder


def finish(
    project: ProjectArgument,
    max_error: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="At most this share of them may be wrong.")
    ] = 0.01,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.9999, help="How sure of that.")
    ] = 0.95,
    annotator: AnnotatorOption = None,
    graphics: GraphicsOption = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it would take.")] = False,
    take_back: Annotated[
        bool, typer.Option("--take-back", help="Undo every label that a model gave.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let the model label the rest, where an audit certifies that few of its labels are wrong.

    Items above a confidence threshold are drawn at random and shown to you without the
    prediction. Stop and go on as you like: the certificate holds at whatever time it is reached.

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
    who = annotator or opened.settings.annotator or getpass.getuser()
    store = SqliteStore(opened.labels_file)
    if take_back:
        count = finishing.undo_machine_labels(store, replay(store.entries()), who, time.time())
        typer.echo(f"{count:,} labels of the model taken back", err=True)
        return
    audit = finishing.begin_audit(
        opened, store, max_error=max_error, level=confidence, keep=not plan
    )
    verdict = audit.verdict(replay(store.entries()))
    if not plan:
        verdict = _run_audit(audit, opened, store, who, graphics)
    accepted = None
    if verdict.certified and not plan:
        accepted = audit.accept(store, replay(store.entries()), time.time())
        _run_finish_hook(opened, audit, verdict, accepted)
    _print_result(audit, verdict, accepted, as_json)
    if not verdict.certified and not plan:
        raise typer.Exit(1)


def _run_finish_hook(
    project: ProjectFolder, audit: Audit, verdict: AuditVerdict, accepted: int
) -> None:
    """Let `on_finish` hear of the certificate."""
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
    """Ask until it is certified, cannot be any more, or the annotator quits."""
    from dataclasses import replace

    from annotator.log.entries import replay
    from annotator.tui.launch import ItemSample, run_label_app

    verdict = audit.verdict(replay(store.entries()))
    while not verdict.certified and verdict.more is not None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ProjectError("the audit needs a terminal; over ssh give a command with `ssh -t`")
        state = replay(store.entries())
        sample = ItemSample(audit.attempt.name, audit.refs_to_ask(state))
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
        typer.echo(json.dumps(_result_dict(audit, verdict, accepted)))
    else:
        typer.echo(_result_text(audit, verdict, accepted))


def _result_dict(audit: Audit, verdict: AuditVerdict, accepted: int | None) -> dict[str, Any]:
    plan = audit.attempt.plan
    return {
        "attempt": audit.attempt.number, "model": audit.model, "threshold": plan.threshold,
        "items": plan.size, "max_error": plan.max_error, "confidence": audit.attempt.level,
        "expected_error": plan.expected_error, **asdict(verdict), "accepted": accepted,
    }  # fmt: skip


def _result_text(audit: Audit, verdict: AuditVerdict, accepted: int | None) -> str:
    plan, level = audit.attempt.plan, audit.attempt.level
    what = f"{plan.size:,} items at p ≥ {plan.threshold:.3f}"
    folder = shlex.quote(make_printable(str(audit.project.folder)))
    again = f"annotator finish {folder} --max-error {plan.max_error:g} --confidence {level:g}"
    if verdict.certified:
        done = "" if accepted is None else f"{accepted:,} labels accepted; "
        return (
            f"{done}{what}: error ≤ {verdict.bound:.2%} with {level:.0%} confidence, "
            f"{verdict.audited:,} audited, {verdict.wrong:,} of them wrong"
        )
    if verdict.more is None:
        return (
            f"{what}: {verdict.wrong:,} of {verdict.audited:,} audited were wrong, so "
            f"{plan.max_error:.1%} cannot be certified (error ≤ {verdict.bound:.1%} can be).\n"
            f"The audit's labels are kept and learnt from. For a new attempt, with a higher "
            f"threshold and so fewer items:\n  {again}\nor allow more: --max-error "
            f"{min(0.5, 1.2 * verdict.bound):.2g}"
        )
    outlook = ""
    if verdict.audited < plan.expected_audit:
        outlook = (
            f"; if {plan.expected_error:.1%} are wrong, as is to be expected, about "
            f"{plan.expected_audit:,} in all"
        )
    return (
        f"{what}: {verdict.audited:,} audited, {verdict.wrong:,} wrong; {verdict.more:,} more "
        f"without an error will certify it{outlook}. Go on with:\n  {again}"
    )


COMMANDS = {"finish": finish}
