"""Kitty's graphics protocol on the terminal's side: the images that it keeps for a program."""

from __future__ import annotations

import base64
import io
import zlib
from dataclasses import dataclass, field

from PIL import Image

from annotator.terminal import transport
from annotator.terminal.replies import FRAME, PLACEMENT


@dataclass
class StoredImage:
    """An image that the program gave the terminal to keep."""

    frames: list[Image.Image]
    current: int = 0
    cells: tuple[int, int] | None = None
    """Columns and rows of its virtual placement."""
    placed: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    """Placement number → column, row, columns, rows."""
    crops: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    """Placement number → the part of the picture, as Pillow names it."""


@dataclass(frozen=True)
class KittyTraits:
    """The ways in which a terminal takes graphics commands."""

    frames: bytes = b""
    """The answer to a frame; none by default."""
    shared: bool = False
    leaks: bool = False
    """True if it answers commands that forbid it (xterm.js until May 2026)."""
    loud_queries: bool = False
    """True if it answers queries that forbid it (Konsole)."""
    replaces: bool = False
    """True if a picture is gone once all its cells have been written over (xterm.js)."""
    third_mark: bool = False
    """True if a placeholder without a third mark names no image (iTerm2)."""
    places: bool = True
    transient: bool = False
    """True if it knows pictures that need not go to the disk (kitty since 0.48)."""
    overwrites: str = "X"
    """The key that makes a frame replace what was there (kitty 0.45 to 0.48: C)."""


