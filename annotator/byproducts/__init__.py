"""By-products: what the annotator's hand did on a page, beside the answer.

Fields, units and normalisation are those of the ImageNet annotation tool of Han et al.,
"Neglected Free Lunch: Learning Image Classifiers Using Annotation Byproducts" (ICCV 2023), so
that what trains on ImageNet-AB trains on these. The recorder appends events; `traces` adds the
events of a page up to the fields.
"""

from __future__ import annotations

from annotator.byproducts.images import ImageTrace
from annotator.byproducts.recorder import PageShown, Recorder, Terminal, Tile
from annotator.byproducts.traces import PageTrace, trace, trace_of, traces
from annotator.byproducts.workers import salt, worker_id

__all__ = [
    "ImageTrace",
    "PageShown",
    "PageTrace",
    "Recorder",
    "Terminal",
    "Tile",
    "salt",
    "trace",
    "trace_of",
    "traces",
    "worker_id",
]
