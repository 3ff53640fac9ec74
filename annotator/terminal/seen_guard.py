"""The guard against keys that cannot be meant for the picture on the screen."""

from __future__ import annotations

from math import inf

from annotator.terminal.choose import SLOW
from annotator.terminal.pacing import Pacer

PASTED_KEYS = 3
"""Characters in one read from which they count as pasted: no hand types them at once."""
PASTE_SECONDS = 0.1
"""Seconds within which the rest of a paste follows its beginning."""
UNANSWERED_SECONDS = 0.25
"""Seconds after which a picture counts as drawn without an answer. It takes longer to recognise."""


def is_pasted(characters: int, since_paste: float = inf) -> bool:
    """Return whether the characters of one read were pasted, or follow a paste by `since_paste`
    seconds."""
    return characters >= PASTED_KEYS or (characters > 0 and since_paste < PASTE_SECONDS)


class SeenGuard:
    """A judge of keys: does one that was typed at some time mean the picture that is there now?

    Before the terminal has drawn the first picture no key does, and no pasted character ever. After
    that it depends on the mode: with `on`, and with `auto` on a slow line, a key counts once the
    terminal has told that the picture is drawn; with `auto` on a quick line also after a moment
    without that answer; with `off` once the bytes of the picture are written.
    """

    def __init__(self, mode: str, pacer: Pacer, *, remote: bool = False) -> None:
        self._mode, self._pacer, self._remote = mode, pacer, remote
        self._opened_at = inf
        self.silent = False
        """True if the terminal answers nothing: its first picture then needs a moment."""

    @property
    def strict(self) -> bool:
        """True if only the terminal's answer counts: `on`, or `auto` on a slow line."""
        slow = self._pacer.rtt >= SLOW or self._remote
        return self._mode == "on" or (self._mode == "auto" and slow)

    def open(self, now: float) -> None:
        """Note that the terminal has drawn a picture."""
        if self._opened_at == inf:
            self._opened_at = now + (UNANSWERED_SECONDS if self.silent else 0.0)

    def close(self) -> None:
        """Wait for the first picture again: the program comes back to a screen that it had left."""
        self._opened_at = inf

    def is_open(self, typed_at: float) -> bool:
        """Return whether a key was typed after the first picture was drawn."""
        return self._opened_at < inf and typed_at >= self._opened_at

    def admits(
        self, typed_at: float, written_at: float | None, *, drawn: bool, pasted: bool = False
    ) -> bool:
        """Return whether a key means the picture that was written at `written_at`.

        `drawn` is True once the terminal has told that the picture is drawn.
        """
        if written_at is None or pasted or not self.is_open(typed_at) or typed_at < written_at:
            return False
        if drawn or self._mode == "off":
            return True
        return not self.strict and typed_at >= written_at + UNANSWERED_SECONDS
