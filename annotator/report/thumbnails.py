"""Small pictures of items inside the page itself."""

from __future__ import annotations

import base64
import io

from annotator.errors import AnnotatorError
from annotator.images import ImageFolder, draw_box
from annotator.items.refs import Item
from annotator.project.project import ProjectFolder
from annotator.report.markup import Markup, html_element

THUMBNAIL_SIZE = (160, 160)
_QUALITY = 82


class Thumbnails:
    """Makes `<img>` elements that need no file beside the page."""

    def __init__(self, project: ProjectFolder) -> None:
        self._folder = ImageFolder(project.images.resolve(), project.settings.max_pixels)
        self._context = project.settings.context

    def __call__(self, ref: str) -> Markup:
        """The item's picture, or the reason why there is none."""
        try:
            crop = self._folder.crop(Item.parse(ref), THUMBNAIL_SIZE, self._context)
        except AnnotatorError as error:
            return html_element("span", str(error), class_="broken")
        file = io.BytesIO()
        draw_box(crop).convert("RGB").save(file, "JPEG", quality=_QUALITY)
        data = base64.b64encode(file.getvalue()).decode()
        return html_element("img", src=f"data:image/jpeg;base64,{data}", alt=ref, loading="lazy")
