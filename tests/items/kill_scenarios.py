"""Commands that write several files, and the check that a kill between any two loses nothing."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from annotator.log.store.sqlite import SqliteStore
from tests.items.kill_steps import import_commands, run_killed

IMAGES = 10
_SHARED = Path(os.environ.get("ANNOTATOR_SHARED", Path(__file__).parents[2].parent / "shared"))
_FACE_MODELS = (
    f"--detectors {_SHARED / 'models/yunet.onnx'} "
    f"--descriptors {_SHARED / 'models/dlib_resnet_112.onnx'}"
)
_PREPARED = {
    "none": (),
    "plain": ("init p --images im --classes good,bad",),
    "labelled": (
        "init p --images im --classes good,bad",
        "features p --model classic",
        "import p labels.csv",
    ),
    "boxes": ("detect im --models boxes:found.json --project p",),
    "exported": (
        "init p --images im --classes good,bad",
        "import p labels.csv",
        "export p out --format yolo-cls",
        "answer p 9.png bad",
    ),
    "damaged": (
        "init p --images im --classes good,bad",
        "import p labels.csv",
        "DAMAGE",
    ),
    "network": ("NETWORK",),
    "people": ("PEOPLE",),
}
SCENARIOS = {
    "init": ("none", "init p --images im --classes good,bad"),
    "init --refs": ("none", "init p --refs refs.csv --images im"),
    "init a data set": ("none", "init p --images data"),
    "add images": ("plain", "add p --images more"),
    "add a class": ("plain", "add p --class ugly"),
    "import": ("plain", "import p labels.csv"),
    "answer": ("plain", "answer p 3.png good"),
    "next": ("labelled", "next p -n 2"),
    "features": ("plain", "features p --model classic"),
    "features anew": ("labelled", "features p --model classic --replace"),
    "cluster": ("labelled", "cluster p --count 2 --queue typical"),
    "detect": ("none", "detect im --models boxes:found.json --project p"),
    "detect again": ("boxes", "detect im --models boxes:other.json,boxes:found.json --project p"),
    "detect replaces": ("boxes", "detect im --models boxes:found.json --threshold 0.8 --project p"),
    "export": ("labelled", "export p out --format coco"),
    "export of a folder": ("labelled", "export p out --format yolo-cls"),
    "export --overwrite": ("exported", "export p out --format yolo-cls --overwrite"),
    "hits": ("labelled", "hits make p --class bad --pages 1 --images 3 --gold 1"),
    "predict": ("labelled", "predict p out.csv"),
    "report": ("labelled", "report p --out out.html"),
    "take back": ("labelled", "finish p --take-back"),
    "repair": ("damaged", "doctor p --repair"),
    "map": ("labelled", "map p --method pca"),
    "proposals": ("boxes", "proposals p"),
    "search --json": ("labelled", "search p label:good --json"),
    "search --save": ("labelled", "search p label:good --save night"),
    "search --measure": ("labelled", "search p size<99 --measure"),
    "discover": ("network", "discover im --model dino --names none --seeds 4 --project p"),
    "faces": ("people", f"faces people {_FACE_MODELS} --eps 0.03 --project p"),
}
"""Name -> the state in which a command begins, and the command."""
NEEDS = {"network": "torch", "people": "cv2"}
"""State -> the module that it cannot do without."""


_TIMES = re.compile(
    rb'("made"|"at"|"date_created"|"totalTime"): ?("[^"]*"|[0-9.]+)|\d+:\d+(:\d+)?|"seen".*'
)


@dataclass(frozen=True)
class Outcome:
    """The result of one kill."""

    step: int
    where: str
    """The change that the command was about to make."""
    faults: list[str]


def make_files(folder: Path) -> None:
    """Write images, a table of labels, a data set and results of detectors."""
    rng = random.Random(3)  # noqa: S311  colours
    for name in [*(f"im/{n}.png" for n in range(IMAGES)), "more/x.png", "more/y.png"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        colour = tuple(rng.randrange(256) for _ in range(3))
        Image.new("RGB", (40, 40), colour).save(folder / name)
    for kind in ("good", "bad"):
        (folder / "data" / kind).mkdir(parents=True)
        shutil.copy(folder / "im/0.png", folder / "data" / kind / f"{kind}.png")
    rows = [(f"{n}.png", ("good", "bad")[n % 2]) for n in range(6)]
    for name in ("labels.csv", "refs.csv"):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("filename", "label"), *rows])
    for name, at in (("found", 4), ("other", 20)):
        images = [{"id": n, "file_name": f"{n}.png"} for n in range(IMAGES)]
        boxes = [
            {"image_id": n, "category_id": 1, "bbox": [at, at, 9, 9 + n], "score": 0.5 + n / 20}
            for n in range(IMAGES)
        ]
        table = {"images": images, "categories": [{"id": 1, "name": "dot"}]}
        (folder / f"{name}.json").write_text(json.dumps({**table, "annotations": boxes}))


def _run(
    root: Path, words: str, step: int = 0, codes: tuple[int, ...] = (0, 1, 2, 3, -9)
) -> tuple[bool, str, list[str]]:
    """Run a command in `root`; return whether it was killed, its last words, and its faults.

    It may end with one of `codes`.
    """
    parts = [_place(root, part) for part in words.split()]
    ran = run_killed(step, root, parts)
    bad = "Traceback" in ran.said or ran.code not in codes
    faults = [f"{words}: {ran.code} {ran.said[-600:]}"] if bad else []
    return ran.killed, ran.said, faults


def _place(root: Path, part: str) -> str:
    """Return a word of a command with the names of its files as paths in `root`."""
    scheme, colon, name = part.rpartition(":")
    if "," in part and scheme:
        return ",".join(_place(root, one) for one in part.split(","))
    if (root / name).exists() or name in ("p", "out", "out.csv", "out.html"):
        return f"{scheme}{colon}{root / name}"
    return part


def _damage(root: Path) -> None:
    file = root / "p/labels.db"
    with closing(SqliteStore(file)) as store:
        store.entries()
        data = bytearray(file.read_bytes())
    at = data.rfind(b"3.png")
    data[at] ^= 1
    file.write_bytes(data)
    (root / "p/refs.csv").write_bytes((root / "p/refs.csv").read_bytes() + b'"\n')


def _save_network(root: Path) -> None:
    from tests.detection import tiny_networks

    (root / "dino").mkdir()
    tiny_networks.vit(root / "dino")


def _copy_people(root: Path) -> None:
    (root / "people").mkdir()
    for name in ("face.jpg", "grace_hopper.jpg"):
        shutil.copy(_SHARED / "data/photos" / name, root / "people" / name)


_MAKERS = {"DAMAGE": _damage, "NETWORK": _save_network, "PEOPLE": _copy_people}


def is_possible(name: str) -> bool:
    """Return whether the packages and files that a scenario needs are there."""
    kind = SCENARIOS[name][0]
    there = kind != "people" or (_SHARED / "models").is_dir()
    return there and (kind not in NEEDS or find_spec(NEEDS[kind]) is not None)


def prepare(folder: Path, kind: str) -> None:
    """Make the state in which a command begins."""
    make_files(folder)
    for words in _PREPARED[kind]:
        if words in _MAKERS:
            _MAKERS[words](folder)
            continue
        _, said, faults = _run(folder, words, codes=(0,))
        assert not faults, faults
        assert "Error" not in said, (words, said)


def picture(root: Path) -> dict[str, object]:
    """Return all that counts: the files without caches, and the rows of the log without times."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        ours = "labels.db" in name or "worker-salt" in name or name.endswith(".lock")
        if path.is_dir() or hidden or ours or re.search(r"damaged-\d", name):
            continue
        text = path.read_bytes()
        found[name] = _TIMES.sub(b"", text)
    if (root / "p/labels.db").exists():
        with closing(SqliteStore(root / "p/labels.db")) as store:
            rows = [(e.annotator, e.action, e.ref, e.label) for e in store.entries()]
        found["log"] = rows
    return found


