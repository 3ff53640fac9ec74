"""Proposals that a new run of the same models replaces, unless an annotator has judged them.

The new proposals go to a file of their own. At the end, one rename of proposals.csv makes them
valid. A list of the items to remove is on disk before that, so that a kill between proposals.csv
and refs.csv leaves nothing behind: the next writer removes what is left.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from annotator.items.atomic import read_file, write_atomically
from annotator.items.json_text import parse_json
from annotator.items.refs import split_ref
from annotator.items.text_files import read_rows
from annotator.log.store.open import load_log_state
from annotator.project.refs_csv import append_items, read_born_items
from annotator.proposals.table import PROPOSAL_COLUMNS, ProposalRow, read_proposals

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder

NEW_ITEM = "new_item"
"""Key of a proposal's details that says that its item was made for it."""
_TO_REMOVE = "items-to-remove.json"


class ReplacedProposals:
    """The proposals of earlier runs of some models, in the images that the new run answers."""

    def __init__(self, project: ProjectFolder, models: Sequence[str]) -> None:
        """Find the proposals that give way to those of `models`; an ensemble counts as its models.

        Raises `RefError` for faulty lines.
        """
        self._project = project
        self._models = frozenset(part for model in models for part in model.split("+"))
        self._judged = read_judged_refs(project)
        self.images: set[str] = set()
        """The images that the new run answers."""
        self.replaced = 0
        """Proposals that gave way, without those that the new run made again as they were."""
        self.kept = 0
        """Proposals of the models that stay, because their item has a label, skip, flag or note."""
        self.items = self._find_items()
        """Items that go with their proposals, unless the new run proposes them again."""

    @property
    def new_file(self) -> Path:
        """The file that holds the new proposals until they are valid."""
        return self._project.folder / ".cache" / "proposals-new.csv"

    def is_of_models(self, model: str) -> bool:
        """Return whether all models that made a proposal are among those of the new run."""
        return set(model.split("+")) <= self._models

    def gives_way(self, row: ProposalRow) -> bool:
        """Return whether a proposal gives way if the new run answers its image."""
        return self.is_of_models(row.model) and row.ref not in self._judged

    def commit(self) -> None:
        """Put the new proposals in the place of the old ones, and remove the items that went."""
        self._judged = read_judged_refs(self._project)  # an annotator may label at the same time
        new = {tuple(cells[:-1]) for cells in _read_cells(self.new_file)}
        proposed = {row[0] for row in new}
        removed = [
            ref
            for ref in self.items
            if split_ref(ref)[0] in self.images and ref not in self._judged | proposed
        ]
        place = self._project.folder / ".cache" / "proposals-all.csv"
        with place.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            self._write_all(file, new)
            file.flush()
            os.fsync(file.fileno())
        _write_removal(self._project, removed)
        place.replace(self._project.proposals_file)
        self.new_file.unlink()

    def _write_all(self, file: IO[str], new: set[tuple[str, ...]]) -> None:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(PROPOSAL_COLUMNS)
        for row in read_proposals(self._project):
            here = split_ref(row.ref)[0] in self.images and self.is_of_models(row.model)
            if here and row.ref not in self._judged:
                self.replaced += tuple(map(str, row[:-1])) not in new
                continue
            self.kept += here
            writer.writerow(row)
        writer.writerows(_read_cells(self.new_file))

    def _find_items(self) -> set[str]:
        """Return the items that were made for proposals that give way, and have no others."""
        gone, stay = set[str](), set[str]()
        made = {ref for ref, model in read_born_items(self._project) if self.is_of_models(model)}
        for row in read_proposals(self._project):
            if not self.gives_way(row):
                stay.add(row.ref)
            elif row.ref in made or f'"{NEW_ITEM}": true' in row.extra:
                gone.add(row.ref)
        return gone - stay


def read_judged_refs(project: ProjectFolder) -> set[str]:
    """Return the items with a label, skip, second opinion, flag or note."""
    state = load_log_state(project)
    return {*state.standing, *state.opinions, *state.flagged, *state.notes}


def remove_replaced_items(project: ProjectFolder) -> None:
    """Remove the items whose proposals were replaced: they are on a list, after a kill too."""
    file = project.folder / ".cache" / _TO_REMOVE
    try:
        listed = set(map(str, parse_json(read_file(file))))
    except (OSError, ValueError, TypeError):
        return
    listed -= read_judged_refs(project)
    listed -= {row.ref for row in read_proposals(project)}
    if listed:
        append_items(project, (), removed=listed)
    file.unlink(missing_ok=True)


def _write_removal(project: ProjectFolder, refs: Iterable[str]) -> None:
    data = json.dumps(sorted(refs)).encode()
    write_atomically(project.folder / ".cache" / _TO_REMOVE, data)


def _read_cells(file: Path) -> Iterator[list[str]]:
    return (cells for _, cells in read_rows(file))
