"""Keys a label with 300 classes: digits that follow the model, beside digits that never change.

python -m benchmarks.digits [--labels 5000] [--classes 300]

No set of ../shared/data has as many classes. The pictures of all three are divided into 300 groups
that look alike (k-means of their features), named after classes of ImageNet: a model that is right
for half of them has nine tenths among its first nine. A simulated annotator labels items drawn at
random in a session: with the digit beside the class if there is one, else with `:`, as many letters
of the name as bring it to the top of the list, and Enter. Digits, list and model are those of the
labelling screen. Then the time that a letter takes in lists of 1,000 classes.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.log.store.sqlite import SqliteStore
from annotator.project.settings import ClassInfo
from annotator.session.learner import StrategyChoice
from annotator.session.session import LabelSession
from annotator.tui.keymaps import make_keymap
from annotator.tui.label.class_list import class_choices
from annotator.tui.label.digits import PictureKeys
from annotator.tui.label.strategy_dialog import strategy_choices
from annotator.tui.label.walk import Walk
from annotator.tui.pages.dialogs import page_choices
from annotator.tui.widgets.choices import Choice, filter_choices

SHARED = Path(os.environ.get("ANNOTATOR_SHARED", Path(__file__).parents[2] / "shared"))
SETS = ("flowers", "magnetic-tile", "cifar10")
FIT_EACH = 500
"""Labels between two fits; the app fits more often."""
WINDOW = 500
GOAL = 1.3


def load_groups(count: int) -> tuple[list[str], NDArray[np.float16], list[str]]:
    """The refs and features of all sets, and the groups of their pictures."""
    refs: list[str] = []
    for name in SETS:
        with (SHARED / "data" / name / "truth.csv").open(newline="") as lines:
            refs += [f"{name}/{row['filename']}" for row in csv.DictReader(lines)]
    matrix = np.concatenate([np.load(SHARED / "data" / name / "features.npy") for name in SETS])
    names = _names(count)
    return refs, matrix, [names[at] for at in _k_means(matrix.astype(np.float32), count).tolist()]


def _names(count: int) -> list[str]:
    """Names of ImageNet's classes, in an order without meaning."""
    file = SHARED / "models" / "mobilenet-v2" / "config.json"
    labels = json.loads(file.read_text())["id2label"].values()
    names = list(dict.fromkeys(label.split(",")[0] for label in labels))
    return [names[at] for at in np.random.default_rng(0).permutation(len(names))[:count]]


def _k_means(points: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    centres = points[rng.choice(len(points), count, replace=False)]
    for _ in range(20):
        nearest = np.argmax(points @ centres.T - 0.5 * (centres**2).sum(1), axis=1)
        for at in range(count):
            if (mine := nearest == at).any():
                centres[at] = points[mine].mean(0)
    return nearest


class KeysOfLabel(NamedTuple):
    """What it took to label one picture."""

    model: int
    """Keys with the digits of the model."""
    fixed: int
    hit: bool
    """Whether the class was among the nine likeliest."""


def label_all(count: int, labels: int) -> list[KeysOfLabel]:
    """Label pictures in a session, and count the keys of each label both ways."""
    refs, matrix, truth = load_groups(count)
    of = dict(zip(refs, truth, strict=True))
    infos = [ClassInfo(name) for name in sorted(set(truth))]
    found: list[KeysOfLabel] = []
    with tempfile.TemporaryDirectory() as name:
        store = SqliteStore(Path(name) / "labels.db")
        session = LabelSession(
            store, [info.name for info in infos], annotator="simulated",
            strategy=StrategyChoice("random"),
        )  # fmt: skip
        session.extend(refs)
        done = np.ones(len(refs), np.uint8)
        session.attach_features(FeatureStore(RefTable(refs), matrix, {"name": "given"}, done))
        keys = {
            digits: PictureKeys(
                session, Walk(session), make_keymap("default", infos, digits=digits)
            )
            for digits in ("model", "fixed")
        }
        for number in range(labels):
            if number and number % FIT_EACH == 0:
                session.learn()
            item = session.current
            assert item is not None
            wanted, shares = of[item.ref], session.prediction or {}
            hit = wanted in sorted(shares, key=lambda one: -shares[one])[:9]
            needed = {way: _count_keys(session, keys[way], infos, wanted) for way in keys}
            found.append(KeysOfLabel(**needed, hit=hit))
            session.label(wanted)
        store.close()
    return found


def _count_keys(
    session: LabelSession, keys: PictureKeys, infos: list[ClassInfo], wanted: str
) -> int:
    """How many keys label the picture in view with a class."""
    shown = keys.now(False).classes
    if shown[wanted]:
        return 1
    choices = class_choices(infos, shown, session.progress.classes, session.prediction)
    letters = next(
        typed for typed in range(len(wanted) + 1)
        if filter_choices(choices, wanted[:typed])[0].value == wanted
    )  # fmt: skip
    return 2 + letters


def print_keys(count: int, labels: int) -> None:
    found = label_all(count, labels)
    print(f"{count} classes, items at random; means of {WINDOW} labels")
    print("labels   in the first nine   keys a label: digits of the model   fixed digits")
    for end in range(WINDOW, labels + 1, WINDOW):
        print(f"{end:6,}   {_means(found[end - WINDOW : end])}")
    for end in range(WINDOW, labels + 1):
        window = found[end - WINDOW : end]
        if sum(one.hit for one in window) >= 0.9 * WINDOW:
            print(f"{end:6,}   {_means(window)}   (goal: {GOAL} with 90 % in the first nine)")
            return
    print("never 90 % in the first nine")


def _means(window: list[KeysOfLabel]) -> str:
    model, fixed, hit = np.mean(window, axis=0)
    return f"{100 * hit:>15.1f} %   {model:>31.2f}   {fixed:>12.2f}"


def print_letters(count: int = 1000) -> None:
    names = _names(count)
    infos = [ClassInfo(f"{name} {at}") for at, name in enumerate(names)]
    counts = {info.name: 0 for info in infos}
    lists: dict[str, Sequence[Choice[Any]]] = {
        ":": class_choices(infos, {}, counts, None),
        "T": strategy_choices(counts, StrategyChoice(), StrategyChoice()),
        "G": page_choices(counts, True),
    }
    for key, choices in lists.items():
        took = []
        for letters in ("a", "an", "b", "th", "xq", "find s", "co 1"):
            begun = time.perf_counter()
            filter_choices(choices, letters)
            took.append(time.perf_counter() - begun)
        print(f"{key}: {len(choices):,} rows, a letter {1000 * median(took):.1f} ms, "
              f"at most {1000 * max(took):.1f} ms")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--labels", type=int, default=5000)
    parser.add_argument("--classes", type=int, default=300)
    given = parser.parse_args()
    if not all((SHARED / "data" / name).is_dir() for name in SETS):
        print(f"{SHARED / 'data'} is absent: left out")
        return
    print_keys(given.classes, given.labels)
    print_letters()


if __name__ == "__main__":
    main()
