"""State is what the rows of the log add up to, and undo is a row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.log.entries import Action, Entry, label_seconds, replay, reviewed_labels

REFS = ["a.jpg", "b.jpg#xywh=1,2,3,4", "c.jpg"]


@st.composite
def logs(draw: st.DrawFn) -> list[Entry]:
    """Logs of two annotators who label, skip, flag, note and take back decisions at random."""
    entries: list[Entry] = []
    for seq in range(1, draw(st.integers(0, 30)) + 1):
        action = draw(st.sampled_from(list(Action)))
        annotator, ref = draw(st.sampled_from(["ann", "bob"])), draw(st.sampled_from(REFS))
        label, extra = None, None
        if action is Action.LABEL:
            label = draw(st.sampled_from(["ok", "defect"]))
        if action is Action.UNDO:
            decisions = [e for e in entries if e.action in (Action.LABEL, Action.SKIP)]
            if not decisions:
                continue
            taken = draw(st.sampled_from(decisions))
            ref, extra = taken.ref, {"undoes": taken.seq}
        if action is Action.FLAG:
            extra = {"on": draw(st.booleans())}
        entries.append(Entry(seq, float(seq), annotator, action, ref, label, extra=extra))
    return entries


def _expected(entries: list[Entry], ref: str) -> str | None:
    """The plain meaning: the last decision on a ref that no row takes back."""
    undone = {e.extra["undoes"] for e in entries if e.action is Action.UNDO and e.extra}
    alive = [
        e
        for e in entries
        if e.ref == ref and e.action in (Action.LABEL, Action.SKIP) and e.seq not in undone
    ]
    return alive[-1].label if alive else None


@given(logs())
def test_the_last_decision_that_was_not_taken_back_counts(entries: list[Entry]) -> None:
    state = replay(entries)
    assert {ref: state.label(ref) for ref in REFS} == {r: _expected(entries, r) for r in REFS}


@given(logs())
def test_undo_after_undo_goes_back_to_an_empty_history(entries: list[Entry]) -> None:
    state = replay(entries)
    seq = len(entries) + 1000
    before = state.undoable_by("bob")
    while taken := list(state.undoable_by("ann")):
        for entry in taken:
            seq += 1
            state.apply(Entry(seq, 0.0, "ann", Action.UNDO, entry.ref, extra={"undoes": entry.seq}))
    assert state.undoable_by("bob") == before, "undo took back somebody else's decision"
    assert all(e.annotator == "bob" for stack in state.standing.values() for e in stack)


def test_an_undone_relabel_brings_the_first_label_back() -> None:
    first = Entry(1, 0.0, "ann", Action.LABEL, "a", "ok")
    second = Entry(2, 0.0, "bob", Action.LABEL, "a", "defect")
    undo = Entry(3, 0.0, "bob", Action.UNDO, "a", extra={"undoes": 2})
    assert replay([first, second]).label("a") == "defect"
    assert replay([first, second, undo]).label("a") == "ok"


def test_a_relabelled_item_keeps_the_draw_that_brought_it_up() -> None:
    drawn = Entry(1, 0.0, "ann", Action.LABEL, "a", "ok", q=0.25, pool=4)
    changed = Entry(2, 0.0, "ann", Action.LABEL, "a", "defect")
    ((first, last),) = replay([drawn, changed]).labels()
    assert (first.q, first.pool, last.label) == (0.25, 4, "defect")


def test_a_group_is_taken_back_at_once() -> None:
    page = [
        Entry(n, 0.0, "ann", Action.LABEL, ref, "ok", extra={"group": "p1"})
        for n, ref in enumerate(REFS, 2)
    ]
    state = replay([Entry(1, 0.0, "ann", Action.LABEL, "z", "ok"), *page])
    assert list(state.undoable_by("ann")) == page


def test_a_second_opinion_is_kept_and_never_counts() -> None:
    first = Entry(1, 1.0, "ann", Action.LABEL, "a.jpg", "ok")
    second = Entry(2, 2.0, "bob", Action.LABEL, "a.jpg", "defect", extra={"second": True})
    state = replay([first, second])
    assert state.label("a.jpg") == "ok"
    assert [e.label for e in state.opinions["a.jpg"]] == ["defect"]
    assert dict(state.counts) == {"ok": 1}
    assert state.undoable_by("bob") == [second]


def test_a_second_opinion_is_taken_back_alone() -> None:
    first = Entry(1, 1.0, "ann", Action.LABEL, "a.jpg", "ok")
    second = Entry(2, 2.0, "bob", Action.LABEL, "a.jpg", "defect", extra={"second": True})
    undo = Entry(3, 3.0, "bob", Action.UNDO, "a.jpg", extra={"undoes": 2})
    state = replay([first, second, undo])
    assert state.label("a.jpg") == "ok"
    assert not state.opinions


def test_a_page_of_labels_has_a_pace_and_one_write_has_none() -> None:
    def label(place: int, at: float) -> Entry:
        return Entry(place + 1, at, "ann", Action.LABEL, f"{place}.png", "ok")

    page = [label(place, 100.0 + 24.0 * (place // 24)) for place in range(72)]
    assert label_seconds(replay(page)) == pytest.approx(48 / 71)
    assert label_seconds(replay([label(place, 5.0) for place in range(24)])) is None
    single = [label(place, 2.0 * place) for place in range(5)]
    assert label_seconds(replay(single)) == 2.0


def test_a_review_does_not_change_the_pace_of_labelling() -> None:
    labels = [Entry(n, 3.0 * n, "ana", Action.LABEL, f"{n}.png", "ok") for n in range(1, 9)]
    reviewed = [
        Entry(n + 10, 100 + 0.4 * n, "bo", Action.LABEL, f"{n}.png", "ok", picked_by="review")
        for n in range(1, 20)
    ]
    assert label_seconds(replay([*labels, *reviewed])) == pytest.approx(3.0)
    assert label_seconds(replay(reviewed)) is None


def _reviewed(*rows: tuple[str, str, str]) -> dict[str, list[str]]:
    """The reviewed labels of one item, after rows of (annotator, label, queue or "")."""
    return dict(
        reviewed_labels(
            replay(
                Entry(seq, float(seq), who, Action.LABEL, "a.jpg", label,
                      extra={"review": queue} if queue else None)
                for seq, (who, label, queue) in enumerate(rows, 1)
            )
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ([("ana", "ok", "")], None),
        ([("ana", "ok", ""), ("bo", "ok", "errors")], ["bo"]),
        ([("ana", "ok", ""), ("bo", "crack", "errors")], ["bo"]),  # changed in a review
        ([("ana", "ok", ""), ("bo", "ok", "errors"), ("cy", "ok", "flagged")], ["bo", "cy"]),
        ([("ana", "ok", ""), ("bo", "ok", "errors"), ("bo", "ok", "flagged")], ["bo"]),
        ([("ana", "ok", ""), ("bo", "ok", "errors"), ("ana", "crack", "")], None),
        ([("ana", "ok", ""), ("bo", "ok", "errors"), ("ana", "ok", "")], ["bo"]),
        ([("ana", "ok", ""), ("bo", "ok", "errors"), ("cy", "crack", "flagged")], ["cy"]),
    ],
)
def test_a_label_is_reviewed_until_it_changes(
    rows: list[tuple[str, str, str]], names: list[str] | None
) -> None:
    assert _reviewed(*rows).get("a.jpg") == names


def test_an_undo_and_a_second_opinion_leave_no_review_and_end_none() -> None:
    review = {"review": "errors"}
    rows = [
        Entry(1, 1.0, "ana", Action.LABEL, "a.jpg", "ok"),
        Entry(2, 2.0, "bo", Action.LABEL, "a.jpg", "ok", extra=review),
        Entry(3, 3.0, "cy", Action.LABEL, "a.jpg", "crack", extra={"second": True}),
    ]
    assert dict(reviewed_labels(replay(rows))) == {"a.jpg": ["bo"]}
    undo = Entry(4, 4.0, "bo", Action.UNDO, "a.jpg", extra={"undoes": 2})
    assert dict(reviewed_labels(replay([*rows, undo]))) == {}
    skip = Entry(2, 2.0, "bo", Action.SKIP, "a.jpg", extra=review)
    assert dict(reviewed_labels(replay([rows[0], skip]))) == {}  # a skip is not a label
