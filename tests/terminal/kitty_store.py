"""Kitty's graphics protocol on the terminal's side: the images that it keeps for a program."""

from __future__ import annotations

import base64
import io
import zlib
from dataclasses import dataclass, field

from PIL import Image

from annotator.terminal import transport


@dataclass
class StoredImage:
    """An image that the program gave the terminal to keep."""

    frames: list[Image.Image]
    current: int = 0
    cells: tuple[int, int] | None = None
    """Columns and rows of its virtual placement."""
    placed: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    """Placement number → column, row, columns, rows."""


class KittyStore:
    """The terminal that takes graphics commands. `problems` lists violations of the protocol."""

    def __init__(self, frames: bool, shared: bool) -> None:
        self.images: dict[int, StoredImage] = {}
        self.problems: list[str] = []
        self._frames, self._shared = frames, shared
        self._chunks: tuple[dict[str, str], bytes] | None = None

    def take(self, body: bytes, cursor: tuple[int, int]) -> bytes:
        """One escape code, its G left out; returns the answer."""
        head, _, payload = body.partition(b";")
        keys = dict(pair.split("=", 1) for pair in head.decode().split(",") if pair)
        if len(payload) > 4096:
            self.problems.append(f"a chunk of {len(payload)} characters")
        if keys.get("a") == "q":
            return self._query(keys, payload)
        if keys.get("q") not in ("1", "2"):  # 1: only errors are answered, and none comes here
            self.problems.append(f"not silenced: {head!r}")
        if keys.get("a", "t") in ("t", "f"):
            self._chunk(keys, payload)
        else:
            self._command(keys, cursor)
        return b""

    def _query(self, keys: dict[str, str], payload: bytes) -> bytes:
        if keys.get("t") == "s" and (not self._shared or _read(payload) is None):
            return b""
        return b"\x1b_Gi=" + keys["i"].encode() + b";OK\x1b\\"

    def _chunk(self, keys: dict[str, str], payload: bytes) -> None:
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

    def _store(self, keys: dict[str, str], image: Image.Image) -> None:
        number = int(keys["i"])
        if keys.get("a", "t") == "t":
            self.images[number] = StoredImage([image])
            return
        if not self._frames or number not in self.images:
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
        elif stored is None:
            self.problems.append(f"{keys} names no image")
        elif keys["a"] == "a":
            stored.current = int(keys["c"]) - 1
            if stored.current >= len(stored.frames):
                self.problems.append(f"{keys} shows no frame")
        elif keys["a"] == "p" and keys.get("U") == "1":
            stored.cells = int(keys["c"]), int(keys["r"])
        elif keys["a"] == "p":
            stored.placed[int(keys["p"])] = *cursor, int(keys["c"]), int(keys["r"])

    def _delete(self, keys: dict[str, str], number: int) -> None:
        if keys.get("d") == "I":
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
