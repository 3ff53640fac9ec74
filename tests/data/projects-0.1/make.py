"""The maker of the projects of this folder, with annotator 0.1.0 and with no other version.

    PYTHONPATH=<checkout of 0.1.0> python make.py OUT

It needs tmux, torch and transformers. Everything is written by the commands and the public API of
0.1.0; what has a screen is driven by keys in tmux. Do not run it again with a later version: the
point of these files is that 0.1.0 wrote them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import annotator

OUT = Path(sys.argv[1]).absolute()
COMMAND = [sys.executable, "-m", "annotator"]


# --- the commands, and a terminal


def run(*words: str, into: str | None = None) -> str:
    """One command, in OUT. What it prints is kept in OUT/said/INTO, if that is given."""
    ran = subprocess.run([*COMMAND, *words], cwd=OUT, capture_output=True, check=False)
    assert ran.returncode == 0, (words, ran.stderr.decode())
    if into:
        file = OUT / "said" / into
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(ran.stdout)
    return ran.stdout.decode()


class Screen:
    """One command of 0.1.0 in tmux, 100 x 40 cells."""

    def __init__(self, *words: str) -> None:
        self.folder = Path(tempfile.mkdtemp())
        (self.folder / "annotator").mkdir()
        (self.folder / "annotator" / "config.toml").write_text('seen_guard = "off"\n')
        command = shlex.join([*COMMAND, *words, "--graphics", "halfcell"])
        env = os.environ | {"XDG_CONFIG_HOME": str(self.folder)}
        self.tmux = ["tmux", "-u", "-S", f"{self.folder}/s", "-f", "/dev/null"]
        subprocess.run(
            [*self.tmux, "new-session", "-d", "-x", "100", "-y", "40",
             f"{command}; echo status $?; exec sh"], env=env, cwd=OUT, check=True,
        )  # fmt: skip

    @property
    def text(self) -> str:
        shown = subprocess.run([*self.tmux, "capture-pane", "-p"], capture_output=True, check=False)
        return shown.stdout.decode()

    def press(self, *keys: str) -> None:
        subprocess.run([*self.tmux, "send-keys", *keys], check=True)

    def sees(self, words: str) -> None:
        self.until(lambda: words in self.text, words)

    def until(self, condition: Callable[[], bool], words: str) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, f"never saw {words}:\n{self.text}"
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the program with kill -9, and leave all as it is then."""
        shell = subprocess.check_output([*self.tmux, "list-panes", "-F", "#{pane_pid}"], text=True)
        children = f"/proc/{shell.strip()}/task/{shell.strip()}/children"
        for child in Path(children).read_text().split():
            if "annotator" in Path(f"/proc/{child}/cmdline").read_text():
                os.kill(int(child), 9)
        self.sees("status 137")
        self.close()

    def close(self) -> None:
        subprocess.run([*self.tmux, "kill-server"], check=False)
        shutil.rmtree(self.folder)


# --- the pictures


def truth(number: int) -> str:
    return "defect" if number % 3 == 0 else "ok"


def draw_images() -> None:
    """24 pictures of 48 x 32; every third has a dark scratch."""
    (OUT / "images" / "tray one").mkdir(parents=True)
    for number in range(24):
        picture = Image.new("RGB", (48, 32), (120 + number * 4, 150, 190 - number * 4))
        pen = ImageDraw.Draw(picture)
        pen.ellipse((8 + number % 5, 4, 34 + number % 5, 28), fill=(210, 205, 190))
        if truth(number) == "defect":
            pen.line((10, 8, 36, 24), fill=(60, 30, 20), width=3)
        folder = "tray one/" if number >= 20 else ""
        picture.save(OUT / "images" / f"{folder}{number:02}.png", optimize=True)
    (OUT / "dots").mkdir()
    for number in range(90):
        shade = (210, 60, 60) if truth(number) == "defect" else (60, 90, 200)
        Image.new("P", (8, 8)).save(OUT / "dots" / f"{number:02}.png")
        picture = Image.new("P", (8, 8), 0)
        picture.putpalette(list(shade))
        picture.save(OUT / "dots" / f"{number:02}.png", optimize=True)


def two_clouds(file: Path, count: int) -> None:
    """Features that tell `truth` apart."""
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 0.1, (count, 4)).astype(np.float32)
    for number in range(count):
        rows[number, truth(number) == "defect"] += 1
    np.save(file, rows)


