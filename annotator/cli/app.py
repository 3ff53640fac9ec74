"""The command line as a whole: its commands, its errors and its exit codes."""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from annotator import __version__
from annotator.cli import (
    add,
    browse,
    cluster,
    config,
    data,
    detect,
    discover,
    exchange,
    faces,
    features,
    finish,
    headless,
    hits,
    identities,
    labelling,
    log,
    proposals,
    report,
    review,
    search,
    simulate,
    system,
)
from annotator.cli.summary import SUMMARY
from annotator.errors import AnnotatorError

app = typer.Typer(
    name="annotator",
    help="Label a folder of images in the terminal, with a model that learns as you go.",
    epilog="Start with `annotator demo`, or with your own images: `annotator run PATH`.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"annotator {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Label a folder of images in the terminal, with a model that learns as you go."""


def _interruptible(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with exit code 130 for Ctrl+C, as a shell expects."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    return wrapped


for _module in (
    labelling,
    add,
    browse,
    headless,
    detect,
    faces,
    identities,
    discover,
    proposals,
    cluster,
    features,
    finish,
    review,
    search,
    simulate,
    data,
    exchange,
    log,
    report,
    config,
    system,
):
    for _name, _command in _module.COMMANDS.items():
        app.command(_name, short_help=SUMMARY.get(_name))(_interruptible(_command))
_hits = typer.Typer(
    help=hits.HELP, short_help=SUMMARY["hits"], no_args_is_help=True, rich_markup_mode=None
)
for _name, _command in hits.COMMANDS.items():
    _hits.command(_name, short_help=SUMMARY[f"hits {_name}"])(_interruptible(_command))
app.add_typer(_hits, name="hits")


def main() -> NoReturn:
    """Run the command line; exits 0 for success, 1 for a failure, 2 for usage, 130 for Ctrl+C."""
    try:
        _main()
    except SystemExit as end:
        if "annotator.tui.app" in sys.modules and isinstance(end.code, int):
            # A screen was open, and threads beside it may still compute in a library whose own
            # clean-up waits for them, at worst for ever. All that counts is on disk.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code)
        raise


def _main() -> NoReturn:
    if "_ANNOTATOR_COMPLETE" in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    try:
        app(prog_name="annotator")
    except AnnotatorError as error:
        typer.echo(f"annotator: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # `annotator log | head`: the reader has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        typer.echo(f"annotator: the output cannot be written: {error.strerror}", err=True)
        sys.exit(1)
    sys.exit(0)
