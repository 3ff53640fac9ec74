"""The map of a project's items as pictures for the report."""

from __future__ import annotations

import base64
import io

from annotator.errors import AnnotatorError
from annotator.features.store import FeatureStore
from annotator.images.scatter import Colour, draw_points
from annotator.learn.plane import best_method
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.report.elements import Markup, html_element
from annotator.session.pool_features import PoolFeatures
from annotator.session.pool_map import COLOURINGS, MapGroups, group_by_project, make_map, map_file

SIZE = (720, 540)
"""Width and height in pixels."""
_MOST_GROUPS = 12
_TITLES = {
    "class": "by label",
    "prediction": "by prediction",
    "error": "by the probability that the prediction is wrong",
}


def draw_map_pictures(project: ProjectFolder) -> list[Markup]:
    """Return a figure for each colouring of the map; none without features.

    A better map than PCA is shown if `annotator map` or key M has made it already.
    """
    if not project.has_features:
        return []
    try:
        refs = load_refs(project)
        store = FeatureStore.open(project.features_folder)
        features = PoolFeatures(store, refs, store.available())
        method = best_method()
        kept = map_file(project.folder, method)
        method = method if kept.exists() else "pca"
        found = make_map(features, method, project.settings.seed, map_file(project.folder, method))
        groups = group_by_project(project, found, features, refs)
    except AnnotatorError:
        return []  # the figures of the report name the same fault with its remedy
    has_model = bool((groups.predicted >= 0).any())
    shown = COLOURINGS if has_model else COLOURINGS[:1]
    figures = []
    for colouring in shown:
        numbers, _ = groups.numbers(colouring)
        picture = draw_points(found.points, numbers, groups.colours(colouring), SIZE)
        file = io.BytesIO()
        picture.quantize(64).save(file, "PNG", optimize=True)
        figures.append(_figure(colouring, file.getvalue(), groups))
    return figures


def _figure(colouring: str, png: bytes, groups: MapGroups) -> Markup:
    title = f"The map {_TITLES[colouring]}"
    data = base64.b64encode(png).decode()
    found = groups.count(colouring)
    rows = [_swatch(colour, f"{name} {count:,}") for name, colour, count in found[:_MOST_GROUPS]]
    if more := len(found) - _MOST_GROUPS:
        rows += [html_element("span", f"{more:,} more")] if more > 0 else []
    image = html_element("img", src=f"data:image/png;base64,{data}", alt=title, class_="chart")
    return html_element(
        "figure", image, html_element("figcaption", html_element("b", title), *rows)
    )


def _swatch(colour: Colour, words: str) -> Markup:
    dot = html_element("i", "", class_="dot", style="background: rgb({},{},{})".format(*colour))
    return html_element("span", dot, words)
