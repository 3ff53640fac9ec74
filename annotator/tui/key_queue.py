"""The keys of a burst, one after the other: each is handled before the next finds its screen.

A stalled line delivers many keys at once. Textual sends each to the screen that is on top when the
key arrives, so the keys after one that opens a dialog would still go to the screen below it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

from textual.app import App
from textual.dom import DOMNode
from textual.events import Event

from annotator.tui.picture.key_reader import comes_pasted
from annotator.tui.picture.strips import call_after_path

SETTLE_SECONDS = 2.0
"""Seconds after which the next key no longer waits for a screen that does not open."""
GONE_SECONDS = 0.02
"""Seconds between checks that the target of a key is still there."""
_ROUNDS = 2
"""A key bubbles from its widget to the app; what the widget then says bubbles as well."""


class KeyQueue:
    """A queue of keys and pastes in front of an app."""

    def __init__(self, app: App[Any], handle: Callable[[Event], Awaitable[None]]) -> None:
        """Set up an empty queue; `handle` passes one key to the app's screens."""
        self._app, self._handle = app, handle
        self._waiting: deque[Event | Callable[[], object]] = deque()
        self._task: asyncio.Task[None] | None = None
        self.typed_at = inf
        """The time of the key that is handled now (`time.monotonic`); infinite without one."""
        self.pasted = False
        """True while a character of a paste is handled."""

    @property
    def busy(self) -> bool:
        """True while the last key is being handled."""
        return self._task is not None and not self._task.done()

    async def take(self, event: Event) -> None:
        """Handle a key now, or after the keys before it."""
        if self.busy:
            self._waiting.append(event)
            return
        self._note(event)
        await self._handle(event)
        self._task = asyncio.create_task(self._run(), name="keys")

    def call_after_keys(self, callback: Callable[[], object]) -> None:
        """Call back after all keys that have arrived."""
        if self.busy:
            self._waiting.append(callback)
        else:
            callback()

    def clear(self) -> None:
        """Forget the keys that wait."""
        self._waiting.clear()

    async def _run(self) -> None:
        try:
            await self._settled()
            while self._waiting and self._app.is_running:
                waiting = self._waiting.popleft()
                if isinstance(waiting, Event):
                    self._note(waiting)
                    await self._handle(waiting)
                    await self._settled()
                else:
                    waiting()
        except Exception as error:  # a task's boundary: the app ends as after any other error
            self._app._handle_exception(error)
        finally:
            self.typed_at, self.pasted = inf, False

    def _note(self, event: Event) -> None:
        self.typed_at, self.pasted = event.time, comes_pasted(event)

    async def _settled(self) -> None:
        """Wait until the last key has had its consequences, and the screen on top is open."""
        end = asyncio.get_running_loop().time() + SETTLE_SECONDS
        for _ in range(_ROUNDS):
            if not self._app.is_running or not self._app.screen_stack:
                return
            screen = self._app.screen
            await _wait(screen._mounted_event.wait(), end)
            await self._passed(self._app.focused or screen, end)
            if self._app.screen is not screen:
                await self._settled()
                return

    async def _passed(self, target: DOMNode, end: float) -> None:
        """Wait until all that is on its way from `target` to the app has arrived.

        A target that is removed meanwhile, as by the key that closes its dialog, passes nothing on.
        """
        arrived, now = asyncio.Event(), asyncio.get_running_loop().time
        call_after_path(list(target.ancestors_with_self), arrived.set)
        while not arrived.is_set() and target.is_attached and now() < end:
            await _wait(arrived.wait(), min(end, now() + GONE_SECONDS))


async def _wait(done: Awaitable[object], end: float) -> None:
    left = end - asyncio.get_running_loop().time()
    try:
        await asyncio.wait_for(done, max(0.01, left))
    except TimeoutError:
        return
