"""Options that several commands share, and the lists and pairs in them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from annotator.detection.ensemble import EnsembleModel

Choice = TypeVar("Choice", bound=str)


def complete_names(place: str, *more: str) -> Callable[[], list[str]]:
    """Return the shell completion of the names in `module:ATTRIBUTE`, and of `more`.

    The module is imported only when Tab is pressed.
    """

    def names() -> list[str]:
        module, _, attribute = place.partition(":")
        found = getattr(import_module(module), attribute)
        return [*(str(name if isinstance(name, str) else name.name) for name in found), *more]

    return names


ImagesArgument = Annotated[
    Path,
    typer.Argument(metavar="IMAGES|PROJECT", help="A folder of images, an image, or a project."),
]
ProjectOption = Annotated[
    Path | None, typer.Option(help="The project for the boxes of a folder [IMAGES.boxes].")
]
WeightsOption = Annotated[
    str, typer.Option(help="Weight of each model: one number, or one for each (2,1).")
]
ThresholdOption = Annotated[
    str,
    typer.Option(help="Ignore detections with a lower score: one number, or one for each model."),
]
MinScoreOption = Annotated[
    float, typer.Option(min=0, max=1, help="Minimum mean score of a box that the models agree on.")
]
IouOption = Annotated[
    float, typer.Option(min=0, max=1, help="Boxes with a larger overlap (IoU) are one object.")
]
TtaOption = Annotated[
    str | None,
    typer.Option(
        help="Also look at changed images: flip, min-max, or both.",
        autocompletion=lambda: ["flip", "min-max"],
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        help="auto, cpu, cuda, cuda:1 or mps.",
        autocompletion=lambda: ["auto", "cpu", "cuda", "mps"],
    ),
]
DtypeOption = Annotated[
    str,
    typer.Option(
        help="auto, fp32, bf16 or fp16.",
        autocompletion=complete_names("annotator.features.backbones:DTYPES", "auto"),
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="Number of decoding threads [one per core].")
]
BoxPixelsOption = Annotated[
    str | None,
    typer.Option(
        help="The pixels of boxes: upright (default), stored (before EXIF) or stated.",
        autocompletion=complete_names("annotator.formats.box_fit:BOX_PIXELS"),
    ),
]
ProgressOption = Annotated[str, typer.Option(help="auto, none or json.", hidden=True)]
ControlOption = Annotated[
    list[str] | None,
    typer.Option(help="Label Studio: the control that holds the classes; repeatable."),
]
SkipFaultyOption = Annotated[
    bool, typer.Option("--skip-faulty", help="Leave rows with a fault out, and count them.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def parse_voters(models: str, weights: str, thresholds: str) -> list[EnsembleModel]:
    """Parse the models of an ensemble, each with its weight and threshold.

    Raises `BadParameter` for a list without a model, a repeated model, or a wrong number.
    """
    from annotator.detection.ensemble import EnsembleModel

    names = parse_list(models)
    if not names:
        raise typer.BadParameter("names no model", param_hint="--models")
    if len(set(names)) < len(names):
        raise typer.BadParameter("names a model twice", param_hint="--models")
    weighed = parse_numbers(weights, len(names), "--weights", lambda value: value > 0)
    cut = parse_numbers(thresholds, len(names), "--threshold", lambda value: 0 <= value <= 1)
    return [EnsembleModel(*each) for each in zip(names, weighed, cut, strict=True)]


def parse_list(text: str | None) -> list[str]:
    """Split a list at its commas; quotes keep a comma within a part."""
    return [part for part in split_at_commas(text or "") if part]


def split_at_commas(text: str) -> list[str]:
    """Return the parts between commas; a line break among them is white space."""
    return [part.strip() for part in next(csv.reader([" ".join(text.splitlines())]), [])]


def parse_numbers(text: str, count: int, option: str, fits: Callable[[float], bool]) -> list[float]:
    """Parse `count` numbers, or one that counts for all. Raises `BadParameter` that names them."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) not in (1, count) or not all(map(fits, found)):
        raise typer.BadParameter(
            f"{text} should be one number, or {count}: one for each model", param_hint=option
        )
    return found * count if len(found) == 1 else found


def parse_renames(pairs: Sequence[str]) -> dict[str, str]:
    """Parse `its name=your name` pairs. Raises `BadParameter` for a pair without two names."""
    parts = [pair.partition("=") for pair in pairs]
    if any(not old.strip() or not new.strip() for old, _, new in parts):
        raise typer.BadParameter("should be its name=your name", param_hint="--rename")
    return {old.strip(): new.strip() for old, _, new in parts}


def parse_class_shares(words: Sequence[str], option: str, example: str) -> dict[str, float]:
    """Parse `CLASS=SHARE` words. Raises `BadParameter`, with an example, for any other."""
    shares = {}
    for text in words:
        name, _, share = text.rpartition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            shares[name] = -1.0
        if not name or not 0 < shares[name] <= 1:
            raise typer.BadParameter(
                f"{text!r} is not CLASS=SHARE, such as {example}", param_hint=option
            )
    return shares


def parse_choice(value: str, choices: Sequence[Choice], option: str) -> Choice:
    """Return the one of `choices` that `value` is. Raises `BadParameter` that lists them."""
    for choice in choices:
        if choice == value:
            return choice
    raise typer.BadParameter(f"{value} should be one of {', '.join(choices)}", param_hint=option)


def parse_augmentations(text: str | None) -> tuple[str, ...]:
    """Parse the value of --tta: the plain image, and the changed ones of the list."""
    from annotator.detection.passes import AUGMENTATIONS

    names = parse_list(text)
    for name in names:
        parse_choice(name, AUGMENTATIONS[1:], "--tta")
    return ("plain", *names)
