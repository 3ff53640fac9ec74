"""Export of a million items in each format, beside a plain csv writer of the same rows.

A project of 1,000,000 boxes in 20,000 images, every box labelled. Seconds from the command's
first line of work to the file in its place; memory is the most that the process held, less what it
held before. Formats that write a file for each image are measured at 20,000 images with one label
each, and say so: their time is that of the file system. Each row is a process of its own.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from annotator.formats.format import load, names
from annotator.formats.source import Options, Source
from annotator.formats.target import target
from annotator.log import Action, Entry
from annotator.pool import load as load_pool
from annotator.project import Project
from annotator.settings import ClassInfo, Settings
from annotator.store import SqliteStore

ITEMS = int(os.environ.get("FORMATS_ITEMS", 1_000_000))
IMAGES = 20_000
PLAIN = "csv.writer of the same rows"


def make_images(folder: Path) -> None:
    """Links to one small JPEG: headers are read from as many files."""
    folder.mkdir()
    first = folder / "00000.jpg"
    Image.effect_noise((160, 120), 60).convert("RGB").save(first)
    for number in range(1, IMAGES):
        os.link(first, folder / f"{number:05}.jpg")


def make_project(folder: Path, images: Path, boxes: bool) -> Project:
    settings = Settings((ClassInfo("ok"), ClassInfo("defect")), images=str(images))
    project = Project.create(folder, settings)
    count = ITEMS if boxes else IMAGES
    with project.refs_file.open("w") as file:
        file.write("filename,bbox\n")
        for n in range(count):
            image, place = n * IMAGES // count, n % 100
            box = f'"{place},{place // 2},40,50"' if boxes else ""
            file.write(f"{image:05}.jpg,{box}\n")
    refs = load_pool(project)
    store = SqliteStore(project.labels_file)
    batch: list[Entry] = []
    for n, ref in enumerate(refs):
        label = "ok" if n % 3 else "defect"
        batch.append(Entry(0, 1.7e9 + n, "ann", Action.LABEL, ref, label, shown_ms=900))
        if len(batch) == 20_000:
            store.append(*batch)
            batch = []
    store.append(*batch)
    store.close()
    return project


def held_mb(field: str) -> float:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if field in x)
    return int(line.split()[1]) / 1000


def plain(project: Project, place: Path) -> int:
    """What nothing can beat: the same rows from memory that is there already."""
    refs = load_pool(project)
    with place.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ref", "label"])
        for n, ref in enumerate(refs):
            writer.writerow([ref, "ok" if n % 3 else "defect"])
    return len(refs)


def one(folder: Path, name: str, place: Path) -> None:
    """Runs in a process of its own; prints seconds, megabytes and items as JSON."""
    project = Project.open(folder)
    before, begun = held_mb("VmRSS"), time.perf_counter()
    if name == PLAIN:
        written = plain(project, place)
    else:
        format_ = load(name)
        with target(place, format_.folder, False) as temporary:
            store = SqliteStore(project.labels_file)
            source = Source.open(project, store.entries(), Options())
            assert format_.write is not None
            format_.write(source, temporary)
            store.close()
            written = source.written
    seconds = time.perf_counter() - begun
    print(json.dumps([seconds, held_mb("VmHWM") - before, written]))


def run(folder: Path, name: str, place: Path) -> tuple[float, float, int]:
    command = [sys.executable, "-m", "benchmarks.formats", str(folder), name, str(place)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, megabytes, written = json.loads(ran.stdout.splitlines()[-1])
    return seconds, megabytes, written


def main() -> None:
    if len(sys.argv) == 4:
        one(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
        return
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        make_images(root / "images")
        many = make_project(root / "boxes", root / "images", True)
        few = make_project(root / "whole", root / "images", False)
        base, _, _ = row = run(many.folder, PLAIN, root / "plain")
        print(
            f"{'format':28} {'items':>9} {'seconds':>8} {'x csv':>6} {'MB':>6} {'MB on disk':>10}"
        )
        report(PLAIN, row, base, root / "plain")
        for name in names():
            format_ = load(name)
            if format_.write is None or name in ("coco-results", "imagenet-ab"):
                continue
            project = few if "boxes" not in format_.keeps or format_.folder else many
            if name in ("yolo", "voc"):
                continue
            report(name, run(project.folder, name, root / name), base, root / name)
        for name in ("yolo", "voc"):
            report(name, run(many.folder, name, root / name), base, root / name)
    print(f"{ITEMS:,} boxes in {IMAGES:,} images; folders of images link them")


def report(name: str, row: tuple[float, float, int], base: float, place: Path) -> None:
    seconds, megabytes, written = row
    scaled = seconds * ITEMS / max(1, written)
    note = "" if written == ITEMS else f"  (a file an item: {scaled:.0f} s for {ITEMS:,}, scaled)"
    disk = place.stat().st_size / 1e6 if place.is_file() else float("nan")
    print(
        f"{name:28} {written:9,} {seconds:8.1f} {seconds / base:6.1f} {megabytes:6.0f} "
        f"{disk:10.0f}{note}", flush=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
