"""Draw the example data again: `python example_data/make.py` rewrites this folder's files.

Needs numpy and Pillow, and some five minutes of one core.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from drawing.plan import plan
from drawing.scene import Scene, box, photograph

HERE = Path(__file__).parent
TRAYS, SEED, QUALITY = 60, 7, 86


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write")
    parser.add_argument("--only", nargs="*", help="pictures to draw, such as tray-01.jpg; no lists")
    parser.add_argument("--lists", action="store_true", help="write the lists, draw nothing")
    parser.add_argument("--scale", type=int, default=3, help="samples per pixel, each way")
    given = parser.parse_args()
    scenes = plan(TRAYS, SEED)
    if not given.only:
        write_lists(scenes, given.out)
    if not given.lists:
        chosen = [scene for scene in scenes if not given.only or scene.name in given.only]
        draw(chosen, given.out / "images", given.scale)


def write_lists(scenes: Sequence[Scene], out: Path) -> None:
    """refs.csv (what there is to label) and truth.csv (the answers), same rows, same order."""
    out.mkdir(parents=True, exist_ok=True)
    rows = [
        (scene.name, ",".join(map(str, box(part))), part.label, part.kind)
        for scene in scenes
        for part in scene.parts
    ]
    _write(out / "refs.csv", ("filename", "bbox"), (row[:2] for row in rows))
    _write(out / "truth.csv", ("filename", "bbox", "label", "kind"), rows)


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        table.writerows(rows)


def draw(scenes: Sequence[Scene], folder: Path, scale: int) -> None:
    """One JPEG for each scene, on every core."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        for name in pool.map(partial(_draw, folder=folder, scale=scale), scenes):
            print(name, flush=True)


def _draw(scene: Scene, folder: Path, scale: int) -> str:
    photograph(scene, scale).save(folder / scene.name, quality=QUALITY, optimize=True)
    return scene.name


if __name__ == "__main__":
    main()
