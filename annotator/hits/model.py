"""HITs: tasks of N pages of M images, each page asking for one class.

The shape is that of the ImageNet annotation tool's table `ImageNetHIT`; what a page holds beyond
it (`gold`, `reserve`, `seed`) is optional, and readers of the tool's own files pass it over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PAGES, IMAGES = 10, 48
"""Pages of a HIT and images of a page, where nobody says otherwise: those of ImageNet."""
VERSIONS = (
    "NO_POINTER_ORIGINAL", "POINTER_ORIGINAL", "NO_POINTER_NO_ORIGINAL", "POINTER_NO_ORIGINAL",
)  # fmt: skip
"""POINTER: a red dot stands at the pointer, and stays where an image was selected. NO_ORIGINAL:
an image is blurred until the pointer or the cursor is on it or it is selected."""


@dataclass(frozen=True, slots=True)
class HitImage:
    """One candidate."""

    id: str
    ref: str
    """The item of the project."""

    def as_dict(self) -> dict[str, str]:
        return {"id": self.id, "url": self.ref}


@dataclass(frozen=True, slots=True)
class HitClass:
    """The class that a page asks for."""

    id: str
    wnid: str = ""
    synset: tuple[str, ...] = ()
    """Words for it, the first of them its name."""
    description: str = ""
    wikipedia: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its label in the project."""
        return self.synset[0] if self.synset else self.id

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id, "wnid": self.wnid, "synset": list(self.synset),
            "description": self.description, "wikipedia": list(self.wikipedia),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class HitPage:
    """Images in the order shown."""

    pageno: int
    """From 1."""
    asks: HitClass
    images: tuple[HitImage, ...]
    gold: Mapping[str, bool] = field(default_factory=dict)
    """Image id to whether it should be selected, for those whose answer is known."""
    reserve: tuple[HitImage, ...] = ()
    """Take the places of images that cannot be shown."""
    seed: int | None = None
    """What the order was shuffled with."""

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "pageno": self.pageno, "class": self.asks.as_dict(),
            "images": [image.as_dict() for image in self.images],
        }  # fmt: skip
        if self.gold:
            found["gold"] = dict(self.gold)
        if self.reserve:
            found["reserve"] = [image.as_dict() for image in self.reserve]
        if self.seed is not None:
            found["seed"] = self.seed
        return found


@dataclass(frozen=True, slots=True)
class Hit:
    """A task for one sitting."""

    dataset: str
    """hitDatasetName: HITs that belong together."""
    id: str
    pages: tuple[HitPage, ...]
    unique: bool = True
    """isUnique: a worker does one HIT of the dataset, no more."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "hitDatasetName": self.dataset, "isUnique": self.unique, "id": self.id,
            "pages": [page.as_dict() for page in self.pages],
        }  # fmt: skip
