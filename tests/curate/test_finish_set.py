"""A finished set is certified as a whole: the model labels a part, and people label the rest."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from annotator.cli.app import app
from annotator.curate.finish import begin_audit, undo_machine_labels
from annotator.curate.finish_set import SetAudit, SetPromise, begin_set_audit
from annotator.errors import ProjectError
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.session.mode import SessionMode
from annotator.session.session import LabelSession
from tests.curate.test_audit_risks import Labelled, load_labels, make_pool


def make_random(
    folder: Path, X: NDArray[np.floating], labels: list[str], count: int, classes: tuple[str, ...]
) -> Labelled:
    """A project in which `count` items were drawn at random and labelled."""
    made = make_pool(folder, X, labels, classes)
    chosen = np.random.default_rng(3).permutation(sorted(made.truth))[:count].tolist()
    made.store.append(
        *(
            Entry(0, 1e9 + 2 * n, "ann", Action.LABEL, ref, made.truth[ref], picked_by="random",
                  q=1 / (len(X) - n), pool=len(X) - n)
            for n, ref in enumerate(chosen)
        )
    )  # fmt: skip
    return made


@pytest.fixture
def tiles(shared: Path, tmp_path: Path) -> Labelled:
    """Magnetic tiles with 300 labels: 57 of 1,344 are cracks."""
    folder = shared / "data" / "magnetic-tile"
    labels = load_labels(folder / "truth.csv")
    X = np.load(folder / "features.npy")
    return make_random(tmp_path, X, labels, 300, tuple(sorted(set(labels))))


@pytest.fixture
def clouds(tmp_path: Path) -> Labelled:
    """900 items in two clouds that overlap; a tenth are defects."""
    rng = np.random.default_rng(0)
    labels = ["ok" if n % 10 else "defect" for n in range(900)]
    X = rng.normal(0, 0.5, (900, 8)).astype(np.float32)
    X[:, 0] += np.where(np.array(labels) == "ok", 1, -1)
    return make_random(tmp_path, X, labels, 100, ("ok", "defect"))


def state_of(labelled: Labelled) -> LogState:
    return replay(labelled.store.entries())


def begin(labelled: Labelled, promise: SetPromise) -> SetAudit:
    return begin_set_audit(labelled.project, labelled.store, promise)


def answer(labelled: Labelled, audit: SetAudit, most: int, wrong: int = 0) -> None:
    """Answer what the audit asks until it asks no more; the first `wrong` answers are skips."""
    mode = SessionMode(audit=audit.attempt.name, is_lost=audit.is_lost)
    names = labelled.project.settings.names
    while (found := audit.verdict(state_of(labelled))).more is not None and most > 0:
        session = LabelSession(labelled.store, names, annotator="ann", mode=mode)
        session.extend(audit.refs_to_ask(state_of(labelled)))
        before = most
        while session.current is not None and most > 0:
            most -= 1
            wrong -= 1
            if wrong >= 0:
                session.skip()
            else:
                session.label(labelled.truth[session.current.ref])
        session.close()
        assert most < before, found


def wrong_labels(labelled: Labelled) -> dict[str, str]:
    """The model's labels that are wrong: ref to label."""
    machine = {ref: s[-1] for ref, s in state_of(labelled).standing.items() if s[-1].by_machine}
    return {
        ref: str(entry.label)
        for ref, entry in machine.items()
        if entry.label != labelled.truth[ref]
    }


def test_of_the_whole_set_no_more_are_wrong_than_promised_and_the_rest_stays_open(
    tiles: Labelled,
) -> None:
    audit = begin(tiles, SetPromise(0.01, 0.95))
    answer(tiles, audit, most=2000)
    state = state_of(tiles)
    found = audit.verdict(state)
    assert found.certified and found.spared >= 20
    people = sum(state.counts.values())
    count = audit.accept(tiles.store, state, 0.0)
    state = state_of(tiles)
    assert count == found.spared
    assert len(wrong_labels(tiles)) <= 0.01 * len(tiles.truth)
    assert sum(state.counts.values()) == people + count < len(tiles.truth)
    row = next(s[-1] for s in state.standing.values() if s[-1].by_machine)
    extra = dict(row.extra or {})
    assert extra["of"] == "set" and extra["labels"] == len(tiles.truth)
    assert extra["rest"] == len(tiles.truth) - people - count > 0
    words = "\n".join(audit.result_lines(state, audit.verdict(state), count))
    assert f"{extra['rest']:,} items stay open" in words and "annotator run" in words
    with pytest.raises(ProjectError, match="only if people label the rest"):
        begin_audit(tiles.project, tiles.store, max_error=0.1, level=0.95)
    assert undo_machine_labels(tiles.store, state, "ann", 0.0) == count
    assert sum(state_of(tiles).counts.values()) == people


def test_an_audit_of_a_set_goes_on_on_another_day_and_after_a_crash_in_its_end(
    tiles: Labelled,
) -> None:
    first = begin(tiles, SetPromise(0.02, 0.95))
    answer(tiles, first, most=20)
    again = begin(tiles, SetPromise(0.02, 0.95))
    assert again.attempt == first.attempt and list(again.accepted) == list(first.accepted)
    assert again.verdict(state_of(tiles)).audited == 20
    answer(tiles, again, most=2000)
    whole = [ref for ref, _ in again.certified_labels(
        state_of(tiles), again.verdict(state_of(tiles)))]  # fmt: skip
    assert again.accept(tiles.store, state_of(tiles), 0.0) == len(whole)
    written = [row for row in tiles.store.entries() if row.by_machine]
    tiles.store.append(*(  # what a crash would have left unwritten
        Entry(0, 0.0, "ann", Action.UNDO, row.ref, extra={"undoes": row.seq}) for row in written[5:]
    ))  # fmt: skip
    later = begin(tiles, SetPromise(0.02, 0.95))
    assert later.attempt == first.attempt
    assert later.accept(tiles.store, state_of(tiles), 0.0) == len(whole) - 5


