"""Pages as a worker did them: the pointer and the selections, event by event."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from annotator.errors import ProjectError
from annotator.hits.assignments import replay_assignments, worker_id
from annotator.hits.traces import ImageTrace, PageTrace, replay_traces
from annotator.items.refs import make_printable, shell_quoted
from annotator.log.entries import Entry
from annotator.log.store.open import open_store
from annotator.pages import Page, PageSource, SelectionMode
from annotator.pages.page import Marks
from annotator.pages.source import SubmittedPage
from annotator.project.project import ProjectFolder


class ReplayEvent(NamedTuple):
    """An event on a page, at a time since the page was shown."""

    ms: int
    place: int
    """The place of the image on the page."""
    point: tuple[float, float] | None = None
    """The pointer on the image, x and y in [0, 1]."""
    selected: bool | None = None
    """True or False if the image was selected or deselected."""


@dataclass(frozen=True, slots=True)
class PageReplay:
    """A page that a worker did, and the events on it."""

    page: Page
    worker: str
    events: tuple[ReplayEvent, ...]

    @property
    def duration_ms(self) -> int:
        """The time of the last event."""
        return self.events[-1].ms if self.events else 0


class ReplaySource(PageSource):
    """A source of pages to look at: no answer is written."""

    title = "replay"
    no_pages_message = "The replay is over."

    def __init__(self, replays: Sequence[PageReplay]) -> None:
        """Show the pages of these replays, in order."""
        self._replays = {replay.page.key: replay for replay in replays}
        self._left = deque(replay.page for replay in replays)
        self._shown: list[Page] = []

    def find(self, page: Page) -> PageReplay:
        """Return the replay of a page."""
        return self._replays[page.key]

    def next(self) -> Page | None:
        """Return the next page."""
        return self._left.popleft() if self._left else None

    def _write(self, submitted: SubmittedPage) -> list[Entry]:
        self._shown.append(submitted.page)
        return []

    def mark(self, page: Page, marks: Marks) -> None:
        """Keep nothing: the selection is the worker's."""

    @property
    def can_undo(self) -> bool:
        """True after the first page."""
        return bool(self._shown)

    def undo(self) -> Page | None:
        """Return the page before."""
        return self._shown.pop() if self._shown else None


def find_replays(project: ProjectFolder, worker: str = "", hit: str = "") -> list[PageReplay]:
    """Return the pages of a worker and a HIT, or all. Raises `ProjectError` if there are none.

    `worker` is a name or the id that stands for it.
    """
    names = {worker, worker_id(project, worker)} if worker else set()
    store = open_store(project)
    try:
        hits = {work.id: work.hit for work in replay_assignments(store)}
        found = [
            _replay(trace)
            for trace in replay_traces(store)
            if (not names or trace.shown["worker"] in names)
            and hit in ("", hits.get(trace.shown["annotation"]))
        ]
    finally:
        store.close()
    found = [replay for replay in found if replay.page.refs]
    if not found:
        raise ProjectError(
            f"{make_printable(str(project.folder))} has no such page to replay. `annotator hits "
            f"status {shell_quoted(project.folder)}` lists the workers and their HITs."
        )
    return found


def _replay(trace: PageTrace) -> PageReplay:
    start = trace.shown["started_at"]
    events = [
        event
        for place, image in enumerate(trace.images)
        for event in _list_events(image, place, start)
    ]
    shown = trace.shown
    page = Page(
        tuple(dict.fromkeys(image.ref for image in trace.images)), shown["question"],
        SelectionMode.POSITIVES_ONLY, "replay", number=shown["pageno"], key=trace.id,
        note=f"worker {make_printable(shown['worker'])}",
    )  # fmt: skip
    return PageReplay(page, shown["worker"], tuple(sorted(events, key=lambda event: event.ms)))


def _list_events(image: ImageTrace, place: int, start: int) -> Collection[ReplayEvent]:
    moves = [ReplayEvent(move["time"] - start, place, (move["x"], move["y"]))
             for move in image.moves]  # fmt: skip
    selections = [
        ReplayEvent(s["time"] - start, place, (s["x"], s["y"]) if s["x"] >= 0 else None, True)
        for s in image.selections
    ]
    off = [ReplayEvent(d["time"] - start, place, None, False) for d in image.deselections]
    return [*moves, *selections, *off]
