"""iTerm2's inline images, as JPEG. Protocol: https://iterm2.com/documentation-images.html."""

from __future__ import annotations

import io
from base64 import standard_b64encode
from math import ceil

from PIL import Image

from annotator.terminal.backend import Area, Part, Payload, Quality
from annotator.terminal.caps import Technique
from annotator.terminal.fit import pad_image
from annotator.terminal.redrawn import RedrawnBackend, half_pixels

LADDER = (
    Quality("JPEG 60, half size", 60, 0.05, 2),
    Quality("JPEG 80", 80, 0.21),
    Quality("true colour", 0, 2.0),
)


class ItermBackend(RedrawnBackend):
    """One picture with margins for the whole area; the terminal scales it."""

    technique = Technique.ITERM
    ladder = LADDER

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        size = ceil(area.size[0] / quality.shrink), ceil(area.size[1] / quality.shrink)
        whole = pad_image(image, size, self.background)
        buffer = io.BytesIO()
        if quality.colours:
            whole.save(buffer, "JPEG", quality=quality.colours)
        else:
            whole.save(buffer, "PNG", compress_level=1)
        data = buffer.getvalue()
        head = b"\x1b]1337;File=inline=1;size=%d;width=%d;height=%d;preserveAspectRatio=0:"
        text = head % (len(data), area.columns, area.rows) + standard_b64encode(data) + b"\x07"
        return Payload((Part(text),), len(text), picture=half_pixels(image, area, self.background))