def test_one_sample_serves_every_threshold_errors_make_the_part_smaller(tiles: Labelled) -> None:
    audit = begin(tiles, SetPromise(0.02, 0.95))
    before = audit.verdict(state_of(tiles))
    answer(tiles, audit, most=6, wrong=6)
    after = audit.verdict(state_of(tiles))
    assert after.wrong == 6
    assert after.items < before.items and after.threshold > before.threshold


def test_a_skipped_item_is_not_labelled_by_the_model(clouds: Labelled) -> None:
    audit = begin(clouds, SetPromise(0.05, 0.95))
    answer(clouds, audit, most=2000, wrong=1)
    state = state_of(clouds)
    skipped = [ref for ref in state.standing if state.label(ref) is None]
    assert audit.verdict(state).certified and len(skipped) == 1
    audit.accept(clouds.store, state, 0.0)
    assert state_of(clouds).label(skipped[0]) is None


def test_of_a_rare_class_no_more_is_lost_than_promised(tiles: Labelled) -> None:
    promise = SetPromise(0.05, 0.95, max_missed=(("crack", 0.1),))
    audit = begin(tiles, promise)
    assert audit.first, "people look at the likeliest cracks first"
    asked = audit.refs_to_ask(state_of(tiles))
    assert asked[: len(audit.first)] == list(audit.first)
    assert not set(audit.first) & set(audit.accepted)
    answer(tiles, audit, most=2000)
    state = state_of(tiles)
    assert audit.verdict(state).certified
    audit.accept(tiles.store, state, 0.0)
    lost = [ref for ref in wrong_labels(tiles) if tiles.truth[ref] == "crack"]
    assert len(lost) <= 0.1 * 57
    assert begin(tiles, promise).attempt == audit.attempt
    assert "At most 10.0% of crack" in "\n".join(
        audit.result_lines(state, audit.verdict(state), None)
    )


def test_a_limit_for_each_class_holds_in_each(clouds: Labelled) -> None:
    audit = begin(clouds, SetPromise(0.2, 0.95, per_class=True))
    assert {limit.name for limit in audit.plan.classes} == {"ok", "defect"}
    answer(clouds, audit, most=2000)
    audit.accept(clouds.store, state_of(clouds), 0.0)
    for name, size in (("ok", 810), ("defect", 90)):
        lost = [ref for ref in wrong_labels(clouds) if clouds.truth[ref] == name]
        assert len(lost) <= 0.2 * size


def test_nothing_is_promised_of_a_class_without_a_label(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = ["ok" if n % 2 else "defect" for n in range(400)]
    X = rng.normal(0, 0.3, (400, 4)).astype(np.float32)
    X[:, 0] += np.where(np.array(labels) == "ok", 1, -1)
    made = make_random(tmp_path, X, labels, 60, ("ok", "defect", "never"))
    with pytest.raises(ProjectError, match="No label of never yet"):
        begin(made, SetPromise(0.05, 0.95, per_class=True))
    with pytest.raises(ProjectError, match="There is no class scratch"):
        begin(made, SetPromise(0.05, 0.95, max_missed=(("scratch", 0.1),)))


def test_other_labels_of_a_model_are_taken_back_first(clouds: Labelled) -> None:
    audit = begin_audit(clouds.project, clouds.store, max_error=0.2, level=0.95)
    session = LabelSession(
        clouds.store, ("ok", "defect"), annotator="ann",
        mode=SessionMode(audit=audit.attempt.name),
    )  # fmt: skip
    session.extend(audit.refs_to_ask(state_of(clouds)))
    while session.current is not None:
        session.label(clouds.truth[session.current.ref])
    session.close()
    assert audit.verdict(state_of(clouds)).certified
    audit.accept(clouds.store, state_of(clouds), 0.0)
    with pytest.raises(ProjectError, match="--take-back"):
        begin(clouds, SetPromise(0.05, 0.95))


def test_a_promise_on_classes_is_one_on_the_set(clouds: Labelled) -> None:
    folder = str(clouds.project.folder)
    for words in (["--per-class"], ["--max-missed", "defect=0.1"]):
        found = CliRunner().invoke(app, ["finish", folder, "--plan", *words])
        assert found.exit_code == 2 and "--of set" in re.sub(r"\s+", " ", found.output)
    found = CliRunner().invoke(app, ["finish", folder, "--of", "set", "--max-missed", "defect"])
    assert found.exit_code == 2 and "CLASS=SHARE" in found.output


def test_the_price_list_has_both_promises(tiles: Labelled) -> None:
    folder = str(tiles.project.folder)
    found = CliRunner().invoke(app, ["finish", folder, "--of", "set", "--plan", "--json"])
    assert found.exit_code == 0
    table = json.loads(found.stdout)
    whole = {offer["max_error"]: offer for offer in table["set_offers"]}
    alone = {offer["max_error"]: offer for offer in table["offers"]}
    assert table["of"] == "set" and list(whole) == list(alone) == [0.01, 0.02, 0.05, 0.1]
    for error, offer in whole.items():
        assert offer["spared"] >= alone[error]["spared"]
        assert offer["spared"] + offer["left"] == len(tiles.truth) - 300
    words = CliRunner().invoke(app, ["finish", folder, "--of", "set", "--plan"]).output
    assert f"{whole[0.05]['left']:,} labels for you" in words
