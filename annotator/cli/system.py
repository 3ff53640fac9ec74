"""The commands about the installation and its settings: config, doctor, completion."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from annotator.cli.project_options import JsonOption, print_json
from annotator.items.json_text import to_json_text
from annotator.items.refs import make_printable

ENVIRONMENT = {
    "annotator": "ANNOTATOR_NAME",
    "graphics": "ANNOTATOR_GRAPHICS",
    "strategy": "ANNOTATOR_STRATEGY",
    "model": "ANNOTATOR_MODEL",
    "keymap": "ANNOTATOR_KEYMAP",
    "theme": "ANNOTATOR_THEME",
}
"""Settings that an environment variable overrides; an option of `run` overrides both."""


def config(
    action: Annotated[str, typer.Argument(metavar="show", help="The word show.")],
    project: Annotated[
        Path | None, typer.Argument(metavar="PROJECT", help="A project folder.")
    ] = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Print the origin of each setting.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the settings in effect: a project's, or without a project your own.

    The first of these sets a setting: an option of the command, ANNOTATOR_* in the environment,
    the project's annotator.toml, your own config.toml, the default.

    \b
    annotator config show p --origin
    annotator config show
    """
    if action != "show":
        raise typer.BadParameter(
            f"{action} is not an action; the only one is show", param_hint="show"
        )
    found = _collect_settings(project)
    if as_json:
        print_json(found)
        return
    for name, (value, place) in found.items():
        written = to_json_text(value)
        text = f"{name} = {make_printable(written)}"
        typer.echo(f"{text:<44} # {make_printable(place)}" if origin else text)


def _collect_settings(folder: Path | None) -> dict[str, tuple[Any, str]]:
    """Return each setting's value and its origin."""
    from annotator.project.project import SETTINGS_FILE, ProjectFolder, user_settings_file
    from annotator.project.settings import (
        Settings,
        read_personal_settings,
        read_settings_table,
    )

    user, table = user_settings_file(), dict[str, Any]()
    own = read_personal_settings(user)
    settings = Settings(classes=())
    if folder is not None:
        settings = ProjectFolder.open(folder).settings  # raises for faults of either file
        table = read_settings_table(folder / SETTINGS_FILE)
    found: dict[str, tuple[Any, str]] = {}
    for name in Settings.__dataclass_fields__:
        value, place = getattr(settings, name), "default"
        if name == "classes":
            if folder is None:
                continue
            value = [info.name for info in settings.classes]
        if name in own:
            value, place = own[name], str(user)
        if name in table:
            value, place = (
                (value if name == "classes" else table[name]),
                str((folder or Path()) / SETTINGS_FILE),
            )
        variable = ENVIRONMENT.get(name)
        if variable and os.environ.get(variable):
            value, place = os.environ[variable], f"${variable}"
        found[name] = (value, place)
    return found


_SHELLS = ("bash", "zsh", "fish")


def doctor(
    project: Annotated[
        Path | None, typer.Argument(metavar="[PROJECT]", help="A project to check as well.")
    ] = None,
    as_json: JsonOption = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Keep all that can be read of damaged files; move the rest aside."
        ),
    ] = False,
) -> None:
    """Check the setup and print a fix for each problem.

    Exits with code 1 if a problem makes labelling impossible.

    \b
    annotator doctor
    annotator doctor p --repair
    annotator doctor p --json
    """
    from annotator.doctor import examine_setup, format_findings

    if repair:
        _repair(project)
    findings = examine_setup(project)
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        typer.echo(format_findings(findings))
    if any(finding.blocks for finding in findings):
        raise typer.Exit(1)


def _repair(project: Path | None) -> None:
    from annotator.doctor.repair import repair_project

    if project is None:
        raise typer.BadParameter("name the project to repair", param_hint="PROJECT")
    lines = list(repair_project(project))
    for line in lines or ["Nothing had to be repaired."]:
        typer.echo(line, err=True)


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
    For zsh, name that folder in ~/.zshrc: fpath+=~/.zfunc; compinit
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    if shell not in _SHELLS:
        raise typer.BadParameter(f"{shell} is not one of {', '.join(_SHELLS)}", param_hint="SHELL")
    script = get_completion_script(
        prog_name="annotator", complete_var="_ANNOTATOR_COMPLETE", shell=shell
    )
    if shell == "bash":  # otherwise bash cuts @night into two words
        script += "\nCOMP_WORDBREAKS=${COMP_WORDBREAKS//@/}\n"
    if shell == "zsh":
        # The first Tab loads the file as a function; it should complete as well.
        script = script.replace(
            "\ncompdef ",
            '\n[[ $zsh_eval_context[-1] == loadautofunc ]] && _annotator_completion "$@"\ncompdef ',
        )
    typer.echo(script)


COMMANDS: dict[str, Callable[..., None]] = {
    "doctor": doctor,
    "completion": completion,
    "config": config,
}
