"""Opens the review of identities in place of the labelling screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annotator.clusters import read_clusters
from annotator.pages import journal_for
from annotator.pages.identities import Identities
from annotator.tui.screens.clusters import ClustersScreen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annotator.tui.labeller import Labeller


def open_identities(app: Labeller, loose: Sequence[str], *, word: str, again: bool) -> None:
    """`loose`: items in no cluster, shown after the clusters. Leaving ends the program."""
    project, session = app.project, app.session
    kind = "identities-again" if again else "identities"
    journal = journal_for(project, session.annotator, kind)
    source = Identities(
        session, project, read_clusters(project), loose, word=word, journal=journal, again=again
    )
    picture = app.label_screen.picture
    screen = ClustersScreen(source, project, session, app.caps, picture.line, prediction=False)
    app.push_screen(screen, lambda _: app.exit())
