"""The part of the app that looks beside what is on screen: what is like it, what contradicts it."""

from __future__ import annotations

from textual.app import App

from annotator.errors import AnnotatorError
from annotator.features.store import FeatureStore
from annotator.project.project import Project
from annotator.session.session import Session
from annotator.tui import messages
from annotator.tui.label.near_duplicates import LOOK, Company
from annotator.tui.label.screen import LabelScreen
from annotator.tui.workers import Extraction, poster


class Beside(App[AnnotatorError]):
    """What the labelling app is built on; it makes what is named here."""

    project: Project
    session: Session
    label_screen: LabelScreen
    company: Company
    _extract: bool
    _child: Extraction | None
    _store: FeatureStore | None
    _grows: bool

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """For the themes that are not ours."""
        return {"role-dim": "#8b93a5", "role-track": "#58606e"}

    def on_mount(self) -> None:
        self.company = Company(self.project, self.session, self.label_screen, poster(self))
        self.set_interval(LOOK, self._look_beside)

    def on_unmount(self) -> None:
        self.company.stop()

    def _look_beside(self) -> None:
        self.company.look()
        ready = self._store is not None and not self._grows and self.label_screen.listed
        busy = self._child is not None and self._child.runs
        if ready and self._extract and not busy:
            self.company.prepare()

    def on_twins(self, message: messages.Twins) -> None:
        self.company.found(message)

    def on_contradicted(self, message: messages.Contradicted) -> None:
        self.company.doubted(message)
