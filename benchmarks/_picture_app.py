"""The same small program twice, for benchmarks.terminal: with our picture, with textual-image's.

    _picture_app.py ours|textual-image FOLDER LOG

d shows the next picture, a the one before. At `m` LOG gets the longest time that the user
interface's loop was held up since the last one, and the longest that it computed without a pause,
in ms.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

KIND, FOLDER, LOG = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"

from annotator.terminal.probe import probe  # noqa: E402

CAPS = probe()

from textual.app import App, ComposeResult  # noqa: E402
from textual.widget import Widget  # noqa: E402
from textual.widgets import Static  # noqa: E402

from annotator.images import ImageFolder  # noqa: E402
from annotator.items.refs import Item  # noqa: E402
from annotator.tui.picture.driver import PictureDriver, driver_for  # noqa: E402

ITEMS = [Item(path.name) for path in sorted(FOLDER.iterdir())]


class Small(App[None]):
    CSS = "Static { height: 1; } .picture { height: 1fr; width: 1fr; }"
    BINDINGS = [("d", "go(1)", ""), ("a", "go(-1)", ""), ("m", "mark", ""), ("q", "quit", "")]

    def compose(self) -> ComposeResult:
        self.index, self.worst, self.busiest = 0, 0.0, 0.0
        self.picture = self.make()
        self.picture.add_class("picture")
        yield self.picture
        yield Static("")

    def on_mount(self) -> None:
        self.go()
        self.run_worker(self.watch_loop())

    async def watch_loop(self) -> None:
        """How late a task comes that wants to run every 2 ms, and what was computed meanwhile."""
        while True:
            begun, computed = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.002)
            self.worst = max(self.worst, time.perf_counter() - begun - 0.002)
            self.busiest = max(self.busiest, time.thread_time() - computed)

    def action_mark(self) -> None:
        LOG.write_text(f"{self.worst * 1000:.2f} {self.busiest * 1000:.2f}")
        self.worst = self.busiest = 0.0

    def action_go(self, step: int) -> None:
        self.index += step
        self.go()

    def go(self) -> None:
        self.query_one(Static).update(f"{self.index:4d} {ITEMS[self.index % len(ITEMS)].path}")
        self.show()

    def make(self) -> Widget:
        raise NotImplementedError

    def show(self) -> None:
        raise NotImplementedError


def ours() -> type[Small]:
    from annotator.tui.picture.picture import PictureView

    class Ours(Small):
        def make(self) -> Widget:
            return PictureView(ImageFolder(FOLDER).crop, CAPS, guard="off")

        def show(self) -> None:
            around = [ITEMS[(self.index + step) % len(ITEMS)] for step in (0, 1, 2, -1, 3, 4, 5)]
            assert isinstance(self.picture, PictureView)
            self.picture.show(around[0])
            self.picture.expect(around[1:])

    return Ours


def theirs() -> type[Small]:
    from PIL import Image
    from textual_image.widget import SixelImage, TGPImage

    kind = TGPImage if CAPS.technique.stores else SixelImage
    images = [Image.open(FOLDER / item.path).convert("RGB") for item in ITEMS]

    class Theirs(Small):
        def make(self) -> Widget:
            return kind(images[0])

        def show(self) -> None:
            self.picture.image = images[self.index % len(images)]  # type: ignore[attr-defined]

    return Theirs


if __name__ == "__main__":
    app = ours() if KIND == "ours" else theirs()
    driver: type[PictureDriver] | None = driver_for(CAPS) if KIND == "ours" else None
    app(driver_class=driver).run()
