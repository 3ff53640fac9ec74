"""The app: one session on the screen's thread, and what works for it in the background."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from annotator.errors import AnnotatorError, ProjectError, StoreError
from annotator.features.store import FeatureStore
from annotator.images import ImageFolder
from annotator.items.listing import SkippedFiles
from annotator.items.refs import make_printable
from annotator.project.hooks import Hooks
from annotator.project.project import ProjectFolder
from annotator.session.session import LabelSession
from annotator.terminal.caps import TerminalCapabilities
from annotator.terminal.pacing import Pacer
from annotator.tui import messages
from annotator.tui.finder import ItemFinder
from annotator.tui.key_repeat import Pace, format_duration
from annotator.tui.keymaps import Keymap
from annotator.tui.label import text as label_text
from annotator.tui.label.commands import OPENERS, palette_commands
from annotator.tui.label.merge import NearDuplicateApp
from annotator.tui.label.screen import LabelScreen
from annotator.tui.label.strategy_dialog import strategy_title
from annotator.tui.pages.open import open_similar
from annotator.tui.pages.screen import PageScreen
from annotator.tui.picture.driver import driver_for
from annotator.tui.picture.picture import PictureView
from annotator.tui.themes import DEFAULT, THEMES
from annotator.tui.workers import (
    FeatureOpener,
    FeatureProcess,
    FitWorker,
    computed_elsewhere,
    make_poster,
    no_features_message,
)

LOOK_AGAIN = 5.0
"""Seconds between looks at features that are still being computed."""
TRY_AGAIN = 10.0
"""Seconds until features that another session computes are looked at, and its end is noticed."""
_SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


class LabelApp(NearDuplicateApp):
    """Labels one project. The result is the error that ended it, if any."""

    CSS_PATH = "app.tcss"
    TITLE = "annotator"
    ENABLE_COMMAND_PALETTE = True
    ALLOW_SELECT = False
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+z", "suspend_process", show=False)]

    def __init__(
        self,
        project: ProjectFolder,
        session: LabelSession,
        keymap: Keymap,
        pace: Pace,
        caps: TerminalCapabilities,
        reader: ItemFinder,
        *,
        extract: bool = True,
        hooks: Hooks,
    ) -> None:
        super().__init__(driver_class=driver_for(caps))
        self.project, self.session, self.keymap, self.pace = project, session, keymap, pace
        self.caps = caps
        self.opening: Callable[[LabelApp], None] | None = None
        """Opens a screen of its own once the pool is known, in place of the labelling screen."""
        self.hooks = hooks
        self.signalled: int | None = None
        """The signal that ended the app, if one did."""
        settings = project.settings
        load = partial(
            ImageFolder(project.images, settings.max_pixels).crop, context=settings.context
        )
        picture = PictureView(
            load, caps, depth=settings.ahead, guard=settings.seen_guard,
            lossless=settings.pictures == "exact",
        )  # fmt: skip
        self.label_screen = LabelScreen(project, session, keymap, pace, picture)
        self._reader, self._extract = reader, extract
        self._post = make_poster(self)
        self._fitter = FitWorker(self._post, settings.seed)
        self._child: FeatureProcess | None = None
        self._store: FeatureStore | None = None
        self._grows = self._opens = False
        self._progress = ""
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._theme(settings.theme or DEFAULT)

    def _theme(self, name: str) -> str:
        if name not in self.available_themes:
            known = ", ".join(sorted(self.available_themes))
            raise ProjectError(f"no theme {name!r}; choose one of {known}")
        return name

    def on_mount(self) -> None:
        if not self.is_headless:
            for number in _SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, self._end_by, number)
        self.push_screen(self.label_screen)
        self._reader.listen(lambda found: self._post(messages.ItemsListed(found)))
        self.set_interval(1.0, self._look_around)

    def on_unmount(self) -> None:
        if self._child is not None:
            self._child.stop()

    def _end_by(self, number: int) -> None:
        self.signalled = number
        self.exit()

    # --- the pool

    def on_items_listed(self, message: messages.ItemsListed) -> None:
        found = message.found
        if isinstance(found, AnnotatorError):
            self.exit(found)
        elif isinstance(found, SkippedFiles):
            self._all_listed(found)
        else:
            self.session.extend(found)
            if self.opening is None:
                self.label_screen.sync()

    def _all_listed(self, left_out: SkippedFiles) -> None:
        self.label_screen.listed = True
        if self.opening is None:
            self.label_screen.sync()
        if left_out.names:
            self._warn("list", " ".join(str(left_out).split("\n  ")[:2]))
        self.show_activity()
        if len(self.session.queue.refs) and not self.session.blind:
            self._open_features()  # an audit is blind, and its order is not a model's to choose
        if self.opening is not None:
            self.opening(self)

    def _look_around(self) -> None:
        """See what others wrote."""
        try:
            entries = self.session.refresh()
        except StoreError as error:
            self._warn("read", str(error))
            return
        self._warn("read", "")
        self.label_screen.on_other_entries(entries)
        if entries or self.session.current != self.label_screen.picture.item:
            self.label_screen.sync()
            self.learn()
        else:
            self.label_screen.refresh_words()

    # --- features

    def _open_features(self) -> None:
        """Look for features, or for more of them."""
        if self._store is not None and self._grows:
            self._use(self._store)
        else:
            self._opens = True
            FeatureOpener(self._post, self.project.features_folder)
        if self._child is not None and self._child.runs:
            self.set_timer(LOOK_AGAIN if self._grows else 1.0, self._open_features)

    def on_features_opened(self, message: messages.FeaturesOpened) -> None:
        self._opens, store, before = False, message.store, self._store
        if self._child is None:
            self._progress = ""
        if before is None or message.grows or len(store.refs) > len(before.refs):
            self._store, self._grows = store, message.grows
            self._use(store)
        external = store.extractor.get("external", False)
        if not external and (message.grows or len(store.refs) < len(self.session.queue.refs)):
            self._compute()

    def _use(self, store: FeatureStore) -> None:
        self.session.attach_features(store, store.available())
        self.learn()
        self.label_screen.sync()
        self.show_activity()

    def on_features_unusable(self, message: messages.FeaturesUnusable) -> None:
        self._opens = False
        if (self.project.features_folder / "meta.json").exists():
            self._warn("features", f"asking at random: {message.error}")
        else:
            self._compute()
        self.show_activity()

    def _compute(self) -> None:
        if self._child is None and self._extract:
            self._child = FeatureProcess(self.project, self._post)
            self._open_features()

    def on_features_progress(self, message: messages.FeaturesProgress) -> None:
        report = message.report
        done, of = report.get("done", 0), report.get("of", 0)
        left = report.get("left_s")
        self._progress = f"features {100 * done // of if of else 0} %"
        if left is not None and done < of:
            self._progress += f" · {format_duration(left)} left"
        self.show_activity()

    def on_features_ended(self, message: messages.FeaturesEnded) -> None:
        self._progress = ""
        if not message.code:
            self._open_features()
        elif computed_elsewhere(message.narration):
            self._child, self._grows = None, False
            self._progress = "features come from another session"
            self.set_timer(TRY_AGAIN, self._open_features)
        else:
            self._warn("features", no_features_message(message.narration, self.project))
        self.show_activity()

    def hook_failed(self, words: str) -> None:
        """A command of the user's failed; called in another thread."""
        self._post(messages.HookFailed(words))

    def on_hook_failed(self, message: messages.HookFailed) -> None:
        self._warn("hook", message.words)

    def _warn(self, topic: str, text: str) -> None:
        lines = [make_printable(line) for line in text.splitlines()]
        self.label_screen.banner.warn(topic, "\n".join(lines))

    def show_activity(self) -> None:
        """What goes on beside the labelling, in the header."""
        words = [self._progress] if self._progress else []
        if self.session.blind:
            words.append("predictions hidden")
        elif self.session.ranking is None:
            words.append("asking at random")
        else:
            words.append(strategy_title(self.session.strategy))
        self.label_screen.header.activity(" · ".join(words))
        self.label_screen.header.badge(label_text.badge_text(self.session, self.company.together))

    # --- learning

    def learn(self) -> None:
        """Start a fit if one would know more than the last; at most one at a time."""
        if self._fitter.busy or not self.session.stale:
            return
        snapshot = self.session.snapshot()
        if snapshot is not None:
            self._fitter.ask(snapshot)

    def on_ranking_learned(self, message: messages.RankingLearned) -> None:
        self._fitter.busy = False
        self._warn("fit", "")
        self.session.adopt(message.ranking)
        self.label_screen.sync()
        self.show_activity()
        self.learn()

    def on_fit_failed(self, message: messages.FitFailed) -> None:
        self._fitter.busy = False
        error = message.error
        reason = str(error) if isinstance(error, AnnotatorError) else repr(error)
        self._warn("fit", f"learning failed, labelling goes on: {reason}")

    def on_label_screen_answered(self) -> None:
        self.learn()

    def on_page_screen_submitted(self, message: PageScreen.Submitted) -> None:
        self.pace.answers += message.change
        self.learn()

    def on_page_screen_similar(self, message: PageScreen.Similar) -> None:
        open_similar(self, message.ref, message.label)

    @property
    def upcoming_refs(self) -> str:
        """What is on its way, that pages by a model wait for; "" for nothing."""
        first = self._fitter.busy and self.session.ranking is None
        return "Opening the features" if self._opens else "Learning for the first time" * first

    # --- what the openers of other screens use

    @property
    def pacer(self) -> Pacer:
        """The pacer of the line to the terminal, shared by all pictures."""
        return self.label_screen.picture.line

    @property
    def hides_prediction(self) -> bool:
        """Whether the annotator has hidden the model's prediction."""
        return self.label_screen.sidebar.hides_prediction

    @hides_prediction.setter
    def hides_prediction(self, hidden: bool) -> None:
        self.label_screen.sidebar.hides_prediction = hidden

    def say(self, text: str, role: str = "text") -> None:
        """Show a message at the top of the labelling screen for some seconds."""
        self.label_screen.say(text, role)

    def sync(self) -> None:
        """Show what the session asks now."""
        self.label_screen.sync()

    # --- commands

    def on_label_screen_command_requested(self, message: LabelScreen.CommandRequested) -> None:
        OPENERS[message.command](self)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette offers: every class, every command, the themes."""
        yield from palette_commands(self) if screen is self.label_screen else ()
        yield SystemCommand("Theme", "Choose the colours", self.action_change_theme)

    def action_help_quit(self) -> None:
        self.exit()
