"""The work beside the screen: fits in a thread, and features in a process of their own.

Each worker is a daemon thread that passes its results to `post`, a thread-safe function. The app
never waits for one, so quitting takes no longer than the screen does.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from textual.message import Message
from textual.message_pump import MessagePump

from annotator.errors import AnnotatorError, FeatureError
from annotator.features.store import FeatureStore
from annotator.items.processes import GO_ON, annotator_command
from annotator.project.watching import IDLE_TIMES, FileWatch, RefsWatch, SettingsWatch
from annotator.tui import messages

if TYPE_CHECKING:
    from annotator.items.ref_table import RefTable
    from annotator.learn.ranking import Snapshot
    from annotator.project.project import ProjectFolder

Post = Callable[[Any], object]
LOOK_SECONDS = 1.0
"""Seconds between two looks at what others change."""


class FitWorker:
    """A thread that runs at most one fit at a time."""

    def __init__(self, post: Post, seed: int) -> None:
        self._post, self._seed = post, seed
        self._asked: SimpleQueue[Snapshot] = SimpleQueue()
        self.busy = False
        _thread("learn", self._run)

    def start_fit(self, snapshot: Snapshot) -> None:
        """Learn from `snapshot`; call it only while not `busy`."""
        self.busy = True
        self._asked.put(snapshot)

    def _run(self) -> None:
        fresh = NewLabels()
        while True:
            snapshot = self._asked.get()
            try:
                from annotator.learn.label_conflicts import find_contradictions
                from annotator.learn.ranking import learn

                ranking = learn(snapshot, self._seed)
                self._post(messages.RankingLearned(ranking))
                if found := find_contradictions(snapshot, ranking, fresh.places(snapshot)):
                    self._post(messages.LabelsContradicted(found))
                del ranking
            except Exception as error:  # a thread's boundary: labelling continues without the fit
                self._post(messages.FitFailed(error))
            del snapshot


class NewLabels:
    """The labels of a snapshot that the snapshot before did not have."""

    def __init__(self) -> None:
        self._known: NDArray[np.int64] | None = None

    def places(self, snapshot: Snapshot) -> NDArray[np.int64]:
        """Return the places of the new labels; none in the first snapshot."""
        from annotator.learn.targets import number_labels

        now = snapshot.rows * len(snapshot.classes) + number_labels(snapshot.y)
        before, self._known = self._known, now
        return np.flatnonzero(~np.isin(now, now if before is None else before))


class ChildProcess:
    """A command of annotator in a child process: the screen needs its interpreter to itself.

    The child ends if this process dies in any way, because that closes its stdin.
    """

    def __init__(self, post: Post, *words: str) -> None:
        self._post, self._narration = post, b""
        self._child = subprocess.Popen(
            annotator_command(*words),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        _thread(words[0], self._run)

    @property
    def is_running(self) -> bool:
        """True until the child has ended."""
        return self._child.poll() is None

    def leave(self) -> None:
        """Let the child process continue after this one: another terminal uses what it computes."""
        assert self._child.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._child.stdin.write(GO_ON)
            self._child.stdin.flush()

    def stop(self) -> None:
        """End the child process; what it has written stays, and the next one continues."""
        with contextlib.suppress(OSError):
            self._child.terminate()

    def _run(self) -> None:
        with self._child:  # its pipes are closed at the end
            listener = _thread("narration", self._listen)
            assert self._child.stdout is not None
            for line in self._child.stdout:
                self._take(line)
            code = self._child.wait()
            listener.join()  # the last line on stderr is the reason for a failure
        self._end(code, self._narration.decode("utf-8", "replace"))

    def _listen(self) -> None:
        """Keep the end of the child's stderr."""
        assert self._child.stderr is not None
        for line in self._child.stderr:
            self._narration = (self._narration + line)[-4000:]

    def _take(self, line: bytes) -> None:
        """Take a line of the child's stdout."""

    def _end(self, code: int, narration: str) -> None:
        """Take the end of the child, with the end of its stderr."""
        raise NotImplementedError


class FeatureProcess(ChildProcess):
    """Features computed by a child process."""

    def __init__(self, project: ProjectFolder, post: Post) -> None:
        words = ["features", str(project.folder), "--progress", "json"]
        if not project.has_features:  # else the command continues with their model
            words += ["--model", project.settings.model]
        super().__init__(post, *words)

    def _take(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, TypeError):
            self._post(messages.FeaturesProgress(dict(json.loads(line))))

    def _end(self, code: int, narration: str) -> None:
        self._post(messages.FeaturesEnded(code, narration))


