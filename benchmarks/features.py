"""Feature extraction: the whole pipeline beside the network's bare forward pass.

`python -m benchmarks.features` runs on this machine's processor; `--device cuda` on a GPU. The
networks have their true architecture and random weights, for speed depends on nothing else; no
network connection is needed. Goal: images a second of the pipeline, from JPEG files to rows on
disk, at least 0.9 of the forward pass alone on the same device.

`--cpu-time` counts the processor's seconds instead of the clock's, with the network on one thread:
on a busy machine, where others take turns with the two in no fair order, that ratio still holds.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from annotator.features.classic import ClassicExtractor
from annotator.features.dictionary import dead_leaves
from annotator.features.extractor import Extractor
from annotator.features.pipeline import ExtractionProgress, extract_features
from annotator.images import ImageFolder
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item

GOAL = 0.9
Clock = Callable[[], float]
_FILES = 200
_IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
_HALF = ([0.5] * 3, [0.5] * 3)


def dinov2(hidden: int, heads: int) -> Any:
    from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    config = Dinov2WithRegistersConfig(
        hidden_size=hidden, num_attention_heads=heads, num_hidden_layers=12, image_size=518,
        patch_size=14, num_register_tokens=4,
    )  # fmt: skip
    return Dinov2WithRegistersModel(config)


def siglip2_base() -> Any:
    from transformers import SiglipVisionConfig, SiglipVisionModel

    config = SiglipVisionConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
        image_size=224, patch_size=16,
    )  # fmt: skip
    return SiglipVisionModel(config)


NETWORKS: dict[str, tuple[Callable[[], Any], tuple[list[float], list[float]]]] = {
    "dinov2-small": (lambda: dinov2(384, 6), _IMAGENET),
    "dinov2-base": (lambda: dinov2(768, 12), _IMAGENET),
    "siglip2-base": (siglip2_base, _HALF),
}


def save(name: str, folder: Path) -> Path:
    """A checkpoint as it would be downloaded, with random weights."""
    network, (mean, std) = NETWORKS[name]
    network().save_pretrained(folder)
    side = {"height": 224, "width": 224}
    said = {"size": side, "crop_size": side, "image_mean": mean, "image_std": std}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return folder


def photographs(folder: Path, size: tuple[int, int]) -> None:
    """JPEG files with edges as photographs have them, about 100 KB each at 640 x 480."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for n, leaves in enumerate(dead_leaves(_FILES, 128, random)):
        image = Image.fromarray(leaves.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
        grain = random.normal(0, 6, (size[1], size[0], 1))
        noisy = (np.asarray(image) + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{n}.jpg", quality=88)


def listed(folder: Path, count: int) -> RefTable:
    """`count` refs of the files; names of their own, so that each is a row."""
    for n in range(_FILES, count):
        name = folder / f"{n}.jpg"
        if not name.exists():
            os.link(folder / f"{n % _FILES}.jpg", name)
    return RefTable(f"{n}.jpg" for n in range(count))


def pipeline_rate(
    extractor: Extractor,
    images: Path,
    count: int,
    workers: int | None,
    seconds: float,
    clock: Clock,
) -> tuple[float, float]:
    """Images a second from files to rows once it is going, and the seconds until it was.

    From the sixth batch on, when nothing is used that was decoded before; stopped, not drained.
    """
    marks: list[tuple[float, int]] = []

    def note(progress: ExtractionProgress) -> None:
        marks.append((clock(), progress.done))

    def enough() -> bool:
        return len(marks) > 7 and marks[-1][0] - marks[6][0] > seconds

    refs = listed(images, count)
    with tempfile.TemporaryDirectory() as folder:
        extract_features(
            refs, ImageFolder(images), extractor, Path(folder), workers=workers, progress=note,
            stop=enough,
        )  # fmt: skip
    (began, _), (first, before), (last, after) = marks[0], marks[6], marks[-1]
    return (after - before) / (last - first), marks[1][0] - began


def forward_rate(backbone: Any, count: int, clock: Clock) -> float:
    """Images a second of the network alone, in a thread of its own as in the pipeline."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_forward_rate, backbone, count, clock).result()


def _forward_rate(backbone: Any, count: int, clock: Clock) -> float:
    """With its input on the device already."""
    torch, device = backbone._torch, backbone._device
    batch, (width, height) = backbone.batch_size, backbone.size
    # The order of values in memory that the pipeline gives it: channels last.
    pixels = torch.rand(batch, height, width, 3).permute(0, 3, 1, 2).to(device, backbone._dtype)
    arguments = backbone._arguments(pixels)
    rounds = max(1, count // batch)
    with torch.inference_mode():
        backbone._model(**arguments)
        _wait(torch, device)
        begun = clock()
        for _ in range(rounds):
            backbone._model(**arguments)
        _wait(torch, device)
    return rounds * batch / (clock() - begun)


def _wait(torch: Any, device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def compare(
    name: str, weights: Path, images: Path, options: argparse.Namespace, dtype: str
) -> dict[str, Any]:
    """The pipeline and the forward pass in turns; the medians."""
    from annotator.features.backbones import Backbone

    backbone = Backbone(
        str(weights), device=options.device, dtype=dtype, batch_size=options.batch_size
    )
    torch, on_gpu = backbone._torch, backbone._device.startswith("cuda")
    clock = time.process_time if options.cpu_time else time.perf_counter
    if options.cpu_time:
        torch.set_num_threads(1)
    first = 4 * backbone.batch_size if on_gpu else backbone.batch_size
    trial = forward_rate(backbone, first, clock)
    count = max(int(trial * options.seconds), 2 * backbone.batch_size)
    many = min(count + 12 * backbone.batch_size, 300_000)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    runs = [
        (
            forward_rate(backbone, count, clock),
            *pipeline_rate(backbone, images, many, options.workers, options.seconds, clock),
        )
        for _ in range(options.repeats)
    ]
    bare, ours, start = (median(found) for found in zip(*runs, strict=True))
    return {
        "network": name,
        "device": torch.cuda.get_device_name() if on_gpu else backbone._device,
        "dtype": str(backbone._dtype).removeprefix("torch."),
        "batch": backbone.batch_size,
        "seconds_of": "processor" if options.cpu_time else "clock",
        "forward_per_s": round(bare, 1),
        "pipeline_per_s": round(ours, 1),
        "ratio": round(median(mine / theirs for theirs, mine, _ in runs), 3),
        "start_s": round(start, 2),
        "gpu_mib": torch.cuda.max_memory_allocated() >> 20 if on_gpu else None,
    }


def classic(images: Path, repeats: int) -> dict[str, Any]:
    """Milliseconds a picture: the features alone, and all from file to row."""
    extractor, source = ClassicExtractor(), ImageFolder(images)
    pictures = [source.resized_pixels(Item(f"{n}.jpg"), extractor.size) for n in range(64)]
    times = []
    for _ in range(5 * repeats):
        begun = time.perf_counter()
        extractor(pictures)
        times.append((time.perf_counter() - begun) / len(pictures))
    clock = time.perf_counter
    rates = [pipeline_rate(extractor, images, 4000, None, 2.0, clock)[0] for _ in range(repeats)]
    return {
        "features_ms": round(1000 * median(times), 3),
        "pipeline_ms": round(1000 / median(rates), 3),
        "dim": extractor.dim,
    }


def show(rows: list[dict[str, Any]]) -> None:
    columns = (
        "network",
        "dtype",
        "batch",
        "seconds_of",
        "forward_per_s",
        "pipeline_per_s",
        "ratio",
        "start_s",
        "gpu_mib",
    )
    print("  ".join(f"{column:>14}" for column in columns))
    for row in rows:
        print("  ".join(f"{row[column]!s:>14}" for column in columns))


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--device", default="cpu")
    parse.add_argument("--dtype", default="", help="fp32,bf16 by default on a GPU, else fp32")
    parse.add_argument("--networks", default="", help=",".join(NETWORKS))
    parse.add_argument("--weights", type=Path, help="a real checkpoint beside the random ones")
    parse.add_argument("--size", default="640x480", help="of the JPEG files")
    parse.add_argument("--seconds", type=float, default=6.0, help="of one measurement")
    parse.add_argument("--repeats", type=int, default=3)
    parse.add_argument("--workers", type=int, default=None)
    parse.add_argument("--batch-size", type=int, default=None)
    parse.add_argument("--cpu-time", action="store_true")
    parse.add_argument("--json", type=Path, help="write the figures there, too")
    options = parse.parse_args()
    on_gpu = options.device.startswith("cuda")
    width, height = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photographs(folder / "images", (width, height))
        figures: dict[str, Any] = {"size": options.size, "cores": len(os.sched_getaffinity(0))}
        figures["classic"] = classic(folder / "images", options.repeats)
        print(f"classic: {figures['classic']}", flush=True)
        rows = figures["networks"] = []
        wanted = options.networks or (",".join(NETWORKS) if on_gpu else "dinov2-small")
        checkpoints = {} if options.weights is None else {options.weights.name: options.weights}
        for network in filter(None, wanted.split(",")):
            checkpoints[network] = save(network, folder / network)
        for network, weights in checkpoints.items():
            for dtype in (options.dtype or ("fp32,bf16" if on_gpu else "fp32")).split(","):
                rows.append(compare(network, weights, folder / "images", options, dtype))
                print(json.dumps(rows[-1]), flush=True)
    show(rows)
    if any(row["ratio"] < GOAL for row in rows):
        print(f"below the goal of {GOAL}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
