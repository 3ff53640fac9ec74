"""Progress of long work: a bar on a terminal, a line every few seconds elsewhere, or JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import typer

from annotator.items.processes import GO_ON
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from annotator.features.pipeline import ExtractionProgress

_LINE_EVERY = 5.0
_JSON_EVERY = 0.25


@contextmanager
def catch_stop_signals() -> Iterator[Callable[[], bool]]:
    """Yield a function that is true after Ctrl+C or a TERM signal, or when the app has died."""
    stopped: list[int] = []
    parent = os.getppid()
    before = {
        number: signal.signal(number, lambda number, _: stopped.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: bool(stopped) or (os.getppid() != parent and not _goes_on())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_with_parent() -> None:
    """End this process when the app, which holds the other end of its stdin, has ended.

    It ends at once and silently: what it computed is on disk, and the next run resumes there. An
    app whose line is lost sends `GO_ON` first: the process then continues without it.
    """

    def watch() -> None:
        with suppress(OSError):
            while data := os.read(0, 1024):
                if GO_ON in data:
                    with open(os.devnull, "r+b", buffering=0) as nothing:  # noqa: PTH123
                        for number in (0, 1, 2):
                            os.dup2(nothing.fileno(), number)
                    _alone.set()
                    return
        os._exit(1)

    _watched.set()
    threading.Thread(target=watch, name="app", daemon=True).start()


def _goes_on() -> bool:
    """Return whether this process continues although the app has ended."""
    return _watched.is_set() and _alone.wait(1.0)


_watched, _alone = threading.Event(), threading.Event()


@contextmanager
def open_progress_output(
    mode: str, name: str, unit: str = "items"
) -> Iterator[Callable[[ExtractionProgress], None]]:
    """Yield a function that shows progress on standard error.

    `mode` is auto, none, or json (on standard output); `unit` is the plural of what is counted.
    """
    if mode == "json":
        yield _throttle(_JSON_EVERY, _print_json)
    elif mode == "none":
        yield lambda _: None
    elif sys.stderr.isatty():
        with _progress_bar(name) as update:
            yield update
    else:
        yield _throttle(_LINE_EVERY, lambda progress: _print_line(progress, unit))


def with_rate(show: Callable[[ExtractionProgress], None]) -> Callable[[int, int], None]:
    """Return a function of (done, total) that calls `show` with the rate since now."""
    from annotator.features.pipeline import ExtractionProgress

    started = time.monotonic()

    def update(done: int, total: int) -> None:
        rate = done / max(1e-3, time.monotonic() - started)
        left = (total - done) / rate if rate else None
        show(ExtractionProgress(done=done, total=total, broken=0, rate=rate, left_s=left))

    return update


def _throttle(
    seconds: float, show: Callable[[ExtractionProgress], None]
) -> Callable[[ExtractionProgress], None]:
    """Return `show`, called at most once in `seconds`, and always at the end."""
    last: list[Any] = [0.0, None]

    def update(progress: ExtractionProgress) -> None:
        now, count = time.monotonic(), (progress.done, progress.broken)
        ended = sum(count) >= progress.total and count != last[1]
        if now - last[0] >= seconds or ended:
            last[:] = now, count
            show(progress)

    return update


def _print_json(progress: ExtractionProgress) -> None:
    typer.echo(
        json.dumps(
            {
                "done": progress.done,
                "of": progress.total,
                "broken": progress.broken,
                "rate": progress.rate,
                "left_s": progress.left_s,
            }
        )  # fmt: skip
    )


def _print_line(progress: ExtractionProgress, unit: str) -> None:
    rate = f", {format_rate(progress.rate)} a second" if progress.rate else ""
    left = "" if progress.left_s is None else f", {progress.left_s:.0f} s left"
    typer.echo(f"{progress.done:,} of {progress.total:,} {unit}{rate}{left}", err=True)


def format_rate(rate: float) -> str:
    """Return a rate with its significant digits: `0.4`, `120`."""
    return f"{rate:.1f}" if rate < 10 else f"{rate:,.0f}"


@contextmanager
def _progress_bar(name: str) -> Iterator[Callable[[ExtractionProgress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = [
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}/s"), TimeRemainingColumn(),
    ]  # fmt: skip
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(make_printable(name), total=None, rate="0")

        def update(progress: ExtractionProgress) -> None:
            done = progress.done + progress.broken
            bar.update(task, total=progress.total, completed=done, rate=format_rate(progress.rate))

        yield update
