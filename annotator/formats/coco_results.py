"""COCO results: `[{"image_id", "category_id", "bbox", "score"}]`, numbered as in coco."""

from __future__ import annotations

from annotator.formats import coco
from annotator.formats.format import Format

FORMAT = Format("coco-results", coco.results, takes=frozenset({"predictions"}), accepted=True)
