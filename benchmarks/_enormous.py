"""Whether one enormous source holds back the pictures behind it."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from annotator.images import ImageFolder
from annotator.items.refs import Item
from annotator.terminal.backend import Area
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.terminal.choose import backend_for
from annotator.terminal.requests import EncodeJob, PictureRequest
from annotator.tui.picture.encoder import EncodeResult, PictureEncoder

AREA = Area(0, 0, 65, 23, (8, 17))
SIZE = (11600, 8700)
"""101 megapixels."""


def enormous(folder: Path, keys: int) -> None:
    """Time until each of the next pictures can be sent, with and without 101 megapixels first."""
    print("\ntime until the five next photographs of 640x480 can be sent (ms, one after the other)")
    names = [path.name for path in sorted(folder.iterdir())][:5]
    with tempfile.TemporaryDirectory() as place:
        for kind in ("", "jpg", "png"):
            first = [_make(folder / names[0], Path(place), kind)] if kind else []
            first += [folder / name for name in names]
            took = developed(first)
            own = f"   itself {took.pop(0):,.0f}" if kind else ""
            times = "  ".join(f"{ms:5.0f}" for ms in sorted(took))
            before = f"behind 101 megapixels, {kind}" if kind else "alone"
            print(f"  {before:28} {times}{own}")


def _make(photograph: Path, place: Path, kind: str) -> Path:
    path = place / f"enormous.{kind}"
    Image.open(photograph).convert("RGB").resize(SIZE).save(path)
    return path


def developed(paths: Sequence[Path]) -> list[float]:
    """Milliseconds until each picture is encoded, in the order of `paths`."""
    times: dict[str, float] = {}
    done = threading.Event()
    begun = time.perf_counter()

    def take(result: EncodeResult) -> None:
        assert result.payload is not None, result.reason
        times[result.job.request.item.path] = 1000 * (time.perf_counter() - begun)
        if len(times) == len(paths):
            done.set()

    backend = backend_for(TerminalCapabilities(Technique.FRAMES))
    studio = PictureEncoder(ImageFolder(Path("/")).crop, backend, take)
    jobs = [
        EncodeJob(PictureRequest(Item(str(path)[1:])), AREA, backend.ladder[1]) for path in paths
    ]
    studio.want(jobs)
    done.wait(300)
    studio.close()
    return [times[job.request.item.path] for job in jobs]
