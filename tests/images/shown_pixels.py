"""The pixels that the program shows of an image file, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from annotator.images import ImageFolder
from annotator.items.refs import Box, Item

WHOLE = (10_000, 30_000)


def show(path: Path, box: Box | None = None, size: tuple[int, int] = WHOLE, **how: Any) -> Any:
    crop = ImageFolder(path.parent).crop(Item(path.name, box), size, **how)
    assert crop.image.mode == "RGB"
    return crop


def pixels(path: Path, **how: Any) -> np.ndarray[Any, Any]:
    return np.asarray(show(path, **how).image).astype(int)


def scene(width: int = 64, height: int = 48) -> Image.Image:
    """Red, green, blue and grey quarters: every turn and every shift of it looks different."""
    image = Image.new("RGB", (width, height), (120, 120, 120))
    image.paste((220, 20, 20), (0, 0, width // 2, height // 2))
    image.paste((20, 200, 20), (width // 2, 0, width, height // 2))
    image.paste((20, 20, 220), (0, height // 2, width // 2, height))
    return image