# --- the projects


def plain() -> None:
    """Two classes, classic features; labels, skips, undos, flags, notes, groups."""
    run("init", "plain", "--images", "images", "--classes", "ok,defect", "--target-error", "0.05")
    run("features", "plain", "--model", "classic")
    with annotator.open(OUT / "plain").session(annotator="ana") as session:
        for count in range(10):
            assert session.current is not None
            session.label(truth(int(Path(session.current.ref).stem)))
            if count == 4:
                session.undo()
        session.skip()
        session.skip()
        session.undo()
        assert session.current is not None
        session.flag(session.current.ref)
        session.flag("03.png")
        session.flag("05.png")
        session.flag("05.png")  # taken off again
        session.note("tray one/21.png", 'a "note", with ä, ≤ and\na second line')
        session.decide({"tray one/22.png": "ok", "tray one/23.png": None})
        session.decide({"tray one/20.png": "ok"})
        session.undo()
    run("answer", "plain", "00.png", "defect", "--annotator", "vlm", "--note", "by a script")
    run("next", "plain", "-n", "2", "--annotator", "gone", "--lease", "1")


SEVERAL = """format = 1
images = "../images"
multi_label = true
strategy = "margin"
seed = 7
context = 0.5
repeats = 0.1

[keys]
skip = ["x", "space"]

[[classes]]
name = "scratched"
key = "k"
description = "a dark line — or several"
synonyms = ["scratch", "score"]
link = "https://example.org/scratched"
examples = ["00.png", "tray one/21.png"]

[[classes]]
name = "warm"

[[classes]]
name = "seen before"
"""


def several() -> None:
    """Items with several classes, or none; everything that a class may have."""
    run("init", "several", "--images", "images", "--classes", "scratched,warm")
    (OUT / "several" / "annotator.toml").write_text(SEVERAL, "utf-8")
    with annotator.open(OUT / "several").session(annotator="ana") as session:
        for label in ("scratched", "warm|scratched", "(none)", "seen before|scratched|warm"):
            session.label(label)
        session.undo()
        session.decide({"01.png": "warm", "02.png": "(none)", "03.png": "scratched|seen before"})
    run("answer", "several", "04.png", "warm|scratched", "--annotator", "bob")


def boxes() -> None:
    """A table of the user's own, with boxes and columns that only they know; clusters."""
    folder = OUT / "boxes"
    folder.mkdir()
    rows = ["camera,filename,bbox,annotation,feat_idx,remark"]
    for number in range(20):
        label = truth(number) if number < 4 else ""
        box = f'"[{6 + number % 4}, 3, 30, 26]"'
        rows.append(
            f'c{number % 2},{number:02}.png,{box},{label},{19 - number},"said, ""{number}"""'
        )
    rows.append('c1,00.png,"[1, 1, 8.5, 9]",,20,')
    (folder / "refs.csv").write_text("\r\n".join(rows) + "\r\n")
    two_clouds(folder / "own.npy", 21)
    matrix = np.load(folder / "own.npy")
    matrix[:20] = matrix[19::-1]
    np.save(folder / "own.npy", matrix)
    run("init", "boxes", "--refs", "boxes/refs.csv", "--images", "images",
        "--features", "boxes/own.npy", "--classes", "ok,defect")  # fmt: skip
    labels = {"04.png#xywh=6,3,30,26": "ok", "06.png#xywh=8,3,30,26": "defect"}
    with annotator.open(OUT / "boxes").session(annotator="ana") as session:
        session.decide(labels)
        for _ in range(4):
            assert session.current is not None
            session.label(truth(int(session.current.ref[:2])))
    run("cluster", "boxes", "--method", "kmeans", "--count", "3", "--queue", "typical")


