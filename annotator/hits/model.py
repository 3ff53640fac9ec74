"""HITs: tasks of N pages of M images, each page asking for one class.

The shape is that of the ImageNet annotation tool's table `ImageNetHIT`; what a page holds beyond
it (`gold`, `reserve`, `seed`) is optional, and readers of the tool's own files ignore it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotator.errors import ProjectError
from annotator.items.refs import make_printable

PAGES, IMAGES = 10, 48
"""Pages of a HIT and images of a page by default: those of ImageNet."""
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
        """Return the image as the tool writes it."""
        return {"id": self.id, "url": self.ref}


@dataclass(frozen=True, slots=True)
class HitClass:
    """The class that a page asks for."""

    id: str
    wnid: str = ""
    synset: tuple[str, ...] = ()
    """Words for the class, its name first."""
    description: str = ""
    wikipedia: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The label in the project."""
        return self.synset[0] if self.synset else self.id

    def as_dict(self) -> dict[str, Any]:
        """Return the part of the HIT as the tool writes it."""
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
    gold: Mapping[str, bool | None] = field(default_factory=dict)
    """Image id -> True if it should be selected, for the images whose answer is known. None for
    an answer that this account may not read."""
    reserve: tuple[HitImage, ...] = ()
    """Images that replace broken ones."""
    seed: int | None = None
    """The seed of the shuffled order."""

    def as_dict(self, answers: bool = True) -> dict[str, Any]:
        """Return the part of the HIT as the tool writes it, with or without gold answers."""
        found: dict[str, Any] = {
            "pageno": self.pageno, "class": self.asks.as_dict(),
            "images": [image.as_dict() for image in self.images],
        }  # fmt: skip
        if self.gold:
            found["gold"] = dict(self.gold) if answers else dict.fromkeys(self.gold)
        if self.reserve:
            found["reserve"] = [image.as_dict() for image in self.reserve]
        if self.seed is not None:
            found["seed"] = self.seed
        return found


@dataclass(frozen=True, slots=True)
class Hit:
    """A task for one session."""

    dataset: str
    """hitDatasetName: HITs that belong together."""
    id: str
    pages: tuple[HitPage, ...]
    unique: bool = True
    """isUnique: a worker does only one HIT of the dataset."""

    def as_dict(self, answers: bool = True) -> dict[str, Any]:
        """Return the HIT as the tool writes it, with or without gold answers."""
        return {
            "hitDatasetName": self.dataset, "isUnique": self.unique, "id": self.id,
            "pages": [page.as_dict(answers) for page in self.pages],
        }  # fmt: skip

    def tool_row(self) -> dict[str, Any]:
        """Return the row of the tool's table ImageNetHIT, without what only annotator has."""
        row = self.as_dict()
        ours = ("gold", "reserve", "seed")
        row["pages"] = [{k: v for k, v in page.items() if k not in ours} for page in row["pages"]]
        return row


@dataclass(frozen=True, slots=True)
class HitSet:
    """HITs that belong together, and how they are given out."""

    name: str
    hits: tuple[Hit, ...]
    workers: int | None = None
    """The number of workers for each HIT; None for all who come."""
    negative: str | None = None
    """The label of images that were not selected; None leaves them unlabelled."""
    made: dict[str, Any] | None = None
    """The options with which `annotator hits make` drew them."""

    @property
    def unique(self) -> bool:
        """True if a worker does only one HIT of the set."""
        return any(hit.unique for hit in self.hits)

    def hit(self, id_: str) -> Hit:
        """Return a HIT by its id. Raises `ProjectError` with the ids that there are."""
        found = next((hit for hit in self.hits if hit.id == id_), None)
        if found is None:
            known = ", ".join(hit.id for hit in self.hits[:10])
            raise ProjectError(
                make_printable(
                    f"{self.name} has no HIT {id_!r}; there are {len(self.hits)}: {known} …"
                )
            )
        return found


def other_class(names: Sequence[str], asked: Collection[str]) -> str | None:
    """Return the class that is not asked for; None unless it is one of exactly two."""
    others = [name for name in names if name not in asked]
    return others[0] if len(names) == 2 and len(others) == 1 else None
