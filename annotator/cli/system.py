"""doctor and completion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.project_options import JsonOption

_SHELLS = ("bash", "zsh", "fish")


def doctor(
    project: Annotated[
        Path | None, typer.Argument(metavar="[PROJECT]", help="A project to look at, too.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what works here and what does not, each fault with the line that fixes it.

    Ends with 1 where something keeps you from labelling.

    \b
    annotator doctor
    annotator doctor p --json
    """
    from annotator.doctor import examine_setup, format_findings

    findings = examine_setup(project)
    if as_json:
        typer.echo(json.dumps([finding.as_dict() for finding in findings], indent=1))
    else:
        typer.echo(format_findings(findings))
    if any(finding.blocks for finding in findings):
        raise typer.Exit(1)


def completion(
    shell: Annotated[
        str, typer.Argument(help="bash, zsh or fish.", autocompletion=lambda: list(_SHELLS))
    ],
) -> None:
    """Print a script that completes commands and options in your shell.

    \b
    annotator completion bash > ~/.local/share/bash-completion/completions/annotator
    annotator completion fish > ~/.config/fish/completions/annotator.fish
    annotator completion zsh > ~/.zfunc/_annotator
    zsh wants that folder named before it begins, in ~/.zshrc: fpath+=~/.zfunc; compinit
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    if shell not in _SHELLS:
        raise typer.BadParameter(f"{shell} is none of {', '.join(_SHELLS)}", param_hint="SHELL")
    script = get_completion_script(
        prog_name="annotator", complete_var="_ANNOTATOR_COMPLETE", shell=shell
    )
    if shell == "zsh":
        # The first Tab loads the file as a function, and is to complete, too.
        script = script.replace(
            "\ncompdef ",
            '\n[[ $zsh_eval_context[-1] == loadautofunc ]] && _annotator_completion "$@"\ncompdef ',
        )
    typer.echo(script)


COMMANDS = {"doctor": doctor, "completion": completion}