def found() -> None:
    """Boxes that `discover` proposed, some accepted, some rejected."""
    import torch
    import transformers

    photos, net = OUT / "photos", Path(tempfile.mkdtemp())
    photos.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 90, (48, 72, 3))
        pixels[12:34, 20 + number * 6 : 44 + number * 6] = (250, 200, 20)
        Image.fromarray(pixels.astype(np.uint8)).save(photos / f"p{number}.jpg", quality=60)
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        image_size=32, patch_size=8,
    )  # fmt: skip
    transformers.ViTModel(config).save_pretrained(net / "tiny-vit")
    (net / "tiny-vit" / "preprocessor_config.json").write_text(
        json.dumps({
            "image_processor_type": "ViTImageProcessor", "do_resize": True, "do_normalize": True,
            "do_rescale": True, "rescale_factor": 1 / 255, "size": {"height": 32, "width": 32},
            "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
        })
    )  # fmt: skip
    run("discover", "photos", "--model", str(net / "tiny-vit"), "--names", "none",
        "--project", "found")  # fmt: skip
    shutil.rmtree(net)
    with annotator.open(OUT / "found").session(annotator="ana") as session:
        for count in range(6):
            assert session.current is not None
            session.label(annotator.open(OUT / "found").classes[count % 2])


def finished() -> None:
    """An audit on the screen that certified, machine labels, second opinions, a review."""
    two_clouds(OUT / "clouds.npy", 90)
    (OUT / "dots.csv").write_text(
        "filename,feat_idx\n" + "".join(f"{n:02}.png,{n}\n" for n in range(90))
    )
    run("init", "finished", "--refs", "dots.csv", "--images", "dots", "--classes", "ok,defect",
        "--features", "clouds.npy")  # fmt: skip
    (OUT / "dots.csv").unlink()
    with annotator.open(OUT / "finished").session(annotator="ana") as session:
        for _ in range(16):
            assert session.current is not None
            session.label(truth(int(session.current.ref[:2])))
    screen = Screen(
        "finish", "finished", "--max-error", "0.3", "--confidence", "0.6", "--annotator", "ana"
    )
    answer_audit(screen)
    asked = [row.ref for row in annotator.open(OUT / "finished").log() if row.annotator == "ana"]
    for ref in asked[:6]:
        said = truth(int(ref[:2])) if ref != asked[3] else "defect"
        run("answer", "finished", ref, said, "--annotator", "bob", "--second")
    with annotator.open(OUT / "finished").session(annotator="cid", second=True) as session:
        session.label("ok")
        session.skip()


DONE = "The audit is done"


def answer_audit(screen: Screen) -> None:
    """Answer what the audit asks, by the caption's file name, until it has certified."""
    last = ""
    for _ in range(60):
        screen.until(lambda before=last: DONE in screen.text or caption(screen) not in ("", before),
                     DONE)  # fmt: skip
        if DONE in screen.text:
            break
        last = caption(screen)
        screen.press("Right" if truth(int(last[:2])) == "defect" else "a")
    screen.press("q")
    screen.sees("status 0")
    screen.close()


def caption(screen: Screen) -> str:
    words = [line.split() for line in screen.text.splitlines()[-2:-1]]
    return words[0][0] if words and words[0] and words[0][0].endswith(".png") else ""


def hits() -> None:
    """A set of HITs: one done, one left in the middle of a page by kill -9."""
    run("init", "hits", "--images", "images", "--classes", "ok,defect")
    with annotator.open(OUT / "hits").session(annotator="ana", learn=False) as session:
        session.decide({f"{n:02}.png": truth(n) for n in range(8)})
    run("hits", "make", "hits", "--class", "defect", "--pages", "2", "--images", "6", "--gold", "1",
        "--hits", "2")  # fmt: skip
    run("hits", "assign", "hits", "--worker", "A1WORKER")
    words = ("hits", "run", "hits", "--min-seconds", "0", "--worker")
    first = Screen(*words, "A1WORKER")
    select_two(first)
    first.press("Enter")
    first.sees("page 2")
    select_two(first)
    first.press("Enter")
    first.sees("completion code is")
    first.close()
    second = Screen(*words, "B2WORKER")
    select_two(second)
    time.sleep(1.5)  # by-products are on disk about a second later
    second.kill()
    (OUT / "hits" / "labels.db-shm").unlink()  # SQLite makes it from the -wal


def select_two(screen: Screen) -> None:
    screen.sees("▀")
    screen.press("Space")
    screen.sees("1 defect")
    screen.press("Right", "Space")
    screen.sees("2 defect")


def pages() -> None:
    """A page answered, the next one left with a selection by kill -9: its journal."""
    run("init", "pages", "--images", "images", "--classes", "ok,defect")
    screen = Screen("browse", "pages", "--class", "defect", "--per-page", "6", "--annotator", "ana",
                    "--order", "random")  # fmt: skip
    select_two(screen)
    screen.press("Enter")
    screen.sees("page 2 of 4")
    screen.sees("6 ok")
    select_two(screen)
    screen.kill()
    run("status", "pages")  # writes the WAL of the killed program into labels.db


