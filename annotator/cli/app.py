"""The command line program: its commands, errors and exit codes."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import sys
from typing import Annotated, NoReturn

import typer

from annotator.cli.commands import CommandGroup, ReaderLeft
from annotator.errors import AnnotatorError
from annotator.version import __version__

app = typer.Typer(
    name="annotator",
    cls=CommandGroup,
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


def main() -> NoReturn:
    """Run the command line; exits 0 for success, 1 for a failure, 2 for usage, 130 for Ctrl+C."""
    _restart_in_utf8()
    _prepare_streams()
    gc.set_threshold(20_000, 10, 10)  # imports make many objects and no garbage: a tenth is saved
    try:
        _main()
    except SystemExit as end:
        if "annotator.tui.launch" in sys.modules and isinstance(end.code, int):
            # A screen was open. Threads may still compute in a library whose clean-up waits for
            # them, at worst for ever. All labels are on disk.
            with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(end.code)
        raise


def _restart_in_utf8() -> None:
    """Restart in UTF-8 mode if the locale has another encoding.

    Terminals and file names are UTF-8 today, even if ssh passes on another locale. In Latin-1 the
    screen would show escape codes, and names in refs.csv would not open on other machines.
    """
    if sys.getfilesystemencoding() != "utf-8" and "utf8" not in sys._xoptions:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _prepare_streams() -> None:
    """Give the program its three streams, whatever its caller left of them.

    A stream that is closed becomes the null device; standard output becomes one that refuses to
    be written, so that a result without a reader is an error. A pipe that another program has
    set to non-blocking waits again while it is full.
    """
    for number, name, mode in (
        (0, "stdin", os.O_RDONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_WRONLY),
    ):  # fmt: skip
        if getattr(sys, name) is None:
            _point_at_null(number, mode)
            kind = "r" if number == 0 else "w"
            setattr(sys, name, open(number, kind, encoding="utf-8", closefd=False))  # noqa: PTH123, SIM115
        elif number:
            with contextlib.suppress(OSError, ValueError):
                os.set_blocking(number, True)


def _point_at_null(number: int, mode: int) -> None:
    """Make a descriptor one of the null device."""
    opened = os.open(os.devnull, mode)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)


_DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
_ACCESS_ERRNOS = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.EINVAL,
    errno.EFBIG,
)
_IO_ERRNOS = (errno.EIO, errno.ESTALE)


def _describe_disk_error(error: OSError) -> str | None:
    """Return a message for a file that cannot be used; None for an error in the program."""
    if error.errno == errno.EBADF and error.filename is None:
        return "Standard output is closed. Leave it open, or send it to a file: `> FILE`."
    from annotator.items.refs import make_printable  # not for --help

    name = make_printable(str(error.filename or "the output"))
    if error.errno in _DISK_FULL_ERRNOS:
        return f"{name} cannot be written: {error.strerror}. Free some space."
    if error.filename is not None and error.errno in (*_ACCESS_ERRNOS, *_IO_ERRNOS):
        return f"{name} cannot be used: {error.strerror}"
    return None


def _main() -> NoReturn:
    if "_ANNOTATOR_COMPLETE" in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    try:
        try:
            app(prog_name="annotator")
        finally:
            sys.stdout.flush()  # while its errors can still be reported
    except AnnotatorError as error:
        typer.echo(f"annotator: {error}", err=True)
        sys.exit(1)
    except (BrokenPipeError, ReaderLeft):
        _point_at_null(1, os.O_WRONLY)
        sys.exit(0)
    except MemoryError:
        typer.echo("annotator: There is not enough memory. End other programs first.", err=True)
        sys.exit(1)
    except OSError as error:
        if (message := _describe_disk_error(error)) is None:
            raise
        typer.echo(f"annotator: {message}", err=True)
        _point_at_null(1, os.O_WRONLY)  # what is buffered cannot be written either
        sys.exit(1)
    sys.exit(0)
