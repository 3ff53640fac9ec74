"""Seconds of human time to label everything, by a published model of how long people take.

The annotator of the simulation answers by the truth, with slips; the session, the pages, the
model and the streams are the program's own. People label until the program expects the model to
be right about the rest, look again at labels that the model doubts, and leave the rest to it;
the error that remains is measured against the truth, over all items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.items.ref_table import RefTable
from annotator.learn.model import FittedModel, out_of_sample_proba
from annotator.pages import BrowseSource, PageOrder, PageRequest, SelectionMode
from annotator.pages.key_delay import KeyDelay, RapidStream, StreamVerdict
from annotator.pages.orders import (
    MODEL_ERROR_SHARE,
    STREAM_MOST_DOUBT,
    predict_rows,
    within_allowance,
)
from annotator.session.open import open_in_memory
from annotator.simulate.rapid_human import RapidHuman

SINGLE_SECONDS = 3.6
"""One image, one class of several: the median of 2,490 decisions of ten people among ten classes
was 3.59 s where the image was seen for 1 s (raw data of Lim et al., arXiv:2412.00260)."""
PAGE_SECONDS = 1.1
"""One image on a page of look-alikes, yes or no: 52 s for 48, the median of the HIT that the
authors of ImageNetV2 print in `inspect_hit.ipynb`; a handful of workers."""
SEED_SECONDS = 3.0
"""One image in the web tool that this program follows, by its own README."""
ANNOTATOR_SLIP_RATE = 0.02
"""Share of decisions that come out wrong though the annotator knows better; assumed."""
MODES = ("single", "pages", "rapid")
DOUBTED_PROBABILITY = 0.1
"""Labels to which the model, not having seen them, gives less than this are looked at again."""
_FIRST, _FIT_EVERY, _RATE, _CHUNK, _FEWEST = 3, 10, 5.0, 40, 8


@dataclass(slots=True)
class HumanEffort:
    """What labelling everything took."""

    mode: str
    seed: int
    items: int
    seconds: float = 0.0
    looks: int = 0
    """Decisions of people, on images seen again, too."""
    by_people: int = 0
    error: float = 0.0
    """Of all labels, people's and the model's."""

    def as_dict(self) -> dict[str, Any]:
        before = SEED_SECONDS * self.items
        found = {name: getattr(self, name) for name in self.__slots__}
        return {**found, "seconds": round(self.seconds), "seed_seconds": round(before),
                "times_less": round(before / self.seconds, 2)}  # fmt: skip


class SimulatedAnnotator:
    """Knows the truth, slips, and takes time."""

    def __init__(self, y: dict[str, str], classes: Sequence[str], spent: HumanEffort) -> None:
        self.truth, self.classes, self.spent = y, tuple(classes), spent
        self.rng = np.random.default_rng([spent.seed, MODES.index(spent.mode)])

    def name(self, ref: str) -> str:
        """Says which class an image is."""
        self._took(SINGLE_SECONDS)
        if self._slips() and len(self.classes) > 1:
            others = [name for name in self.classes if name != self.truth[ref]]
            return others[int(self.rng.integers(len(others)))]
        return self.truth[ref]

    def belongs(self, ref: str, label: str) -> bool:
        """Says whether an image is of the class that it is shown for."""
        self._took(PAGE_SECONDS)
        return (self.truth[ref] == label) ^ self._slips()

    def wait(self, seconds: float) -> None:
        self.spent.seconds += seconds

    def _took(self, seconds: float) -> None:
        self.spent.seconds += seconds
        self.spent.looks += 1

    def _slips(self) -> bool:
        return bool(self.rng.random() < ANNOTATOR_SLIP_RATE)


class SimulatedSession:
    """A session on labelled features, answered by an annotator."""

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
        """Answer so many items as the strategy asks them."""
        for n in range(count):
            if self.session.current is None:
                break
            self.session.label(self.annotator.name(self.session.current.ref))
            if n % _FIT_EVERY == _FIT_EVERY - 1:
                self.session.learn()
        self.session.learn()

    def page(self, source: BrowseSource, *, back: bool = False) -> bool:
        """A page of one predicted class: the exceptions are given theirs by name. With `back` they
        stay open at first, and are named when they come back for the next likeliest."""
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
        self.annotator.wait(-PAGE_SECONDS)  # naming is a decision of its own, looking included
        return self.annotator.name(ref)

    def open_rows(self) -> NDArray[np.int64]:
        answered = self.session.is_answered
        return np.array([row for row, ref in enumerate(self.refs) if not answered(ref)], np.int64)

    def predictions(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The open rows (m,) and what the model says of them (m, C)."""
        return predict_rows(self.session.learner, self.open_rows())

    def expected(self) -> float:
        """The share of all items that the program expects the model to have wrong by now."""
        _, proba = self.predictions()
        return float((1 - proba.max(axis=1)).sum()) / len(self.refs) if len(proba) else 0.0

    def look_again(self) -> None:
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
                self.annotator.wait(-PAGE_SECONDS)
                self.session.decide({ref: self.annotator.name(ref)}, picked_by="review")
        self.session.learn()

    def rapidly(self, pages: BrowseSource, streams: BrowseSource) -> None:
        """Pages of what the model is unsure of; what it is surer of streams past, one predicted
        class a stream, and what is not of it is marked."""
        while True:
            while self._unsure(pages) >= _FEWEST and self.page(pages):
                pass
            if not self._stream(streams):
                break
        while self.page(pages):
            pass

    def _unsure(self, pages: BrowseSource) -> int:
        """How many of those that are worth a look are too doubtful for a stream."""
        _, proba = self.predictions()
        doubt = 1 - proba.max(axis=1).astype(float)
        open_ = ~within_allowance(doubt, MODEL_ERROR_SHARE * pages.wish.target * len(self.refs))
        return int((open_ & (doubt > STREAM_MOST_DOUBT)).sum())

    def _stream(self, streams: BrowseSource) -> bool:
        page, human, rng = streams.next(), RapidHuman(slips=ANNOTATOR_SLIP_RATE), self.annotator.rng
        if page is None:
            return False
        refs, label = [page.refs[place] for place in rng.permutation(len(page.refs))], page.label
        onsets = np.arange(len(refs)) / _RATE
        wrong = np.array([self.annotator.truth[ref] != label for ref in refs])
        marks = human.marks(onsets, wrong, rng)
        self.annotator.wait(len(refs) / _RATE + 1.2)
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
        answers |= {refs[place]: self.annotator.name(refs[place]) for place in verdict.marked}
        self.session.decide(answers, picked_by="rapid")

    def error(self) -> float:
        """Of all labels, the model's own for what is open."""
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
    """A table: the medians of each mode over its seeds, beside one image after the other."""
    lines = [f"{'mode':8} {'human time':>12} {'an image':>10} {'error':>8} {'times less':>11}"]
    items = found[0].items
    before = SEED_SECONDS * items
    lines.append(
        f"{'before':8} {before:10,.0f} s {SEED_SECONDS:8.2f} s {ANNOTATOR_SLIP_RATE:8.2%} {1:10.1f}x"
    )
    for mode in dict.fromkeys(one.mode for one in found):
        runs = [one for one in found if one.mode == mode]
        seconds = float(np.median([one.seconds for one in runs]))
        error = float(np.median([one.error for one in runs]))
        lines.append(
            f"{mode:8} {seconds:10,.0f} s {seconds / items:8.2f} s {error:8.2%} "
            f"{before / seconds:10.1f}x"
        )
    lines.append(
        f"before: one image after the other, {SEED_SECONDS:.0f} s each, {ANNOTATOR_SLIP_RATE:.0%} slips; "
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
    per_page: int = 16,
) -> HumanEffort:
    """Label (n,) items with features X (n, d) until about `target` of all labels are wrong.

    People stop when the program expects the model to be wrong about `MODEL_ERROR_SHARE` of that, of all
    items; the rest is for what people get wrong, and for a model that is too sure of itself.
    """
    classes = tuple(dict.fromkeys(sorted(labels)))
    spent = HumanEffort(mode, seed, len(refs))
    annotator = SimulatedAnnotator(dict(zip(refs, labels, strict=True)), classes, spent)
    sitting = SimulatedSession(refs, X, classes, annotator)
    sitting.label_one_by_one(_FIRST * len(classes))
    pages = PageRequest(
        "", SelectionMode.EXCEPTIONS, PageOrder.NEEDED, None, per_page, target=target
    )
    source = BrowseSource(sitting.session, pages)
    if mode == "single":
        while len(sitting.open_rows()) and sitting.expected() > MODEL_ERROR_SHARE * target:
            sitting.label_one_by_one(_FIT_EVERY)
    elif mode == "pages":
        while sitting.page(source, back=True):
            pass
    else:
        stream = replace(pages, per_page=_CHUNK, most_doubt=STREAM_MOST_DOUBT)
        sitting.rapidly(source, BrowseSource(sitting.session, stream))
    sitting.look_again()
    spent.by_people = len(refs) - len(sitting.open_rows())
    spent.error = sitting.error()
    return spent
