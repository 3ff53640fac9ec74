"""Changes that others make in an open project: to its items, its settings, its images.

No library of the system's own notices (watchdog, watchfiles) is used: on NFS and SMB they say
nothing about what another machine writes, so a scan is needed all the same. A look costs one
`stat` for each file of the project and for each folder of images: a file or a folder is read only
after its time has changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from annotator.errors import ImageError, ProjectError
from annotator.items.atomic import FileState, file_state
from annotator.items.listing import ListedFolder, SkippedFiles, list_folder
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item
from annotator.items.tiff_pages import TIFF_SUFFIXES, later_pages, page_path
from annotator.project.adding import append_new_items, item_below
from annotator.project.classes import ClassInfo
from annotator.project.item_pool import load_refs
from annotator.project.project import SETTINGS_FILE, ProjectFolder
from annotator.project.settings import Settings

WHOLE_SECONDS = 0.5
"""Seconds in which a changed file must stay the same to count as whole."""
RELIST_SECONDS = 600.0
"""Seconds after which a folder is listed again, for disks that keep no time of a folder."""
BROKEN_SECONDS = 60.0
"""Seconds after which a new file that cannot be read becomes an item all the same."""
SCAN_SECONDS = 2.0
"""Seconds between two scans of a folder of images, at least."""
IDLE_TIMES = 10.0
"""The least pause after a look, in times of the processor time that it took."""


class FileWatch:
    """The time and size of a file, compared at each look."""

    def __init__(self, file: Path) -> None:
        """Take the file as it is now for known."""
        self._file, self._state = file, file_state(file)

    def has_changed(self) -> bool:
        """Return True once for each change; a file that is being written counts when it rests.

        A file that goes for good has changed, too: what reads it then says so.
        """
        now = file_state(self._file)
        if now == self._state:
            return False
        time.sleep(WHOLE_SECONDS)
        if now != file_state(self._file):
            return False
        self._state = now
        return True


class ItemChange(NamedTuple):
    """The difference between the items of a screen and those of refs.csv."""

    added: Sequence[str]
    gone: int
    """Items that refs.csv lists no more."""
    moved: bool
    """True if the others have another order."""


class RefsWatch:
    """Notices rows that come to refs.csv, and rows that leave it."""

    def __init__(self, project: ProjectFolder) -> None:
        """Take refs.csv as it is now for known: make this before the items are listed."""
        self._project, self._file = project, FileWatch(project.refs_file)

    def look(self, known: RefTable) -> ItemChange | None:
        """Return how refs.csv differs from the `known` items, once it has changed.

        Raises `RefError` for a file with faults, once.
        """
        if not self._file.has_changed() or not self._project.refs_file.exists():
            return None  # without the file, to load the refs would write a new one
        now = load_refs(self._project)
        rows = now.rows(known)
        rows = rows[rows >= 0]
        fresh = np.ones(len(now), bool)
        fresh[rows] = False
        added = [now[row] for row in np.flatnonzero(fresh).tolist()]
        change = ItemChange(added, len(known) - len(rows), bool((np.diff(rows) < 0).any()))
        return change if any(change) else None


class SettingsChange(NamedTuple):
    """The difference between the settings before and annotator.toml as it is."""

    classes: tuple[ClassInfo, ...]
    """All its classes now."""
    later: tuple[str, ...]
    """Other settings that have changed: they hold when the project is opened again."""


class SettingsWatch:
    """Notices other settings in annotator.toml."""

    def __init__(self, project: ProjectFolder) -> None:
        self._folder, self._file = project.folder, FileWatch(project.folder / SETTINGS_FILE)
        self._known: Settings | None = None

    def look(self) -> SettingsChange | None:
        """Return what has changed. Raises `ProjectError` for a file with faults, once."""
        changed, before = self._file.has_changed(), self._known
        if before is not None and not changed:
            return None
        try:
            self._known = now = ProjectFolder.open(self._folder).settings
        except ProjectError:
            if changed:
                raise
            return None
        names = [one.name for one in fields(Settings) if one.name != "classes"] if before else []
        later = [name for name in names if getattr(before, name) != getattr(now, name)]
        return SettingsChange(now.classes, tuple(later)) if changed else None


def keep_order(before: Sequence[ClassInfo], now: Sequence[ClassInfo]) -> tuple[ClassInfo, ...]:
    """Return the classes of `now`, those of `before` first: no digit gets another meaning."""
    infos = {info.name: info for info in now}
    first = [infos.pop(info.name) for info in before if info.name in infos]
    return (*first, *infos.values())


@dataclass(slots=True)
class _Folder:
    """A folder of images at its last listing."""

    time_ns: int = -1
    listed: float = field(default_factory=time.monotonic)
    rests: bool = False
    """True if a file that came in the tick of that time has been listed, too."""

    def wants_listing(self, time_ns: int, now: float) -> bool:
        old = now - self.listed > RELIST_SECONDS
        return old or not self.rests or time_ns != self.time_ns

    def note_listing(self, time_ns: int, now: float) -> None:
        self.rests = time_ns == self.time_ns or _is_old(time_ns)
        self.time_ns, self.listed = time_ns, now


class FolderWatch:
    """Notices new images below a folder. A file is taken once two looks find it the same."""

    def __init__(self, project: ProjectFolder, folder: Path, known: RefTable) -> None:
        """Take the `known` refs for items of the project already."""
        self._images, self._known = project.images.resolve(), known
        self._root = folder.resolve()
        self._folders = {"": _Folder()}
        self._places: dict[tuple[int, int], str] = {}
        self._waiting: dict[str, tuple[FileState | None, float]] = {}

    def look(self) -> list[Item]:
        """Return the new images that are whole."""
        now = time.monotonic()
        for relative, folder in [*self._folders.items()]:
            self._look_into(relative, folder, now)
        return self._take_whole()

    def _look_into(self, relative: str, folder: _Folder, now: float) -> None:
        try:
            time_ns = os.stat(self._root / relative).st_mtime_ns  # noqa: PTH116
        except OSError:
            if relative:
                del self._folders[relative]
            return
        if not folder.wants_listing(time_ns, now):
            return
        listed = list_folder(self._root, relative, SkippedFiles(), pages=False)
        folder.note_listing(time_ns, now)
        if listed is None or self._is_link(relative, listed.place):
            return  # a project or an export; or a link to a folder that has been listed
        self._note_new(listed)
        for name in listed.folders:
            if name not in self._folders:
                self._folders[name] = _Folder()
                self._look_into(name, self._folders[name], now)

    def _is_link(self, relative: str, place: tuple[int, int]) -> bool:
        """Return whether a folder is listed by another path, which it still has."""
        first = self._places.setdefault(place, relative)
        if first == relative:
            return False
        try:
            stat = os.stat(self._root / first)  # noqa: PTH116
            is_link = (stat.st_dev, stat.st_ino) == place
        except OSError:
            is_link = False
        if not is_link:  # the folder has another name now, or a new one has its number
            self._places[place] = relative
        return is_link

    def _note_new(self, listed: ListedFolder) -> None:
        refs = [*listed.refs]
        if self._root != self._images:
            refs = [item_below(self._images, self._root, ref).ref for ref in refs]
        for ref, row in zip(refs, self._known.rows(refs).tolist(), strict=True):
            if row < 0:
                self._waiting.setdefault(ref, (None, 0.0))

    def _take_whole(self) -> list[Item]:
        """Return the files that are as they were at the look before; they are known from now on.

        One that cannot be read then is perhaps half of a picture, on a line that stands still: it
        waits for `BROKEN_SECONDS`.
        """
        whole, now = [], time.monotonic()
        for ref, (before, since) in [*self._waiting.items()]:
            item = Item.parse(ref)
            file = self._images / item.path
            state = file_state(file)
            if state is None:
                del self._waiting[ref]
            elif state != before:
                self._waiting[ref] = state, now
            elif now - since > BROKEN_SECONDS or (
                state[1] and (_is_old(state[2]) or _is_picture(file))
            ):
                del self._waiting[ref]
                whole += [item, *_later_pages(item, file)]
        self._known.extend([item.ref for item in whole])
        return whole


def _later_pages(item: Item, file: Path) -> Iterator[Item]:
    """Yield the pages of a new TIFF file after the first: only a whole file has all of them."""
    if item.path.lower().endswith(TIFF_SUFFIXES):
        pages, _ = later_pages(str(file))
        yield from (Item(page_path(item.path, page)) for page in pages)


def _is_old(time_ns: int) -> bool:
    return time.time() - time_ns / 1e9 > BROKEN_SECONDS


def _is_picture(file: Path) -> bool:
    from annotator.images.decode import decode_image, open_image

    try:
        with open_image(file) as (source, _):
            decode_image(source, 0.1)
    except (ImageError, OSError):
        return False
    return True


def add_while_watching(
    project: ProjectFolder, folder: Path, stopped: Callable[[], bool]
) -> Iterator[int]:
    """Add new images below a folder until `stopped`; yield the number added after each scan.

    Raises `ProjectError` if refs.csv cannot be written, `RefError` if it cannot be read.
    """
    watch = FolderWatch(project, folder, load_refs(project))
    while not stopped():
        begun, started = time.process_time(), time.monotonic()
        found = watch.look()
        yield append_new_items(project, found) if found else 0
        busy, took = time.process_time() - begun, time.monotonic() - started
        until = time.monotonic() + max(SCAN_SECONDS, took, IDLE_TIMES * busy)
        while time.monotonic() < until and not stopped():
            time.sleep(0.1)
