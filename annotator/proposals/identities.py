"""Faces of a project in groups, a person each, and other groups with another `eps`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.detection.cluster import Clustering, ClusterMethod, cluster_vectors
from annotator.detection.dbscan import UnitVectors
from annotator.detection.nearest import EpsEstimate, estimate_eps
from annotator.errors import AnnotatorError, FeatureError
from annotator.features.store import FeatureStore
from annotator.items.atomic import read_file, write_atomically
from annotator.items.json_text import parse_json
from annotator.items.ref_table import RefTable
from annotator.items.refs import plural
from annotator.learn.rows import scale_to_unit
from annotator.log.store.open import load_log_state
from annotator.project.clusters import Clusters, cluster_members, read_clusters, write_clusters
from annotator.project.project import ProjectFolder
from annotator.proposals.faces import find_face_features, is_identity, read_faces

Groups = list[NDArray[np.int64]]
"""Rows of faces by person, the largest group first, the most typical face of each first."""


@dataclass(frozen=True, slots=True)
class IdentityOptions:
    """The options that group faces."""

    method: ClusterMethod = "dbscan"
    eps: float | None = None
    """Maximum cosine distance of neighbours (dbscan); None for the estimated one."""
    min_samples: int = 2


class RegroupedFaces(NamedTuple):
    """Other groups of the same faces."""

    clusters: Clusters
    loose: list[str]
    """The faces in no group."""
    summary: str


class FaceGroups:
    """The described faces of a project, to be grouped by person again and again.

    A name that an annotator has confirmed stays whole: all its faces are in one group.
    """

    def __init__(self, project: ProjectFolder, options: IdentityOptions | None = None) -> None:
        """Group with `options`, by default those of the last time."""
        self.project = project
        self.options = options or _read_options(project)

    @cached_property
    def _faces(self) -> tuple[RefTable, UnitVectors]:
        return load_face_vectors(self.project)

    @property
    def refs(self) -> RefTable:
        """The faces that have descriptors. Raises `FeatureError` without descriptors."""
        return self._faces[0]

    @cached_property
    def estimate(self) -> EpsEstimate:
        """The nearest distances of the faces, and the `eps` that they suggest."""
        return estimate_eps(self._faces[1])

    @property
    def has_eps(self) -> bool:
        """True if an `eps` separates the groups, as in DBSCAN."""
        return self.options.method == "dbscan"

    @property
    def eps(self) -> float:
        """The `eps` in use."""
        return self.estimate.eps if self.options.eps is None else self.options.eps

    def group(self, progress: Callable[[float], None] = lambda _: None) -> Groups:
        """Group the faces, write clusters.csv, and return the groups."""
        refs, unit = self._faces
        groups: Groups = []
        if len(refs):
            found = cluster_vectors(
                unit, self.options.method, eps=self.eps, min_size=self.options.min_samples,
                progress=progress,
            )  # fmt: skip
            label = load_log_state(self.project).label
            named = {row: str(label(r)) for row, r in enumerate(refs) if is_identity(label(r))}
            groups = keep_names_whole(found, named)
        write_clusters(self.project, cluster_members(refs, groups, [""] * len(groups)))
        self._write_options()
        return groups

    def regroup(self, factor: float) -> RegroupedFaces:
        """Group the faces with `factor` times the `eps`. Raises `FeatureError` without one."""
        if not self.has_eps:
            raise FeatureError("These groups are of hdbscan, which has no eps.")
        self.options = replace(self.options, eps=min(2.0, self.eps * factor))
        groups = self.group()
        inside = {self.refs[row] for rows in groups for row in rows.tolist()}
        loose = [ref for ref in self.refs if ref not in inside]
        summary = f"{self.describe_eps()} · {plural(len(groups), 'group')}, {len(loose):,} loose"
        return RegroupedFaces(read_clusters(self.project), loose, summary)

    def describe_eps(self) -> str:
        """Return `eps` and the nearest distances in one line; "" for hdbscan or without faces."""
        if not self.has_eps or len(self.refs) < 2:
            return ""
        return f"eps {self.eps:.3g} · nearest distances {self.estimate.draw(self.eps)}"

    def _write_options(self) -> None:
        data = json.dumps({**asdict(self.options), "eps": self.eps}).encode()
        file = _options_file(self.project)
        file.parent.mkdir(exist_ok=True)
        write_atomically(file, data)


def load_face_vectors(project: ProjectFolder) -> tuple[RefTable, UnitVectors]:
    """Return the faces that have descriptors, and their descriptors, each of length 1.

    Raises `FeatureError` without descriptors.
    """
    described = [ref for faces in read_faces(project).images.values() for ref, _ in faces]
    if not described:
        return RefTable(), np.zeros((0, 1), np.float32)
    store = FeatureStore.open(find_face_features(project))
    rows = store.rows(described)
    there: NDArray[np.bool_] = np.asarray(rows >= 0)
    there[there] = store.done[rows[there]] != 0
    refs = RefTable(ref for ref, has in zip(described, list(there), strict=True) if has)
    return refs, scale_to_unit(store.matrix[rows[there]])


def keep_names_whole(found: Clustering, labels: Mapping[int, str]) -> Groups:
    """Return the groups of a clustering, with all rows of each name in one group.

    `labels` maps rows to names. The other rows of a group belong to the name that most of its
    named rows have, if it has any.
    """
    names_in: dict[int, Counter[str]] = {}
    for row, name in labels.items():
        names_in.setdefault(int(found.cluster_of[row]), Counter())[name] += 1
    members: dict[str | int, list[int]] = {}
    for row, number in enumerate(found.cluster_of.tolist()):
        if row in labels:
            members.setdefault(labels[row], []).append(row)
        elif number >= 0:
            names = names_in.get(number)
            members.setdefault(names.most_common(1)[0][0] if names else number, []).append(row)
    groups = sorted(members.values(), key=len, reverse=True)
    typical = found.typicality
    return [np.array(sorted(rows, key=lambda row: -typical[row]), np.int64) for rows in groups]


def find_unclustered_faces(project: ProjectFolder) -> list[str]:
    """Return the faces that are in no cluster."""
    inside = set(read_clusters(project).refs)
    images = read_faces(project).images.values()
    return [ref for faces in images for ref, _ in faces if ref not in inside]


def open_face_groups(project: ProjectFolder) -> FaceGroups | None:
    """Return the faces of a project; None if it has no described faces."""
    groups = FaceGroups(project)
    try:
        return groups if len(groups.refs) else None
    except AnnotatorError:
        return None


def _options_file(project: ProjectFolder) -> Path:
    return project.folder / ".cache" / "identities.json"


def _read_options(project: ProjectFolder) -> IdentityOptions:
    try:
        read = parse_json(read_file(_options_file(project)))
        method, eps, least = read["method"], float(read["eps"]), int(read["min_samples"])
    except (OSError, ValueError, TypeError, KeyError):
        return IdentityOptions()
    if method not in ("dbscan", "hdbscan") or not 0 <= eps <= 2 or least < 1:
        return IdentityOptions()
    return IdentityOptions(method, eps, least)
