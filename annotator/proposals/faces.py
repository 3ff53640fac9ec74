"""Faces in a project: landmarks, descriptors, identities, and the JSON of earlier tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.detection.align import Landmarks, align_faces
from annotator.detection.cluster import Clustering, ClusterMethod, cluster_vectors
from annotator.detection.descriptors import DescriptorEnsemble
from annotator.detection.faces import FACE
from annotator.detection.proposal import strip_file_name
from annotator.errors import FeatureError, ImageError, ProjectError
from annotator.features.growing import FeatureWriter
from annotator.features.pipeline import ExtractionProgress, ExtractionReport, ProgressCounter
from annotator.features.store import META_FILE, FeatureStore, read_meta
from annotator.images import ImageFolder
from annotator.items.atomic import write_atomically
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item, make_printable
from annotator.log.entries import LogState
from annotator.project.clusters import NOISE_CLASS, cluster_members, read_clusters, write_clusters
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.proposals.table import read_proposals
from annotator.proposals.verdicts import REJECT_LABELS


@dataclass(slots=True)
class ProjectFaces:
    """The faces of a project, image by image."""

    images: dict[str, list[tuple[str, Landmarks]]] = field(default_factory=dict)
    """Path to the refs of its faces and their landmarks."""

    def __len__(self) -> int:
        return sum(map(len, self.images.values()))


def read_faces(project: ProjectFolder) -> ProjectFaces:
    """Every proposal that has five landmarks. Raises `RefError` for faulty lines."""
    found = ProjectFaces()
    seen: set[str] = set()
    for row in read_proposals(project):
        points = row.details.get("points") if row.name == FACE else None
        if points and len(points) == 5 and row.ref not in seen:
            seen.add(row.ref)
            path = Item.parse(row.ref).path
            found.images.setdefault(path, []).append((row.ref, np.array(points, np.float64)))
    return found


def find_face_features(project: ProjectFolder) -> Path:
    """Where the descriptors go: the project's features, unless those are of something else."""
    own = project.features_folder
    try:
        of_faces = read_meta(own / META_FILE)["extractor"].get("faces")
    except FeatureError:
        return own  # none yet
    return own if of_faces else project.folder / "features-faces"


