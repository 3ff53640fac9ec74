"""The labelling app as other screens see it, and the crops of its project."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from textual.screen import Screen

from annotator.images import ImageFolder
from annotator.images.contrast import PLAIN, Contrast
from annotator.project.display_window import SetWindow

if TYPE_CHECKING:
    from annotator.errors import AnnotatorError
    from annotator.project.project import ProjectFolder
    from annotator.session.session import LabelSession
    from annotator.terminal.caps import TerminalCapabilities
    from annotator.terminal.pacing import Pacer
    from annotator.terminal.sheet import LoadCrop

Result = TypeVar("Result")


class ScreenHost(Protocol):
    """The app that opens pages, rapid mode and dialogs, and takes over when they are left."""

    hides_prediction: bool
    """True while the annotator has hidden the prediction."""
    asked_query: str
    """The query whose items alone are asked since a choice on the screen; "" for none."""

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
    def awaited_work(self) -> str:
        """The work that pages ordered by a model wait for; "" for none."""

    def say(self, text: str, role: str = "text") -> None:
        """Show a message at the top of the labelling screen for some seconds."""

    def sync(self) -> None:
        """Show what the session asks now."""

    def learn(self) -> None:
        """Start a fit if it would know more than the last one."""

    def show_activity(self) -> None:
        """Show the work in the background and the current mode in the header."""

    def action_command_palette(self) -> None:
        """Open the command palette."""

    def push_screen(
        self, screen: Screen[Result], callback: Callable[[Result | None], None] | None = None
    ) -> object:
        """Open a screen; `callback` takes its result when it is left."""

    def exit(self, result: AnnotatorError | None = None) -> None:
        """End the program; `result` is the error that ended it."""


def contrast_of(app: object) -> Contrast:
    """Return the contrast that the annotator has chosen in an app; plain in one without it."""
    found = getattr(app, "contrast", PLAIN)
    return found if isinstance(found, Contrast) else PLAIN


def crop_loader(project: ProjectFolder) -> LoadCrop:
    """Return the function that decodes an item for people, with a project's context and limits."""
    settings = project.settings
    window = SetWindow(project)
    folder = ImageFolder(project.images, settings.max_pixels, find_window=window)
    return partial(folder.crop, context=settings.context)
