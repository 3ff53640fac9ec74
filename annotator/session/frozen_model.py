"""A model that is frozen for a check: its predictions for a uniform sample of the open items.

What is stored lasts: new features, other classes and new items change nothing of it. So a check
resumes as it was.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ProjectError
from annotator.items.atomic import read_file, write_atomically
from annotator.items.json_text import parse_json
from annotator.items.ref_table import RefTable
from annotator.items.refs import make_printable, shell_quoted
from annotator.learn.audit import expected_error
from annotator.learn.confidence_sequence import KnownGuesses
from annotator.log.entries import LogState
from annotator.project.lock import lock_project
from annotator.project.project import ProjectFolder
from annotator.session.mode import AnsweredByPeople
from annotator.session.predict import FittedProject, drawn_labels, predict_pieces

MOST_DRAWN = 5_000
"""The most items that a check asks."""
_MOST_GUESSES = 5_000_000  # numbers stored; of 1,000 classes all 5,000 items
_FILE = re.compile(r"check-(\d+)\.npz")


@dataclass(frozen=True, slots=True)
class FrozenModel:
    """A model at one row of the log, and the sample of the items without a label of a person."""

    number: int
    seq: int
    """The last row of the log that the model was trained on."""
    at: float
    """Seconds since the epoch."""
    model: str
    pool: int
    """The number of items in the project."""
    classes: tuple[str, ...]
    featureless: int
    """The number of items that could not be drawn, because they had no features."""
    items: NDArray[np.uint64]
    """(N,) the hashes of the items that the sample is drawn from, ascending."""
    refs: tuple[str, ...]
    """(k,) the sample in the order of the draws."""
    predicted: tuple[str, ...]
    """(k,) the predicted labels."""
    guesses: NDArray[np.float32]
    """(k, 1 + C) the model's doubt about each prediction, and the probability of each class."""
    known: tuple[KnownGuesses, ...]
    """(1 + C,) what is known of the same numbers for all N items."""

    @property
    def name(self) -> str:
        """The name that marks the check's labels in the log."""
        return f"check-{self.number}"

    def has_items(self, refs: Iterable[str]) -> NDArray[np.bool_]:
        """Return for each ref whether it is among the N items."""
        hashes = _hash_refs(refs)
        places = np.searchsorted(self.items, hashes).clip(max=len(self.items) - 1)
        return np.asarray(self.items[places] == hashes, bool)


def _hash_refs(refs: Iterable[str]) -> NDArray[np.uint64]:
    found = b"".join(hashlib.blake2b(ref.encode(), digest_size=8).digest() for ref in refs)
    return np.frombuffer(found, "<u8").astype(np.uint64)


