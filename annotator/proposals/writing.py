"""The writer of proposals as items: it appends, deduplicates, and survives a kill at any time."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from annotator.detection.detections import iou
from annotator.errors import ProjectError
from annotator.items.atomic import Held, NoLocks, lock_file, only_regular
from annotator.items.file_system import describe_no_locks
from annotator.items.refs import Box, Item, make_printable, split_ref
from annotator.project.item_pool import load_refs
from annotator.project.refs_csv import NewItem, append_items, has_model_column
from annotator.proposals.replacing import NEW_ITEM, ReplacedProposals, remove_replaced_items
from annotator.proposals.table import PROPOSAL_COLUMNS, ProposalRow, read_proposals

if TYPE_CHECKING:
    from annotator.detection.proposal import Proposal
    from annotator.project.project import ProjectFolder

SAME_OBJECT_IOU = 0.7
"""Minimum IoU of two boxes of one class in one image that are the same object."""
_FLUSH_SECONDS = 60.0


class _KnownBox(NamedTuple):
    """A box that is already an item."""

    box: Box
    names: frozenset[str]
    """The classes proposed for it; () for an item without a proposal, which fits any class."""
    ref: str


class ProposalWriter:
    """The one writer of a project's proposals; use it as a context.

    `add` returns when its proposals are in proposals.csv; the items reach refs.csv once a minute
    and at the end. After a crash the next writer adds the items that are missing. A writer that
    `replaces` proposals changes both files at its end, and neither if it fails.
    """

    def __init__(
        self,
        project: ProjectFolder,
        *,
        replaces: Sequence[str] = (),
        overlap: float = SAME_OBJECT_IOU,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Lock the project's proposals.

        Those that the models `replaces` made before give way in every image that
        `replace_image` names, unless their item was judged. Raises `ProjectError` while another
        process writes proposals to the project, or if they cannot be written.
        """
        self.project, self.overlap = project, overlap
        self.added = 0
        """Items that are new."""
        self.merged = 0
        """Proposals that belong to an item that was there before."""
        self.repeated = 0
        """Proposals that this model made before."""
        self.left_out: list[str] = []
        """Proposals that cannot be items, each with its reason."""
        self.replaced: ReplacedProposals | None = None
        self._lock = _acquire_lock(project)
        self._known: dict[str, list[_KnownBox]] = {}
        self._unread: dict[str, list[tuple[str, str | None]]] = {}
        self._rows: set[tuple[str, str, str]] = set()
        self._pending: list[ProposalRow] = []
        self._clock, self._flushed = clock, clock()
        try:
            remove_replaced_items(project)
            if replaces:
                self.replaced = ReplacedProposals(project, replaces)
            self._marks_items = not has_model_column(project)
            self._read_known()
            self._file = self._open()
        except OSError as error:
            os.close(self._lock)
            raise self._unwritable(error) from error
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is not None and self.replaced is not None:
            self.discard()
        else:
            self.close()

    def discard(self) -> None:
        """Drop what replaces other proposals, and release the lock."""
        self._pending = []
        self._file.close()
        os.close(self._lock)

    def replace_image(self, path: str) -> None:
        """Let the earlier proposals of the models in an image give way."""
        if self.replaced is not None:
            self.replaced.images.add(path)

    def add(self, proposals: Iterable[Proposal]) -> list[str]:
        """Write proposals, and return the item of each valid one, the best score first.

        A proposal that overlaps an item of the same class, or an item without a proposed class,
        belongs to that item. Raises `ProjectError` if the disk is full.
        """
        sound = []
        for proposal in proposals:
            if fault := proposal.fault():
                self.left_out.append(f"{make_printable(proposal.item.path)}: a proposal {fault}")
            else:
                sound.append(proposal)
        sound.sort(key=lambda proposal: -proposal.score)
        text, before = io.StringIO(), len(self._pending)
        refs = [
            self._place_proposal(proposal, csv.writer(text, lineterminator="\n"))
            for proposal in sound
        ]
        try:
            self._append(text.getvalue())
        except OSError as error:
            del self._pending[before:]  # no item without its proposal
            raise self._unwritable(error) from error
        if self.replaced is None and self._clock() - self._flushed >= _FLUSH_SECONDS:
            self.flush()
        return refs

    def flush(self) -> None:
        """Add the new items to refs.csv, all or none."""
        if self._pending:
            append_items(self.project, map(_new_item, self._pending))
            self._pending = []
        self._flushed = self._clock()

    def close(self) -> None:
        """Flush, and release the lock."""
        try:
            if self.replaced is not None:
                self._file.close()
                self.replaced.commit()
            self.flush()
            remove_replaced_items(self.project)
            self._file.close()  # some disks say only now that they are full
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            os.close(self._lock)

    def _place_proposal(self, proposal: Proposal, rows: Any) -> str:
        known = self._find_same_object(proposal)
        ref = known.ref if known else proposal.item.ref
        # The very same box with another class is one item to look at.
        there = any(other.ref == ref for other in self._boxes(proposal.item.path))
        key = (ref, proposal.model, proposal.name)
        if key in self._rows:
            self.repeated += 1
            return ref
        row = ProposalRow(
            ref, round(proposal.score, 6), proposal.votes, proposal.name, proposal.model,
            _details_json(
                proposal, moved=known is not None and ref != proposal.item.ref,
                made=self._marks_items and not (known or there),
            ),
        )  # fmt: skip
        rows.writerow(row)
        self._rows.add(key)
        self._remember_box(Item.parse(ref), proposal.name)
        if known or there:
            self.merged += 1
        elif not (self.replaced and ref in self.replaced.items):
            self.added += 1
            self._pending.append(row)
        return ref

    def _find_same_object(self, proposal: Proposal) -> _KnownBox | None:
        """Return the item of a proposal: the one that overlaps it most, if it overlaps enough."""
        best, nearest = None, self.overlap
        for known in self._boxes(proposal.item.path):
            if known.names and proposal.name not in known.names:
                continue
            overlap = iou(known.box, proposal.box)
            if overlap >= nearest:
                best, nearest = known, overlap
        return best

    def _boxes(self, path: str) -> list[_KnownBox]:
        """Return the boxes that are items of an image; they are parsed at the first call."""
        boxes = self._known.setdefault(path, [])
        for ref, name in self._unread.pop(path, ()):
            self._remember_box(Item.parse(ref), name)
        return boxes

    def _remember_box(self, item: Item, name: str | None) -> None:
        if item.box is None:
            return
        names = frozenset() if name is None else frozenset([name])
        boxes = self._boxes(item.path)
        for place, known in enumerate(boxes):
            if known.ref == item.ref:
                boxes[place] = known._replace(names=known.names | names)
                return
        boxes.append(_KnownBox(item.box, names, item.ref))

    def _read_known(self) -> None:
        refs = load_refs(self.project)
        going = self.replaced.items if self.replaced else ()
        for ref in refs:
            if ref not in going:
                self._defer_parsing(ref, None)
        first: dict[str, ProposalRow] = {}
        for row in read_proposals(self.project):
            if self.replaced and self.replaced.gives_way(row):
                continue
            self._defer_parsing(row.ref, row.name)
            self._rows.add((row.ref, row.model, row.name))
            first.setdefault(row.ref, row._replace(extra=""))
        # Proposals without an item: the process before this one was killed.
        places = refs.rows(list(first)).tolist()
        self._pending = [row for row, at in zip(first.values(), places, strict=True) if at < 0]

    def _defer_parsing(self, ref: str, name: str | None) -> None:
        path, box = split_ref(ref)
        if box:
            self._unread.setdefault(path, []).append((ref, name))

    def _open(self) -> Any:
        if self.replaced is None:
            return _open_for_append(self.project.proposals_file)
        return self.replaced.new_file.open("wb", buffering=0)

    def _append(self, text: str) -> None:
        data = text.encode("utf-8", "surrogateescape")
        while data:
            data = data[self._file.write(data) :]

    def _unwritable(self, error: OSError) -> ProjectError:
        return ProjectError(
            f"{make_printable(str(self.project.proposals_file))} cannot be written: "
            f"{error.strerror}. Free some space, then run the same command to resume."
        )


