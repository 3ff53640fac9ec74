"""Opening the map from the labelling screen."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from functools import partial

from annotator.images.crops import Crop
from annotator.items.processes import annotator_command
from annotator.items.refs import Item
from annotator.learn.plane import best_method
from annotator.pages.source import ItemListSource
from annotator.session.pool_map import MapGroups, PoolMap, group_points, make_map, map_file
from annotator.tui.host import ScreenHost
from annotator.tui.map.screen import MapScreen
from annotator.tui.pages.open import return_from_pages
from annotator.tui.pages.screen import PageScreen
from annotator.tui.picture.picture import PictureView


def open_map(host: ScreenHost) -> None:
    """Open the map of all items with features."""
    session, project = host.session, host.project
    if not session.has_features:
        host.say("The map needs features, which are not computed yet", "warn")
        return
    # Taken on the screen's thread: the map is made in another.
    features, refs, ranking = session.learner.features, session.queue.refs, session.ranking
    assert features is not None
    labels = {last.ref: str(last.label) for _, last in session.state.labels()}
    classes = ranking.classes if ranking is not None else session.classes
    model = None if ranking is None or host.hides_prediction else ranking.model

    def make(method: str) -> tuple[PoolMap, MapGroups]:
        cache = map_file(project.folder, method or "pca")
        found = make_map(features, method or "pca", session.seed, cache)
        return found, group_points(found, features, refs, labels, classes, model)

    def picture(load: Callable[[Item, tuple[int, int]], Crop]) -> PictureView:
        return PictureView(load, host.caps, line=host.pacer, guard="off", depth=1, lossless=True)

    host.push_screen(
        MapScreen(
            project.folder, picture, make, partial(_open_pages, host),
            partial(_make_better, str(project.folder)),
        )
    )  # fmt: skip


def _open_pages(host: ScreenHost, rows: list[int], title: str) -> None:
    session = host.session
    refs = [session.queue.refs[row] for row in rows]
    session.queue.cache_rows(zip(refs, rows, strict=True))
    source = ItemListSource(session, refs, title)
    screen = PageScreen(
        source, host.project, session, host.caps, host.pacer,
        prediction=not host.hides_prediction,
    )  # fmt: skip
    host.push_screen(screen, lambda submitted: return_from_pages(host, submitted))


def _make_better(folder: str, then: Callable[[str], object]) -> Callable[[], object]:
    """Make the map by UMAP or PaCMAP in a child process, if one of them is installed.

    Return the function that ends the process.
    """
    method = best_method()
    if method == "pca":
        return lambda: None
    child = subprocess.Popen(
        annotator_command("map", folder, "--method", method, "--quiet"),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def wait() -> None:
        if child.wait() == 0:
            then(method)

    threading.Thread(target=wait, name="better map", daemon=True).start()
    return child.terminate
