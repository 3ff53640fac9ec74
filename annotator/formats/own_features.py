"""An array of features of the user's own: which row is whose, and a new one for a project."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from annotator.errors import FeatureError, RefError, bullet_list
from annotator.features.store import META_FILE, REFS_FILE, FeatureStore, map_matrix, read_meta
from annotator.items.listing import RefRow, read_table
from annotator.items.ref_table import RefTable
from annotator.items.refs import make_printable, plural, shell_quoted
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder


def adopt_own_features(project: ProjectFolder, array: Path, replace: bool = False) -> FeatureStore:
    """Give a project an array of the user's own, in place of the one that it has.

    Its rows are those of `feat_idx` in refs.csv, else those of the former array if it has as many,
    else those of the items in order. Raises `FeatureError` for features of a model, unless they
    are to be replaced, and `RefError` for rows that fit no item.
    """
    folder = project.features_folder
    there = read_meta(folder / META_FILE) if (folder / META_FILE).exists() else None
    if there is not None and not there["extractor"].get("external") and not replace:
        raise FeatureError(
            f"{make_printable(str(project.folder))} has features of "
            f"{make_printable(there['extractor']['name'])}. Use the array in their place: "
            f"`annotator features {shell_quoted(project.folder)} --own {shell_quoted(array)} "
            "--replace`."
        )
    refs = load_refs(project)  # writes refs.csv if there is none yet
    rows = list(read_table(project.refs_file, project.settings.box_order, []))
    count = len(map_matrix(array))
    former = RefTable.load(folder / REFS_FILE) if there is not None and not replace else RefTable()
    if all(row.feature is None for row in rows) and count == len(former) != len(refs):
        table = former
    else:
        if problems := find_feature_faults(rows, array, project.refs_file.name):
            raise RefError(bullet_list(problems, f"{make_printable(str(array))} does not fit:"))
        table = map_feature_refs(rows, array)
    if there is not None and not there["extractor"].get("external"):
        matrix = map_matrix(array)  # checked before what is there is removed
        FeatureStore(table, matrix, {}, np.ones(len(matrix), np.uint8)).check(array)
        shutil.rmtree(folder)
    return FeatureStore.adopt(folder, array.resolve(), table)


def find_feature_faults(rows: Sequence[RefRow], features: Path, file: str) -> list[str]:
    """Return the faults of the rows' `feat_idx`: rows that are absent, and rows used twice."""
    name = make_printable(file)
    try:
        count = len(map_matrix(features))
    except FeatureError as error:
        return [str(error)]
    problems, used = [], dict[int, int]()
    if rows and all(row.feature is None for row in rows) and count != len(rows):
        return [
            f"{name} has {plural(len(rows), 'item')} and no feat_idx, and "
            f"{make_printable(features.name)} has {plural(count, 'row')}: which row is whose is "
            "not known. Add the column feat_idx (the row of each item, from 0; blank for none)."
        ]
    for place, row in enumerate(rows):
        index = place if row.feature is None else row.feature
        if index < 0:
            continue  # blank: an item without features
        if index >= count:
            problems.append(
                f"{name}, line {row.line}, feat_idx: there is no row {index}. "
                f"{make_printable(features.name)} has {count} rows, numbered from 0."
            )
        before = used.setdefault(index, row.line)
        if before != row.line:
            problems.append(
                f"{name}, line {row.line}, feat_idx: line {before} has the row {index}, too"
            )
    return problems


def map_feature_refs(rows: Sequence[RefRow], features: Path) -> RefTable:
    """Return the ref of each row of the features, "" if no item uses it."""
    refs = [""] * len(map_matrix(features))
    for place, row in enumerate(rows):
        index = place if row.feature is None else row.feature
        if index >= 0:
            refs[index] = row.item.ref
    return RefTable(refs)
