"""From `annotator attach` to the picture: after a lost line, and of a screen open elsewhere.

Beside it, in the same run, `annotator run` on the same project of 1,000 images.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from benchmarks._pty import HALF_CELL, Terminal
from benchmarks.opening import ANNOTATOR, make_folder

RUNS = 5


def attaching(folder: Path, data: Path) -> tuple[list[float], list[float], list[float]]:
    """The seconds of `run`, of `attach` after a lost line, and of `attach` to an open screen."""
    options = [str(folder), "--graphics", "halfcell"]
    env = {"XDG_DATA_HOME": str(data)}

    def begin(*words: str) -> tuple[Terminal, float]:
        terminal = Terminal([ANNOTATOR, *words], env=env)
        return terminal, terminal.read_until(lambda output: HALF_CELL in output)

    opened, lost, taken = [], [], []
    for _ in range(RUNS):
        first, seconds = begin("run", *options, "--no-features")
        opened.append(seconds)
        first.settle()
        first.hang_up()
        second, seconds = begin("attach", *options)
        lost.append(seconds)
        second.settle()
        third, seconds = begin("attach", *options)
        taken.append(seconds)
        third.settle()
        third.end("q")
        second.end("")
    return opened, lost, taken


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_folder(root / "photos", 1000)
        classes = ClassInfo("ok"), ClassInfo("defect")
        made = ProjectFolder.create(
            root / "project", Settings(classes, images=str(root / "photos"))
        )
        opened, lost, taken = (median(times) for times in attaching(made.folder, root / "data"))
        print(f"run                                {opened:6.2f} s")
        print(f"attach after a lost line           {lost:6.2f} s = {lost / opened:.2f} x run")
        print(f"attach to a screen open elsewhere  {taken:6.2f} s = {taken / opened:.2f} x run")
        print("goal: at most 2 s to the same picture")


if __name__ == "__main__":
    main()
