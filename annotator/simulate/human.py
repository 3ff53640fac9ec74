"""The human time to label everything, from published times of single decisions.

The simulated annotator answers by the truth, with slips; the session, the pages, the model and
the streams are the program's own. People label until the program expects the model to be right
about the rest, review labels that the model doubts, and leave the rest to the model. The error
that remains is measured against the truth, over all items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.items.ref_table import RefTable
from annotator.learn.model import FittedModel, out_of_sample_proba
from annotator.learn.remaining_work import (
    PAGE_SECONDS,
    SINGLE_SECONDS,
    needs_look,
)
from annotator.pages import BrowseSource, PageOrder, PageRequest, SelectionMode
from annotator.pages.key_delay import KeyDelay, RapidStream, StreamVerdict
from annotator.pages.orders import STREAM_MOST_DOUBT, predict_rows
from annotator.session.open import open_in_memory
from annotator.simulate.rapid_human import RapidHuman

SEED_SECONDS = 3.0
"""Seconds for one image in an earlier web tool, by that tool's README."""
ANNOTATOR_SLIP_RATE = 0.02
"""The share of wrong decisions by an annotator who knows the answer; assumed."""
MODES = ("single", "pages", "rapid")
DOUBTED_PROBABILITY = 0.05
"""A label is reviewed if a model fitted without it gives it a lower probability than this."""
_FIRST, _FIT_EVERY, _RATE, _CHUNK, _FEWEST = 3, 10, 5.0, 40, 8


