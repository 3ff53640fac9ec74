"""Contrast for people: how grey values and colours become what the screen shows.

It changes what is shown and nothing else. Features, detectors and image hashes read images by the
fixed rule of `decode.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Range = tuple[float, float]
"""The values that are shown black and white."""

MODES = ("off", "crop", "image")
"""The modes in the order of their key: off, by the crop in view, by the whole image."""
GAMMAS = (1.0, 0.6, 0.4, 1.6)
"""The gammas in the order of their command; below 1 is brighter."""
SHARES = (0.5, 99.5)
"""The percentiles that automatic contrast shows black and white."""
ROBUST_SHARES = (0.1, 99.9)
"""The percentiles of an image's range: hot and dead pixels lie outside."""
_SAMPLE = 1_000_000
"""Pixels from which percentiles are computed."""


class Contrast(NamedTuple):
    """The contrast that an annotator has chosen."""

    mode: str = "off"
    inverted: bool = False
    gamma: float = 1.0

    def next_mode(self) -> Contrast:
        """Return the contrast of the next mode."""
        return self._replace(mode=MODES[(MODES.index(self.mode) + 1) % len(MODES)])

    def next_gamma(self) -> Contrast:
        """Return the contrast of the next gamma."""
        return self._replace(gamma=GAMMAS[(GAMMAS.index(self.gamma) + 1) % len(GAMMAS)])

    def describe(self) -> str:
        """Return `contrast crop · inverted · gamma 0.6`; "" if nothing is changed."""
        parts = [f"contrast {self.mode}"] if self.mode != "off" else []
        parts += ["inverted"] if self.inverted else []
        parts += [f"gamma {self.gamma:g}"] if self.gamma != 1 else []
        return " · ".join(parts)


PLAIN = Contrast()


@dataclass(frozen=True, slots=True)
class Tones:
    """The values behind a crop. The images are shared: do not draw on them."""

    values: Image.Image
    """The crop: grey values in mode F, or RGB."""
    whole: Image.Image
    """The whole decoded image, in the same mode."""
    window: Range = (0.0, 255.0)
    """The range without automatic contrast."""
    inverted: bool = False
    """True if low values are bright, as in some X-ray images."""


def render_tones(tones: Tones, contrast: Contrast = PLAIN) -> Image.Image:
    """Return the crop in RGB as `contrast` shows it."""
    return render_part(tones.values, tones, contrast)


def render_part(part: Image.Image, tones: Tones, contrast: Contrast) -> Image.Image:
    """Return a part of the whole image as the crop of `tones` is shown."""
    window = tones.window
    if contrast.mode != "off":
        measured = tones.values if contrast.mode == "crop" else tones.whole
        low, high = percentile_range(measured, SHARES)
        window = (low, high) if high > low else window
    inverted = contrast.inverted != tones.inverted
    if part.mode == "F":
        values = np.asarray(part)
        return scale_to_bytes(values, window, contrast.gamma, inverted=inverted).convert("RGB")
    if window == (0.0, 255.0) and contrast.gamma == 1 and not inverted:
        return part
    steps = scale_to_bytes(np.arange(256), window, contrast.gamma, inverted=inverted)
    return part.point(list(steps.tobytes()) * 3)


def scale_to_bytes(
    values: NDArray[Any], window: Range, gamma: float = 1.0, *, inverted: bool = False
) -> Image.Image:
    """Return grey values as an image of eight bits: the ends of `window` are black and white."""
    low, high = window
    scaled = values.astype(np.float32, copy=True)
    with np.errstate(over="ignore"):  # of absurd values, which end up black or white
        scaled -= low
        scaled *= 1 / max(high - low, 1e-30)
    np.clip(scaled, 0, 1, out=scaled)
    if gamma != 1:
        np.power(scaled, gamma, out=scaled)
    scaled *= 255
    found = np.rint(scaled).astype(np.uint8)
    return Image.fromarray(np.atleast_2d(255 - found if inverted else found))


def percentile_range(image: Image.Image, shares: tuple[float, float]) -> Range:
    """Return two percentiles of an image's grey values, or of the brightness of its colours."""
    if image.mode == "F":
        return robust_range(np.asarray(image), shares)
    counts = np.cumsum(image.convert("L").histogram())
    wanted = [counts[-1] * share / 100 for share in shares]
    low, high = (int(np.searchsorted(counts, count)) for count in wanted)
    return float(low), float(min(high, 255))


def robust_range(values: NDArray[Any], shares: tuple[float, float] = ROBUST_SHARES) -> Range:
    """Return two percentiles of the values, from a sample of a large image."""
    flat = values.ravel()
    sample = flat[:: max(1, len(flat) // _SAMPLE)]
    sample = sample[np.isfinite(sample)]
    if not len(sample):
        return 0.0, 1.0
    low, high = np.percentile(sample, shares)
    return float(low), float(high)


_WHITES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""The whites of cameras: all ones in 8, 10, 12, 14 and 16 bits."""
_REAL_WHITES = (1.0, 255.0)


def fit_window(ranges: list[Range], *, real: bool) -> Range:
    """Return the window of a set, from the robust range of each of its images.

    Images that fill at least a quarter of a camera's range are shown in all of it, in real values
    the range to 1 or 255. Others are shown by their own range.
    """
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    whites = _REAL_WHITES if real else _WHITES
    white = next((white for white in whites if low >= 0 and high <= white), None)
    if white is not None and (white == whites[0] or high - low >= white / 4):
        return 0.0, white
    margin = 0.02 * (high - low)
    return (low - margin, high + margin) if high > low else (low - 0.5, low + 0.5)