def freeze_model(
    fitted: FittedProject, state: LogState, project: ProjectFolder, at: float
) -> FrozenModel:
    """Freeze a model and draw the sample; the check is the next of the project's.

    Raises `ProjectError` if no item is left to be checked.
    """
    rows, featureless = _unanswered_rows(fitted, state)
    if not len(rows):
        raise ProjectError("There is no unlabelled item with features to check the model on.")
    number = max(_list_checks(project.folder), default=0) + 1
    rng = np.random.default_rng([project.settings.seed, number, state.seq])
    most = min(MOST_DRAWN, max(1, _MOST_GUESSES // (1 + len(fitted.classes))))
    drawn = rng.permutation(rows)[:most]
    known, guesses, predicted = _predict_sample(fitted, rows, drawn)
    return FrozenModel(
        number, state.seq, at, fitted.model.name, len(fitted.refs), fitted.classes,
        featureless,
        np.sort(_hash_refs(map(fitted.refs.__getitem__, rows.tolist()))),
        tuple(map(fitted.refs.__getitem__, drawn.tolist())), predicted, guesses, known,
    )  # fmt: skip


def _unanswered_rows(fitted: FittedProject, state: LogState) -> tuple[NDArray[np.int64], int]:
    """Return the pool rows with features that no person has answered, and how many have none."""
    wanted = np.ones(len(fitted.refs), bool)
    answered = fitted.refs.rows(list(AnsweredByPeople(state)))
    wanted[answered[answered >= 0]] = False
    rows = np.flatnonzero(wanted)
    usable = fitted.features.usable(fitted.features.rows(rows))
    return rows[usable], len(rows) - int(np.count_nonzero(usable))


def _predict_sample(
    fitted: FittedProject, rows: NDArray[np.int64], drawn: NDArray[np.int64]
) -> tuple[tuple[KnownGuesses, ...], NDArray[np.float32], tuple[str, ...]]:
    """Predict all rows; return what is known of them, and the guesses and labels of the sample."""
    targets, width = fitted.model.targets, 1 + len(fitted.classes)
    place = np.full(len(fitted.refs), -1, np.int64)
    place[drawn] = np.arange(len(drawn))
    guesses, labels = np.zeros((len(drawn), width), np.float32), [""] * len(drawn)
    sums, least, most = np.zeros((2, width)), np.full(width, np.inf), np.full(width, -np.inf)
    doubt = []
    mask = np.zeros(len(fitted.refs), bool)
    mask[rows] = True
    for part, proba in predict_pieces(fitted, mask):
        columns = [targets.class_proba(proba, c) for c in range(width - 1)]
        found = np.stack([1 - targets.confidence(proba), *columns], axis=1).astype(np.float32)
        exact = found.astype(float)
        sums += exact.sum(axis=0), (exact**2).sum(axis=0)
        least, most = np.minimum(least, exact.min(axis=0)), np.maximum(most, exact.max(axis=0))
        doubt.append(exact[:, 0])
        inside = place[part] >= 0
        guesses[place[part[inside]]] = found[inside]
        for at, label in zip(
            place[part[inside]].tolist(), fitted.labels(proba[inside]), strict=True
        ):
            labels[at] = label
    every = np.concatenate(doubt)
    expected = expected_error(1 - every, drawn_labels(fitted), len(rows), 0.0)
    known = [KnownGuesses.summarize(every, expected)]
    means, squares = sums / len(rows)
    for c in range(1, width):
        known.append(KnownGuesses.from_moments(len(rows), means[c], squares[c], least[c], most[c]))
    return tuple(known), guesses, tuple(labels)


def _list_checks(folder: Path) -> dict[int, Path]:
    found = {file: _FILE.fullmatch(file.name) for file in folder.glob("check-*.npz")}
    return {int(match[1]): file for file, match in found.items() if match}


def load_frozen_model(folder: Path) -> FrozenModel | None:
    """Return the model of a project's last check; None without one.

    Raises `ProjectError` for a file that cannot be read.
    """
    files = _list_checks(folder)
    if not files:
        return None
    file = files[max(files)]
    try:
        return _read_model(file)
    except OSError as error:
        why = str(error.strerror)
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        why = "it is damaged"
    raise ProjectError(
        f"{make_printable(str(file))} cannot be read: {why}. Start a new check: "
        f"mv {shell_quoted(file)} {shell_quoted(file)}.moved"
    )


def _read_model(file: Path) -> FrozenModel:
    with np.load(io.BytesIO(read_file(file)), allow_pickle=False) as arrays:
        table = parse_json(arrays["table"].tobytes())
        items, guesses, known = arrays["items"], arrays["guesses"], arrays["known"]
        refs = tuple(RefTable.from_bytes(arrays["refs"].tobytes()))
    model = FrozenModel(
        table["number"], table["seq"], table["at"], table["model"], table["pool"],
        tuple(table["classes"]), table.get("featureless", 0), items, refs,
        tuple(table["predicted"]), guesses,
        tuple(KnownGuesses(int(row[0]), *map(float, row[1:])) for row in known),
    )  # fmt: skip
    width = 1 + len(model.classes)
    sound = guesses.shape == (len(refs), width) and len(model.known) == width
    if not sound or len(model.predicted) != len(refs) or not len(items) or not len(refs):
        raise ValueError
    return model


def store_frozen_model(folder: Path, model: FrozenModel) -> FrozenModel:
    """Store the model of a new check; the first of two processes wins. Return the one stored."""
    table = {
        "number": model.number, "seq": model.seq, "at": model.at, "model": model.model,
        "pool": model.pool, "classes": model.classes, "featureless": model.featureless,
        "predicted": model.predicted,
    }  # fmt: skip
    data = io.BytesIO()
    np.savez_compressed(
        data,
        table=np.frombuffer(json.dumps(table).encode(), np.uint8),
        refs=np.frombuffer(RefTable(model.refs).to_bytes(), np.uint8),
        items=model.items,
        guesses=model.guesses,
        known=np.array([astuple(known) for known in model.known]),
    )
    with lock_project(folder):
        if model.number in _list_checks(folder):
            return load_frozen_model(folder) or model
        write_atomically(folder / f"{model.name}.npz", data.getvalue())
    return model
