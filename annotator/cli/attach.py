"""The command `annotator attach`: a screen continues in this terminal."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.project_options import AnnotatorOption, GraphicsOption, require_terminal
from annotator.errors import ProjectError
from annotator.items.refs import make_printable, shell_quoted

if TYPE_CHECKING:
    from annotator.session.handover import OpenScreen

_AGAIN = ("browse", "check", "finish", "hits", "identities", "run")
"""The commands whose screens can be taken over."""
_ONCE = ("--accept-ready", "--new", "--new-attempt")
"""The options that begin something anew: a screen that continues does not have them."""
_OF_THE_TERMINAL = "--graphics"
_NAME = "--annotator"
_NAMELESS = ("hits",)
"""The commands without that option: a HIT belongs to its worker."""


def attach(
    project: Annotated[
        Path | None,
        typer.Argument(help="A project, or its folder of images. Default: your newest screen."),
    ] = None,
    annotator: AnnotatorOption = None,
    graphics: GraphicsOption = None,
) -> None:
    """Continue your screen in this terminal: after a lost line, or from another terminal.

    The same picture comes back, whatever this terminal can draw. A screen that is still open
    elsewhere ends there; no label is lost. If features were being computed, that continues.

    \b
    annotator attach
    annotator attach photos.annotator
    """
    from annotator.project.project import ProjectFolder, default_folder, is_project
    from annotator.session.handover import find_screen, take_over

    folder, name = None, annotator
    if project is not None:
        folder = project if is_project(project) else default_folder(project)
        name = ProjectFolder.open(folder).settings.annotator_name(annotator)
    screen = find_screen(folder, name)
    if screen is None or screen.words[:1] not in [(name,) for name in _AGAIN]:
        raise ProjectError(_nothing_to_attach(folder, name))
    require_terminal("Labelling")
    # Meanwhile the other screen ends.
    threading.Thread(target=importlib.import_module, args=("annotator.tui.launch",)).start()
    screen = take_over(screen)
    if screen.folder and Path(screen.folder).is_dir():
        os.chdir(screen.folder)
    from annotator.cli.app import app

    words = _words_of(screen, graphics)
    sys.argv[1:] = words  # so that the next terminal can take this one over
    app(words, prog_name="annotator")


def _words_of(screen: OpenScreen, graphics: str | None) -> list[str]:
    """Return the command of a screen, with its annotator: another terminal has other variables."""
    words = list(screen.words)
    added = [f"{_OF_THE_TERMINAL}={graphics}"] if graphics else []
    if words[0] not in _NAMELESS and not any(word.startswith(_NAME) for word in words):
        added.append(f"{_NAME}={screen.annotator}")
    end = words.index("--") if "--" in words else len(words)
    return [*words[:end], *added, *words[end:]]


def _nothing_to_attach(folder: Path | None, annotator: str | None) -> str:
    who = f"of {make_printable(annotator)} " if annotator else ""
    if folder is None:
        problem = f"No screen {who}is open, and no lost line has ended one."
        return f"{problem} Open one: annotator run PROJECT"
    project = make_printable(str(folder))
    return (
        f"No screen {who}on {project} is open, and no lost line has ended one. "
        f"Open it: annotator run {shell_quoted(folder)}"
    )


def command_again() -> list[str]:
    """Return the command that is running, as another terminal opens the same screen again."""
    words = sys.argv[1:]
    if not words or words[0] not in _AGAIN:
        return []
    kept = [word for word in words if word not in _ONCE]
    if _OF_THE_TERMINAL in kept:
        place = kept.index(_OF_THE_TERMINAL)
        del kept[place : place + 2]
    return [word for word in kept if not word.startswith(f"{_OF_THE_TERMINAL}=")]


COMMANDS: dict[str, Callable[..., None]] = {"attach": attach}
