"""proposals.csv, read in one pass: some hundred thousand rows in columns, not in objects.

The file is plain text and holds a row for each proposal: `ref,score,votes,name,model,extra`. `ref`
is the item that it belongs to; models that found the same object share an item. `extra` is JSON.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.errors import RefError, bullet_list
from annotator.items.ref_table import RefTable
from annotator.items.refs import make_printable, shell_quoted
from annotator.items.text_files import read_rows

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder

PROPOSALS_FILE = "proposals.csv"
PROPOSAL_COLUMNS = ("ref", "score", "votes", "name", "model", "extra")
_BATCH = 1 << 14
_MAX_VOTES = 10_000


class ProposalRow(NamedTuple):
    """One row of proposals.csv."""

    ref: str
    """The item that it belongs to."""
    score: float
    votes: int
    name: str
    model: str
    extra: str = ""
    """JSON, or ""."""

    @property
    def details(self) -> Mapping[str, Any]:
        """The parsed `extra`. Raises `RefError` if it is not a JSON object."""
        try:
            return dict(json.loads(self.extra)) if self.extra else {}
        except (ValueError, TypeError, RecursionError) as error:
            raise RefError(
                f"{PROPOSALS_FILE}: the extra of {make_printable(self.ref)} is not a JSON object "
                f"({error}). Fix it, or leave it empty."
            ) from error


def has_proposals(project: ProjectFolder) -> bool:
    """Return whether a project has a proposals.csv."""
    return os.path.lexists(project.proposals_file)


def read_proposals(project: ProjectFolder) -> Iterator[ProposalRow]:
    """Yield the rows of proposals.csv; none without such a file.

    A last line that a crash cut short has no line break, and is skipped. Raises `RefError` that
    names every faulty line.
    """
    file = project.proposals_file
    if not os.path.lexists(file):
        return
    problems: list[str] = []
    rows = read_rows(file, cut_short=True)
    if tuple(next(rows, (0, ()))[1]) != PROPOSAL_COLUMNS:
        raise RefError(
            f"{make_printable(str(file))}: the first line should be {','.join(PROPOSAL_COLUMNS)}. "
            f"Put a copy back, or do without it: mv {shell_quoted(file)} {shell_quoted(file)}.moved"
        )
    for line, cells in rows:
        row = _parse_row(cells)
        if row is None:
            problems.append(f"line {line}: {make_printable(','.join(cells))}")
        else:
            yield row
    if problems:
        raise RefError(
            bullet_list(
                problems,
                f"{make_printable(str(file))} has lines that are not {','.join(PROPOSAL_COLUMNS)}:",
            )
        )


def _parse_row(cells: list[str]) -> ProposalRow | None:
    try:
        ref, score, votes, name, model, extra = cells
        row = ProposalRow(ref, float(score), int(votes), name, model, extra)
    except ValueError:
        return None
    sound = 0 <= row.score <= 1 and 0 <= row.votes <= _MAX_VOTES
    return row if ref and name and sound else None


@dataclass(frozen=True, slots=True)
class ProposalTable:
    """All proposals of a project, without their details. About 50 bytes a row."""

    refs: RefTable
    """(n,) the item of each row."""
    scores: NDArray[np.float64]
    """(n,)"""
    votes: NDArray[np.int32]
    """(n,)"""
    names: tuple[str, ...]
    models: tuple[str, ...]
    name: NDArray[np.int32]
    """(n,) index into `names`."""
    model: NDArray[np.int32]
    """(n,) index into `models`."""
    best: NDArray[np.int64]
    """(n,) the row with the highest score of the same item, at the item's first row."""

    @classmethod
    def load(cls, project: ProjectFolder) -> ProposalTable:
        """Read all proposals of a project. Raises `RefError` for faulty lines."""
        refs, batch = RefTable(), list[str]()
        names, models = dict[str, int](), dict[str, int]()
        scores, votes, name, model = array("d"), array("i"), array("i"), array("i")
        for row in read_proposals(project):
            batch.append(row.ref)
            if len(batch) >= _BATCH:
                refs.extend(batch)
                batch = []
            scores.append(row.score)
            votes.append(row.votes)
            name.append(names.setdefault(row.name, len(names)))
            model.append(models.setdefault(row.model, len(models)))
        refs.extend(batch)
        values = np.array(scores, np.float64)
        return cls(
            refs, values, np.array(votes, np.int32), tuple(names), tuple(models),
            np.array(name, np.int32), np.array(model, np.int32), _best_rows(refs, values),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.refs)

    def __getitem__(self, row: int) -> ProposalRow:
        return ProposalRow(
            self.refs[row], float(self.scores[row]), int(self.votes[row]),
            self.names[self.name[row]], self.models[self.model[row]],
        )  # fmt: skip

    def find(self, ref: str) -> ProposalRow | None:
        """Return the proposal with the highest score for an item; None without one."""
        first = int(self.refs.rows([ref])[0]) if len(self) else -1
        return self[int(self.best[first])] if first >= 0 else None


def _best_rows(refs: RefTable, scores: NDArray[np.float64]) -> NDArray[np.int64]:
    best = np.arange(len(refs))
    if len(refs):
        first = refs.rows(refs) if len(refs.repeated()) == 0 else _first_rows(refs)
        order = np.argsort(scores, kind="stable")
        best[first[order]] = order  # the last one written is the highest
    return best


def _first_rows(refs: RefTable) -> NDArray[np.int64]:
    """Return the first row (n,) with the same ref.

    `RefTable.rows` treats an equal table as the same row by row, so it gets a list that begins
    differently.
    """
    return refs.rows(["", *refs])[1:]
