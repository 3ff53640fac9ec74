"""The labelling loop without a screen: ask, answer, undo, learn.

A session belongs to one thread. `snapshot` makes the input of `learn`, which may run in any thread,
and `adopt` takes its ranking. The current item never changes under the annotator: only an answer,
an undo or another annotator's answer moves on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from annotator.items.refs import Item
from annotator.log.agreement import REPEAT, RepeatSampler, is_repeat, latest_answer
from annotator.log.entries import CORRECTION, Action, Entry, OwnOpinions
from annotator.log.prequential import is_equal
from annotator.log.store.writer import LogWriter
from annotator.project.class_tree import ClassTree
from annotator.project.label_sets import check_labels, class_probabilities
from annotator.session.learner import Learner, Prior, StrategyChoice
from annotator.session.mode import AnsweredByPeople, SessionMode
from annotator.session.progress import Progress, count_progress
from annotator.session.queue import LEASE_SECONDS, Queue
from annotator.session.refine import REFINE, RefinedItems, Refinement, narrow_probabilities

if TYPE_CHECKING:
    from annotator.features.store import FeatureStore
    from annotator.learn.ranking import Ranking, Snapshot
    from annotator.learn.strategies import Pick
    from annotator.log.store.protocol import ProjectStore
    from annotator.project.clusters import Clusters


class LabelSession:
    """The labelling of one pool by one annotator."""

    def __init__(
        self,
        store: ProjectStore,
        classes: Sequence[str],
        *,
        annotator: str,
        mode: SessionMode | None = None,
        strategy: StrategyChoice | None = None,
        seed: int = 0,
        ahead: int = 5,
        clock: Callable[[], float] = time.time,
        holder: str | None = None,
        lease: float = LEASE_SECONDS,
        on_entry: Callable[[Entry], object] | None = None,
        prior: Prior | None = None,
        clusters: Clusters | None = None,
        priorities: Iterable[tuple[str, str]] = (),
        tree: ClassTree | None = None,
    ) -> None:
        """Read the log, and ask nothing yet: `extend` gives the session its pool.

        `on_entry` is called with each row that this session has written, once it is on disk.
        `prior` predicts while no model has learnt anything. `priorities` holds refs to ask before
        all others, each with what picked it. `tree` holds the parents of the classes.
        """
        self.classes, self.annotator, self.seed = tuple(classes), annotator, seed
        self.mode = mode or SessionMode()
        self._refining = Refinement(self.mode.refines)
        self.store, self.clock, self._flush = store, clock, False
        self.beaten_by: list[Entry] = []
        """The answers of others that the last answer here came too late for."""
        self.lost = False
        """True once the audit is certified or given up; an undo resumes it."""
        self.within = ""
        """The query whose items alone are asked; "" for all items."""
        self.learner = Learner(
            self.classes, strategy or StrategyChoice(), self.mode.multi, prior, clusters,
            tree,
        )  # fmt: skip
        is_within = is_equal if self.learner.tree.is_flat else self.learner.tree.is_within
        self._writer = LogWriter(store, annotator, clock, on_entry, self._update_queue, is_within)
        self.state, self.prequential = self._writer.state, self._writer.prequential
        self._own = OwnOpinions(self.state, annotator)
        self._answered: Collection[str] = self._own if self.second else self.state.standing.keys()
        if self.mode.refines is not None:  # an answer is one of the classes below
            self.classes = self.learner.tree.below(self.mode.refines)
            self._answered = RefinedItems(self.state, self.mode.refines)
        if self.mode.sample is not None:  # its items may have labels of a model
            self._answered = AnsweredByPeople(self.state)
        repeats = RepeatSampler(self.state, annotator, self.mode.repeats, seed)
        self.queue = Queue(
            store, annotator, self._answered,
            ahead=ahead, seed=seed, clock=clock, holder=holder, lease=lease, first=priorities,
            draw_repeat=repeats.draw if self.mode.repeats and not self.blind else None,
        )  # fmt: skip

    @property
    def audit(self) -> str | None:
        """The name of the audit that this session is, or None."""
        return self.mode.audit

    @property
    def second(self) -> bool:
        """True if every answer is a second opinion."""
        return self.mode.second

    @property
    def multi(self) -> bool:
        """True if a label is a set of classes."""
        return self.mode.multi

    @property
    def blind(self) -> bool:
        """True if the model's opinion is hidden: in audits and for second opinions."""
        return self.mode.blind

    def add_classes(self, names: Sequence[str]) -> None:
        """Take labels of more classes from now on."""
        self.use_classes(ClassTree({**self.learner.tree.parents, **dict.fromkeys(names)}))

    def use_classes(self, tree: ClassTree) -> None:
        """Take labels of the classes of `tree` from now on."""
        self.learner.use_classes(tree)
        self.prequential.is_within = is_equal if tree.is_flat else tree.is_within
        self.classes = tree.below(self.mode.refines) if self.mode.refines else tuple(tree.parents)

    def extend(self, refs: Sequence[str], *, listing: bool = False) -> None:
        """Add refs to the pool; with `listing` more follow, up to `end_listing`."""
        self.queue.extend(refs, listing=listing)

    def end_listing(self) -> None:
        """Draw from the whole pool: it is listed."""
        self.queue.end_listing()

    # --- asking

    @property
    def current(self) -> Item | None:
        """The item on screen; None while nothing is open."""
        return self._item(self.queue[0]) if self.queue else None

    @property
    def current_pick(self) -> Pick | None:
        """The draw of the current item."""
        return self.queue[0] if self.queue else None

    def upcoming(self, n: int) -> list[Item]:
        """Return the next `n` items after the current one, or fewer if fewer are drawn."""
        return [self._item(self.queue[i]) for i in range(1, min(n + 1, len(self.queue)))]

    @property
    def prediction(self) -> Mapping[str, float] | None:
        """The latest model's probabilities for the current item, or the prior's before there is a
        model; None without either."""
        proba = self._predicted()[0] if self.queue else None
        if proba and self.mode.refines is not None:
            return narrow_probabilities(proba, self.classes)
        return class_probabilities(proba, self.classes) if proba and self.multi else proba

    # --- answering

    def label(self, name: str, ref: str | None = None, shown_ms: int | None = None) -> Entry | None:
        """Label the current item, durably, and move on.

        `ref` is the item that the annotator saw: if it is not the current one, nothing happens and
        None is returned. If others have answered it meanwhile, nothing is written, `beaten_by`
        holds their answer, and the session moves on. Raises `StoreError` if nothing could be
        written; the item stays current.
        """
        check_labels([name], self.classes, self.multi)
        return self._answer(name, ref, shown_ms)

    def skip(self, ref: str | None = None, shown_ms: int | None = None) -> Entry | None:
        """Leave the current item unlabelled and do not ask it again."""
        return self._answer(None, ref, shown_ms)

    def decide(
        self,
        answers: Mapping[str, str | None],
        *,
        picked_by: str,
        draws: Mapping[str, Pick] | None = None,
        shown_ms: int | None = None,
        extra: Mapping[str, Any] | None = None,
        only_open: Collection[str] = (),
    ) -> list[Entry]:
        """Answer any items at once, labelled ones too: all or none is written.

        Items of `only_open` that others have answered meanwhile are left out: see `beaten_by`.

        `answers` maps refs to labels, None for a skip. One `undo` takes all of them back. `draws`
        maps the refs that were drawn at random to their draws. The others carry no propensity: they
        teach the model and stay out of the error estimate.
        """
        check_labels(answers.values(), self.classes, self.multi)
        second = {"second": True} if self.second else self._refining.extra
        group = {"group": uuid4().hex, **second, **(extra or {})}
        entries = []
        for ref, name in answers.items():
            pick = (draws or {}).get(ref)
            proba, model = self.learner.predict_with_source(self.queue.row(ref), ref)
            drawn = pick.to_log_fields() if pick else {"picked_by": picked_by}
            more = {**self.learner.prediction_details(proba), **group}
            fields = {"proba": proba, "model": model, "shown_ms": shown_ms, "extra": more, **drawn}
            entries.append(self._writer.answer(ref, self._refining.label(name), **fields))
        written = self._write_open(
            entries, lambda ref: ref not in only_open or not self.is_answered(ref)
        )
        self.queue.leave_out_answered()
        return written

    def correct(self, answer: Entry, name: str | None, shown_ms: int | None = None) -> Entry | None:
        """Answer an answered item anew, None for a skip: one more row, which `undo` takes back.

        If `answer` does not count any more, nothing is written: see `beaten_by`. The row has
        neither a draw nor a prediction, for the model has learnt from the answer before.
        """
        check_labels([name], self.classes, self.multi)
        extra: dict[str, Any] = {"corrects": answer.seq}
        if answer.second:
            extra |= {"second": True, REPEAT: True} if is_repeat(answer) else {"second": True}
        elif self.audit is not None:
            extra["audit"] = self.audit
        extra |= self._refining.extra
        fields = {"picked_by": CORRECTION, "shown_ms": shown_ms, "extra": extra}
        row = self._writer.answer(answer.ref, self._refining.label(name), **fields)
        written = self._write_open([row], lambda _: latest_answer(self.state, answer) == answer)
        if not written:
            found = latest_answer(self.state, answer)
            self.beaten_by = [] if found is None else [found]
            return None
        self._judge_audit(answer.ref)
        return written[0]

    def _judge_audit(self, ref: str) -> None:
        """End the audit if the answer on `ref` decides it, or take it up again."""
        if self.mode.is_lost is None:
            return
        lost, self.lost = self.lost, self.mode.is_lost(self.state, ref)
        if self.lost:
            self.queue.stop()
        elif lost:
            self.resume_asking()

    def flag(self, ref: str) -> bool:
        """Flag an item, or take its flag off; return whether it is flagged now."""
        return self._writer.flag(ref)

    def is_flagged(self, ref: str) -> bool:
        """Return whether an item has a flag."""
        return ref in self.state.flagged

    def note(self, ref: str, text: str) -> Entry:
        """Write a note on an item."""
        return self._writer.write(self._writer.entry(Action.NOTE, ref, note=text))[0]

    def notes(self, ref: str) -> list[str]:
        """Return the notes on an item, oldest first."""
        return [entry.note or "" for entry in self.state.notes.get(ref, [])]

    def undo(self) -> list[Entry]:
        """Take back this annotator's last decision, however old, and ask its items again.

        In an audit only a decision of that audit is taken back. Returns the rows taken back; empty
        if nothing is left to undo.
        """
        taken = self.undoable
        self._writer.undo_entries(taken)
        if self.lost and taken:
            self.lost = False
            self.resume_asking()
        self.queue.ask_again(
            [e for e in taken if not self.is_answered(e.ref) or (is_repeat(e) and not e.corrects)]
        )
        return taken

    @property
    def undoable(self) -> list[Entry]:
        """The rows that `undo` would take back."""
        return [e for e in self.state.undoable_by(self.annotator) if self.may_undo(e)]

    @property
    def last_decision(self) -> Entry | None:
        """The last of the rows that `undo` would take back; None without any."""
        last = self.state.last_by(self.annotator)
        return last if last is not None and self.may_undo(last) else None

    def may_undo(self, entry: Entry) -> bool:
        """Return whether an answer of this annotator is one that this kind of session gives."""
        same = self.audit in (None, entry.audit) and entry.second >= self.second
        return same and self._refining.may_undo(entry)

    def reopen_skipped(self) -> int:
        """Ask every skipped item once more, and return how many there are."""
        skips = self._refining.skips(self.state)
        self._writer.undo_entries(skips)
        self.queue.refill()
        return len({entry.ref for entry in skips})

    def _answer(self, name: str | None, ref: str | None, shown_ms: int | None) -> Entry | None:
        current, self.beaten_by = self.current, []
        if current is None or (ref is not None and ref != current.ref):
            return None
        proba, model = self._predicted()
        drawn = self._drawn(self.queue[0])
        fields: dict[str, Any] = {"proba": proba, "model": model, "shown_ms": shown_ms, **drawn}
        if details := self.learner.prediction_details(proba):
            fields["extra"] = details | (fields.get("extra") or {})
        answer = self._writer.answer(current.ref, self._refining.label(name), **fields)
        repeated = self._repeated() is not None
        written = self._write_open([answer], lambda ref: repeated or not self.is_answered(ref))
        if written:
            self._judge_audit(current.ref)
        self.queue.advance()
        self._sync_log(keep_current=False)
        return written[0] if written else None

    def _write_open(self, entries: Sequence[Entry], is_open: Callable[[str], bool]) -> list[Entry]:
        self.beaten_by = []
        written, late = self._writer.write_open(entries, is_open)
        decisions = [(self._own if self.second else self.state).decision(ref) for ref in late]
        self.beaten_by = [entry for entry in decisions if entry is not None]
        return written

    def _drawn(self, pick: Pick) -> dict[str, Any]:
        """Return the log fields of the current item's draw; an audit's draw has no propensity."""
        if self.audit is not None:
            return self.mode.draw_fields(self.state)
        if self.second:
            return {"picked_by": "second", "extra": {"second": True}}
        if self.mode.refines is not None:
            return {"picked_by": REFINE, "extra": self._refining.extra}
        if self._repeated():
            return {"picked_by": REPEAT, "extra": {"second": True, REPEAT: True}}
        if self.queue.is_from_part(pick):  # of no known probability in the pool
            return {"picked_by": pick.component}
        return pick.to_log_fields()

    def _repeated(self) -> Entry | None:
        """Return the first decision on the current item if the item is a repeat."""
        pick = self.queue[0]
        stack = self.state.standing.get(self.queue.refs[pick.row])
        return stack[0] if stack and pick.component == REPEAT else None

    def _predicted(self) -> tuple[Mapping[str, float] | None, str | None]:
        """Return the prediction and its model; for a repeat those of before the first answer."""
        if (first := self._repeated()) is not None:
            return first.proba, first.model
        pick = self.queue[0]
        return self.learner.predict_with_source(pick.row, self.queue.refs[pick.row])

    # --- learning

    @property
    def strategy(self) -> StrategyChoice:
        """The strategy that chooses what to ask."""
        return self.learner.strategy

    @property
    def ranking(self) -> Ranking | None:
        """The last ranking adopted: its model and its error estimate."""
        return self.learner.ranking

    @property
    def has_features(self) -> bool:
        """True once features are attached."""
        return self.learner.features is not None

    @property
    def stale(self) -> bool:
        """True if a fit would know more than the last one did."""
        return self.learner.stale(self.state, self.queue)

    def attach_features(
        self, features: FeatureStore, available: NDArray[np.bool_] | None = None
    ) -> None:
        """Use these features; `available` (n,) marks the rows that exist yet, None for all."""
        self.learner.attach_features(features, available, self.queue.refs)

    def snapshot(self) -> Snapshot | None:
        """Return the input of `learn`, or None while there are no features."""
        return self.learner.snapshot(self.state, self.queue)

    def adopt(self, ranking: Ranking) -> None:
        """Ask by this ranking from now on.

        The current item stays, and so do the queued ones that a ranking picked; those drawn at
        random for want of one give way.
        """
        flush = self._flush and self.learner.is_fitted_to_choice
        self.queue.adopt(self.learner.adopt(ranking), flush)
        self._flush &= not flush

    def learn(self) -> Ranking | None:
        """Fit on all labels so far, here and now, and ask by the result; None without features."""
        from annotator.learn.ranking import learn

        snapshot = self.snapshot()
        if snapshot is None:
            return None
        ranking = learn(snapshot, self.seed)
        self.adopt(ranking)
        return ranking

    def pause_asking(self) -> None:
        """Draw nothing new until `resume_asking`: a model is about to say what to ask."""
        self.queue.paused = True

    def resume_asking(self) -> None:
        """Fill the queue up, and draw again from now on."""
        self.queue.paused = False
        self.queue.refill()

    def restrict(self, within: NDArray[np.bool_] | None, title: str = "") -> None:
        """Ask only the pool rows of `within` (N,) from now on, None for all; `title` names them.

        Their labels teach the model, but do not enter the estimate: it needs draws from the pool.
        """
        self.within = title if within is not None else ""
        self.learner.restricted += 1
        self.queue.restrict(within, lasting=self.mode.refines is not None)

    def choose_strategy(self, strategy: StrategyChoice) -> None:
        """Change the strategy; the queue follows with the next ranking."""
        self.learner.strategy, self._flush = strategy, True

    # --- others, and the end

    def refresh(self, keep_current: bool = True) -> list[Entry]:
        """Read and return what others wrote, and renew the leases; call it about once a second.

        The current item stays, also if another annotator has answered it meanwhile, unless
        `keep_current` is False.
        """
        idle = not self.queue
        self._sync_log(keep_current)
        self.queue.renew_leases()
        self._sync_log(keep_current and not idle)
        return self._writer.drain_others_entries()

    def _sync_log(self, keep_current: bool) -> None:
        """Apply what others wrote, and take the items that they answered out of the queue.

        An answer is in the log before the lease of its item ends. So an item that is leased here,
        and has no answer in the log after that, is on no other screen.
        """
        while self.store.changed():
            self._writer.catch_up()
            if keep_current:
                self.queue.drop_answered()
            else:
                self.queue.leave_out_answered()

    def close(self) -> None:
        """Release the queue; this annotator's next session resumes it."""
        self.queue.release()

    @property
    def progress(self) -> Progress:
        """The counts for a status line."""
        decision_of = (self._own if self.second else self.state).decision if self.blind else None
        pool = self.queue.refs, self.queue.open_count, len(self.queue.leased_by_others)
        found = count_progress(self.state, self.classes, *pool, decision_of, self.multi)
        if self.within:
            found = replace(found, items=int(self.queue.inside().sum()))
        return self._refining.recount(found, self.state)

    @property
    def class_counts(self) -> dict[str, int]:
        """The number of labels of each class of the project."""
        counts = self.progress.classes
        return {name: counts[name] for name in self.classes}

    def is_answered(self, ref: str) -> bool:
        """Return whether `ref` is not asked any more: it is labelled or skipped, or, in a session
        for second opinions, has this annotator's."""
        return ref in self._answered

    def _item(self, pick: Pick) -> Item:
        return Item.parse(self.queue.refs[pick.row])

    def _update_queue(self, entry: Entry) -> None:
        if self.is_answered(entry.ref):
            self.queue.close(entry.ref)
        else:
            self.queue.open(entry.ref)