def _details_json(proposal: Proposal, moved: bool, made: bool) -> str:
    """Return the details of a proposal as JSON; its own box if the item has another one.

    `made` is true if the item was made for it, and refs.csv cannot say so.
    """
    details: dict[str, Any] = dict(proposal.extra or {})
    if made:
        details[NEW_ITEM] = True
    if moved:
        details["box"] = list(proposal.box)
    if proposal.members:
        details["members"] = [member.as_dict() for member in proposal.members]
    return json.dumps(details, ensure_ascii=False, allow_nan=False) if details else ""


def _new_item(row: ProposalRow) -> NewItem:
    cells = {
        "name": row.name,
        "score": f"{row.score:.4f}",
        "votes": str(row.votes),
        "model": row.model,
    }
    return NewItem(Item.parse(row.ref), cells)


def _open_for_append(file: Path) -> Any:
    """Open proposals.csv at its end, and cut off a line that a crash left incomplete."""
    # Without a buffer, a line that a full disk refused is not written later, beside another writer.
    opened = open(file, "a+b", buffering=0, opener=only_regular)  # noqa: PTH123, SIM115
    opened.seek(0)
    size = opened.seek(0, os.SEEK_END)
    tail = min(size, 1 << 20)
    opened.seek(size - tail)
    rest = opened.read(tail)
    cut = len(rest) - (rest.rfind(b"\n") + 1)
    if cut:
        opened.truncate(size - cut)
    if size - cut == 0:
        opened.write((",".join(PROPOSAL_COLUMNS) + "\n").encode())
    return opened


def _acquire_lock(project: ProjectFolder) -> int:
    folder = project.folder / ".cache"
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
    try:
        return lock_file(folder / "proposals.lock")
    except Held:
        raise ProjectError(
            f"{make_printable(str(project.folder))}: another process is writing proposals. "
            "Wait until it ends, or give another folder with --project."
        ) from None
    except NoLocks as error:
        raise ProjectError(describe_no_locks(project.folder, error)) from error
    except OSError as error:
        raise ProjectError(
            f"{make_printable(str(folder))}: cannot lock proposals.lock ({error.strerror}). "
            "Free some space or change its permissions."
        ) from error
