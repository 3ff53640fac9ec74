"""The smallest labelling program around a picture, for tests: d and a label, h helps, q quits.

What it says of the picture is in a file, too, beside its labels: LABELS.state.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from annotator.images import ImageFolder
from annotator.items.refs import Item
from annotator.terminal.probe import probe

CAPS = probe()
os.environ.update(CAPS.environment)

from textual.app import App, ComposeResult  # noqa: E402  reads the environment once
from textual.screen import ModalScreen  # noqa: E402
from textual.widgets import Static  # noqa: E402

from annotator.tui.picture.driver import driver_for  # noqa: E402
from annotator.tui.picture.picture import PictureView  # noqa: E402

FOLDER, LABELS = Path(sys.argv[1]), Path(sys.argv[2])
STATE = LABELS.with_name(f"{LABELS.name}.state")
ITEMS = [Item(path.name) for path in sorted(FOLDER.iterdir())]


class Help(ModalScreen[None]):
    CSS = "Help { align: center middle; background: transparent; }"
    BINDINGS = [("h", "dismiss", "")]

    def compose(self) -> ComposeResult:
        box = Static("THIS IS HELP")
        box.styles.width, box.styles.height, box.styles.background = 20, 5, "#ffffff"
        yield box


class Labelling(App[None]):
    CSS = "Static { height: 1; }"
    BINDINGS = [
        ("d", "label(1)", ""),
        ("a", "label(-1)", ""),
        ("h", "help", ""),
        ("n", "note", ""),
        ("c", "clear", ""),
        ("s", "say", ""),
        ("z", "zoom", ""),
        ("x", "crash", ""),
        ("q", "quit", ""),
        ("ctrl+z", "suspend_process", ""),
    ]

    def compose(self) -> ComposeResult:
        self.index = 0
        self.picture = PictureView(ImageFolder(FOLDER).crop, CAPS, guard="on")
        yield self.picture
        yield Static("")

    def on_mount(self) -> None:
        self.go()

    def go(self) -> None:
        around = [ITEMS[(self.index + step) % len(ITEMS)] for step in (0, 1, 2, -1, 3, 4)]
        self.picture.show(around[0])
        self.picture.expect(around[1:])
        self.say("asked")

    def say(self, state: str) -> None:
        text = f"{self.index} {state} {self.picture.technique} {self.picture.status}"
        STATE.write_text(text)
        self.query_one(Static).update(text)

    def on_picture_view_seen(self, event: PictureView.Seen) -> None:
        self.say("seen")

    def on_picture_view_broken(self, event: PictureView.Broken) -> None:
        self.say("broken")

    def action_label(self, step: int) -> None:
        item = ITEMS[self.index % len(ITEMS)]
        with LABELS.open("a") as log:
            print("label" if self.picture.accepts(item) else "blind", item.path, file=log)
        if self.picture.accepts(item):
            self.index += step
            self.go()

    def action_help(self) -> None:
        self.push_screen(Help())

    def action_note(self) -> None:
        self.notify("A NOTE", timeout=3600)

    def action_clear(self) -> None:
        self.clear_notifications()

    def action_say(self) -> None:
        stage = self.picture._stage
        self.say("busy" if list(stage._queue.jobs(stage.area)) else "idle")

    def action_zoom(self) -> None:
        self.picture.zoom()

    def action_crash(self) -> None:
        raise RuntimeError("as if a fault of the program")


if __name__ == "__main__":
    Labelling(driver_class=driver_for(CAPS)).run()
    print("GOODBYE")
