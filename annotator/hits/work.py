"""The work on one HIT: its pages, the checks before a submission, and the labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from annotator.hits.assignments import Assignments, HitTask, SubmitChecks, submitted_pages
from annotator.hits.model import HitImage, HitPage, HitSet
from annotator.hits.recorder import Recorder
from annotator.hits.traces import PageTrace, find_trace, replay_traces
from annotator.items.refs import make_printable, plural
from annotator.log.entries import Entry
from annotator.log.store.protocol import ByproductStore, ProjectStore
from annotator.pages import Page, PageNotReady, PageSource, SelectionMode, answers_of_page
from annotator.pages.source import SubmittedPage
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo
from annotator.session.session import LabelSession

PICKED_BY = "hit"
_SETTLED_MS = 60_000
"""The age of a submitted page whose missing labels no running program writes any more."""
SECONDS_PER_IMAGE = 0.2
"""The default least time on a page, for each image. Annotators take about 1 s for each image on
pages of look-alikes, so this refuses only pages that were not looked at."""


def default_checks(hits: HitSet) -> SubmitChecks:
    """Return the checks for a set: the least time on its largest page."""
    most = max(len(page.images) for hit in hits.hits for page in hit.pages)
    return SubmitChecks(round(most * SECONDS_PER_IMAGE, 1))


class HitSource(PageSource):
    """The pages of one assignment, from where it was left.

    A page that was not submitted comes back with its images, its selection and its by-products:
    the recorder has written every selection.
    """

    def __init__(
        self,
        task: HitTask,
        session: LabelSession,
        records: ByproductStore,
        recorder: Recorder,
        assignments: Assignments,
        salt: str,
        clock: Callable[[], int],
    ) -> None:
        """Resume `task` in the worker's `session`; `clock` returns milliseconds since the epoch."""
        self.task, self.recorder = task, recorder
        self._session, self._records, self._assignments = session, records, assignments
        self._salt, self._clock = salt, clock
        self._traces = {
            trace.shown["pageno"]: trace for trace in replay_traces(records, task.assignment.id)
        }
        self._done = [n for n, trace in self._traces.items() if trace.ended_at is not None]
        self._open = [page for page in task.hit.pages if page.pageno not in self._done]
        self._images: dict[str, list[HitImage]] = {}
        self._reserve: dict[str, list[HitImage]] = {}
        self._out: dict[str, HitPage] = {}
        """Pages that were given out and not submitted, the one on screen first."""

    @property
    def title(self) -> str:
        """The id of the HIT."""
        return f"HIT {make_printable(self.task.hit.id)}"

    @property
    def no_pages_message(self) -> str:
        """The completion code, once the HIT is completed."""
        code = self.task.assignment.code
        return f"HIT completed. Your completion code is {code}" if code else ""

    @property
    def pages_done(self) -> int:
        """The number of pages submitted."""
        return len(self._done)

    def describe(self, page: Page) -> ClassInfo | None:
        """Return what the HIT says about the class of a page."""
        asked = self._out.get(page.key)
        if asked is None:
            return None
        about = asked.asks
        link = about.wikipedia[0] if about.wikipedia else ""
        return ClassInfo(about.name, None, about.description, about.synset[1:], link)

    def tick(self) -> None:
        """Write the by-products that have waited for a second."""
        self.recorder.tick(self._clock())

    def next(self) -> Page | None:
        """Return the first page that was neither submitted nor given out."""
        if not self._open:
            return None
        asked = self._open.pop(0)
        page = self._page(asked)
        self._out[page.key] = asked
        return page

    def _write(self, submitted: SubmittedPage) -> list[Entry]:
        page = submitted.page
        self._check(page, submitted.broken)
        self.recorder.submit(self._clock())
        trace = self._reload(page.number, page.key)
        self._done.append(page.number)
        self._out.pop(page.key, None)
        labels = labels_from_trace(self.task, trace)
        entries = write_labels(self.task, page.key, labels, self._session, submitted.shown_ms)
        if len(self._done) == len(self.task.hit.pages):
            assignment = self._assignments.finish(self.task.assignment, self._salt)
            self.task = replace(self.task, assignment=assignment)
        return entries

    @property
    def can_undo(self) -> bool:
        """True if a page is done and the HIT is not."""
        return bool(self._done) and not self.task.assignment.code

    def undo(self) -> Page | None:
        """Take the last page back, as long as the HIT is not completed."""
        if not self.can_undo:
            return None
        number = self._done.pop()
        trace = self._traces[number]
        if any((entry.extra or {}).get("page") == trace.id for entry in self._session.undoable):
            self._session.undo()
        self.recorder.reopen(trace.id, self._clock())
        self._reload(number, trace.id)
        asked = self.task.hit.pages[number - 1]
        self._out = {trace.id: asked, **self._out}
        return self._page(asked)

    def replace_image(self, page: Page, ref: str) -> Page | None:
        """Return the page with another image in place of a broken one; None without a reserve.

        The caller records the replacement.
        """
        if not self._reserve[page.key]:
            return None
        images, place = self._images[page.key], page.refs.index(ref)
        images[place] = self._reserve[page.key].pop(0)
        return replace(page, refs=tuple(image.ref for image in images))

    def image_id(self, page: Page, place: int) -> str:
        """Return the imageID, the HIT's id of the image at a place of the page."""
        return self._images[page.key][place].id

    def _page(self, asked: HitPage) -> Page:
        trace = self._traces.get(asked.pageno)
        images = list(asked.images) if trace is None else _left(trace)
        page = Page(
            refs=tuple(image.ref for image in images),
            label=asked.asks.name,
            select=SelectionMode.POSITIVES
            if self.task.hits.negative
            else SelectionMode.POSITIVES_ONLY,
            order="hit",
            negative=self.task.hits.negative,
            number=asked.pageno,
            of=len(self.task.hit.pages),
            note=self.title,
        )
        if trace is not None:
            marks = {trace.images[i].ref: None for i in trace.selected}
            page = replace(page, key=trace.id, selected=marks)
            seen = [
                i for i, image in enumerate(trace.images) if self._saw(image.visited, image.viewed)
            ]
            self.recorder.resume_page(trace.id, trace.selected, seen)
        shown = {image.id for image in images}
        self._images[page.key] = images
        self._reserve[page.key] = [image for image in asked.reserve if image.id not in shown]
        return page

    def _reload(self, number: int, key: str) -> PageTrace:
        """Read a page again from its by-products."""
        trace = self._traces[number] = find_trace(self._records, key)
        return trace

    # --- checks

    @property
    def _blurred(self) -> bool:
        return self.task.assignment.version.endswith("NO_ORIGINAL")

    def _saw(self, visited: bool, viewed: bool) -> bool:
        return visited or (viewed and not self._blurred)

    def _check(self, page: Page, broken: Collection[str]) -> None:
        checks = self.task.assignment.checks
        before = self._traces.get(page.number)
        open_ms = self._clock() - self.recorder.begun_at + (before.open_ms if before else 0)
        left = checks.min_seconds - open_ms / 1000
        if left > 0:
            raise PageNotReady(
                f"Submitted after {open_ms / 1000:.0f} s. "
                f"Look at the images for at least {left:.0f} s more"
            )
        unseen = [
            place
            for place, ref in enumerate(page.refs)
            if ref not in broken
            and not self._saw(place in self.recorder.visited, place in self.recorder.viewed)
        ]
        if checks.unseen and unseen:
            way = "move over them" if self._blurred else "scroll to them"
            error = PageNotReady(
                f"{len(unseen)} of {plural(len(page.refs), 'image')} were not looked at yet: "
                f"{way}, then submit"
            )
            error.place = unseen[0]
            raise error


