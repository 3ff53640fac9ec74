"""Clusters as identities: each a page to confirm, name, merge, divide and clean.

Every answer is a row of the log. An identity is a class; the face of a cluster, or any item that
looks like others, gets its name as label. Items moved out of a cluster are skipped and come again
among the loose ones at the end; items of no identity get the class `noise`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from annotator.items.refs import plural
from annotator.log.entries import Action, Entry
from annotator.pages.journal import PageJournal
from annotator.pages.page import Marks, Page, SelectionMode
from annotator.pages.source import SessionSource, SubmittedPage
from annotator.project.clusters import Clusters
from annotator.project.project import ProjectFolder, append_classes
from annotator.project.settings import ClassInfo
from annotator.session.session import LabelSession

ORDER = "identity"
LOOSE = "loose"
MOST = 480
"""The most items on a page; a larger cluster has several pages with one name."""


def _parts(refs: list[str]) -> Iterator[list[str]]:
    """Yield the refs in parts that fit on a page."""
    for start in range(0, len(refs), MOST):
        yield refs[start : start + MOST]


class IdentitySource(SessionSource):
    """A source of a project's clusters, the largest first, then of the loose items."""

    def __init__(
        self,
        session: LabelSession,
        project: ProjectFolder,
        clusters: Clusters,
        loose: Iterable[str] = (),
        *,
        word: str = "person",
        journal: PageJournal | None = None,
        again: bool = False,
    ) -> None:
        """Serve the clusters, then `loose`, the items in no cluster.

        `word` begins the names of identities without one: "person 3". With `again` labelled
        identities are shown once more.
        """
        super().__init__(session, journal)
        self.project, self._word, self._again = project, word, again
        self._number = 0
        self._renamed = set[str]()
        self._resume()
        self._groups = deque(self._clusters(clusters))
        self._loose = list(loose)
        self._shown_loose = False
        self._count = len(self._groups)

    @property
    def title(self) -> str:
        """The name of the pages."""
        return "identities"

    @property
    def no_pages_message(self) -> str:
        """The message for an annotator who has seen all: how many items are still loose."""
        refs = dict.fromkeys([*self._loose, *self._moved_out()])
        left = sum(not self.session.state.label(ref) for ref in refs)
        loose = f" Without a name: {plural(left, 'loose item')}." if left else ""
        return f"Every identity is confirmed.{loose}"

    @property
    def names(self) -> list[str]:
        """The classes that have items, the one with most first."""
        counts = self.session.progress.classes
        return sorted(filter(counts.get, counts), key=lambda name: -counts[name])

    def describe(self, page: Page) -> ClassInfo | None:
        """Return the identity of a page as a class; None for loose items."""
        return ClassInfo(page.label) if page.label else None

    # --- pages

    def next(self) -> Page | None:
        """Return the next page that has items which no other annotator holds."""
        page = super().next()
        while page is None and (self._ready or self._groups or not self._shown_loose):
            page = super().next()
        return page

    def _make_page(self) -> Page | None:
        self._number += 1
        while self._groups:
            name, refs = self._groups.popleft()
            refs = self._to_ask(refs)
            if refs:
                return Page(
                    tuple(refs), name or self._free_name(), SelectionMode.EXCEPTIONS, ORDER,
                    number=self._number, of=max(self._count, self._number),
                )  # fmt: skip
        if self._shown_loose:
            return None
        self._shown_loose = True
        state = self.session.state
        loose = [ref for ref in self._loose if state.label(ref) is None]
        loose += [ref for ref in self._moved_out() if ref not in set(loose)]
        if not loose:
            return None
        parts = [tuple(part) for part in _parts(loose)]
        pages = [
            Page(refs, "", SelectionMode.POSITIVES_ONLY, LOOSE, number=self._number + place)
            for place, refs in enumerate(parts)
        ]
        self._number += len(pages) - 1
        self._ready.extend(pages[1:])
        return pages[0]

    def _to_ask(self, refs: list[str]) -> list[str]:
        """Return the refs that are on no page here and not answered meanwhile."""
        out = {*self._open_refs(), *(ref for page in self._ready for ref in page.refs)}
        decided = self.session.state.decision
        return [ref for ref in refs if ref not in out and (self._again or decided(ref) is None)]

    def _clusters(self, clusters: Clusters) -> Iterator[tuple[str, list[str]]]:
        """Yield the name and the items of each cluster with any to look at; "" without a name."""
        state = self.session.state
        groups: dict[int, list[str]] = {}
        for ref, number in zip(clusters.refs, clusters.cluster.tolist(), strict=True):
            groups.setdefault(number, []).append(ref)
        if self._again:
            yield from self._known()
        for number, refs in sorted(groups.items(), key=lambda pair: -len(pair[1])):
            labels = Counter(label for ref in refs if (label := state.label(ref)) is not None)
            left = [ref for ref in refs if state.decision(ref) is None]
            name = labels.most_common(1)[0][0] if labels else clusters.names.get(number, "")
            yield from ((name, part) for part in _parts(left))

    def _known(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the identities that annotators have labelled, to be looked at once more."""
        groups: dict[str, list[str]] = {}
        for _, last in self.session.state.labels():
            groups.setdefault(str(last.label), []).append(last.ref)
        for name, refs in sorted(groups.items(), key=lambda pair: -len(pair[1])):
            yield from ((name, part) for part in _parts(refs))

    def _moved_out(self) -> list[str]:
        stacks = self.session.state.standing.values()
        lasts = (stack[-1] for stack in stacks)
        return [e.ref for e in lasts if e.action is Action.SKIP and e.picked_by == f"page-{ORDER}"]

    def _free_name(self) -> str:
        """Return the first free name: person 1, person 2 …"""
        taken = {*self.session.classes, *(page.label for page in self._open.values())}
        taken |= {page.label for page in self._ready}
        number = 1
        while f"{self._word} {number}" in taken:
            number += 1
        return f"{self._word} {number}"

    def new_identity_label(self, marks: Marks) -> str:
        """Return a free name for the items that are divided from a page with these marks."""
        name, number = self._free_name(), 1
        used = set(marks.values())
        while name in used:
            number += 1
            name = f"{self._free_name().rpartition(' ')[0]} {number}"
        return name

    def rename(self, page: Page, name: str) -> Page:
        """Return the page under another name; the name of another identity merges the two."""
        renamed = replace(page, label=name)
        self._renamed.add(page.key)
        if page.key in self._open:
            self._open[page.key] = renamed
        return renamed

    def regroup(self, clusters: Clusters, loose: Iterable[str]) -> None:
        """Serve other clusters from now on. Pages given out and not submitted are void."""
        self._open.clear()
        self._ready.clear()
        self._groups = deque(self._clusters(clusters))
        self._loose, self._shown_loose = list(loose), False
        self._number = len(self._submitted)
        self._count = self._number + len(self._groups)

    def is_renamed(self, page: Page) -> bool:
        """Return whether the annotator has named a page."""
        return page.key in self._renamed

    # --- answers

    def _answers(self, submitted: SubmittedPage) -> Mapping[str, str | None]:
        """Return each item's identity; on the page of an identity every item has an answer.

        It belongs to the identity, is another person, or is moved out (None). Among loose items
        only those that were given a name have one. New names become classes.
        """
        page, marks = submitted.page, submitted.marks
        found: dict[str, str | None] = {}
        for ref in page.refs:
            if ref in submitted.broken:
                continue
            if ref in marks and marks[ref] is not None:
                found[ref] = marks[ref]
            elif page.order != LOOSE:
                found[ref] = None if ref in marks else page.label
        self._add_classes(name for name in found.values() if name is not None)
        return found

    def _is_known(self, name: str) -> bool:
        """Return True: an identity's name becomes a class when its page is submitted."""
        return True

    def _add_classes(self, names: Iterable[str]) -> None:
        """Add the names that are not classes yet, in annotator.toml and here."""
        new = [name for name in dict.fromkeys(names) if name not in self.session.classes]
        if new:
            self.project = append_classes(self.project, new)
            self.session.add_classes(new)

    def _note_answers(self, submitted: SubmittedPage, answers: Mapping[str, str | None]) -> None:
        if submitted.page.order != LOOSE and None in answers.values():
            self._shown_loose = False  # they come among the loose ones

    def _can_undo_earlier(self, last: Sequence[Entry]) -> bool:
        return (last[0].extra or {}).get("order") in (ORDER, LOOSE)
