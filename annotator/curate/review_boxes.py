"""The review queues of boxes: labelled boxes that the proposals of a detector contradict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from annotator.curate.review_case import Neighbour, ReviewCase
from annotator.detection.box_errors import BoxDoubts, doubt_boxes
from annotator.detection.detections import Detections, FloatArray, iou
from annotator.items.refs import Box, Item, make_printable, shell_quoted, split_ref
from annotator.log.entries import Entry, LogState
from annotator.project.project import ProjectFolder
from annotator.proposals.table import ProposalRow, has_proposals, read_proposals
from annotator.proposals.verdicts import ACCEPT_LABELS, GENERIC_NAMES, judge_proposal

BOX_QUEUES = ("overlooked", "misplaced", "swapped")
_LEAST = {"overlooked": 0.4, "misplaced": 0.25, "swapped": 0.25}
"""Queue to the least doubt of its cases."""


class _LabelledBox(NamedTuple):
    entry: Entry
    box: Box
    name: str | None
    """The class of the object; None for a box that was rejected or skipped."""


class BoxComparison(NamedTuple):
    """The labelled boxes of one image, and the proposals in it."""

    boxes: list[_LabelledBox]
    proposals: list[ProposalRow]
    doubts: BoxDoubts
    places: list[Box]
    """The box of each proposal, which its item need not have."""

    def case(self, queue: str, place: int, classes: Sequence[str]) -> ReviewCase | None:
        """Return the case of a queue at a labelled box, or at a proposal if it is overlooked."""
        doubt = float(getattr(self.doubts, queue)[place])
        if doubt < _LEAST[queue]:
            return None
        if queue == "overlooked":
            return self._overlooked(place, doubt, classes)
        labelled = self.boxes[place]
        at = int((self.doubts.better if queue == "misplaced" else self.doubts.other)[place])
        found, overlap = self.proposals[at], iou(labelled.box, self.places[at])
        model = make_printable(f"{found.model} has {found.name} {found.score:.2f}")
        reason = f"{model} here, IoU {overlap:.2f}"
        near = Neighbour(_ref(labelled.entry.ref, self.places[at]), found.name, round(overlap, 4))
        wanted = found.name if queue == "swapped" and found.name in classes else None
        entry = labelled.entry
        return ReviewCase(
            queue, entry.ref, entry.label, entry.annotator, reason, doubt,
            suggestion=wanted, neighbours=(near,), has_own_item=near.ref == found.ref,
        )  # fmt: skip

    def _overlooked(self, place: int, doubt: float, classes: Sequence[str]) -> ReviewCase:
        found = self.proposals[place]
        accepts = (name for name in (found.name, *ACCEPT_LABELS) if name in classes)
        reason = f"{found.model} has {found.name} {found.score:.2f}, and no box is there"
        return ReviewCase(
            "overlooked", found.ref, None, "", make_printable(reason), doubt,
            suggestion=next(accepts, None),
        )  # fmt: skip


def why_no_boxes(project: ProjectFolder, state: LogState) -> str:
    """Return why labelled boxes cannot be compared with proposals; "" if they can."""
    if has_proposals(project) or not any(split_ref(ref)[1] for ref in state.standing):
        return ""
    return (
        "There are no proposals to compare the boxes with. Make some: `annotator detect "
        f"{shell_quoted(project.folder)} --models MODEL`, or boxes:FILE for MODEL."
    )


def compare_boxes(project: ProjectFolder, state: LogState) -> Iterator[BoxComparison]:
    """Yield the comparison of each image that has labelled boxes and proposals."""
    decided: Mapping[str, list[Entry]] = defaultdict(list)
    for ref, stack in state.standing.items():
        path, box = split_ref(ref)
        if box:
            decided[path].append(stack[-1])
    proposed: Mapping[str, list[ProposalRow]] = defaultdict(list)
    for row in read_proposals(project):
        if (path := split_ref(row.ref)[0]) in decided:
            proposed[path].append(row)
    for path, rows in proposed.items():
        yield _compare_image(decided[path], rows, state)


def find_box_cases(
    queue: str, comparisons: Sequence[BoxComparison], classes: Sequence[str]
) -> Iterator[ReviewCase]:
    """Yield the cases of one of `BOX_QUEUES`; an item has one, the most doubtful."""
    best: dict[str, ReviewCase] = {}
    for each in comparisons:
        for place in range(len(getattr(each.doubts, queue))):
            case = each.case(queue, place, classes)
            if case and (case.ref not in best or case.score > best[case.ref].score):
                best[case.ref] = case
    yield from best.values()


def _compare_image(
    entries: Sequence[Entry], rows: Sequence[ProposalRow], state: LogState
) -> BoxComparison:
    best: dict[str, ProposalRow] = {}
    for row in sorted(rows, key=lambda row: row.score):
        best[row.ref] = row
    boxes = [_labelled(entry, best.get(entry.ref)) for entry in entries]
    there = [labelled for labelled in boxes if labelled.name is not None]
    places = [_place(row) for row in rows]
    predicted = Detections(
        _corners(places), np.array([row.score for row in rows]), tuple(row.name for row in rows)
    )
    doubts = doubt_boxes(_corners([b.box for b in there]), [b.name or "" for b in there], predicted)
    # What is there need not be of the class that is looked for: a rejected box was looked at.
    looked_at = doubt_boxes(_corners([b.box for b in boxes]), [""] * len(boxes), predicted)
    overlooked = np.minimum(doubts.overlooked, looked_at.overlooked)
    is_open = np.array([state.decision(row.ref) is None for row in rows])
    vague = np.array([row.name in GENERIC_NAMES for row in rows])
    swapped = np.where((doubts.other >= 0) & ~vague[doubts.other], doubts.swapped, 0.0)
    return BoxComparison(
        there, list(rows),
        doubts._replace(overlooked=overlooked * is_open, swapped=swapped), places,
    )  # fmt: skip


def _labelled(entry: Entry, proposal: ProposalRow | None) -> _LabelledBox:
    box = Item.parse(entry.ref).box
    assert box is not None
    name = entry.label
    if name is not None and proposal is not None:
        name = judge_proposal(name, proposal.name).name
    elif name is not None:
        name = judge_proposal(name, name).name
    return _LabelledBox(entry, box, name)


def _place(row: ProposalRow) -> Box:
    """Return the box of a proposal: its own, if its item has another one."""
    own = row.details.get("box") if '"box"' in row.extra else None
    if isinstance(own, list) and len(own) == 4:
        return Box(*map(float, own))
    box = Item.parse(row.ref).box
    return box or Box(0, 0, 0, 0)


def _ref(ref: str, box: Box) -> str:
    return Item(Item.parse(ref).path, box).ref


def _corners(boxes: Sequence[Box]) -> FloatArray:
    return np.array([(b.x, b.y, b.right, b.bottom) for b in boxes], float).reshape(-1, 4)
