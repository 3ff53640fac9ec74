"""The part of the app that looks beside what is on screen: what is like it, what contradicts it."""

from __future__ import annotations

from textual.app import App

from annotator.errors import AnnotatorError
from annotator.features.store import FeatureStore
from annotator.project.project import ProjectFolder
from annotator.session.session import LabelSession
from annotator.tui import messages
from annotator.tui.label.near_duplicates import LOOKUP_SECONDS, NearDuplicates
from annotator.tui.label.screen import LabelScreen
from annotator.tui.workers import FeatureProcess, make_poster


class NearDuplicateApp(App[AnnotatorError]):
    """What the labelling app is built on; it makes what is named here."""

    project: ProjectFolder
    session: LabelSession
    label_screen: LabelScreen
    company: NearDuplicates
    _extract: bool
    _child: FeatureProcess | None
    _store: FeatureStore | None
    _grows: bool

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """For the themes that are not ours."""
        return {"role-dim": "#8b93a5", "role-track": "#58606e"}

    def on_mount(self) -> None:
        self.company = NearDuplicates(
            self.project, self.session, self.label_screen, make_poster(self)
        )
        self.set_interval(LOOKUP_SECONDS, self._look_beside)

    def on_unmount(self) -> None:
        self.company.stop()

    def _look_beside(self) -> None:
        self.company.look()
        ready = self._store is not None and not self._grows and self.label_screen.listed
        busy = self._child is not None and self._child.runs
        if ready and self._extract and not busy:
            self.company.prepare()

    def on_near_duplicates_found(self, message: messages.NearDuplicatesFound) -> None:
        self.company.found(message)

    def on_labels_contradicted(self, message: messages.LabelsContradicted) -> None:
        self.company.show_contradiction(message)