class KittyStore:
    """The terminal that takes graphics commands. `problems` lists violations of the protocol."""

    def __init__(self, traits: KittyTraits) -> None:
        self.images: dict[int, StoredImage] = {}
        self.problems: list[str] = []
        self._traits = traits
        self._chunks: tuple[dict[str, str], bytes] | None = None

    def take(self, body: bytes, cursor: tuple[int, int]) -> bytes:
        """One escape code, its G left out; returns the answer."""
        head, _, payload = body.partition(b";")
        keys = dict(pair.split("=", 1) for pair in head.decode().split(",") if pair)
        if len(payload) > 4096:
            self.problems.append(f"a chunk of {len(payload)} characters")
        if keys.get("a") == "q":
            return self._query(keys, payload)
        # 1: only errors are answered. The probe has two questions that are to be answered.
        asked = int(keys.get("i", 0)) in (PLACEMENT, FRAME)
        if keys.get("q") not in ("1", "2") and not asked:
            self.problems.append(f"not silenced: {head!r}")
        if "N" in keys and not self._traits.transient:
            self.problems.append(f"a key that it does not know: {head!r}")
        verdict = self._verdict(keys)
        if asked and keys.get("a") in ("f", "p"):
            pass  # the answer is all that counts
        elif keys.get("a", "t") in ("t", "T", "f"):
            self._chunk(keys, payload, cursor)
        else:
            self._command(keys, cursor)
        quiet, fine = keys.get("q"), verdict == b"OK"
        if (quiet == "1" and fine) or (quiet == "2" and not (self._traits.leaks and fine)):
            return b""
        return b"\x1b_Gi=" + keys["i"].encode() + b";" + verdict + b"\x1b\\" if verdict else b""

    def _verdict(self, keys: dict[str, str]) -> bytes:
        """The answer to a command; none to a piece of a picture that is not the last."""
        action = keys.get("a", "t")
        if "i" not in keys or keys.get("m") == "1" or action in ("d", "a"):
            return b""
        if action == "f":
            return self._traits.frames
        if action == "p" and not self._traits.places:
            return b"EINVAL:unsupported action"
        missing = action == "p" and int(keys["i"]) not in self.images
        return b"ENOENT:no such image" if missing else b"OK"

    def _query(self, keys: dict[str, str], payload: bytes) -> bytes:
        if keys.get("t") == "s" and (not self._traits.shared or _read(payload) is None):
            return b""
        if keys.get("q") == "2" and not (self._traits.leaks or self._traits.loud_queries):
            return b""
        return b"\x1b_Gi=" + keys["i"].encode() + b";OK\x1b\\"

    def _chunk(self, keys: dict[str, str], payload: bytes, cursor: tuple[int, int]) -> None:
        first, before = self._chunks or (keys, b"")
        if self._chunks and first.get("a") == "f" and keys.get("r") != first.get("r"):
            self.problems.append(f"a chunk of {keys} inside {first}")
        data = before + payload
        if keys.get("m") == "1":
            self._chunks = first, data
            return
        self._chunks = None
        image = _picture(first, data)
        if image is None:
            return  # as terminals do: a picture that ends early is thrown away
        self._store(first, image)
        if first.get("a") == "T":
            self._command({**first, "a": "p"}, cursor)

    def _store(self, keys: dict[str, str], image: Image.Image) -> None:
        number = int(keys["i"])
        if keys.get("a", "t") in ("t", "T"):
            self.images[number] = StoredImage([image])
            return
        if self._traits.frames != b"OK" or number not in self.images:
            self.problems.append(f"a frame for image {number}")
            return
        frames = self.images[number].frames
        canvas = Image.new("RGBA", frames[0].size)
        if image.width > canvas.width or image.height > canvas.height:
            self.problems.append("a frame larger than its image")
        canvas.paste(image, (0, 0))
        place = int(keys.get("r", len(frames) + 1)) - 1
        if place > len(frames):
            self.problems.append(f"frame {place + 1} of {len(frames)}")
        if not keys.get(self._traits.overwrites) and 0 < place < len(frames):
            canvas = Image.alpha_composite(frames[place], canvas)
        canvas.info["bytes"] = image.info["bytes"]
        if place == len(frames):
            frames.append(canvas)
        elif place < len(frames):
            if keys.get("t") == "s" and frames[place].info["bytes"] != canvas.info["bytes"]:
                self.problems.append("a frame of another size: kitty writes over its neighbours")
            frames[place] = canvas

    def _command(self, keys: dict[str, str], cursor: tuple[int, int]) -> None:
        number = int(keys.get("i", 0))
        if keys["a"] == "a" and self._chunks and self._chunks[0].get("a") == "f":
            number = int(self._chunks[0]["i"])  # as kitty does: it has one image at work
        stored = self.images.get(number)
        if keys["a"] == "d":
            self._delete(keys, number)
        elif stored is None and not self._traits.replaces and keys.get("q") != "1":
            self.problems.append(f"{keys} names no image")
        elif stored is None:
            return
        elif keys["a"] == "a":
            stored.current = int(keys["c"]) - 1
            if stored.current >= len(stored.frames):
                self.problems.append(f"{keys} shows no frame")
        elif keys["a"] == "p" and keys.get("U") == "1":
            stored.cells = int(keys["c"]), int(keys["r"])
        elif keys["a"] == "p" and self._traits.places:
            self._place(stored, keys, cursor)

    def _place(self, stored: StoredImage, keys: dict[str, str], cursor: tuple[int, int]) -> None:
        number = int(keys.get("p", len(stored.placed) + 1))
        left, top = int(keys.get("x", 0)), int(keys.get("y", 0))
        width, height = stored.frames[0].size
        right, bottom = left + int(keys.get("w", width)), top + int(keys.get("h", height))
        stored.crops[number] = left, top, min(right, width), min(bottom, height)
        stored.placed[number] = *cursor, int(keys.get("c", 1)), int(keys.get("r", 1))

    def drop(self, number: int) -> None:
        """Forget an image, as if it had been deleted."""
        self.images.pop(number, None)

    def _delete(self, keys: dict[str, str], number: int) -> None:
        if keys.get("d") == "I" or (self._traits.replaces and keys.get("d") == "i"):
            self.images.pop(number, None)
        elif keys.get("d") == "i" and number in self.images:
            self.images[number].placed.clear()


def _picture(keys: dict[str, str], data: bytes) -> Image.Image | None:
    try:
        raw = _read(data) if keys.get("t") == "s" else base64.b64decode(data)
        if raw is None:
            return None
        if keys.get("o") == "z":
            raw = zlib.decompress(raw)
        if keys.get("f") == "100":
            image = Image.open(io.BytesIO(raw)).convert("RGBA")
        else:
            mode = "RGB" if keys.get("f") == "24" else "RGBA"
            image = Image.frombytes(mode, (int(keys["s"]), int(keys["v"])), raw).convert("RGBA")
        image.info["bytes"] = len(raw)
        return image
    except (OSError, ValueError, KeyError, SyntaxError, zlib.error):  # Pillow's for a broken PNG
        return None


def _read(name: bytes) -> bytes | None:
    """Return the bytes in shared memory under a name, and remove them."""
    path = transport.FOLDER / base64.b64decode(name).decode()[1:]
    try:
        data = path.read_bytes()
        path.unlink()
    except OSError:
        return None
    return data