def try_kills(folder: Path, name: str, steps: range = range(1, 1000)) -> Iterator[Outcome]:
    """Kill a command before each change of the disk that it makes; look, and run it again."""
    kind, words = SCENARIOS[name]
    base, root = folder / "base", folder / "work"
    prepare(base, kind)
    _copy(base, root)
    faults = _run(root, words, codes=(0,))[2]
    usual = picture(root)
    for step in steps:
        _copy(base, root)
        killed, where, found = _run(root, words, step)
        if not killed:
            break
        if (root / "p/annotator.toml").exists() and kind != "damaged":
            _, said, more = _run(root, "doctor p")
            found += [*more, *([f"doctor: {said}"] if "STOP" in said else [])]
        _, said, more = _run(root, words)
        found += more
        try:
            now = picture(root)
        except Exception as error:
            now = {"error": repr(error)}
        odd = [key for key in {*usual, *now} if usual.get(key) != now.get(key)]
        if odd:
            found.append(f"other {odd} after it was run again, which said {said.strip()[-200:]}")
        yield Outcome(step, where.strip().splitlines()[-1], [*faults, *found])
        faults = []


def _copy(base: Path, root: Path) -> None:
    """Copy a folder to the place that its projects name."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(base, root)
    for file in root.glob("p/annotator.toml"):
        file.write_text(file.read_text().replace(str(base), str(root)))


if __name__ == "__main__":
    import sys
    import tempfile

    import_commands()
    for name in sys.argv[1:] or SCENARIOS:
        with tempfile.TemporaryDirectory() as folder:
            count = 0
            for outcome in try_kills(Path(folder), name):
                count += 1
                for fault in outcome.faults:
                    print(f"{name}, step {outcome.step} ({outcome.where}): {fault}", flush=True)
            print(f"{name}: {count} kills", flush=True)
