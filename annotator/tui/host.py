"""The labelling app as the openers of other screens see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from textual.screen import Screen

from annotator.errors import AnnotatorError
from annotator.project.project import ProjectFolder
from annotator.session.session import LabelSession
from annotator.terminal.caps import TerminalCapabilities
from annotator.terminal.pacing import Pacer

Result = TypeVar("Result")


class ScreenHost(Protocol):
    """The app that opens pages, rapid mode and dialogs, and takes over when they are left."""

    hides_prediction: bool
    """Whether the annotator has hidden the model's prediction."""

    @property
    def project(self) -> ProjectFolder:
        """The open project."""

    @property
    def session(self) -> LabelSession:
        """The session of this annotator."""

    @property
    def caps(self) -> TerminalCapabilities:
        """The capabilities of this terminal."""

    @property
    def pacer(self) -> Pacer:
        """The pacer of the line to the terminal, shared by all pictures."""

    @property
    def upcoming_refs(self) -> str:
        """The work that pages ordered by a model wait for; "" for none."""

    def say(self, text: str, role: str = "text") -> None:
        """Show a message at the top of the labelling screen for some seconds."""

    def sync(self) -> None:
        """Show what the session asks now."""

    def learn(self) -> None:
        """Start a fit if it would know more than the last one."""

    def push_screen(
        self, screen: Screen[Result], callback: Callable[[Result | None], None] | None = None
    ) -> object:
        """Open a screen; `callback` takes its result when it is left."""

    def exit(self, result: AnnotatorError | None = None) -> None:
        """End the program; `result` is the error that ended it."""
