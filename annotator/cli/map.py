"""map: the items of a project as points, near each other if they look alike."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.model_runs import print_message
from annotator.cli.option_types import complete_names, parse_choice
from annotator.items.refs import make_printable, plural

if TYPE_CHECKING:
    from annotator.items.ref_table import RefTable
    from annotator.session.pool_map import MapGroups, PoolMap

SIZE = (1200, 900)
"""Width and height of the picture in pixels."""


def draw_map(
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="A project with features.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the map to a .png or a .csv (ref,x,y,label …).")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="pca, umap or pacmap [the best that is installed].",
            autocompletion=complete_names("annotator.learn.plane:METHODS", "auto"),
        ),
    ] = "auto",
    by: Annotated[
        str,
        typer.Option(
            help="Colour by class, prediction or error.",
            autocompletion=complete_names("annotator.session.pool_map:COLOURINGS"),
        ),
    ] = "class",
    overwrite: Annotated[bool, typer.Option(help="Replace the file if it is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Compute the map of all items, which key M shows on the labelling screen.

    \b
    annotator map p                          keep the map for key M
    annotator map p --out map.png --by error
    annotator map p --out map.csv --method pca
    """
    from annotator.features.store import FeatureStore
    from annotator.learn.plane import METHODS, best_method
    from annotator.project.item_pool import load_refs
    from annotator.project.project import ProjectFolder
    from annotator.session.pool_features import PoolFeatures
    from annotator.session.pool_map import COLOURINGS, group_by_project, make_map, map_file

    chosen = best_method() if method == "auto" else parse_choice(method, METHODS, "--method")
    colouring = parse_choice(by, COLOURINGS, "--by")
    if out is not None and out.suffix.lower() not in (".png", ".csv"):
        raise typer.BadParameter("Name a file that ends with .png or .csv.", param_hint="--out")
    opened = ProjectFolder.open(project)
    refs, store = load_refs(opened), FeatureStore.open(opened.features_folder)
    features = PoolFeatures(store, refs, store.available())
    found = make_map(features, chosen, opened.settings.seed, map_file(opened.folder, chosen))
    if out is not None:
        from annotator.formats.output_file import open_output

        groups = group_by_project(opened, found, features, refs)
        with open_output(out, False, overwrite) as place:
            if out.suffix.lower() == ".csv":
                _write_csv(place, refs, found, groups)
            else:
                _write_picture(place, found, groups, colouring)
    if not quiet:
        where = f": {make_printable(str(out))}" if out else "; key M shows it"
        print_message(f"a map of {plural(len(found.rows), 'item')} by {chosen}{where}")


def _write_picture(out: Path, found: PoolMap, groups: MapGroups, colouring: str) -> None:
    from annotator.images.scatter import draw_points

    numbers, _ = groups.numbers(colouring)
    draw_points(found.points, numbers, groups.colours(colouring), SIZE).save(out, "PNG")


def _write_csv(out: Path, refs: RefTable, found: PoolMap, groups: MapGroups) -> None:
    with out.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(_rows(refs, found, groups))


def _rows(refs: RefTable, found: PoolMap, groups: MapGroups) -> Iterator[list[str]]:
    names = (*groups.classes, "")  # the last one, for -1
    yield ["ref", "x", "y", "label", "prediction", "doubt"]
    for place, row in enumerate(found.rows.tolist()):
        x, y = found.points[place].tolist()
        label, predicted = names[groups.label[place]], names[groups.predicted[place]]
        doubt = f"{groups.doubt[place]:.4f}" if predicted else ""
        yield [refs[row], f"{x:.5f}", f"{y:.5f}", label, predicted, doubt]


COMMANDS = {"map": draw_map}
"""The functions that this module adds to the command line."""
