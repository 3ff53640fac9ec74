"""The answers that a session may look back at: in order, own ones first, each item once."""

from __future__ import annotations

from pathlib import Path

from annotator.log.agreement import measure_agreement
from annotator.log.entries import Action, Entry
from annotator.session.answered import AnswerHistory
from annotator.session.mode import SessionMode
from annotator.session.session import LabelSession
from tests.session.made_sessions import answer, session_on


def _refs(session: LabelSession) -> list[str]:
    history = AnswerHistory(session)
    found: list[Entry] = []
    while (place := history.at(len(found))) is not None:
        found.append(place)
    return [place.ref for place in found]


def test_the_newest_answer_comes_first_and_a_correction_moves_nothing(tmp_path: Path) -> None:
    session = session_on(tmp_path / "log.db")
    history = AnswerHistory(session)
    assert history.at(0) is None
    refs = [answer(session) for _ in range(5)]
    assert _refs(session) == refs[::-1]
    place = history.at(3)
    assert place is not None and place.ref == refs[1]
    assert session.correct(place, "defect") is not None
    assert _refs(session) == refs[::-1]
    assert history.back_to(place, 3) == 3
    answer(session)
    assert history.back_to(place, 3) == 4


def test_an_answer_on_a_page_or_in_a_review_does_not_move_its_item(tmp_path: Path) -> None:
    session = session_on(tmp_path / "log.db")
    refs = [answer(session) for _ in range(4)]
    session.decide({refs[0]: "defect"}, picked_by="review")
    assert _refs(session) == refs[::-1]
    session.undo()
    session.undo()
    assert _refs(session) == refs[2::-1]


def test_ones_own_answers_come_before_those_of_others(tmp_path: Path) -> None:
    bob = session_on(tmp_path / "log.db", annotator="bob")
    theirs = [answer(bob) for _ in range(2)]
    bob.close()
    ann = session_on(tmp_path / "log.db", annotator="ann")
    mine = [answer(ann) for _ in range(2)]
    assert _refs(ann) == [*mine[::-1], *theirs[::-1]]
    place = AnswerHistory(ann).at(3)
    assert place is not None
    ann.correct(place, "defect")
    assert _refs(ann) == [*mine[::-1], *theirs[::-1]]


def test_models_and_imports_gave_no_answer_to_look_back_at(tmp_path: Path) -> None:
    session = session_on(tmp_path / "log.db")
    session.store.append(
        Entry(0, 1.0, "ann", Action.LABEL, "0001.jpg", "ok", picked_by="import"),
        Entry(0, 1.0, "model:m", Action.LABEL, "0002.jpg", "ok", extra={"machine": True}),
    )
    session.refresh()
    assert _refs(session) == []
    session.decide({"0001.jpg": "defect"}, picked_by="review")  # now a person has looked
    assert _refs(session) == ["0001.jpg"]


def test_an_item_that_is_asked_again_is_not_in_view_before_its_answer(tmp_path: Path) -> None:
    session = session_on(tmp_path / "log.db", items=200, mode=SessionMode(repeats=0.4))
    for _ in range(150):
        assert session.current is not None and session.current.ref not in _refs(session)
        answer(session)
    repeated = [ref for ref, stack in session.state.opinions.items() if stack]
    assert repeated
    session.queue.stop()
    refs = _refs(session)
    assert all(refs.count(ref) == 2 for ref in repeated)  # asked twice, answered twice


def test_a_corrected_repeat_counts_once_for_self_agreement(tmp_path: Path) -> None:
    session = session_on(tmp_path / "log.db", items=200, mode=SessionMode(repeats=0.4))
    while not session.state.opinions:
        answer(session)
    place = AnswerHistory(session).at(0)
    assert place is not None and place.second
    before = measure_agreement(session.state).repeats
    assert [pair.observed for pair in before] == [1.0]
    other = "ok" if place.label == "defect" else "defect"
    assert session.correct(place, other) is not None
    after = measure_agreement(session.state).repeats
    assert [(pair.items, pair.observed) for pair in after] == [(1, 0.0)]
    current = session.current
    assert [entry.label for entry in session.undo()] == [other]
    assert session.current == current  # the repeat stays answered
    assert measure_agreement(session.state).repeats == before


def test_an_answer_that_changed_meanwhile_is_not_corrected_unseen(tmp_path: Path) -> None:
    ann = session_on(tmp_path / "log.db", annotator="ann")
    ref = answer(ann)
    place = AnswerHistory(ann).at(0)
    assert place is not None
    bob = session_on(tmp_path / "log.db", annotator="bob")
    bob.decide({ref: "defect"}, picked_by="review")
    assert ann.correct(place, None) is None
    assert [(e.annotator, e.label) for e in ann.beaten_by] == [("bob", "defect")]
    assert ann.state.label(ref) == "defect"
