"""Clusters as identities: each a page to confirm, to name, to merge, to divide, to clean.

Every answer is a row of the log. An identity is a class; the face of a cluster, or any item that
looks like others, gets its name as label. What is moved out of a cluster is skipped, and comes
again among the loose ones at the end; what belongs to nobody gets the class `noise`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from annotator.log.entries import Action, Entry
from annotator.pages.journal import PageJournal
from annotator.pages.page import Marks, Page, SelectionMode, page_extra, page_from_entries
from annotator.pages.source import PageLeases
from annotator.project.clusters import NOISE_CLASS, Clusters
from annotator.project.project import ProjectFolder, append_classes
from annotator.project.settings import ClassInfo
from annotator.session.session import LabelSession

__all__ = ["LOOSE", "NOISE_CLASS", "ORDER", "IdentitySource"]

ORDER = "identity"
LOOSE = "loose"
MOST = 480
"""Items on a page; of a larger cluster there are several pages with one name."""


class IdentitySource:
    """A `PageSource` of a project's clusters, the largest first, then of what is loose."""

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
        """`loose`: items that are in no cluster. `word` begins the names of identities without
        one: "person 3". With `again` those that are labelled already are shown once more."""
        self.session, self.project, self._journal = session, project, journal
        self.waiting = ""
        self._word, self._again = word, again
        self._leases = PageLeases(session.store, session.annotator, session.clock)
        self._out: dict[str, Page] = {}
        self._past: list[tuple[Page, bool]] = []
        self._back: deque[Page] = deque()
        self._number = 0
        if journal is not None and (page := journal.resumed()) is not None:
            self._resume(page)
        self._groups = deque(self._clusters(clusters))
        self._loose = list(loose)
        self._shown_loose = False
        self._count = len(self._groups)

    @property
    def title(self) -> str:
        return "identities"

    @property
    def no_pages_message(self) -> str:
        return "Every identity is confirmed."

    @property
    def names(self) -> list[str]:
        """The identities so far, the one with most items first."""
        counts = self.session.progress.classes
        return sorted(counts, key=lambda name: -counts[name])

    def describe(self, page: Page) -> ClassInfo | None:
        return ClassInfo(page.label) if page.label else None

    def fit(self, most: int) -> None:
        """A page holds a whole identity, in parts where the window is smaller."""

    # --- pages

    def next(self) -> Page | None:
        page = self._back.popleft() if self._back else self._made()
        if page is None:
            return None
        self._out[page.key] = page
        queue = self.session.queue
        mine = {queue.refs[queue[place].row] for place in range(len(queue))}
        taken = self._leases.hold(self._out.values()) - mine
        if taken & set(page.refs):
            page = replace(page, refs=tuple(ref for ref in page.refs if ref not in taken))
            self._out[page.key] = page
        if not page.refs:
            del self._out[page.key]
            return self.next()
        return page

    def _made(self) -> Page | None:
        self._number += 1
        while self._groups:
            name, refs = self._groups.popleft()
            refs = self._to_ask(refs)
            if refs:
                return Page(
                    tuple(refs), name or self._fresh(), SelectionMode.EXCEPTIONS, ORDER,
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
        parts = [tuple(loose[at : at + MOST]) for at in range(0, len(loose), MOST)]
        pages = [
            Page(refs, "", SelectionMode.POSITIVES_ONLY, LOOSE, number=self._number + place)
            for place, refs in enumerate(parts)
        ]
        self._number += len(pages) - 1
        self._back.extend(pages[1:])
        return pages[0]

    def _to_ask(self, refs: list[str]) -> list[str]:
        """Those that are on no page here, and that nobody has answered meanwhile."""
        out = {ref for page in (*self._out.values(), *self._back) for ref in page.refs}
        decided = self.session.state.decision
        return [ref for ref in refs if ref not in out and (self._again or decided(ref) is None)]

    def _resume(self, page: Page) -> None:
        """Take up the page of a killed program, unless it was answered just then."""
        decisions = [self.session.state.decision(ref) for ref in page.refs]
        if not any((e.extra or {}).get("page") == page.key for e in decisions if e is not None):
            self._back.append(page)

    def _clusters(self, clusters: Clusters) -> Iterator[tuple[str, list[str]]]:
        """The name and the items of each cluster that has any to look at; "" without a name."""
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
            for at in range(0, len(left), MOST):
                yield name, left[at : at + MOST]

    def _known(self) -> Iterator[tuple[str, list[str]]]:
        """The identities that people gave labels of, to be looked at once more."""
        groups: dict[str, list[str]] = {}
        for _, last in self.session.state.labels():
            groups.setdefault(str(last.label), []).append(last.ref)
        for name, refs in sorted(groups.items(), key=lambda pair: -len(pair[1])):
            for at in range(0, len(refs), MOST):
                yield name, refs[at : at + MOST]

    def _moved_out(self) -> list[str]:
        stacks = self.session.state.standing.values()
        lasts = (stack[-1] for stack in stacks)
        return [e.ref for e in lasts if e.action is Action.SKIP and e.picked_by == f"page-{ORDER}"]

    def _fresh(self) -> str:
        """The first free name: person 1, person 2 …"""
        taken = {*self.session.classes, *(page.label for page in self._out.values())}
        taken |= {page.label for page in self._back}
        number = 1
        while f"{self._word} {number}" in taken:
            number += 1
        return f"{self._word} {number}"

    def fresh(self, marks: Marks) -> str:
        """A free name for what is divided from a page with these marks."""
        name, number = self._fresh(), 1
        used = set(marks.values())
        while name in used:
            number += 1
            name = f"{self._fresh().rpartition(' ')[0]} {number}"
        return name

    def rename(self, page: Page, name: str) -> Page:
        """The page under another name; that of another identity merges the two."""
        renamed = replace(page, label=name)
        if page.key in self._out:
            self._out[page.key] = renamed
        return renamed

    # --- answers

    def mark(self, page: Page, marks: Marks) -> None:
        if self._journal is not None:
            self._journal.keep(page, marks)

    def submit(
        self,
        page: Page,
        marks: Marks,
        *,
        broken: Collection[str] = (),
        shown_ms: int | None = None,
        prediction: bool = False,
    ) -> list[Entry]:
        found = self._answers(page, marks, broken)
        self._learn_names(name for name in found.values() if name is not None)
        entries: list[Entry] = []
        if found:
            entries = self.session.decide(
                found, picked_by=f"page-{page.order}", shown_ms=shown_ms,
                extra=page_extra(page, prediction=prediction),
            )  # fmt: skip
        self._past.append((replace(page, selected=dict(marks)), bool(entries)))
        self._out.pop(page.key, None)
        if self._journal is not None:
            self._journal.end(page)
        self._leases.hold(self._out.values())
        if page.order != LOOSE and None in found.values():
            self._shown_loose = False  # they come among the loose ones
        return entries

    def _answers(self, page: Page, marks: Marks, broken: Collection[str]) -> dict[str, str | None]:
        """On the page of an identity everything is answered: it belongs to it, is somebody
        else, or is moved out (None). Of the loose ones only what was given a name is."""
        found: dict[str, str | None] = {}
        for ref in page.refs:
            if ref in broken:
                continue
            if ref in marks and marks[ref] is not None:
                found[ref] = marks[ref]
            elif page.order != LOOSE:
                found[ref] = None if ref in marks else page.label
        return found

    def _learn_names(self, names: Iterable[str]) -> None:
        """Names that are no classes yet become some, in annotator.toml and here."""
        new = [name for name in dict.fromkeys(names) if name not in self.session.classes]
        if new:
            self.project = append_classes(self.project, new)
            self.session.classes = (*self.session.classes, *new)
            self.session.learner.add_classes(new)

    def undo(self) -> Page | None:
        last = self.session.last
        key = (last[0].extra or {}).get("page") if last else None
        if self._past:
            page, wrote = self._past[-1]
            if wrote and page.key != key:
                return None  # something else was answered since
            self._past.pop()
        elif key and (last[0].extra or {}).get("order") in (ORDER, LOOSE):
            page, wrote = page_from_entries(last), True  # of an earlier sitting
        else:
            return None
        if wrote:
            self.session.undo()
        self._out = {page.key: page, **self._out}
        self._leases.hold(self._out.values())
        return page

    # --- leases

    def keep(self) -> None:
        self._leases.keep(self._out.values())

    def close(self) -> None:
        self._out.clear()
        self._leases.hold(())
        if self._journal is not None:
            self._journal.close()