@dataclass(slots=True)
class HumanEffort:
    """The human time and the remaining error of labelling everything."""

    mode: str
    seed: int
    items: int
    seconds: float = 0.0
    looks: int = 0
    """The number of decisions by people, including those on images seen again."""
    by_people: int = 0
    """The number of items labelled by people."""
    error: float = 0.0
    """The share of wrong labels, people's and the model's."""

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as `annotator simulate --mode --json` prints them."""
        before = SEED_SECONDS * self.items
        found = {name: getattr(self, name) for name in self.__slots__}
        return {**found, "seconds": round(self.seconds), "seed_seconds": round(before),
                "times_less": round(before / self.seconds, 2)}  # fmt: skip


class SimulatedAnnotator:
    """An annotator who knows the truth, slips at times and takes time."""

    def __init__(self, y: dict[str, str], classes: Sequence[str], spent: HumanEffort) -> None:
        self.truth, self.classes, self.spent = y, tuple(classes), spent
        self.rng = np.random.default_rng([spent.seed, MODES.index(spent.mode)])

    def answer_class(self, ref: str) -> str:
        """Choose the class of an image."""
        self._took(SINGLE_SECONDS)
        if self._slips() and len(self.classes) > 1:
            others = [name for name in self.classes if name != self.truth[ref]]
            return others[int(self.rng.integers(len(others)))]
        return self.truth[ref]

    def belongs(self, ref: str, label: str) -> bool:
        """Decide if an image belongs to the class of its page."""
        self._took(PAGE_SECONDS)
        return (self.truth[ref] == label) ^ self._slips()

    def add_seconds(self, seconds: float) -> None:
        """Add to the time spent."""
        self.spent.seconds += seconds

    def _took(self, seconds: float) -> None:
        self.spent.seconds += seconds
        self.spent.looks += 1

    def _slips(self) -> bool:
        return bool(self.rng.random() < ANNOTATOR_SLIP_RATE)


class SimulatedSession:
    """A session on labelled features, answered by a simulated annotator."""

    def __init__(
        self,
        refs: Sequence[str],
        X: NDArray[Any],
        classes: Sequence[str],
        annotator: SimulatedAnnotator,
    ) -> None:
        self.refs, self.annotator = RefTable(refs), annotator
        self.session = open_in_memory(
            self.refs, X, classes, annotator="simulated", seed=annotator.spent.seed
        )
        self.session.learn()

    def label_one_by_one(self, count: int) -> None:
        """Answer up to `count` items in the order of the strategy."""
        for n in range(count):
            if self.session.current is None:
                break
            self.session.label(self.annotator.answer_class(self.session.current.ref))
            if n % _FIT_EVERY == _FIT_EVERY - 1:
                self.session.learn()
        self.session.learn()

    def page(self, source: BrowseSource, *, back: bool = False) -> bool:
        """Answer a page of one predicted class; return False if there is no page.

        Exceptions get their own class. With `back` they stay open at first, and get their class
        when they come back on a page of their next likeliest one.
        """
        page = source.next()
        if page is None:
            return False
        wrong = [ref for ref in page.refs if not self.annotator.belongs(ref, page.label)]
        marks = {
            ref: None if back and ref not in page.excluded else self._named(ref) for ref in wrong
        }
        source.submit(page, {ref: name for ref, name in marks.items() if name != page.label})
        self.session.learn()
        return True

    def _named(self, ref: str) -> str:
        self.annotator.add_seconds(-PAGE_SECONDS)  # the time of naming includes looking
        return self.annotator.answer_class(ref)

    def open_rows(self) -> NDArray[np.int64]:
        """Return the rows (m,) without an answer."""
        answered = self.session.is_answered
        return np.array([row for row, ref in enumerate(self.refs) if not answered(ref)], np.int64)

    def predictions(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the open rows (m,) and the model's probabilities for them (m, C)."""
        return predict_rows(self.session.learner, self.open_rows())

    def needing(self, target: float, least_doubt: float = 0.0) -> int:
        """Return how many items of that doubt need a look, for `target` of all to be wrong."""
        _, proba = self.predictions()
        ranking = self.session.ranking
        if not len(proba) or ranking is None:
            return 0
        doubt, predicted = 1 - proba.max(axis=1).astype(float), proba.argmax(axis=1)
        look = needs_look(doubt, predicted, ranking.doubt_factors, target * len(self.refs))
        return int((look & (doubt > least_doubt)).sum())

    def review_doubted(self) -> None:
        """Confirm or change the labels that the model doubts."""
        ranking, snapshot = self.session.ranking, self.session.snapshot()
        if ranking is None or snapshot is None or ranking.warm is None:
            return
        assert isinstance(ranking.model, FittedModel)
        X = ranking.warm.unit.take(snapshot.rows)
        p = out_of_sample_proba(ranking.model, X, snapshot.y)[
            np.arange(len(snapshot.y)), snapshot.y
        ]
        for place in np.flatnonzero(p < DOUBTED_PROBABILITY):
            ref, label = self.refs[int(snapshot.rows[place])], int(snapshot.y[place])
            if not self.annotator.belongs(ref, self.session.classes[label]):
                self.annotator.add_seconds(-PAGE_SECONDS)
                self.session.decide({ref: self.annotator.answer_class(ref)}, picked_by="review")
        self.session.learn()

    def run_rapid(self, request: PageRequest) -> None:
        """Answer pages of doubtful items, and streams of the items that the model is surer of.

        A stream shows one predicted class; the annotator marks the exceptions.
        """
        pages = BrowseSource(self.session, request)
        stream = replace(request, per_page=_CHUNK, most_doubt=STREAM_MOST_DOUBT)
        streams, target = BrowseSource(self.session, stream), request.target
        while True:
            while self.needing(target, STREAM_MOST_DOUBT) >= _FEWEST and self.page(pages):
                pass
            if not self._stream(streams):
                break
        while self.page(pages):
            pass

    def _stream(self, streams: BrowseSource) -> bool:
        page, human, rng = streams.next(), RapidHuman(slips=ANNOTATOR_SLIP_RATE), self.annotator.rng
        if page is None:
            return False
        refs, label = [page.refs[place] for place in rng.permutation(len(page.refs))], page.label
        onsets = np.arange(len(refs)) / _RATE
        wrong = np.array([self.annotator.truth[ref] != label for ref in refs])
        marks = human.marks(onsets, wrong, rng)
        self.annotator.add_seconds(len(refs) / _RATE + 1.2)
        self.annotator.spent.looks += len(refs)
        stream = RapidStream(list(onsets), list(marks), KeyDelay())
        while (found := stream.verdict).doubtful:
            place = found.doubtful[0]
            stream.known[place] = not self.annotator.belongs(refs[place], label)
        self._answer(refs, label, stream.verdict)
        streams.submit(page, {}, broken=page.refs)
        self.session.learn()
        return True

    def _answer(self, refs: list[str], label: str, verdict: StreamVerdict) -> None:
        answers = {refs[place]: label for place in verdict.rest}
        answers |= {
            refs[place]: self.annotator.answer_class(refs[place]) for place in verdict.marked
        }
        self.session.decide(answers, picked_by="rapid")

    def error(self) -> float:
        """Return the share of wrong labels; an open item has the model's label."""
        rows, proba = self.predictions()
        labels = dict(zip(rows.tolist(), proba.argmax(axis=1).tolist(), strict=True))
        wrong = 0
        for row, ref in enumerate(self.refs):
            given = self.session.state.label(ref)
            if given is None:
                given = self.session.classes[labels[row]]
            wrong += given != self.annotator.truth[ref]
        return wrong / len(self.refs)