CONFIG = """annotator = "zoë"
keymap = "vim"
theme = "nord"
graphics = "halfcell"
seen_guard = "off"
pictures = "exact"
context = 0.4
max_pixels = 1000000

[keys]
undo = ["u"]
"""


def config() -> None:
    """A user's own settings."""
    (OUT / "config" / "annotator").mkdir(parents=True)
    (OUT / "config" / "annotator" / "config.toml").write_text(CONFIG, "utf-8")


# --- what 0.1.0 says of them

PROJECTS = (plain, several, boxes, found, finished, hits, pages)
FORMATS = {"csv": "csv", "jsonl": "jsonl", "coco": "json"}
TREES = {
    "plain": ["yolo-cls"], "several": [], "boxes": ["yolo"], "found": ["yolo"],
    "finished": ["imagefolder"], "hits": ["imagenet-ab"], "pages": ["imagenet-ab"],
}  # fmt: skip


def tree(folder: Path) -> str:
    """Return the names of the files in a folder, and what is in those of text or its checksum."""
    said = []
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        said.append(f"== {file.relative_to(folder)}")
        if file.suffix in (".xml", ".json"):
            said.append(hashlib.sha256(file.read_bytes()).hexdigest())
        elif file.suffix not in (".png", ".jpg"):
            said.append(file.read_text("utf-8"))
    return "\n".join(said) + "\n"


def ask(name: str) -> None:
    """Keep what is printed of a copy of the project: looking at it may write into it."""
    shutil.copytree(OUT / name, OUT / "kept" / name)
    run("status", name, "--json", into=f"{name}/status.json")
    run("status", name, into=f"{name}/status.txt")
    run("log", name, "--json", into=f"{name}/log.jsonl")
    run("log", name, into=f"{name}/log.txt")
    run("config", "show", name, "--json", "--origin", into=f"{name}/config.json")
    checks = json.loads(run("doctor", name, "--json"))
    first = [check["name"] for check in checks].index("lock")
    text = json.dumps(checks[first:], ensure_ascii=False, indent=1)
    (OUT / "said" / name / "doctor.json").write_text(text + "\n", "utf-8")
    for form, ending in FORMATS.items():
        if (name, form) == ("finished", "coco"):
            continue  # long, and like the others
        run("export", name, "-", "--format", form, into=f"{name}/export-{form}.{ending}")
    run("export", name, "-", "--format", "plain-csv", "--provenance",
        into=f"{name}/export-plain.csv")  # fmt: skip
    for form in TREES[name]:
        folder = Path(tempfile.mkdtemp())
        options = [] if form == "imagenet-ab" else ["--images", "copy"]
        run("export", name, str(folder / form), "--format", form, *options)
        (OUT / "said" / name / f"tree-{form}.txt").write_text(tree(folder / form), "utf-8")
        shutil.rmtree(folder)
    if (OUT / name / "proposals.csv").exists():
        run("proposals", name, "--json", into=f"{name}/proposals.json")
    if (OUT / name / "hits").exists():
        run("hits", "status", name, "--json", into=f"{name}/hits.json")
    shutil.rmtree(OUT / name)
    shutil.move(OUT / "kept" / name, OUT / name)


def main() -> None:
    assert annotator.__version__ == "0.1.0", annotator.__file__
    OUT.mkdir(parents=True)
    nobody = tempfile.mkdtemp()
    os.environ.update(XDG_CONFIG_HOME=nobody, XDG_CACHE_HOME=nobody, TZ="UTC", HF_HUB_OFFLINE="1")
    draw_images()
    for project in PROJECTS:
        print(f"--- {project.__name__}", flush=True)
        project()
    config()
    (OUT / "said").mkdir()
    for project in PROJECTS:
        ask(project.__name__)
    os.environ["XDG_CONFIG_HOME"] = str(OUT / "config")
    run("config", "show", "--json", into="config.json")
    run("config", "show", "plain", "--json", into="plain/config-of-user.json")
    (OUT / "kept").rmdir()
    for file in (*OUT.glob("*/features/meta.json"), *OUT.glob("said/**/*.json")):
        file.write_text(file.read_text().replace(str(OUT), "{folder}"))


main()
