"""Commands that are imported when they are run: the list of them all needs none."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from annotator.cli.summary import COMMANDS, HITS
from annotator.items.refs import make_printable

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
