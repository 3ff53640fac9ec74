"""The part of the classes' names in a project's model, for `annotator status`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annotator.errors import AnnotatorError
from annotator.features.store import FeatureStore
from annotator.items.refs import make_printable, plural
from annotator.project.project import ProjectFolder
from annotator.session.class_text import explain_no_words, find_known_names


def name_figures(project: ProjectFolder, weight: float | None) -> dict[str, Any] | None:
    """Return the network that read the names of the classes, and the names that it knows.

    `weight` is that of the names in the model; None without a model. The figures are None if
    `zero_shot` is off, or if no name was ever read for the features that there are.
    """
    if project.settings.zero_shot == "off" or not project.has_features:
        return None
    try:
        store = FeatureStore.open(project.features_folder)
    except AnnotatorError:
        return None
    known = find_known_names(project, store)
    if known is None:
        return None
    problem = explain_no_words(project, store)
    return {
        "model": known.model,
        "classes": list(known.classes),
        "weight": None if problem or weight is None else round(weight, 3),
        "problem": problem or None,
    }


def name_lines(found: Mapping[str, Any] | None) -> list[str]:
    """Return the figures of `name_figures` as text: nothing if no name was read."""
    if found is None:
        return []
    if found["problem"]:
        return [found["problem"]]
    weight = found["weight"]
    part = "" if weight is None else f", weight in the model {weight:.2f}"
    count = plural(len(found["classes"]), "class", "classes")
    return [f"names of {count} read by {make_printable(found['model'])}{part}"]
