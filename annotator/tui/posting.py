"""Messages from other threads: whom they are for may have left with its screen or the program."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from textual.message import Message
from textual.message_pump import MessagePump


def poster(target: MessagePump) -> Callable[[Message], None]:
    """What another thread calls to hand `target` a message; nothing happens if it has gone."""

    def post(message: Message) -> None:
        # Textual raises NoActiveAppError for a widget without a screen, asyncio a plain
        # RuntimeError for a loop that is closed; either may come between any check and the call.
        with contextlib.suppress(RuntimeError):
            target.post_message(message)

    return post
