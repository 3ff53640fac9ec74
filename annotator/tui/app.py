"""The labelling app: one session on the screen's thread, and its work in the background."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from annotator.errors import AnnotatorError, StoreError
from annotator.items.listing import SkippedFiles
from annotator.items.refs import format_duration, make_printable
from annotator.project.project import SETTINGS_FILE, ProjectFolder
from annotator.tui import changes, messages
from annotator.tui.attach import restore_view, screen_view
from annotator.tui.label import text as label_text
from annotator.tui.label.near_duplicates import LOOKUP_SECONDS, NearDuplicates
from annotator.tui.label.screen import LabelScreen
from annotator.tui.project_app import PaletteChoice, ProjectApp
from annotator.tui.workers import (
    FeatureOpener,
    FeatureProcess,
    FitWorker,
    FolderProcess,
    NamesProcess,
    ProjectWatcher,
    computed_elsewhere,
    make_poster,
    no_features_message,
)

if TYPE_CHECKING:
    from annotator.features.store import FeatureStore
    from annotator.project.hooks import Hooks
    from annotator.session.class_text import NameScores
    from annotator.session.session import LabelSession
    from annotator.terminal.caps import TerminalCapabilities
    from annotator.terminal.pacing import Pacer
    from annotator.tui.finder import ItemFinder
    from annotator.tui.host import ScreenHost
    from annotator.tui.key_repeat import Pace
    from annotator.tui.keymaps import Keymap
    from annotator.tui.pages.screen import PageScreen

GROWTH_SECONDS = 5.0
"""Seconds between two looks at features that are still being computed."""
FIRST_FIT_SECONDS = 5.0
"""Seconds that the first item waits for a model of the labels so far."""
RETRY_SECONDS = 10.0
"""Seconds until another look at features that another session computes."""


class LabelApp(ProjectApp):
    """The app that labels one project: a `ScreenHost` for the screens over the labelling screen.

    `opening` opens another screen in place of the labelling screen, once the pool is known.
    `hooks` run the user's commands, and put their failures into `hook_failures`. With `watch` new
    files in the folder of images become items.
    """

    TITLE = "annotator"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(
        self,
        project: ProjectFolder,
        session: LabelSession,
        keymap: Keymap,
        pace: Pace,
        caps: TerminalCapabilities,
        finder: ItemFinder,
        *,
        compute_features: bool = True,
        hooks: Hooks,
        hook_failures: SimpleQueue[str],
        opening: Callable[[ScreenHost], None] | None = None,
        watch: bool = False,
    ) -> None:
        super().__init__(project, caps)
        self.session, self.pace, self.hooks = session, pace, hooks
        self._finder, self._compute_features = finder, compute_features
        self._hook_failures, self._opening = hook_failures, opening
        self._post = make_poster(self)
        self.near_duplicates = NearDuplicates(project, session, self._post)
        self.label_screen = LabelScreen(self, keymap, pace, self.picture, self.near_duplicates)
        self._fitter = FitWorker(self._post, project.settings.seed)
        self._watcher = ProjectWatcher(
            project, finder.refs_watch, lambda: session.queue.refs, self._post
        )
        self._watches = watch
        self._folder: FolderProcess | None = None
        self._fitted_tree = session.learner.tree
        self._child: FeatureProcess | None = None
        self._namer: NamesProcess | None = None
        self._named: object = None
        """The classes whose names were last given to be read."""
        self._computed = 0
        """The number of items when features were last begun."""
        self._store: FeatureStore | None = None
        self._grows = self._opens = False
        self._progress = self.asked_query = ""
        self.restored: Mapping[str, Any] = {}
        """The view of the terminal before, if this one has taken the screen over."""
        if project.has_features and not session.blind and session.state.standing:
            session.pause_asking()

    def on_mount(self) -> None:
        """Show the labelling screen, and begin to look for items and near-duplicates."""
        self.push_screen(self.label_screen)
        self._finder.listen(lambda found: self._post(messages.ItemsListed(found)))
        self.set_interval(1.0, self._look_around)
        self.set_interval(LOOKUP_SECONDS, self._look_up_duplicates)
        if self.session.queue.paused:  # the first picture waits for a model of all items
            self._finder.go_on()
            self.set_timer(FIRST_FIT_SECONDS, self._stop_waiting)

    def on_unmount(self) -> None:
        """End the processes in the background."""
        for child in (self._child, self._folder, self._namer):
            if child is not None and self.goes_on and child is not self._folder:
                child.leave()
            elif child is not None:
                child.stop()
        self.near_duplicates.stop()

    @property
    def opens_itself(self) -> bool:
        """True if the labelling screen comes first, and no command opens another in its place."""
        return self._opening is None

    def view(self) -> dict[str, Any]:
        """Return what another terminal needs to show the same, for JSON."""
        return screen_view(self) if self.label_screen.listed else dict(self.restored)

    # --- the pool

    def on_items_listed(self, message: messages.ItemsListed) -> None:
        """Add items to the pool, or end the listing."""
        found = message.found
        if isinstance(found, AnnotatorError):
            self.exit(found)
        elif isinstance(found, SkippedFiles):
            self._all_listed(found)
        else:
            self.session.extend(found, listing=True)
            if self._opening is None:
                self.label_screen.sync()
            if self.session.current is None:
                self._finder.go_on()

    def on_picture_view_shown(self) -> None:
        """List the other items, now that the first picture is drawn."""
        self._finder.go_on()

    def on_picture_view_broken(self) -> None:
        """List the other items: the first one has no picture."""
        self._finder.go_on()

    def _all_listed(self, skipped: SkippedFiles) -> None:
        self.session.end_listing()
        self.label_screen.listed = True
        if self._opening is None:
            self.label_screen.sync()
        if skipped:
            self._warn("list", skipped.summary())
        self.show_activity()
        if len(self.session.queue.refs) and not self.session.blind:
            self._open_features()  # not in an audit: no model orders its items
        if self._opening is not None:
            self._opening(self)
        elif self.restored:
            restore_view(self, self.restored)
        self._watcher.start()
        if self._watches:
            self._folder = FolderProcess(self.project, self._post)

    def _look_around(self) -> None:
        """Read what others wrote, and report failures of the user's commands."""
        self.keep_record()
        while not self._hook_failures.empty():
            self._warn("hook", self._hook_failures.get())
        try:
            entries = self.session.refresh()
        except StoreError as error:
            self._warn("read", str(error))
            return
        self._warn("read", "")
        self.label_screen.on_other_entries(entries)
        if entries or self.label_screen.walk.item != self.label_screen.picture.item:
            self.label_screen.sync()
            self.learn()
        else:
            self.label_screen.refresh_words()

    def _stop_waiting(self) -> None:
        """Ask now, by a model if there is one, else at random."""
        if self.session.queue.paused:
            self.session.resume_asking()
            self.label_screen.sync()

    # --- what others change

    def on_items_changed(self, message: messages.ItemsChanged) -> None:
        """Take items that came into the pool; report rows that left."""
        change = message.change
        if isinstance(change, AnnotatorError):
            self._warn("items", changes.fault_words(self.project.refs_file, change))
        else:
            self._warn("items", changes.missing_words(self.project, change))
            if change.added:
                self.session.extend(change.added)
                self._show_change(changes.item_words(self.session, change))
                self._open_features()
        self._watcher.resume()

    def on_settings_changed(self, message: messages.SettingsChanged) -> None:
        """Use the classes of annotator.toml as it is now; a faulty file changes nothing."""
        change, before = message.change, self.project.settings
        try:
            if isinstance(change, AnnotatorError):
                raise change
            settings, keymap = changes.take_classes(self.session, before, change)
        except AnnotatorError as error:
            file = self.project.folder / SETTINGS_FILE
            self._warn("settings", changes.fault_words(file, error))
        else:
            self.project = self.label_screen.project = replace(self.project, settings=settings)
            at_once = self.label_screen.sidebar.use_keys(keymap)
            self._warn("settings", changes.later_words(self.project, change))
            self._warn("classes", changes.gone_words(before, settings, self.session))
            self._show_change(changes.class_words(before, settings, keymap, at_once))
            if self._store is not None and not self._grows:
                self._open_features()  # with what the new names say
        self._watcher.resume()

    def on_folder_unwatched(self, message: messages.FolderUnwatched) -> None:
        """Report that new images are noticed no more."""
        self._warn("watch", f"new images are noticed no more: {message.reason}")

    def _show_change(self, words: str) -> None:
        """Show what has changed, and say it in the header of the screen in view."""
        if words:
            from annotator.tui.pages.screen import PageScreen

            screen = self.screen if isinstance(self.screen, PageScreen) else self.label_screen
            screen.say(words, "text", 8)
        if self._opening is None:
            self.label_screen.sync()
        self.learn()
        self.show_activity()

    # --- features

    def _open_features(self) -> None:
        """Open the features, or more of them."""
        if self._store is not None and self._grows:
            self._use(self._store)
        else:
            self._opens = True
            FeatureOpener(self._post, self.project, self.session.learner.classes)
        if self._child is not None and self._child.is_running:
            self.set_timer(GROWTH_SECONDS if self._grows else 1.0, self._open_features)

    def on_features_opened(self, message: messages.FeaturesOpened) -> None:
        """Use new features, and compute those that are missing."""
        self._opens, store, before = False, message.store, self._store
        self._take_names(message.names, grows=message.grows)
        if self._child is None:
            self._progress = ""
        if before is None or message.grows or len(store.refs) > len(before.refs):
            self._store, self._grows = store, message.grows
            self._use(store)
        external = store.extractor.get("external", False)
        if not external and (message.grows or len(store.refs) < len(self.session.queue.refs)):
            self._compute()

    def _take_names(self, names: NameScores, *, grows: bool) -> None:
        """Start from the names of the classes, or have them read once if that is possible here."""
        from annotator.learn.text_prior import is_same_text

        learner = self.session.learner
        if names.classes != learner.classes:
            return  # those before the last change; the names of others are on their way
        if not is_same_text(names.text, learner.text):
            learner.text = names.text
            self.learn()
        may = names.readable and self._compute_features
        self.label_screen.sidebar.names_command = "" if may else names.command
        asked, busy = self.project.settings.classes, self._namer and self._namer.is_running
        if may and not busy and not grows and asked != self._named:
            self._named = asked
            self._namer = NamesProcess(self.project, self._post)

    def on_names_read(self, message: messages.NamesRead) -> None:
        """Use the scores of the classes by their names, or report why there are none."""
        words = changes.unread_names_words(self.project, message.failure)
        self._warn("names", words if message.failure else "")
        if not message.failure:
            self._open_features()

    def _use(self, store: FeatureStore) -> None:
        self.session.attach_features(store, store.available())
        self.learn()
        self.label_screen.sync()
        self.show_activity()

    def on_features_unusable(self, message: messages.FeaturesUnusable) -> None:
        """Compute the features, or report why they cannot be used."""
        self._opens = False
        if self.project.has_features:
            self._warn("features", f"asking at random: {message.error}")
        else:
            self._compute()
        self._stop_waiting()
        self.show_activity()

    def _compute(self) -> None:
        """Compute features, at most once for each size of the pool, one process at a time."""
        items = len(self.session.queue.refs)
        busy = self._child is not None and self._child.is_running
        if self._compute_features and not busy and items > self._computed:
            self._computed = items
            self._child = FeatureProcess(self.project, self._post)
            self._open_features()

    def on_features_progress(self, message: messages.FeaturesProgress) -> None:
        """Show how far the features are."""
        report = message.report
        done, of = report.get("done", 0), report.get("of", 0)
        left = report.get("left_s")
        self._progress = f"features {100 * done // of if of else 0} %"
        if left is not None and done < of:
            self._progress += f" · {format_duration(left)} left"
        self.show_activity()

    def on_features_ended(self, message: messages.FeaturesEnded) -> None:
        """Use the features that were computed, or report why they were not."""
        self._progress = ""
        if not message.code:
            if self._store is not None and self._grows:
                self._use(self._store)  # its last rows
            self._grows = False
            self._open_features()
        elif computed_elsewhere(message.narration):
            self._child, self._grows, self._computed = None, False, 0
            self._progress = "features come from another session"
            self.set_timer(RETRY_SECONDS, self._open_features)
        else:
            self._warn("features", no_features_message(message.narration, self.project))
        self.show_activity()

    def _warn(self, topic: str, text: str) -> None:
        lines = [make_printable(line) for line in text.splitlines()]
        self.label_screen.banner.warn(topic, "\n".join(lines))

    def show_activity(self) -> None:
        """Show the work in the background and the current mode in the header."""
        words = [self._progress] if self._progress else []
        if self.session.blind:
            words.append("predictions hidden")
        elif self.session.ranking is None:
            words.append("asking at random")
        elif self.session.learner.predicts_by_name:
            words.append("predictions from the names alone")
        else:
            words.append(label_text.strategy_title(self.session.strategy))
        self.label_screen.header.activity(" · ".join(words))
        group = self.near_duplicates.answers_group
        walk = self.label_screen.walk.badge
        self.label_screen.header.badge(walk or label_text.badge_text(self.session, group))

    # --- learning

    def learn(self) -> None:
        """Start a fit if it would know more than the last one; at most one runs at a time."""
        if self._fitter.busy or not self.session.stale:
            return
        snapshot = self.session.snapshot()
        if snapshot is not None:
            self._fitted_tree = self.session.learner.tree
            self._fitter.start_fit(snapshot)

    def on_ranking_learned(self, message: messages.RankingLearned) -> None:
        """Ask by the new ranking."""
        self._fitter.busy = False
        self._warn("fit", "")
        if self._fitted_tree is self.session.learner.tree:  # else of classes that are no more
            self.session.adopt(message.ranking)
        self._stop_waiting()
        self.label_screen.sync()
        self.show_activity()
        self.learn()

    def on_fit_failed(self, message: messages.FitFailed) -> None:
        """Report that a fit failed."""
        self._fitter.busy = False
        error = message.error
        reason = str(error) if isinstance(error, AnnotatorError) else repr(error)
        self._stop_waiting()
        self._warn("fit", f"learning failed, labelling continues: {reason}")

    def on_answer_screen_answered(self) -> None:
        """Learn from the new answer."""
        self.keep_record()
        self.learn()

    def on_page_screen_submitted(self, message: PageScreen.Submitted) -> None:
        """Learn from the answers of a page."""
        self.pace.answers += message.change
        self.learn()

    def on_page_screen_similar(self, message: PageScreen.Similar) -> None:
        """Open a page of the items most similar to one."""
        from annotator.tui.pages.open import open_similar

        open_similar(self, message.ref, message.label)

    @property
    def awaited_work(self) -> str:
        """The work that pages ordered by a model wait for; "" for none."""
        if self._opens:
            return "Opening the features"
        first_fit = self._fitter.busy and self.session.ranking is None
        return "Learning for the first time" if first_fit else ""

    # --- near-duplicates and contradictions

    def _look_up_duplicates(self) -> None:
        if self.label_screen.listed:
            self.near_duplicates.look_up()
        self.label_screen.show_near_duplicates()
        ready = self._store is not None and not self._grows and self.label_screen.listed
        busy = self._child is not None and self._child.is_running
        if ready and self._compute_features and not busy:
            self.near_duplicates.prepare()

    def on_near_duplicates_found(self, message: messages.NearDuplicatesFound) -> None:
        """Show the near-duplicates that were found."""
        self.near_duplicates.add(message.ref, message.refs)
        self.label_screen.show_near_duplicates()

    def on_labels_contradicted(self, message: messages.LabelsContradicted) -> None:
        """Hint at a label that its nearest neighbours contradict."""
        self.label_screen.show_contradictions(message.found)

    # --- the rest of `ScreenHost`

    @property
    def pacer(self) -> Pacer:
        """The pacer of the line to the terminal, shared by all pictures."""
        return self.picture.line

    @property
    def hides_prediction(self) -> bool:
        """True while the annotator has hidden the prediction."""
        return self.label_screen.sidebar.hides_prediction

    @hides_prediction.setter
    def hides_prediction(self, hidden: bool) -> None:
        self.label_screen.sidebar.hides_prediction = hidden

    def say(self, text: str, role: str = "text") -> None:
        """Show a message at the top of the labelling screen for some seconds."""
        self.label_screen.say(text, role)

    def say_of_keyboard(self, text: str) -> None:
        """Show a message about the keyboard."""
        if self.screen is self.label_screen:
            self.say(text, "dim")

    def show_letters(self) -> None:
        """Write the keys as they stand on the annotator's keyboard."""
        super().show_letters()
        self.label_screen.sidebar.use_letters(self.letters)
        self.label_screen.refresh_words()

    def sync(self) -> None:
        """Show what the session asks now."""
        self.label_screen.sync()

    # --- commands

    def palette_choices(self) -> list[PaletteChoice]:
        """Return the entries of the palette: every live command, every class, the themes."""
        found = [*self.label_screen.palette_choices()] if self.screen is self.label_screen else []
        return [*found, *super().palette_choices()]

    def action_help_quit(self) -> None:
        """Quit at once: every label is on disk."""
        self.exit()
