"""doctor and completion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def doctor(
    project: Annotated[
        Path | None, typer.Argument(metavar="[PROJECT]", help="A project to look at, too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what works here and what does not, each fault with the line that fixes it.

    Ends with 1 where something keeps you from labelling.

    \b
    annotator doctor
    annotator doctor p --json
    """
    from annotator.doctor import as_text, examine

    findings = examine(project)
    if as_json:
        typer.echo(json.dumps([finding.as_dict() for finding in findings], indent=1))
    else:
        typer.echo(as_text(findings))
    if any(finding.blocks for finding in findings):
        raise typer.Exit(1)


def completion(
    shell: Annotated[str, typer.Argument(help="bash, zsh or fish.")],
) -> None:
    """Print a script that completes commands and options in your shell.

    \b
    annotator completion bash > ~/.local/share/bash-completion/completions/annotator
    annotator completion fish > ~/.config/fish/completions/annotator.fish
    annotator completion zsh > ~/.zfunc/_annotator
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    if shell not in ("bash", "zsh", "fish"):
        raise typer.BadParameter(f"{shell} is none of bash, zsh, fish", param_hint="SHELL")
    typer.echo(
        get_completion_script(
            prog_name="annotator", complete_var="_ANNOTATOR_COMPLETE", shell=shell
        )
    )


COMMANDS = {"doctor": doctor, "completion": completion}
