"""The table of commands, and their modules, imported only when a command runs."""

from __future__ import annotations

import functools
import importlib
import math
import re
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

COMMANDS = {
    "run": ("labelling", "Label images: open a project, or a folder of images."),
    "attach": ("attach", "Continue your screen after a lost line, or elsewhere."),
    "demo": ("labelling", "Label the bundled example: trays of machined parts."),
    "init": ("labelling", "Create a project without opening it."),
    "add": ("labelling", "Add images, boxes or classes to a project."),
    "browse": ("browse", "Label pages of many crops at once."),
    "next": ("next_answer", "Print and lease the next items to label, for scripts."),
    "answer": ("next_answer", "Label one item, for scripts."),
    "detect": ("detect", "Find objects with an ensemble of detectors."),
    "faces": ("faces", "Find faces and group them by person."),
    "identities": ("identities", "Correct the grouping into persons, page by page."),
    "discover": ("discover", "Find objects without a trained detector."),
    "proposals": ("proposals", "Estimate the precision of proposed boxes by score."),
    "cluster": ("cluster", "Group items that look alike."),
    "map": ("map", "Show all items as points, near each other if alike."),
    "features": ("features", "Compute the features that the model learns from."),
    "words": ("words", "Start from the names of the classes, without a label."),
    "check": ("check", "Measure the model's error on random items, at every look."),
    "finish": ("finish", "Let the model label the rest, certified by an audit."),
    "review": ("review", "Review doubtful labels."),
    "search": ("search", "Find items by anything known of them; save searches."),
    "simulate": ("simulate", "Compare query strategies on labelled data."),
    "predict": ("inspection", "Write the model's predictions for unlabelled items."),
    "status": ("inspection", "Show the progress of a project."),
    "export": ("exchange", "Write the labels in the format of your trainer."),
    "import": ("exchange", "Read labels of other programs into a project."),
    "log": ("inspection", "Print every label, skip, undo, flag and note."),
    "report": ("inspection", "Write a report of a project as one HTML page."),
    "config": ("system", "Show the settings in effect and where they are set."),
    "doctor": ("system", "Check the setup and print a fix for each problem."),
    "completion": ("system", "Print a script that completes commands in your shell."),
    "team": ("team", "Work on one project from several machines."),
    "join": ("team", "Make a project folder that works on a team's log."),
    "sync": ("team", "Send your labels to the team, and read those of others."),
    "hits": ("hits", "Give pages of images to workers as tasks (HITs)."),
}
"""Command to its module in annotator.cli and a summary of at most 58 characters."""

HITS = {
    "make": "Draw HITs from unlabelled items and known answers.",
    "run": "Do a HIT, or resume it.",
    "assign": "Assign a HIT to a worker in advance.",
    "status": "Show workers, codes, gold scores and times.",
    "decide": "List what to approve and reject on Mechanical Turk.",
    "replay": "Show a worker's pointer over the pages.",
}
"""Summaries of the commands of `annotator hits`."""

TEAM = {
    "init": "Move a project into a team's log.",
    "add": "Add a member, or change a role.",
    "remove": "End a membership.",
    "status": "Show the members, their labels and who is on what.",
    "leave": "Make a project of your own of your copy.",
}
"""Summaries of the commands of `annotator team`."""

_GROUPS = {"hits": HITS, "team": TEAM}


PLAIN_TYPER_OPTIONS: dict[str, Any] = {"rich_markup_mode": None, "add_completion": False}


class LazyCommands(MutableMapping[str, Any]):
    """Name to command; a command's module is imported when the command is looked up."""

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


_NEGATED_TERM = re.compile(r"-(?!-|n\d*$|h$).+", re.DOTALL)
"""A negated term of a search: with one minus, and none of the options -n, -n20 and -h."""


class CommandGroup(TyperGroup):
    """The group of all commands, in the order of their table."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = LazyCommands()

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the summaries of all commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


class ConciseCommand(TyperCommand):
    """A command with a short error for many extra arguments, as from an unquoted `*.jpg`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; the error for extra ones names the first and their number."""
        if ctx.info_name == "search":
            args = _protect_negated_terms(args)
        ctx.allow_extra_args = True  # so that the error below replaces Typer's
        args = super().parse_args(ctx, args)
        ctx.allow_extra_args = False
        if args and not ctx.resilient_parsing:
            from annotator.items.refs import make_printable  # not for --help

            more = f" and {len(args) - 1:,} more. Quote a pattern: 'a/*.jpg'" if args[1:] else ""
            ctx.fail(f"unexpected argument {make_printable(args[0])}{more}")
        for param in self.params:  # NaN is in every range
            value = ctx.params.get(param.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise typer.BadParameter(f"{value} is not a number", ctx, param)
        return args


def _protect_negated_terms(args: list[str]) -> list[str]:
    """Move terms such as `-label:crack` behind `--`, so that none is taken for an option."""
    end = args.index("--") if "--" in args else len(args)
    negated = [arg for arg in args[:end] if _NEGATED_TERM.match(arg)]
    if not negated:
        return args
    return [*(arg for arg in args[:end] if arg not in negated), "--", *negated, *args[end + 1 :]]


def _load_command(name: str) -> Any:
    module = importlib.import_module(f"annotator.cli.{COMMANDS[name][0]}")
    if name in _GROUPS:
        return _load_group(name, module)
    made = typer.Typer(**PLAIN_TYPER_OPTIONS)
    made.command(name, cls=ConciseCommand, short_help=COMMANDS[name][1])(
        _exit_as_shells_expect(module.COMMANDS[name])
    )
    return get_command(made)


def _load_group(group_name: str, module: Any) -> Any:
    made = typer.Typer(help=module.HELP, no_args_is_help=True, **PLAIN_TYPER_OPTIONS)
    for name, command in module.GROUP.items():
        made.command(name, cls=ConciseCommand, short_help=_GROUPS[group_name][name])(
            _exit_as_shells_expect(command)
        )
    group = get_command(made)
    group.name, group.short_help = group_name, COMMANDS[group_name][1]
    return group


class ReaderLeft(Exception):  # noqa: N818  not an error
    """The reader of the output has closed its pipe: `annotator log p | head`."""


def _exit_as_shells_expect(command: Callable[..., None]) -> Callable[..., None]:
    """Return `command` with exit code 130 for Ctrl+C, and 0 if the reader of its output left."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError as error:
            raise ReaderLeft from error  # Click would exit with 1

    return wrapped
