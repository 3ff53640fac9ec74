"""Film a session of `annotator demo` in a real kitty: `python docs/animation/make_animation.py`.

Needs Linux and what `make test-terminals` installs. Keys go through an X server without a screen;
the answers come from example_data/truth.csv; nothing is drawn but the strip of keys below.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from film import Caption, write  # noqa: E402
from PIL import Image  # noqa: E402
from recording import BASE, Kitty, Recorder, plain  # noqa: E402

from tests.terminal.real.real_terminals import missing  # noqa: E402
from tests.terminal.real.x_display import Pixels  # noqa: E402

SIZE = (88, 28)
MOST_BYTES, MOST_LABELS, MOST_SECONDS, TAKES = 2_000_000, 20, 25, 6
ITEM = re.compile(r"(\S+\.jpg)\s+x (\d+)\s+y (\d+)\s+(\d+) × (\d+)")
TILE = re.compile(r"([a-z]{2}) \d+%")
NAMES = {"Return": "Enter", "Escape": "Esc", "Down": "↓"}
KEYS = {"ok": "a", "defect": "d"}


class Spoilt(Exception):
    """A session that does not show what it should; the next one may."""


class Session:
    """A hand at the keyboard that knows the truth, and a caption of what it does."""

    def __init__(self, terminal: Kitty) -> None:
        self.terminal = terminal
        self.captions = [Caption(time.monotonic(), (), "")]
        self.stills: dict[str, Pixels] = {}
        with (ROOT / "example_data/truth.csv").open(newline="") as file:
            self._truth = {
                f"{row['filename']}#xywh={row['bbox']}": row["label"]
                for row in csv.DictReader(file)
            }

    def say(self, words: str) -> None:
        """Change the sentence in the strip."""
        last = self.captions[-1]
        self.captions.append(Caption(time.monotonic(), last.keys, words))

    def press(self, *keys: str, pause: float = 0.0, words: str | None = None) -> None:
        """Press keys, show them as one in the strip, and wait."""
        last = self.captions[-1]
        name = "".join(NAMES.get(key, key if len(keys) > 1 else key.upper()) for key in keys)
        caption = Caption(time.monotonic(), (*last.keys, name), words or last.words)
        self.captions.append(caption)
        for key in keys:
            self.terminal.press(key)
            time.sleep(0.06)
        time.sleep(pause)

    def label(self, seconds: float) -> str:
        """Give the item on screen its true class within the seconds, and return the next text."""
        begun, ref = time.monotonic(), _ref(self.terminal.text())
        self.press(KEYS[self._truth[ref]])
        text = self.terminal.wait_text(lambda text: _ref(text) not in ("", ref))
        if text is None:
            raise Spoilt(f"the label of {ref} was not taken")
        time.sleep(max(0.1, begun + seconds - time.monotonic()))
        return text

    def exceptions(self, label: str) -> list[str]:
        """Return the letters of the tiles on the page that do not have this class."""
        (journal,) = self.terminal.folder.rglob("pages-*.jsonl")
        refs = json.loads(journal.read_text().splitlines()[0])["refs"]
        letters = TILE.findall(self.terminal.text())
        return [at for at, ref in zip(letters, refs, strict=True) if self._truth[ref] != label]

    def keep(self, name: str) -> None:
        """Keep the picture on screen as a still."""
        self.stills[name] = self.terminal.pixels()


def _ref(text: str) -> str:
    """Return the ref of the item that the text shows; empty if it shows none."""
    found = ITEM.search(text)
    return f"{found[1]}#xywh={','.join(found.groups()[1:])}" if found else ""


def _opened(text: str) -> bool:
    """Return True if the first item is drawn and all features are computed."""
    return _ref(text) != "" and "ready" in text and "features" not in text


def _holds(words: str, text: str) -> bool:
    return words in text


def play(session: Session) -> None:
    """Play the session: label, pages, curves."""
    session.say("One item, one key: A is ok, D is a defect")
    time.sleep(1.0)
    for _ in range(5):
        session.label(0.5)
    session.say("The model learns behind the keys, and picks what to ask next")
    _label_until_estimated(session)
    time.sleep(0.3)
    _accept(session)
    session.press("c", pause=1.8, words="C shows the estimated error and its interval")
    session.press("Escape", pause=0.4, words="Try it: make demo")
    for _ in range(2):
        session.label(0.45)
    time.sleep(1.0)


def _label_until_estimated(session: Session) -> None:
    """Label until the panel shows the estimated error, and a little longer."""
    given = 1
    while "90 %:" not in session.label(0.28):
        given += 1
        if given > MOST_LABELS:
            raise Spoilt("the estimate of the error did not appear in time")
    session.say("The panel estimates the error on all 449 items")
    for _ in range(max(3, 12 - given)):
        session.label(0.28)
    session.keep("screenshot")


def _accept(session: Session) -> None:
    """Accept pages of what the model takes for ok, but for the exceptions."""
    session.press("g", pause=0.6, words="G opens pages")
    session.press("Down", pause=0.2)
    enter = "Enter labels all 48 at once"
    for number, words in enumerate(("A page of what the model takes for ok", enter)):
        session.press("Return", words=words)
        session.terminal.wait_text(partial(_holds, f"page {number + 1} of"))
        session.terminal.steady(0.3, most=2)
        time.sleep(0.5)
        if found := session.exceptions("ok"):
            break
    for letters in found:
        session.press(*letters, pause=0.2, words="Two letters select an exception")
    time.sleep(0.3)
    session.keep("screenshot-pages")
    session.press("Return", pause=1.1, words=enter)
    session.press("Escape", pause=0.7, words="Esc goes back to single items")


def film() -> tuple[Session, list[tuple[float, Pixels]], float]:
    """Play the session in a new demo project; return it, its frames and the time of its end."""
    command = [sys.executable, "-m", "annotator", "demo", "--annotator", "ana"]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Kitty(command, Path(folder) / "kitty", SIZE) as terminal,
    ):
        if terminal.wait_text(_opened) is None:
            raise Spoilt(f"the demo did not open; its screen:\n{plain(terminal.text())}")
        terminal.steady(1.0)
        session, recorder = Session(terminal), Recorder(terminal)
        try:
            play(session)
        finally:
            frames, end = recorder.stop(), time.monotonic()
    if (took := end - session.captions[0].at) > MOST_SECONDS:
        raise Spoilt(f"the session took {took:.0f} s")
    return session, frames, end


def main() -> None:
    """Film the session; write docs/annotator.webp and, if asked, the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/annotator.webp")
    parser.add_argument("--screenshots", action="store_true", help="write docs/screenshot*.png")
    given = parser.parse_args()
    if reason := missing(BASE):
        sys.exit(reason)
    for left in reversed(range(TAKES)):
        try:
            session, frames, end = film()
            break
        except Spoilt as error:
            sys.stderr.write(f"{error}; {left} more takes\n")
    else:
        sys.exit("no take succeeded; is the machine busy?")
    shown = write(given.out, frames, session.captions[1:], end)
    size = given.out.stat().st_size
    sys.stdout.write(f"{given.out}: {size} bytes, {len(shown)} frames, {sum(shown)} ms\n")
    if size > MOST_BYTES:
        sys.exit(f"{given.out} is larger than {MOST_BYTES} bytes")
    for name, pixels in session.stills.items() if given.screenshots else ():
        Image.fromarray(pixels).save(ROOT / f"docs/{name}.png", optimize=True)


if __name__ == "__main__":
    main()
