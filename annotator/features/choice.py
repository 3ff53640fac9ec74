"""The extractor for a folder that has features: the one that computed them, never another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annotator.errors import AnnotatorError, FeatureError
from annotator.features import extractor as extractors
from annotator.features.extractor import Extractor
from annotator.features.store import META_FILE, read_meta
from annotator.features.weights import MODELS
from annotator.items.refs import make_printable, shell_quoted


def described_extractor(folder: Path) -> dict[str, Any] | None:
    """Return what `meta.json` says of the extractor; without it, what an unfinished run says.

    Returns None without features. Raises `FeatureError` for a `meta.json` that cannot be read.
    """
    for name in (META_FILE, "partial.json"):
        if (folder / name).exists():
            return dict(read_meta(folder / name)["extractor"])
    return None


def is_other_model(there: Mapping[str, Any], model: str) -> bool:
    """Return whether the features described by `there` come from another model than `model`."""
    if model == "auto":
        return False
    asked = {model, MODELS.get(model, (model, ""))[0], Path(model).name}
    return bool(there.get("external")) or not any(name in str(there["name"]) for name in asked)


def explain_other_model(folder: Path, project: Path, model: str) -> str | None:
    """Return that the features of `folder` come from another model, with the command to replace
    them; None if they do not, or if there are none."""
    try:
        there = described_extractor(folder)
    except AnnotatorError:
        return None  # whoever opens the features reports it
    if there is None or not is_other_model(there, model):
        return None
    return (
        f"The features come from {make_printable(str(there['name']))}, not from "
        f"{make_printable(model)}, and are used as they are. Replace them: annotator features "
        f"{shell_quoted(project)} --model {shell_quoted(model)} --replace"
    )


def choose_extractor(
    folder: Path,
    project: Path,
    *,
    asked: str | None,
    otherwise: str,
    context: float | None,
    replace: bool,
    **how: Any,
) -> tuple[Extractor, float | None]:
    """Return the extractor for the features of `folder`, and their context if it is known.

    That is the one that computed what is there. Without features, or with `replace`, it is the one
    `asked` for, else `otherwise`. Raises `FeatureError` if another one is asked for, or if what is
    there cannot be continued.
    """
    there = None if replace else described_extractor(folder)
    if there is None:
        return extractors.load_extractor(asked or otherwise, **how), context
    command = f"annotator features {shell_quoted(project)}"
    name = make_printable(str(there["name"]))
    if there.get("external"):
        raise FeatureError(
            f"The features are an array of your own ({name}). Computing others would take its "
            f"place: new items are asked at random. Replace it: {command} --replace"
        )
    found = _load(there, asked, command, how)
    wanted = {"context": there.get("context") if context is None else context}
    if _identity({**found.describe(), **wanted}) != _identity(there):
        raise FeatureError(
            f"The features come from {name}, and these settings would compute others. All would "
            f"be replaced. Keep them: {command}. Replace them: add --replace."
        )
    if found.name != there["name"]:
        vars(found)["name"] = there["name"]  # another path to the same weights
    return found, there.get("context")


def _load(there: dict[str, Any], asked: str | None, command: str, how: dict[str, Any]) -> Extractor:
    """Load the extractor that is asked for, else the one that computed the features."""
    weights = str(there.get("weights") or "")
    own = weights if Path(weights).is_absolute() else str(there["name"])
    try:
        return extractors.load_extractor(asked or own, **how)
    except AnnotatorError as error:
        if asked is not None:
            raise
        raise FeatureError(
            f"{error}\nThe features come from {make_printable(str(there['name']))}, which cannot "
            f"be loaded now. Put it back, or compute all features with another model: {command} "
            "--model classic --replace"
        ) from error


def _identity(described: dict[str, Any]) -> dict[str, Any]:
    """Return what the features depend on: the weights count, not the name that leads to them."""
    return {k: v for k, v in described.items() if k != "name" or not described.get("weights")}
