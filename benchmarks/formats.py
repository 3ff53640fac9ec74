"""Export of a million items in each format, beside a plain csv writer of the same rows.

A project of 1,000,000 boxes in 20,000 images, every box labelled. Seconds are those from the first
line of work to the file in its place, and those of the processor; memory is the most that the
process held, less what it held before. Formats that write a file for each item are measured at
20,000 images, and say so. Each row is a process of its own. Then the exports are read into new
projects; the row of the headers is the part in which boxes meet the sizes of their images.
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
from typing import NamedTuple

from PIL import Image

from annotator.formats.dataset import create_from_dataset
from annotator.formats.format import list_formats, load_format
from annotator.formats.output_file import open_output
from annotator.formats.reading import ImportContext
from annotator.formats.source import ExportOptions, ExportSource
from annotator.images import ImageFolder
from annotator.items.refs import Item, split_ref
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs as load_pool
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings

ITEMS = int(os.environ.get("FORMATS_ITEMS", 1_000_000))
IMAGES = 20_000
PLAIN = "csv.writer of the same rows"
HEADERS = "headers of all images"
READ = "import of "


class Row(NamedTuple):
    """What one export took."""

    seconds: float
    worked: float
    """Seconds of the processor."""
    megabytes: float
    """The most that the process held, less what it held before."""
    written: int


def make_images(folder: Path) -> None:
    """Links to one small JPEG: headers are read from as many files."""
    folder.mkdir()
    first = folder / "00000.jpg"
    Image.effect_noise((160, 120), 60).convert("RGB").save(first)
    for number in range(1, IMAGES):
        os.link(first, folder / f"{number:05}.jpg")


def make_project(folder: Path, images: Path, boxes: bool) -> ProjectFolder:
    settings = Settings((ClassInfo("ok"), ClassInfo("defect")), images=str(images))
    project = ProjectFolder.create(folder, settings)
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


def plain(project: ProjectFolder, place: Path) -> int:
    """What nothing can beat: the same rows from memory that is there already."""
    refs = load_pool(project)
    with place.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ref", "label"])
        for n, ref in enumerate(refs):
            writer.writerow([ref, "ok" if n % 3 else "defect"])
    return len(refs)


def measure_headers(project: ProjectFolder) -> int:
    """Read the size of every image from its header."""
    images = ImageFolder(project.images)
    paths = dict.fromkeys(split_ref(ref)[0] for ref in load_pool(project))
    return sum(images.size(Item(path)) > (0, 0) for path in paths)


def read_export(project: ProjectFolder, name: str, place: Path) -> int:
    """Make a project of an export, which lies beside the new one."""
    reading = ImportContext(place.with_name(name), images=project.images)
    made = create_from_dataset(place, reading, load_format(name), Settings(()), lambda _: None)
    return len(load_pool(made.project))


def one(folder: Path, name: str, place: Path) -> None:
    """Runs in a process of its own; prints seconds, megabytes and items as JSON."""
    project = ProjectFolder.open(folder)
    before, begun, worked = held_mb("VmRSS"), time.perf_counter(), time.process_time()
    if name == PLAIN:
        written = plain(project, place)
    elif name == HEADERS:
        written = measure_headers(project)
    elif name.startswith(READ):
        written = read_export(project, name.removeprefix(READ), place)
    else:
        format_ = load_format(name)
        with open_output(place, format_.folder, False) as temporary:
            store = SqliteStore(project.labels_file)
            source = ExportSource.open(project, store.entries(), ExportOptions())
            assert format_.write is not None
            format_.write(source, temporary)
            store.close()
            written = source.written
    seconds = time.perf_counter() - begun
    worked = time.process_time() - worked
    print(json.dumps([seconds, worked, held_mb("VmHWM") - before, written]))


def run(folder: Path, name: str, place: Path) -> Row:
    command = [sys.executable, "-m", "benchmarks.formats", str(folder), name, str(place)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return Row(*json.loads(ran.stdout.splitlines()[-1]))


def main() -> None:
    if len(sys.argv) == 4:
        one(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
        return
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        make_images(root / "images")
        many = make_project(root / "boxes", root / "images", True)
        few = make_project(root / "whole", root / "images", False)
        base = run(many.folder, PLAIN, root / "plain")
        print(
            f"{'format':28} {'items':>9} {'seconds':>8} {'CPU':>7} {'x csv':>6} {'MB':>6} "
            f"{'on disk':>8}"
        )
        report(PLAIN, base, base, root / "plain")
        for name in list_formats():
            format_ = load_format(name)
            if format_.write is None or name in ("coco-results", "imagenet-ab"):
                continue
            project = few if "boxes" not in format_.preserved or format_.folder else many
            if name in ("yolo", "voc"):
                continue
            report(name, run(project.folder, name, root / name), base, root / name)
        for name in ("yolo", "voc"):
            report(name, run(many.folder, name, root / name), base, root / name)
        report(HEADERS, run(many.folder, HEADERS, root / "none"), base, root / "none")
        for name in ("coco", "jsonl", "yolo"):
            row = run(many.folder, READ + name, root / f"again-{name}")
            report(READ + name, row, base, root / f"again-{name}")
    print(f"{ITEMS:,} boxes in {IMAGES:,} images; folders of images link them")


def report(name: str, row: Row, base: Row, place: Path) -> None:
    """The ratio is that of the processor's time for each item: the disk has its own moods."""
    scale = ITEMS / max(1, row.written)
    note = (
        ""
        if scale == 1 or name == HEADERS
        else f"  a file an item; {row.seconds * scale:.0f} s if scaled"
    )
    disk = f"{place.stat().st_size / 1e6:.0f}" if place.is_file() else "-"
    print(
        f"{name:28} {row.written:9,} {row.seconds:8.1f} {row.worked:7.1f} "
        f"{row.worked * scale / base.worked:6.1f} {row.megabytes:6.0f} {disk:>8}{note}",
        flush=True,
    )


if __name__ == "__main__":
    main()
