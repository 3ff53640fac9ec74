"""Decoding and encoding beside the user interface."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from annotator.errors import ImageError
from annotator.images import Crop
from annotator.items.refs import Box, Item
from annotator.terminal.backend import Area
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.terminal.choose import backend_for
from annotator.terminal.requests import EncodeJob, PictureRequest
from annotator.tui.picture.encoder import EncodeResult, PictureEncoder, true_pixels
from tests.time_limits import PATIENCE

AREA = Area(0, 0, 20, 8, (8, 16))
BACKEND = backend_for(TerminalCapabilities(Technique.FRAMES))


def job(name: str, rung: int = 1) -> EncodeJob:
    return EncodeJob(PictureRequest(Item(name)), AREA, BACKEND.ladder[rung])


class Source:
    """Pictures of one colour; one waits for a sign, one is broken, one has a fault of a decoder."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.sign = threading.Event()

    def load(self, item: Item, size: tuple[int, int]) -> Crop:
        self.asked.append(item.path)
        if item.path == "enormous":
            self.sign.wait(PATIENCE)
        if item.path == "broken":
            raise ImageError("broken: cut off after 3 bytes")
        if item.path == "fault":
            raise ZeroDivisionError
        return Crop(Image.new("RGB", (60, 40), "red"), None, 1.0, (60, 40))


@pytest.fixture
def done() -> queue.Queue[EncodeResult]:
    return queue.Queue()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def studio(source: Source, done: queue.Queue[EncodeResult]) -> Iterator[PictureEncoder]:
    studio = PictureEncoder(source.load, BACKEND, done.put)
    yield studio
    source.sign.set()
    studio.close()


def test_an_enormous_picture_does_not_hold_back_the_others(
    studio: PictureEncoder, source: Source, done: queue.Queue[EncodeResult]
) -> None:
    studio.want([job("enormous"), job("a"), job("b"), job("c")])
    assert {done.get(timeout=PATIENCE).job.request.item.path for _ in range(3)} == {"a", "b", "c"}
    source.sign.set()
    assert done.get(timeout=PATIENCE).job == job("enormous")


def test_what_cannot_be_decoded_has_a_reason(
    studio: PictureEncoder, done: queue.Queue[EncodeResult]
) -> None:
    studio.want([job("broken"), job("fault")])
    reasons = {
        found.job.request.item.path: found for found in (done.get(timeout=PATIENCE) for _ in "ab")
    }
    assert reasons["broken"].payload is None
    assert "cut off" in reasons["broken"].reason
    assert "ZeroDivisionError" in reasons["fault"].reason


def test_a_second_quality_is_not_decoded_again(
    studio: PictureEncoder, source: Source, done: queue.Queue[EncodeResult]
) -> None:
    studio.want([job("a", 0)])
    done.get(timeout=PATIENCE)
    studio.want([job("a", 2)])
    done.get(timeout=PATIENCE)
    assert source.asked == ["a"]


def test_true_pixels_are_whole_squares_around_the_box() -> None:
    pixels = np.arange(300 * 400, dtype=np.uint32).reshape(300, 400)
    image = Image.fromarray(
        np.dstack([pixels % 256, pixels // 256 % 256, pixels // 65536]).astype(np.uint8)
    )
    item = Item("a", Box(350, 10, 20, 20))
    crop, zoomed = Crop(image, item.box, 1.0, image.size), PictureRequest(item, True, 1)
    found = np.asarray(true_pixels(crop, zoomed, (100, 80)).image)
    assert found.shape == (80, 100, 3)
    assert np.array_equal(found[10:30, 50:70], np.asarray(image)[10:30, 350:370]), "the box itself"
    outside = found.copy()
    outside[6:34, 46:74] = np.asarray(image)[6:34, 346:374]  # but for the lines around the box
    assert np.array_equal(outside, np.asarray(image)[:80, 300:400])
    whole = Crop(image.crop((0, 0, 30, 20)), None, 1.0, (30, 20))
    small = true_pixels(whole, PictureRequest(Item("b"), True), (100, 80)).image
    middle = np.asarray(small)[10:70, 5:95]
    assert np.array_equal(middle[::3, ::3], np.asarray(image)[:20, :30])
    assert np.array_equal(middle[::3], middle[1::3])
