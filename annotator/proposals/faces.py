"""Faces in a project: landmarks, descriptors, identities, and the JSON of earlier tools."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from annotator.detection.align import Landmarks, align_faces, save_face_crops
from annotator.detection.descriptors import DescriptorEnsemble
from annotator.detection.ensemble import EnsembleConfig, fuse_images
from annotator.detection.faces import FACE, FaceDetector
from annotator.detection.passes import DetectionPasses
from annotator.detection.proposal import strip_file_name
from annotator.errors import FeatureError, ImageError, ProjectError
from annotator.features.growing import FeatureWriter
from annotator.features.pipeline import ExtractionReport, ProgressCounter
from annotator.features.store import META_FILE, read_meta
from annotator.images import ImageFolder
from annotator.items.atomic import write_atomically
from annotator.items.refs import Item, make_printable
from annotator.log.entries import LogState
from annotator.log.store.open import load_log_state
from annotator.project.clusters import NOISE_CLASS, read_clusters
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.proposals.detect import EnsembleOutcome, write_fused_images
from annotator.proposals.runs import SILENT, RunOutput, RunStep, UnreadImages, run_detector
from annotator.proposals.table import read_proposals
from annotator.proposals.verdicts import REJECT_LABELS
from annotator.proposals.voters import tell_models_apart

_NO_IDENTITIES = {FACE, NOISE_CLASS, "yes", "positive", "accept", *REJECT_LABELS}


@dataclass(slots=True)
class ProjectFaces:
    """The faces of a project, image by image."""

    images: dict[str, list[tuple[str, Landmarks]]] = field(default_factory=dict)
    """Image path to the refs of its faces and their landmarks."""

    def __len__(self) -> int:
        return sum(map(len, self.images.values()))


def read_faces(project: ProjectFolder) -> ProjectFaces:
    """Return every proposal that has five landmarks. Raises `RefError` for faulty lines."""
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
    """Return the folder for descriptors: the project's features, unless those hold others."""
    own = project.features_folder
    try:
        of_faces = read_meta(own / META_FILE)["extractor"].get("faces")
    except FeatureError:
        return own  # none yet
    return own if of_faces else project.folder / "features-faces"


def detect_faces(
    project: ProjectFolder,
    paths: Sequence[str],
    detectors: Sequence[FaceDetector],
    config: EnsembleConfig,
    passes: DetectionPasses,
    output: RunOutput = SILENT,
    workers: int | None = None,
) -> EnsembleOutcome:
    """Write the faces of all images as items, fused over the detectors of `config`.

    Raises `RunStopped`.
    """
    config = replace(config, voters=tell_models_apart(project, config.voters))
    unread = UnreadImages(len(detectors))
    results = []
    for detector, voter in zip(detectors, config.voters, strict=True):
        answers, report = run_detector(
            project, paths, detector, voter.short, passes, output, workers
        )
        results.append(answers)
        unread.add(report, voter.short)
    outcome = write_fused_images(
        project, fuse_images(paths, results, config), config, accept=False, timestamp=time.time()
    )
    outcome.left_out[:0] = [*unread.lines(), *outcome.describe_invalid_boxes()]
    return outcome


def describe_faces(
    project: ProjectFolder,
    described: DescriptorEnsemble,
    output: RunOutput = SILENT,
    workers: int | None = None,
) -> list[str]:
    """Write a descriptor for each face that has none into the project's features.

    Return the faces without one, each with its reason. Raises `RunStopped`, and `FeatureError`
    for features that cannot be written.
    """

    def work(step: RunStep) -> ExtractionReport:
        return _describe_missing(project, described, step, workers)

    report = output.run(described.name, "face", work)
    return [f"{make_printable(broken.ref)}: {broken.reason}" for broken in report.broken]