def _left(trace: PageTrace) -> list[HitImage]:
    """Return the images of a page when it was left, replacements included."""
    return [HitImage(image.image, image.ref) for image in trace.images]


def labels_from_trace(task: HitTask, trace: PageTrace) -> dict[str, str]:
    """Return the labels that a submitted page gives. Gold and broken images get none."""
    asked = task.hit.pages[trace.shown["pageno"] - 1]
    negative = task.hits.negative
    page = Page(
        refs=tuple(image.ref for image in trace.images),
        label=asked.asks.name,
        select=SelectionMode.POSITIVES if negative else SelectionMode.POSITIVES_ONLY,
        negative=negative,
    )
    left = [image.ref for image in trace.images if image.image in asked.gold or image.broken]
    return answers_of_page(page, {trace.images[i].ref: None for i in trace.selected}, left)


def write_labels(
    task: HitTask,
    page: str,
    labels: Mapping[str, str],
    session: LabelSession,
    shown_ms: int | None = None,
) -> list[Entry]:
    """Write the labels of a page as one group that one undo takes back.

    An item that has a label already gets a second opinion: two workers on one HIT are compared,
    and the first one counts.
    """
    session.refresh()  # others may have answered since the page was shown
    extra = {"group": page, "page": page, "hit": task.hit.id}
    known = {ref for ref in labels if session.is_answered(ref)}
    first = {ref: label for ref, label in labels.items() if ref not in known}
    again = {ref: label for ref, label in labels.items() if ref in known}
    entries = session.decide(
        first, picked_by=PICKED_BY, shown_ms=shown_ms, extra=extra, only_open=first
    )
    again |= {entry.ref: first[entry.ref] for entry in session.beaten_by}
    return entries + session.decide(
        again, picked_by=PICKED_BY, shown_ms=shown_ms, extra={**extra, "second": True}
    )


def write_missing_labels(project: ProjectFolder, store: ProjectStore, now: int) -> int:
    """Write the labels of submitted pages that a killed program did not write; return their number.

    Labels of HITs train the model like all others; they carry no propensity.
    """
    written: dict[str, set[str]] = defaultdict(set)
    for entry in store.entries():
        if page := (entry.extra or {}).get("page"):
            written[page].add(entry.ref)
    sessions: dict[str, LabelSession] = {}
    count = 0
    for task, trace in submitted_pages(project, store):
        if (trace.ended_at or 0) > now - _SETTLED_MS:
            continue
        labels = labels_from_trace(task, trace)
        missing = {ref: labels[ref] for ref in labels if ref not in written[trace.id]}
        if missing:
            worker = task.assignment.worker
            if worker not in sessions:
                sessions[worker] = LabelSession(store, project.settings.names, annotator=worker)
            count += len(write_labels(task, trace.id, missing, sessions[worker]))
    return count
