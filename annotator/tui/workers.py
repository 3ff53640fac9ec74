"""What runs beside the screen: learning, and the features' own process.

Each is a daemon thread that hands its results to `post`, a thread-safe function; none is ever
waited for, so that quitting takes no longer than the screen does.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray
from textual.message import Message
from textual.message_pump import MessagePump

from annotator.errors import FeatureError
from annotator.features.growing import BUSY_MESSAGE, open_partial_features
from annotator.features.store import FeatureStore
from annotator.learn.label_conflicts import find_contradictions
from annotator.learn.ranking import Snapshot, learn
from annotator.project.project import ProjectFolder
from annotator.tui import messages

Post = Callable[[Any], object]


class FitWorker:
    """At most one fit at a time."""

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
                ranking = learn(snapshot, self._seed)
                self._post(messages.RankingLearned(ranking))
                if found := find_contradictions(snapshot, ranking, fresh.places(snapshot)):
                    self._post(messages.LabelsContradicted(found))
                del ranking
            except Exception as error:  # whatever a fit dies of, labelling goes on
                self._post(messages.FitFailed(error))
            del snapshot


class NewLabels:
    """Which labels of a snapshot the one before did not hold; none of the first one."""

    def __init__(self) -> None:
        self._known: NDArray[np.int64] | None = None

    def places(self, snapshot: Snapshot) -> NDArray[np.int64]:
        now = snapshot.rows * len(snapshot.classes) + snapshot.y
        before, self._known = self._known, now
        return np.flatnonzero(~np.isin(now, now if before is None else before))


class FeatureProcess:
    """Features computed by a child process, so that the screen has its interpreter to itself.

    The child ends by itself if this process dies, however it does: its stdin is closed then.
    """

    def __init__(self, project: ProjectFolder, post: Post) -> None:
        self._post = post
        # fmt: off
        command = [sys.executable, "-m", "annotator", "features", str(project.folder),
                   "--model", project.settings.model, "--progress", "json"]
        # fmt: on
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._narration = b""
        _thread("features", self._run)

    @property
    def is_running(self) -> bool:
        return self._child.poll() is None

    def stop(self) -> None:
        """End the child; the rows that it has written stay."""
        with contextlib.suppress(OSError):
            self._child.terminate()

    def _run(self) -> None:
        with self._child:  # its pipes are closed at the end
            listener = _thread("narration", self._listen)
            assert self._child.stdout is not None
            for line in self._child.stdout:
                with contextlib.suppress(ValueError, TypeError):
                    self._post(messages.FeaturesProgress(dict(json.loads(line))))
            code = self._child.wait()
            listener.join()  # its last words are the reason of a failure
        self._post(messages.FeaturesEnded(code, self._narration.decode("utf-8", "replace")))

    def _listen(self) -> None:
        """Keep the end of what it says on stderr."""
        assert self._child.stderr is not None
        for line in self._child.stderr:
            self._narration = (self._narration + line)[-4000:]


def computed_elsewhere(narration: str) -> bool:
    """Whether a child failed only because another session's computes the same."""
    return BUSY_MESSAGE in narration


def no_features_message(narration: str, project: ProjectFolder) -> str:
    """What to say, and to do, of a child that failed with these last words."""
    words = [line.strip() for line in narration.splitlines() if line.strip()]
    last = words[-1] if words else "the process ended without a word"
    command = f"annotator features {shlex.quote(str(project.folder))}"
    reason = last.removeprefix("annotator: ")
    return f"no features, so items come at random. Try: {command}\n{reason}"


class FeatureOpener:
    """Opens the features in a thread, for a large store takes its time."""

    def __init__(self, post: Post, folder: Path) -> None:
        self._post, self._folder = post, folder
        _thread("open", self._run)

    def _run(self) -> None:
        growing = open_partial_features(self._folder)
        try:
            store = growing or FeatureStore.open(self._folder)
        except FeatureError as error:
            self._post(messages.FeaturesUnusable(error))
            return
        self._post(messages.FeaturesOpened(store, growing is not None))


def _thread(name: str, run: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def make_poster(target: MessagePump) -> Callable[[Message], None]:
    """What another thread calls to hand `target` a message; nothing happens if it has gone."""

    def post(message: Message) -> None:
        # Textual raises NoActiveAppError for a widget without a screen, asyncio a plain
        # RuntimeError for a loop that is closed; either may come between any check and the call.
        with contextlib.suppress(RuntimeError):
            target.post_message(message)

    return post
