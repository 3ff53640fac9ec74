"""Work that ends between two of its steps, as by kill -9."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import pytest


class Killed(BaseException):
    """A stand-in for kill -9: nothing that the program does afterwards reaches the disk."""


def kill_at(
    monkeypatch: pytest.MonkeyPatch,
    turn: int,
    work: Callable[[], object],
    steps: Iterable[tuple[ModuleType, str]],
) -> bool:
    """Run `work`, in which after `turn` calls of the functions `steps` none of them does anything.

    Return whether that ended it.
    """
    done = 0

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            nonlocal done
            done += 1
            if done > turn:
                raise Killed
            return real(*arguments, **options)

        return step

    with monkeypatch.context() as patch:
        for module, name in steps:
            patch.setattr(module, name, guarded(getattr(module, name)))
        try:
            work()
        except Killed:
            return True
    return False
