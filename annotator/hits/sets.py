"""The HITs of a project: one plain file a dataset, in its folder `hits`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.errors import ProjectError
from annotator.hits.model import Hit
from annotator.hits.reading import read_hits
from annotator.items.atomic import write_atomically
from annotator.items.refs import make_printable
from annotator.project.project import ProjectFolder

FOLDER = "hits"
_PLAIN = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class HitSet:
    """HITs that belong together, and how they are given out."""

    name: str
    hits: tuple[Hit, ...]
    workers: int | None = None
    """How many workers do each HIT; None for as many as come."""
    negative: str | None = None
    """The label of what was not selected; None leaves that unlabelled."""
    made: dict[str, Any] | None = None
    """How `annotator hits make` drew them."""

    @property
    def unique(self) -> bool:
        """Whether a worker does one HIT of the set, no more."""
        return any(hit.unique for hit in self.hits)

    def hit(self, id_: str) -> Hit:
        """Raises `ProjectError` that names the HITs there are."""
        found = next((hit for hit in self.hits if hit.id == id_), None)
        if found is None:
            known = ", ".join(hit.id for hit in self.hits[:10])
            raise ProjectError(
                make_printable(
                    f"{self.name} has no HIT {id_!r}; there are {len(self.hits)}: {known} …"
                )
            )
        return found


def save_hit_set(project: ProjectFolder, hits: HitSet) -> Path:
    """Write the set into the project. Raises `ProjectError` where there is one of this name."""
    if not _PLAIN.fullmatch(hits.name) or hits.name.startswith("."):
        raise ProjectError(
            f"{make_printable(hits.name)!r} cannot name a file; use letters, digits, - and _"
        )
    file = project.folder / FOLDER / f"{hits.name}.json"
    if file.exists():
        raise ProjectError(
            f"{make_printable(str(file))} is there already, and work may have been done on it; "
            "give another --name"
        )
    table = {
        "hitDatasetName": hits.name, "workers": hits.workers, "negative": hits.negative,
        "made": hits.made, "hits": [hit.as_dict() for hit in hits.hits],
    }  # fmt: skip
    file.parent.mkdir(exist_ok=True)
    write_atomically(file, json.dumps(table, ensure_ascii=False, indent=1).encode())
    return file


def load_hit_sets(project: ProjectFolder) -> dict[str, HitSet]:
    """Name to set, by name. Raises `RefError` for a file that cannot be used."""
    files = sorted((project.folder / FOLDER).glob("*.json"))
    return {file.stem: _load(file) for file in files}


def select_hit_set(project: ProjectFolder, name: str | None) -> HitSet:
    """The set of this name; for None the only one. Raises `ProjectError` that says which are."""
    sets = load_hit_sets(project)
    folder = make_printable(str(project.folder))
    if not sets:
        raise ProjectError(
            f"{folder} has no HITs yet: annotator hits make {folder} --class NAME, or "
            f"annotator hits run FILE --project {folder}"
        )
    if name is None and len(sets) > 1:
        raise ProjectError(
            f"{folder} has several sets; give --name {make_printable('|'.join(sets))}"
        )
    if name is not None and name not in sets:
        raise ProjectError(
            make_printable(f"{folder} has no HITs named {name!r}; there are {', '.join(sets)}")
        )
    return sets[name if name is not None else next(iter(sets))]


def _load(file: Path) -> HitSet:
    hits = tuple(read_hits(file))
    table = json.loads(file.read_text(encoding="utf-8"))
    workers, negative = table.get("workers"), table.get("negative")
    return HitSet(
        file.stem,
        hits,
        workers if isinstance(workers, int) and workers > 0 else None,
        negative if isinstance(negative, str) else None,
        table.get("made"),
    )
