"""Detection: what an ensemble is worth, and what the pipeline costs beside the bare networks.

`python -m benchmarks.detect` prints three tables. AP at IoU 0.5 on made scenes with known boxes,
for each of three made detectors of known faults and for their fusions, beside pycocotools. Time of
the fusion beside the published package, where that is installed. Images a second of two networks
of their true architecture (D-FINE, RT-DETR v2; random weights) from JPEG files to answers on disk,
beside their bare forward passes; `--device cuda` on a GPU, `--small` for dfine-small and
rtdetr_v2_r18vd. Goal: at least 0.9. `--cpu-time` counts the processor's seconds instead of the
clock's, with the networks on one thread: for a busy machine.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from annotator.detection.detect import detect_images
from annotator.detection.detections import Detections
from annotator.detection.detectors import TransformersDetector
from annotator.detection.evaluate import detection_average_precision
from annotator.detection.fuse import fuse
from annotator.detection.passes import DetectionPasses
from annotator.detection.results import DetectionCache
from tests.detection.made_scenes import MODELS, answers, official, scenes

GOAL = 0.9
SEEDS = range(5)


def precision() -> None:
    rows: dict[str, list[tuple[float, float]]] = {}
    for seed in SEEDS:
        truth = scenes(200, seed)
        found = {model.name: answers(model, truth, seed) for model in MODELS}
        for method in ("nms", "soft-nms", "wbf"):
            found[method] = {
                path: _as_one(fuse([found[m.name][path] for m in MODELS], method=method))
                for path in truth
            }
        for name, each in found.items():
            ours = float(np.mean(list(detection_average_precision(truth, each).values())))
            theirs = float(np.mean(list(official(truth, each).values())))
            rows.setdefault(name, []).append((ours, theirs))
    print("| AP at IoU 0.5, made scenes, median of 5 seeds | ours | pycocotools |")
    print("|---|---|---|")
    for name, values in rows.items():
        ours, theirs = (median(column) for column in zip(*values, strict=True))
        print(f"| {name} | {ours:.3f} | {theirs:.3f} |")


def _as_one(fused: Any) -> Detections:
    boxes = np.array([f.box for f in fused]).reshape(-1, 4)
    return Detections(boxes, np.array([f.score for f in fused]), tuple(f.name for f in fused))


def fusion() -> None:
    rng = np.random.default_rng(0)
    lists = []
    for _ in range(3):
        corner = rng.uniform(0, 0.8, (100, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(0.02, 0.2, (100, 2))], 1)
        lists.append(Detections(boxes, rng.random(100), tuple(map(str, rng.integers(0, 5, 100)))))
    ours = _timed(lambda: fuse(lists))
    print("\n| weighted boxes fusion, 3 models of 100 boxes | ms |")
    print("|---|---|")
    print(f"| ours | {1000 * ours:.1f} |")
    try:
        package = importlib.import_module("ensemble_boxes")
    except ImportError:
        print("| ensemble-boxes (not installed) | – |")
        return
    rows = ([d.boxes.tolist() for d in lists], [d.scores.tolist() for d in lists])
    labels = [list(map(int, d.names)) for d in lists]
    theirs = _timed(lambda: package.weighted_boxes_fusion(*rows, labels))
    print(f"| ensemble-boxes | {1000 * theirs:.1f} |")


def _timed(work: Callable[[], object], times: int = 20) -> float:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return median(taken)


def networks(folder: Path, small: bool) -> list[Path]:
    """Checkpoints of the true architecture with random weights."""
    from transformers import DFineConfig, DFineForObjectDetection, RTDetrV2Config
    from transformers import RTDetrV2ForObjectDetection as RTDetrV2
    from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil

    first, second = _small() if small else (DFineConfig(), RTDetrV2Config())
    made = []
    for name, model in (
        ("dfine", DFineForObjectDetection(first)),
        ("rtdetr_v2", RTDetrV2(second)),
    ):
        model.save_pretrained(folder / name)
        RTDetrImageProcessorPil(size={"height": 640, "width": 640}).save_pretrained(folder / name)
        made.append(folder / name)
    return made


def _small() -> tuple[Any, Any]:
    """As the published dfine-small and rtdetr_v2_r18vd."""
    from transformers import DFineConfig, HGNetV2Config, RTDetrResNetConfig, RTDetrV2Config

    stages = ["stage2", "stage3", "stage4"]
    hgnet = HGNetV2Config(
        stem_channels=[3, 16, 16], stage_in_channels=[16, 64, 256, 512],
        stage_mid_channels=[16, 32, 64, 128], stage_out_channels=[64, 256, 512, 1024],
        stage_num_blocks=[1, 1, 2, 1], stage_numb_of_layers=[3, 3, 3, 3],
        stage_kernel_size=[3, 3, 5, 5], hidden_sizes=[64, 256, 512, 1024], out_features=stages,
    )  # fmt: skip
    resnet = RTDetrResNetConfig(
        depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic",
        out_features=stages,
    )  # fmt: skip
    return (
        DFineConfig(backbone_config=hgnet, encoder_in_channels=[256, 512, 1024], decoder_layers=3),
        RTDetrV2Config(
            backbone_config=resnet, encoder_in_channels=[128, 256, 512], decoder_layers=3
        ),
    )


def pipeline(given: argparse.Namespace) -> None:
    device, dtype, images, batch = given.device, given.dtype, given.images, given.batch
    clock = time.process_time if given.cpu_time else time.perf_counter
    if given.cpu_time:
        import torch

        torch.set_num_threads(1)
    what = f"images a {'processor second' if given.cpu_time else 'second'}, {device} {dtype}"
    print(f"\n| {what} | pipeline | bare forward | ratio (goal {GOAL}) |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = _photographs(folder, images)
        spent = alone = 0.0
        for checkpoint in networks(folder, given.small):
            detector = TransformersDetector(
                str(checkpoint), device=device, dtype=dtype, batch_size=batch
            )
            bare = _bare(detector, folder / paths[0], images, clock)
            begun = clock()
            results = DetectionCache(folder / "answers", detector.describe())
            detect_images(paths, folder, detector, results, DetectionPasses())
            whole = clock() - begun
            spent, alone = spent + whole, alone + bare
            _row(checkpoint.name, images, whole, bare)
        _row("both", images, spent, alone)


def _row(name: str, images: int, whole: float, bare: float) -> None:
    print(f"| {name} | {images / whole:.2f} | {images / bare:.2f} | {bare / whole:.2f} |")


def _photographs(folder: Path, count: int) -> list[str]:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8))
    small.resize((1280, 960), Image.Resampling.BICUBIC).save(folder / "0.jpg", quality=90)
    for number in range(1, count):
        (folder / f"{number}.jpg").write_bytes((folder / "0.jpg").read_bytes())
    return [f"{number}.jpg" for number in range(count)]


def _bare(
    detector: TransformersDetector, file: Path, images: int, clock: Callable[[], float]
) -> float:
    """Seconds of the network alone, on a batch that lies on its device already."""
    import torch

    with Image.open(file) as picture:
        values = detector.prepare(picture.convert("RGB"), picture.size).inputs["pixel_values"]
    model, size = detector._model, detector.batch_size
    weights = next(model.parameters())
    batch = values.repeat(size, 1, 1, 1).to(weights.device, weights.dtype)

    def forward() -> None:
        with torch.inference_mode():
            model(pixel_values=batch).logits.float().cpu()

    forward()  # the first one allocates
    begun = clock()
    for _ in range(0, images, size):
        forward()
    return (clock() - begun) * images / (-(-images // size) * size)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="fp32")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--cpu-time", action="store_true")
    given = parser.parse_args()
    precision()
    fusion()
    pipeline(given)


if __name__ == "__main__":
    main()