def _describe_missing(
    project: ProjectFolder, described: DescriptorEnsemble, step: RunStep, workers: int | None
) -> ExtractionReport:
    refs, images = load_refs(project), read_faces(project).images
    root, limit = project.images.resolve(), project.settings.max_pixels
    folder = find_face_features(project)
    with FeatureWriter(folder, refs, described.describe(), described.dim) as growing:
        rows = {ref: row for row, ref in enumerate(refs)}
        todo = {
            path: missing
            for path, faces in images.items()
            if (missing := [face for face in faces if not growing.done[rows[face[0]]]])
        }
        count = sum(map(len, todo.values()))
        tally = ProgressCounter(int(growing.done.sum()), count, time.monotonic)
        for aligned in align_faces(todo, root, max_pixels=limit, workers=workers):
            for ref, reason in aligned.faults.items():
                tally.count_broken(ref, reason)
            if aligned.refs:
                vectors = described(aligned.faces)
                good = np.asarray(np.isfinite(vectors).all(axis=1))
                for row in np.flatnonzero(~good).tolist():
                    tally.count_broken(aligned.refs[row], "its descriptor is not a number")
                places = np.array([rows[ref] for ref in aligned.refs])
                growing.write(places[good], vectors[good])
                tally.count(int(good.sum()))
            step.progress(tally.progress())
            if step.stop():
                return tally.report(complete=False)
        growing.finish()
        step.progress(tally.progress())
        return tally.report(complete=True)


# --- JSON


def load_faces_document(
    project: ProjectFolder, seconds: float = 0.0
) -> tuple[dict[str, Any], list[str]]:
    """Build the JSON of a project's faces with its labels, as `build_faces_document` does.

    Return it, and the images whose size cannot be read, each with its reason.
    """
    left_out: list[str] = []
    state = load_log_state(project)
    return build_faces_document(project, state, seconds, left_out.append), left_out


def build_faces_document(
    project: ProjectFolder, state: LogState, seconds: float, failed: Callable[[str], None]
) -> dict[str, Any]:
    """Build `frames` with their faces and landmarks, and `clusters` with the faces of each person.

    An image that cannot be read any more has neither width nor height, and `failed` is called
    with the reason. Labels count before descriptors: a face with a name belongs to that name; a
    face that is rejected, or noise, is in no cluster (-1).
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
    """Return the cluster of each ref, and the names: those of labels, else of clusters.csv."""
    clusters = read_clusters(project)
    found = dict(zip(clusters.refs, clusters.cluster.tolist(), strict=True)) if clusters else {}
    names = dict(clusters.names) if clusters else {}
    persons = [name for name in project.settings.names if is_identity(name)]
    next_number = max(found.values(), default=-1) + 1
    numbers = {name: next_number + place for place, name in enumerate(persons)}
    names |= {number: name for name, number in numbers.items()}

    def number(ref: str) -> int:
        label = state.label(ref)
        if label in numbers:
            return numbers[label]
        return -1 if label in (NOISE_CLASS, *REJECT_LABELS) else found.get(ref, -1)

    return number, names


def is_identity(label: str | None) -> bool:
    """Return whether a label names a person: all do but those for face, yes, no and noise."""
    return label is not None and label not in _NO_IDENTITIES


def write_faces_document(file: Path, document: Mapping[str, Any]) -> None:
    """Write the JSON of faces. Raises `ProjectError` for a file that cannot be written."""
    data = json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8", "surrogateescape")
    try:
        write_atomically(file, data)
    except OSError as error:
        raise ProjectError(
            f"{make_printable(str(file))} cannot be written: {error.strerror}. Name another file."
        ) from error


def save_project_crops(
    project: ProjectFolder, folder: Path, workers: int | None = None
) -> tuple[int, list[str]]:
    """Save each face of a project in `folder`: upright, 112 x 112, as PNG.

    Return the number of files, and the faces without one, each with its reason. Raises
    `ProjectError` for a folder that cannot be written.
    """
    images = read_faces(project).images
    names = make_crop_names(ref for faces in images.values() for ref, _ in faces)
    root, limit = project.images.resolve(), project.settings.max_pixels
    left_out: list[str] = []
    count = 0
    for aligned in align_faces(images, root, max_pixels=limit, workers=workers):
        try:
            count += len(save_face_crops(aligned, folder, names.__getitem__))
        except OSError as error:
            raise ProjectError(
                f"{make_printable(str(folder))} cannot be written: {error.strerror}. "
                "Name another folder with --crops."
            ) from error
        left_out += [f"{make_printable(ref)}: {reason}" for ref, reason in aligned.faults.items()]
    return count, left_out


def make_crop_names(refs: Iterable[str]) -> dict[str, str]:
    """Return a file name for each face: its image's, and its number in that image."""
    counts: dict[str, int] = {}
    names = {}
    for ref in refs:
        stem = Item.parse(ref).path.replace("/", "_")
        counts[stem] = counts.get(stem, 0) + 1
        names[ref] = f"{stem}-{counts[stem]}"
    return names