def describe_faces(
    project: ProjectFolder,
    described: DescriptorEnsemble,
    *,
    workers: int | None = None,
    progress: Callable[[ExtractionProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float],
) -> ExtractionReport:
    """Write a descriptor for each face that has none into the project's features.

    Raises `FeatureError` where they cannot be written.
    """
    refs, images = load_refs(project), read_faces(project).images
    root = project.images.resolve()
    folder = find_face_features(project)
    with FeatureWriter(folder, refs, described.describe(), described.dim) as growing:
        rows = {ref: row for row, ref in enumerate(refs)}
        todo = {
            path: wanted
            for path, every in images.items()
            if (wanted := [each for each in every if not growing.done[rows[each[0]]]])
        }
        count = sum(map(len, todo.values()))
        tally = ProgressCounter(int(growing.done.sum()), count, clock)
        for found in align_faces(
            todo, root, max_pixels=project.settings.max_pixels, workers=workers
        ):
            for ref, reason in found.faults.items():
                tally.count_broken(ref, reason)
            if found.refs:
                vectors = described(found.faces)
                good = np.asarray(np.isfinite(vectors).all(axis=1))
                for row in np.flatnonzero(~good).tolist():
                    tally.count_broken(found.refs[row], "its descriptor is no number")
                places = np.array([rows[ref] for ref in found.refs])
                growing.write(places[good], vectors[good])
                tally.count(int(good.sum()))
            progress(tally.progress())
            if stop():
                return tally.report(complete=False)
        growing.finish()
        progress(tally.progress())
        return tally.report(complete=True)


def identify_faces(
    project: ProjectFolder,
    *,
    method: ClusterMethod = "dbscan",
    eps: float = 0.3,
    min_samples: int = 2,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[RefTable, Clustering]:
    """Group the faces that have descriptors, write clusters.csv, and say who is where.

    The first is the faces' refs, row by row those of the clustering. Raises `FeatureError`
    without descriptors.
    """
    store = FeatureStore.open(find_face_features(project))
    every = [ref for wanted in read_faces(project).images.values() for ref, _ in wanted]
    rows = store.rows(every)
    there: NDArray[np.bool_] = np.asarray(rows >= 0)
    there[there] = store.done[rows[there]] != 0
    refs = RefTable(ref for ref, has in zip(every, list(there), strict=True) if has)
    if not len(refs):
        return refs, Clustering(np.zeros(0, np.int64), np.zeros(0, np.float32))
    found = cluster_vectors(
        store.matrix[rows[there]], method, eps=eps, min_size=min_samples, progress=progress
    )
    groups = [found.items(number) for number in range(len(found))]
    write_clusters(project, cluster_members(refs, groups, [""] * len(groups)))
    return refs, found


def find_unclustered_faces(project: ProjectFolder) -> list[str]:
    """The faces that are in no cluster."""
    inside = set(read_clusters(project).refs)
    every = read_faces(project).images.values()
    return [ref for wanted in every for ref, _ in wanted if ref not in inside]


# --- JSON


def build_faces_document(
    project: ProjectFolder, state: LogState, seconds: float, failed: Callable[[str], None]
) -> dict[str, Any]:
    """`frames` with their faces and landmarks, and `clusters`: who is where.

    An image that cannot be read any more has neither width nor height; `failed` hears of it.
    The labels that people gave come first: a face with a name belongs to that name, also where
    the descriptors say otherwise; one that was rejected, or is noise, to nobody (-1).
    """
    number, names = _cluster_numbers(project, state)
    frames: list[dict[str, Any]] = []
    members_of: dict[int, list[dict[str, Any]]] = {}
    source = ImageFolder(project.images, project.settings.max_pixels)
    face_id = 0
    for photo, (path, found) in enumerate(read_faces(project).images.items()):
        faces = []
        for ref, points in found:
            if state.label(ref) in REJECT_LABELS:
                continue
            owner = number(ref)
            faces.append(_face(face_id, owner, ref, points))
            if owner >= 0:
                member = {"face_id": face_id, "photo_id": photo, "image": path}
                members_of.setdefault(owner, []).append(member)
            face_id += 1
        frame = {"photo_id": photo, "image": path, **_size(source, path, failed)}
        frames.append({**frame, "faces": faces})
    clusters = [_cluster(owner, members_of[owner], names) for owner in sorted(members_of)]
    return {"totalTime": round(seconds * 1000), "frames": frames, "clusters": clusters}


def _size(source: ImageFolder, path: str, failed: Callable[[str], None]) -> dict[str, int | None]:
    try:
        width, height = source.size(Item(path))
    except ImageError as error:
        failed(f"{make_printable(path)}: {strip_file_name(error, source.root / path)}")
        return {"width": None, "height": None}
    return {"width": width, "height": height}


def _face(face_id: int, owner: int, ref: str, points: Landmarks) -> dict[str, Any]:
    box = Item.parse(ref).box
    assert box is not None
    corners = {"x1": box.x, "y1": box.y, "x2": round(box.right, 2), "y2": round(box.bottom, 2)}
    marks = [[round(float(x), 2), round(float(y), 2)] for x, y in points]
    return {"face_id": face_id, "cluster_id": owner, **corners, "points": marks}


def _cluster(owner: int, faces: list[dict[str, Any]], names: Mapping[int, str]) -> dict[str, Any]:
    named = {"name": names[owner]} if owner in names else {}
    return {"cluster_id": owner, **named, "faces": faces}


def _cluster_numbers(
    project: ProjectFolder, state: LogState
) -> tuple[Callable[[str], int], dict[int, str]]:
    """The cluster of each ref, and the names: those of labels, else of clusters.csv."""
    clusters = read_clusters(project)
    found = dict(zip(clusters.refs, clusters.cluster.tolist(), strict=True)) if clusters else {}
    names = dict(clusters.names) if clusters else {}
    persons = identity_classes(project)
    next_number = max(found.values(), default=-1) + 1
    numbers = {name: next_number + place for place, name in enumerate(persons)}
    names |= {number: name for name, number in numbers.items()}

    def number(ref: str) -> int:
        label = state.label(ref)
        if label in numbers:
            return numbers[label]
        return -1 if label in (NOISE_CLASS, *REJECT_LABELS) else found.get(ref, -1)

    return number, names


def identity_classes(project: ProjectFolder) -> list[str]:
    """The classes that name somebody: all but those that say face, yes, no and noise."""
    others = {FACE, NOISE_CLASS, "yes", "positive", "accept", *REJECT_LABELS}
    return [name for name in project.settings.names if name not in others]


def write_faces_document(file: Path, document: Mapping[str, Any]) -> None:
    """Raises `ProjectError` where it cannot be written."""
    data = json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8", "surrogateescape")
    try:
        write_atomically(file, data)
    except OSError as error:
        raise ProjectError(
            f"{make_printable(str(file))} cannot be written: {error.strerror}"
        ) from error


def make_crop_names(refs: Iterable[str]) -> dict[str, str]:
    """A file name for each face: its image's, and a number among the faces of that image."""
    counts: dict[str, int] = {}
    names = {}
    for ref in refs:
        stem = Item.parse(ref).path.replace("/", "_")
        counts[stem] = counts.get(stem, 0) + 1
        names[ref] = f"{stem}-{counts[stem]}"
    return names
