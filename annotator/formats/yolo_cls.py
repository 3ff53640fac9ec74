"""YOLO classification: `train/class/image`, and a data.yaml that says which number is which class.

Its readers number the classes by the order of their folders' names; so does data.yaml.
"""

from __future__ import annotations

from pathlib import Path

from annotator.formats import class_folders, yaml
from annotator.formats.format import Format
from annotator.formats.ids import in_words
from annotator.formats.source import Source


def write(source: Source, place: Path) -> None:
    class_folders.write(source, place, "YOLO classification", always="train")
    names = sorted(source.classes, key=class_folders.folder_of)
    source.note(in_words({name: number for number, name in enumerate(names)}))
    splits = source.options.split.names if source.options.split else ("train",)
    folders = {name: name for name in splits}
    text = yaml.dump({**folders, "names": dict(enumerate(names))})
    (place / "data.yaml").write_text(text, encoding="utf-8")


FORMAT = Format(
    "yolo-cls", write, class_folders.read, folder=True,
    takes=frozenset({"split", "images", "crop"}), keeps=frozenset({"whole"}),
)  # fmt: skip