def format_effort(found: Sequence[HumanEffort]) -> str:
    """Return a table of the medians of each mode over its seeds, beside one image at a time."""
    lines = [f"{'mode':8} {'human time':>12} {'an image':>10} {'error':>8} {'times less':>11}"]
    items = found[0].items
    before = SEED_SECONDS * items
    slips = f"{ANNOTATOR_SLIP_RATE:8.2%}"
    lines.append(f"{'before':8} {before:10,.0f} s {SEED_SECONDS:8.2f} s {slips} {1:10.1f}x")
    for mode in dict.fromkeys(effort.mode for effort in found):
        runs = [effort for effort in found if effort.mode == mode]
        seconds = float(np.median([run.seconds for run in runs]))
        error = float(np.median([run.error for run in runs]))
        lines.append(
            f"{mode:8} {seconds:10,.0f} s {seconds / items:8.2f} s {error:8.2%} "
            f"{before / seconds:10.1f}x"
        )
    lines.append(
        f"before: one image at a time, {SEED_SECONDS:.0f} s each, {ANNOTATOR_SLIP_RATE:.0%} slips; "
        f"a decision takes {SINGLE_SECONDS} s alone and {PAGE_SECONDS} s on a page"
    )
    return "\n".join(lines)


def label_all(
    refs: Sequence[str],
    X: NDArray[Any],
    labels: Sequence[str],
    mode: str,
    *,
    seed: int = 0,
    target: float = 0.01,
    per_page: int = 8,
) -> HumanEffort:
    """Label (n,) items with features X (n, d) until about `target` of all labels are wrong.

    People stop when the program expects the model to be wrong on a part of that target at most;
    see `needs_look`. The rest of the target covers errors by people.
    """
    classes = tuple(dict.fromkeys(sorted(labels)))
    spent = HumanEffort(mode, seed, len(refs))
    annotator = SimulatedAnnotator(dict(zip(refs, labels, strict=True)), classes, spent)
    simulated = SimulatedSession(refs, X, classes, annotator)
    simulated.label_one_by_one(_FIRST * len(classes))
    pages = PageRequest(
        "", SelectionMode.EXCEPTIONS, PageOrder.NEEDED, None, per_page, target=target
    )
    if mode == "single":
        while simulated.needing(target):
            simulated.label_one_by_one(_FIT_EVERY)
    elif mode == "pages":
        source = BrowseSource(simulated.session, pages)
        while simulated.page(source, back=True):
            pass
    else:
        simulated.run_rapid(pages)
    simulated.review_doubted()
    spent.by_people = len(refs) - len(simulated.open_rows())
    spent.error = simulated.error()
    return spent