class ProjectWatcher:
    """A thread that looks about once a second for what others change in the project.

    After a change it waits until the app has taken it: call `resume` then.
    """

    def __init__(
        self,
        project: ProjectFolder,
        items: RefsWatch | None,
        known: Callable[[], RefTable],
        post: Post,
    ) -> None:
        """Take the project as it is now for known; `known` returns the items of the session."""
        self._items, self._settings = items, SettingsWatch(project)
        self._names = FileWatch(project.words_file)
        self._known, self._post, self._taken = known, post, threading.Event()

    def start(self) -> None:
        """Begin to look, once the session has all items."""
        _thread("watch", self._run)

    def resume(self) -> None:
        """Continue to look: the last change is taken."""
        self._taken.set()

    def _run(self) -> None:
        while True:
            begun = time.thread_time()
            self._look(messages.SettingsChanged, self._settings.look)
            if (items := self._items) is not None:
                self._look(messages.ItemsChanged, lambda: items.look(self._known()))
            if self._names.has_changed():
                self._post(messages.NamesRead(""))
            time.sleep(max(LOOK_SECONDS, IDLE_TIMES * (time.thread_time() - begun)))

    def _look(self, message: Callable[[Any], Message], look: Callable[[], Any]) -> None:
        try:
            found = look()
        except AnnotatorError as error:
            found = error
        except OSError as error:
            found = AnnotatorError(f"{error.filename} cannot be read: {error.strerror}")
        if found is not None:
            self._taken.clear()
            self._post(message(found))
            self._taken.wait()


class FolderProcess(ChildProcess):
    """The watch of the images folder by a child process, which adds new images to refs.csv.

    A folder of a million files takes seconds to list.
    """

    def __init__(self, project: ProjectFolder, post: Post) -> None:
        images = str(project.images.absolute())
        super().__init__(
            post, "add", str(project.folder), "--images", images, "--watch", "--beside"
        )

    def _end(self, code: int, narration: str) -> None:
        self._post(messages.FolderUnwatched(_last_line(narration, "the watch has ended")))


class NamesProcess(ChildProcess):
    """The names of the classes, read by a network in a child process."""

    def __init__(self, project: ProjectFolder, post: Post) -> None:
        super().__init__(post, "words", str(project.folder), "--progress", "json")

    def _end(self, code: int, narration: str) -> None:
        self._post(messages.NamesRead(_first_line(narration) if code else ""))


def _last_line(narration: str, default: str) -> str:
    """Return the last line of a child's stderr, without the name of the program."""
    lines = [line.strip() for line in narration.splitlines() if line.strip()]
    return (lines[-1] if lines else default).removeprefix("annotator: ")


def _first_line(narration: str) -> str:
    """Return the first line of a child's last message on stderr."""
    told = [line for line in narration.splitlines() if line.startswith("annotator: ")]
    return _last_line("\n".join(told), "the process ended without a message").rstrip(".")


def computed_elsewhere(narration: str) -> bool:
    """Return whether a child failed only because another session computes the same features."""
    from annotator.features.growing import BUSY_MESSAGE

    return BUSY_MESSAGE in narration


def no_features_message(narration: str, project: ProjectFolder) -> str:
    """Return the warning for a child that failed with this output on stderr."""
    command = f"annotator features {shlex.quote(str(project.folder))}"
    reason = _last_line(narration, "the process ended without a message")
    problem = "No features, so items come at random."
    if project.has_features:
        problem = "New items have no features, so they come at random."
    return f"{problem} Run: {command}\n{reason}"


class FeatureOpener:
    """A thread that opens the features: a large store takes a while."""

    def __init__(self, post: Post, project: ProjectFolder, classes: Sequence[str]) -> None:
        self._post, self._project, self._classes = post, project, classes
        _thread("open", self._run)

    def _run(self) -> None:
        from annotator.features.growing import open_partial_features
        from annotator.session.class_text import find_name_scores

        folder = self._project.features_folder
        growing = open_partial_features(folder)
        try:
            store = growing or FeatureStore.open(folder)
        except FeatureError as error:
            self._post(messages.FeaturesUnusable(error))
            return
        names = find_name_scores(self._project, store, self._classes)
        self._post(messages.FeaturesOpened(store, growing is not None, names))


def _thread(name: str, run: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def make_poster(target: MessagePump) -> Callable[[Message], None]:
    """Return the function by which a thread sends `target` a message; a closed one gets nothing."""

    def post(message: Message) -> None:
        # Textual raises NoActiveAppError for a widget without a screen, asyncio a plain
        # RuntimeError for a loop that is closed; either may come between any check and the call.
        with contextlib.suppress(RuntimeError):
            target.post_message(message)

    return post
