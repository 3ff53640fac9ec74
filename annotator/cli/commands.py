"""The table of commands, and their modules, imported only when a command runs."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from annotator.items.refs import make_printable

COMMANDS = {
    "run": ("labelling", "Label images: open a project, or a folder of images."),
    "demo": ("labelling", "Label the bundled example: trays of machined parts."),
    "init": ("labelling", "Make a project without opening it."),
    "add": ("labelling", "Add images, boxes or classes later."),
    "browse": ("browse", "Label pages of many crops at once."),
    "next": ("next_answer", "Say what to label next, and lease it: for scripts."),
    "answer": ("next_answer", "Label one item: for scripts."),
    "detect": ("detect", "Find objects with detectors, in ensemble."),
    "faces": ("faces", "Find faces, describe them, group those of one person."),
    "identities": ("identities", "Put identities right, page by page."),
    "discover": ("discover", "Find objects that no model was trained for."),
    "proposals": ("proposals", "Say how often proposed boxes are right, by score."),
    "cluster": ("cluster", "Put items that look alike together."),
    "features": ("features", "Compute the features that the model learns from."),
    "finish": ("finish", "Let the model label the rest, certified by an audit."),
    "review": ("review", "Look again at doubtful labels."),
    "search": ("inspection", "Find items by name, label, likeness or words."),
    "simulate": ("simulate", "Compare strategies on labels that are known."),
    "predict": ("inspection", "Write what the model says of unlabelled items."),
    "status": ("inspection", "Say how far a project is."),
    "export": ("exchange", "Write the labels, in the format of your trainer."),
    "import": ("exchange", "Read labels of other programs into the log."),
    "log": ("inspection", "Print every label, skip, undo, flag and note."),
    "report": ("inspection", "Write one page about a project, or its figures."),
    "config": ("system", "Show the settings that hold, and where they are said."),
    "doctor": ("system", "Say what works here, and the line that mends the rest."),
    "completion": ("system", "Print a script that completes commands in your shell."),
    "hits": ("hits", "Give out pages of images as tasks, and see who did them."),
}
"""Name -> the module of annotator.cli that has it, and a line with room for 58 characters."""

HITS = {
    "make": "Draw HITs, with known items among them.",
    "run": "Do a HIT, from where it was left.",
    "assign": "Give a worker a HIT before they come.",
    "status": "Say who did what: codes, gold scores, times.",
}
"""The same for the commands of `annotator hits`."""


PLAIN_TYPER_OPTIONS: dict[str, Any] = {"rich_markup_mode": None, "add_completion": False}


class LazyCommands(MutableMapping[str, Any]):
    """Name -> command; its module is imported when it is looked up."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load_command(name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS


class CommandGroup(TyperGroup):
    """All commands, in the order of their table."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = LazyCommands()

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


class ConciseCommand(TyperCommand):
    """A command that does not list a thousand arguments too many, as of an unquoted `*.jpg`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.allow_extra_args = True  # to be said in other words
        args = super().parse_args(ctx, args)
        ctx.allow_extra_args = False
        if args and not ctx.resilient_parsing:
            more = f" and {len(args) - 1:,} more; quote a pattern: 'a/*.jpg'" if args[1:] else ""
            ctx.fail(f"unexpected argument {make_printable(args[0])}{more}")
        return args


def _load_command(name: str) -> Any:
    module = importlib.import_module(f"annotator.cli.{COMMANDS[name][0]}")
    if name == "hits":
        return _load_group(module)
    made = typer.Typer(**PLAIN_TYPER_OPTIONS)
    made.command(name, cls=ConciseCommand, short_help=COMMANDS[name][1])(
        _exit_130_on_interrupt(module.COMMANDS[name])
    )
    return get_command(made)


def _load_group(module: Any) -> Any:
    made = typer.Typer(help=module.HELP, no_args_is_help=True, **PLAIN_TYPER_OPTIONS)
    for name, command in module.COMMANDS.items():
        made.command(name, cls=ConciseCommand, short_help=HITS[name])(
            _exit_130_on_interrupt(command)
        )
    group = get_command(made)
    group.name, group.short_help = "hits", COMMANDS["hits"][1]
    return group


def _exit_130_on_interrupt(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with exit code 130 for Ctrl+C, as a shell expects."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    return wrapped
