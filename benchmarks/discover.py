"""Object discovery: agreement with the published answers, objects found, memory and time.

Needs ../shared (or ANNOTATOR_SHARED). There is no set of photographs with boxes here, so two are
made: the twelve photographs with boxes drawn by hand (17 objects), and ellipses cut out of flower
photographs, pasted on others. The network is MobileNetV2, the only one with weights here: the
figures order the methods for convolutional maps, and say nothing of DINO's keys.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from annotator.detection.backbone import PatchNetwork
from annotator.detection.dbscan import dbscan
from annotator.detection.detections import iou
from annotator.detection.lost import (
    DiscoveredObject,
    PatchFeatures,
    compute_degrees,
    grow_object,
    lost,
    lost_multi_seed,
    otsu,
    select_seeds,
    tokencut,
)
from annotator.detection.proposal import Proposal
from annotator.items.refs import Box, Item
from annotator.log.entries import Action, Entry, replay
from annotator.proposals import ProposalTable, ProposalWriter, open_proposal_project
from annotator.proposals.precision import measure_precision

SHARED = Path(os.environ.get("ANNOTATOR_SHARED", Path(__file__).parents[2] / "shared"))
MOBILENET = SHARED / "models" / "mobilenet-v2"
BY_HAND = {
    "bird": [(0.08, 0.22, 0.94, 0.90)], "cat": [(0.10, 0.11, 0.71, 1)],
    "cat_720p": [(0.10, 0.15, 0.71, 1)], "dragonfly": [(0.05, 0.05, 1, 1)],
    "face": [(0.44, 0.04, 0.99, 1), (0.06, 0.22, 0.5, 1)], "grace_hopper": [(0.03, 0.04, 1, 1)],
    "hot_dog": [(0.18, 0.21, 0.94, 0.63), (0.11, 0.13, 0.94, 0.9)],
    "kite_and_cold": [
        (0.44, 0.08, 0.505, 0.17), (0.08, 0.67, 0.125, 0.85), (0.15, 0.77, 0.2, 0.9),
    ],
    "owl": [(0.31, 0.035, 0.65, 0.975)], "parrot": [(0.19, 0.11, 0.9, 0.97)],
    "pets": [(0.205, 0.01, 0.505, 0.69), (0.675, 0.385, 0.97, 0.855)],
    "sunflower": [(0.11, 0.07, 0.82, 1)],
}  # fmt: skip
"""Left, top, right, bottom as shares of the sides, read off a grid laid over each photograph."""

Shares = tuple[float, float, float, float]
Sample = tuple[Image.Image, list[Shares]]


def photos() -> Iterator[Sample]:
    for name, boxes in BY_HAND.items():
        yield Image.open(SHARED / "data" / "photos" / f"{name}.jpg").convert("RGB"), boxes


def pasted(count: int, objects: int, seed: int) -> Iterator[Sample]:
    """Ellipses of one photograph on another one, which is blurred every other time."""
    rng = np.random.default_rng(seed)
    files = sorted((SHARED / "data" / "flowers").rglob("*.jpg"))

    def picture(size: tuple[int, int]) -> Image.Image:
        return Image.open(files[rng.integers(len(files))]).convert("RGB").resize(size)

    for number in range(count):
        ground = picture((480, 352)).filter(ImageFilter.GaussianBlur(8 * (number % 2)))
        boxes = []
        for _ in range(objects):
            w = int(480 * rng.uniform(0.25, 0.6))
            h = min(350, int(w * 352 / 480 * rng.uniform(0.8, 1.2)))
            mask = Image.new("L", (4 * w, 4 * h))
            ImageDraw.Draw(mask).ellipse((0, 0, 4 * w - 1, 4 * h - 1), fill=255)
            x, y = int(rng.integers(0, 480 - w)), int(rng.integers(0, 352 - h))
            ground.paste(picture((w, h)), (x, y), mask.resize((w, h)))
            boxes.append((x / 480, y / 352, (x + w) / 480, (y + h) / 352))
        yield ground, boxes


def share_box(shares: Shares) -> Box:
    left, top, right, bottom = shares
    return Box(left, top, right - left, bottom - top)


def boxes_of(found: list[DiscoveredObject], features: PatchFeatures) -> list[Box]:
    """As shares of the sides, after non-maximum suppression at 0.5, best first."""
    h, w = features.shape[:2]
    kept: list[Box] = []
    for one in sorted(found, key=lambda one: -one.score):
        box = one.box((1 / w, 1 / h), (1, 1))
        if all(iou(box, other) <= 0.5 for other in kept):
            kept.append(box)
    return kept


def at(
    threshold: Callable[[NDArray[np.float32], int], float],
) -> Callable[[PatchFeatures], list[DiscoveredObject]]:
    """`lost_multi_seed` with a threshold of (a seed's correlations, the seed)."""

    def find(features: PatchFeatures) -> list[DiscoveredObject]:
        flat, degree = features.reshape(-1, features.shape[2]), compute_degrees(features)
        found = []
        for seed in select_seeds(degree.reshape(features.shape[:2]), 40):
            correlation = flat @ flat[seed]
            mask = (correlation > threshold(correlation, seed)).reshape(features.shape[:2])
            one = grow_object(mask, seed, 1 - int(degree[seed]) / len(degree))
            found += [] if one is None else [one]
        return found

    return find


def single(
    find: Callable[[PatchFeatures], DiscoveredObject | None],
) -> Callable[[PatchFeatures], list[DiscoveredObject]]:
    def found(features: PatchFeatures) -> list[DiscoveredObject]:
        one = find(features)
        return [] if one is None else [one]

    return found


METHODS: dict[str, Callable[[PatchFeatures], list[DiscoveredObject]]] = {
    "LOST": single(lost),
    "TokenCut, tau 0.2": single(tokencut),
    "TokenCut, tau 0": single(lambda features: tokencut(features, 0.0)),
    "many, auto: Otsu of all correlations": lost_multi_seed,
    "many, Otsu of the positive ones": at(lambda c, seed: otsu(c[c > 0])),
    "many, above 0": at(lambda c, seed: 0.0),
    "many, 0.2 of the seed's own": at(lambda c, seed: 0.2 * float(c[seed])),
    "many, 0.5 of the seed's own": at(lambda c, seed: 0.5 * float(c[seed])),
}


def corloc() -> None:
    """CorLoc: how often the best box overlaps some object with an IoU of 0.5 (Deselaers 2012)."""
    network = PatchNetwork(str(MOBILENET), device="cpu")
    sets = {"photos": photos(), "1 pasted": pasted(100, 1, 7), "2 pasted": pasted(60, 2, 8)}
    table: dict[str, list[str]] = {name: [] for name in METHODS}
    for samples in sets.values():
        seen = []
        for picture, truth in samples:
            size = network.input_size(picture.size, 600)
            seen.append((network(np.asarray(picture.resize(size))), list(map(share_box, truth))))
        for name, find in METHODS.items():
            best, hits, count = [], [], 0
            for features, truth in seen:
                boxes = boxes_of(find(features), features)
                count += len(boxes)
                best.append(any(iou(box, one) >= 0.5 for box in boxes[:1] for one in truth))
                hits += [any(iou(box, one) >= 0.5 for box in boxes) for one in truth]
            table[name].append(f"{np.mean(best):.2f} {np.mean(hits):.2f} {count / len(seen):5.1f}")
    print(f"{'CorLoc, recall, boxes an image':38}", *(f"{name:>17}" for name in sets))
    for name, cells in table.items():
        print(f"{name:38}", *(f"{cell:>17}" for cell in cells))


def parity() -> None:
    files = sorted((SHARED / "data" / "discovery-parity").glob("*.npz"))
    same = [0, 0]
    for file in files:
        told = np.load(file, allow_pickle=False)
        features, patch = told["features"].astype(np.float32), int(told["patch"])
        stride, size = (patch, patch), tuple(reversed(told["image_size"].tolist()))
        one = lost(features, int(told["k_patches"]))
        several = lost_multi_seed(
            features, int(told["number_seeds"]), float(told["correlation_th"])
        )
        same[0] += one is not None and corners(one.box(stride, size)) == told["lost_box"].tolist()
        boxes = [corners(found.box(stride, size)) for found in several]
        same[1] += boxes == told["multi_boxes"].tolist()
    print(f"the published answers: LOST {same[0]} of {len(files)}, many {same[1]} of {len(files)}")


def corners(box: Box) -> list[float]:
    return [box.x, box.y, box.right, box.bottom]


def memory() -> None:
    """A photograph of 12 megapixels, with networks of the true shape and random weights."""
    import torch
    import transformers

    folder = Path(tempfile.mkdtemp())
    (folder / "photos").mkdir()
    photo = Image.open(SHARED / "data" / "photos" / "pets.jpg").convert("RGB")
    photo.resize((4000, 3000)).save(folder / "photos" / "large.jpg", quality=90)
    print(f"{'a photo of 4000 x 3000 pixels':38}{'peak':>12}{'CPU s':>10}")
    for name, width, heads, patch in (("ViT-S/16", 384, 6, 16), ("ViT-B/8", 768, 12, 8)):
        torch.manual_seed(0)
        config = transformers.ViTConfig(
            hidden_size=width, num_attention_heads=heads, intermediate_size=4 * width,
            patch_size=patch,
        )  # fmt: skip
        transformers.ViTModel(config).save_pretrained(folder / name.replace("/", "-"))
        told = {"image_processor_type": "ViTImageProcessor", "do_normalize": True}
        file = folder / name.replace("/", "-") / "preprocessor_config.json"
        file.write_text(json.dumps(told))
        row(name, folder / "photos", folder / name.replace("/", "-"), folder / f"boxes-{patch}")
    row(
        "MobileNetV2, named by MobileNetV2",
        folder / "photos",
        MOBILENET,
        folder / "boxes",
        MOBILENET,
    )
    print("limit: below 2 GB; all pairs of its patches at once would take 8.8 GB at /16, 140 at /8")


def row(name: str, photos: Path, model: Path, project: Path, names: object = "none") -> None:
    command = ["discover", photos, "--model", model, "--names", names, "--project", project]
    process = subprocess.Popen(
        [sys.executable, "-m", "annotator", *map(str, command)], stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = used.ru_utime + used.ru_stime
    assert process.returncode == 0, command
    print(f"{name:38}{used.ru_maxrss / 1e6:9.2f} GB{took:10.1f}")


def clusters(n: int = 20_000) -> None:
    """DBSCAN on the cosine distance beside scikit-learn's, as for faces."""
    from sklearn.cluster import DBSCAN

    rng = np.random.default_rng(0)
    people = rng.normal(size=(n // 20, 128))
    X = people[rng.integers(len(people), size=n)] + 0.4 * rng.normal(size=(n, 128))
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    begun = time.monotonic()
    ours = dbscan(X, 0.3, 2)
    mine = time.monotonic() - begun
    begun = time.monotonic()
    theirs = DBSCAN(eps=0.3, min_samples=2, metric="cosine").fit_predict(X)
    others = time.monotonic() - begun
    print(
        f"DBSCAN of {n:,} x 128: ours {mine:.1f} s, scikit-learn {others:.1f} s "
        f"({others / mine:.1f} times); clusters {ours.max() + 1} and {theirs.max() + 1}, "
        f"noise {(ours < 0).sum()} and {(theirs < 0).sum()}"
    )


def flow(images: int = 20_000, each: int = 5) -> None:
    """100,000 proposals: written, opened again, counted after 5,000 labels."""
    folder = Path(tempfile.mkdtemp())
    (folder / "photos").mkdir()
    project = open_proposal_project(folder / "photos")
    rng = np.random.default_rng(0)
    marks = [time.monotonic()]
    with ProposalWriter(project) as writer:
        for number in range(images):
            scores, names = rng.random(each), rng.integers(1000, size=each)
            writer.add(
                Proposal(Item(f"{number}.jpg", Box(50 * k, 10, 40, 40)), score, f"c{name}", "m")
                for k, (score, name) in enumerate(zip(scores.tolist(), names.tolist(), strict=True))
            )
    marks.append(time.monotonic())
    ProposalWriter(project).close()
    marks.append(time.monotonic())
    table = ProposalTable.load(project)
    table.find(table.refs[0])
    marks.append(time.monotonic())
    chosen = [table.refs[row] for row in rng.choice(len(table), 5000, replace=False).tolist()]
    labels = (Entry(n, 0.0, "a", Action.LABEL, ref, "yes") for n, ref in enumerate(chosen, 1))
    state = replay(labels)
    marks.append(time.monotonic())
    groups = measure_precision(project, state)
    marks.append(time.monotonic())
    wrote, again, opened, _, counted = np.diff(marks)
    print(
        f"{len(table):,} proposals of {len(groups) - 1:,} classes: written in {wrote:.1f} s "
        f"({images / wrote:,.0f} images a second), again ready to write in {again:.1f} s, read for "
        f"the screen in {opened:.1f} s, precision of each class in {counted:.1f} s"
    )


def main() -> None:
    if not (SHARED / "data" / "README.md").is_file():
        print(f"skipped: {SHARED / 'data'} is absent")
        return
    parity()
    corloc()
    memory()
    clusters()
    flow()


if __name__ == "__main__":
    main()
