"""clusters.csv: groups of items that look alike, with a name for each group.

The columns are `ref,cluster,name`. Clusters are numbered from 0, the largest first; within a
cluster the most typical item comes first. Items without a cluster are left out. The file is safe
to edit and to delete.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.errors import RefError
from annotator.items.atomic import write_atomically
from annotator.items.ref_table import RefTable
from annotator.items.refs import make_printable, shell_quoted
from annotator.items.text_files import csv_bytes, read_rows
from annotator.project.project import ProjectFolder

NOISE_CLASS = "noise"
"""The class of faces that belong to no identity."""
CLUSTERS_FILE = "clusters.csv"
_MOST = 2**31 - 1


class ClusterMember(NamedTuple):
    """A line of clusters.csv."""

    ref: str
    cluster: int
    name: str
    """The suggested name of its cluster, or ""."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """The clusters of a project, as clusters.csv holds them."""

    refs: RefTable
    cluster: NDArray[np.int32]
    """(n,) cluster of each ref, from 0."""
    names: dict[int, str]
    """Cluster to suggested name; clusters without one are left out."""

    def groups(self, pool: RefTable, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return the pool's `rows` by cluster, the most typical row of each cluster first.

        Rows without a cluster are left out.
        """
        if not len(self.refs):
            return []
        wanted = np.zeros(len(pool), bool)
        wanted[rows] = True
        found = pool.rows(self.refs)
        keep = found >= 0
        keep[keep] = wanted[found[keep]]
        places, number = found[keep], self.cluster[keep]
        order = np.argsort(number, kind="stable")
        cuts = np.flatnonzero(np.diff(number[order])) + 1
        return [part for part in np.split(places[order], cuts) if len(part)]

    def name(self, ref: str) -> str:
        """Return the suggested name of the cluster of `ref`, or ""."""
        row = int(self.refs.rows([ref])[0]) if self.names else -1
        return self.names.get(int(self.cluster[row]), "") if row >= 0 else ""

    @classmethod
    def none(cls) -> Clusters:
        """Return clusters without any member."""
        return cls(RefTable(), np.zeros(0, np.int32), {})


def read_clusters(project: ProjectFolder) -> Clusters:
    """Read clusters.csv; without the file there are none.

    Raises `RefError` for the first faulty line.
    """
    file = project.folder / CLUSTERS_FILE
    if not os.path.lexists(file):
        return Clusters.none()
    refs, numbers, names = list[str](), list[int](), dict[int, str]()
    for line, cells in islice(read_rows(file), 1, None):
        try:
            ref, number, name = cells[0], int(cells[1]), cells[2] if len(cells) > 2 else ""
        except (ValueError, IndexError):
            number, ref, name = -1, "", ""
        if not 0 <= number <= _MOST or not ref:
            raise RefError(
                f"{make_printable(str(file))}, line {line} is not ref,cluster,name. Fix the line, "
                f"or write the file again: annotator cluster {shell_quoted(project.folder)}"
            )
        refs.append(ref)
        numbers.append(number)
        if name:
            names[number] = name
    return Clusters(RefTable(refs), np.array(numbers, np.int32), names)


def write_clusters(project: ProjectFolder, members: Iterable[ClusterMember]) -> None:
    """Write clusters.csv, in place of the file that was there."""
    write_atomically(project.folder / CLUSTERS_FILE, csv_bytes(ClusterMember._fields, members))


def cluster_members(
    refs: Sequence[str], groups: Sequence[NDArray[np.int64]], names: Sequence[str]
) -> Iterable[ClusterMember]:
    """Return the lines of clusters.csv for `groups` of rows of `refs`, with a name for each group.

    Each group has its most typical row first.
    """
    for number, (rows, name) in enumerate(zip(groups, names, strict=True)):
        for row in rows.tolist():
            yield ClusterMember(refs[row], number, name)
