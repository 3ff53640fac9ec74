"""An audit continues although the project changes, and what it has spent stays spent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from annotator.cli.app import app
from annotator.curate.finish import Audit, begin_audit
from annotator.curate.finish_set import SetPromise, begin_set_audit
from annotator.errors import ProjectError
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.log.entries import Action, Entry
from annotator.project.project import ProjectFolder
from annotator.session.mode import SessionMode
from annotator.session.session import LabelSession
from tests.curate.test_audit_risks import Labelled
from tests.curate.test_finish_set import (
    answer,
    begin,
    clouds,
    make_random,
    state_of,
    wrong_labels,
)

__all__ = ["clouds"]
Begin = Callable[[Labelled], Audit]


def begin_accepted(labelled: Labelled) -> Audit:
    return begin_audit(labelled.project, labelled.store, max_error=0.05, level=0.95)


def begin_set(labelled: Labelled) -> Audit:
    return begin_set_audit(labelled.project, labelled.store, SetPromise(0.02, 0.95))


both = pytest.mark.parametrize("begins", [begin_accepted, begin_set])


def reopen(labelled: Labelled) -> Labelled:
    return Labelled(ProjectFolder.open(labelled.project.folder), labelled.truth)


def draw(labelled: Labelled, audit: Audit, count: int) -> list[str]:
    """Answer `count` items of the audit as the model predicts them."""
    mode = SessionMode(audit=audit.attempt.name)
    session = LabelSession(labelled.store, ("ok", "defect"), annotator="ann", mode=mode)
    session.extend(list(audit.askable(state_of(labelled))))
    asked = []
    for _ in range(count):
        assert session.current is not None
        asked.append(session.current.ref)
        session.label(audit.accepted[asked[-1]][0])
    session.close()
    return asked


@both
def test_items_that_are_added_do_not_end_an_audit(clouds: Labelled, begins: Begin) -> None:
    first = begins(clouds)
    draw(clouds, first, 10)
    project, folder = clouds.project, clouds.project.folder.parent
    refs = [f"{n:05}.jpg" for n in range(1000)]
    project.refs_file.write_text("filename\n" + "\n".join(refs) + "\n")
    X = np.load(folder / "m.npy")
    np.save(folder / "more.npy", np.vstack([X, X[:100]]))
    FeatureStore.adopt(project.features_folder, folder / "more.npy", RefTable(refs))
    again = begins(reopen(clouds))
    assert again.attempt == first.attempt and again.accepted == first.accepted
    assert again.verdict(state_of(clouds)).audited == 10


@both
def test_a_class_that_is_added_does_not_end_an_audit(clouds: Labelled, begins: Begin) -> None:
    first = begins(clouds)
    draw(clouds, first, 10)
    before = first.verdict(state_of(clouds))
    found = CliRunner().invoke(app, ["add", str(clouds.project.folder), "--class", "weed"])
    assert found.exit_code == 0
    again = begins(reopen(clouds))
    assert again.attempt == first.attempt and again.accepted == first.accepted
    assert again.verdict(state_of(clouds)) == before
    ref = next(ref for ref in again.askable(state_of(clouds)) if not state_of(clouds).label(ref))
    clouds.store.append(
        Entry(0, 2e9, "ann", Action.LABEL, ref, "weed", extra={"audit": again.attempt.name})
    )
    assert again.verdict(state_of(clouds)).wrong == 1


@both
def test_a_class_that_is_renamed_ends_an_audit_and_the_message_names_it(
    clouds: Labelled, begins: Begin
) -> None:
    draw(clouds, begins(clouds), 10)
    settings = clouds.project.folder / "annotator.toml"
    text = settings.read_text()
    settings.write_text(text.replace('"defect"', '"flaw"'))
    with pytest.raises(ProjectError, match="no longer has"):
        begins(reopen(clouds))
    settings.write_text(text)
    assert begins(reopen(clouds)).attempt.number == 1


@both
@pytest.mark.parametrize("how", ["rm finish.json", "undo"])
def test_what_an_audit_has_spent_is_spent_for_good(
    clouds: Labelled, begins: Begin, how: str
) -> None:
    first = begins(clouds)
    asked = draw(clouds, first, 10)
    if how == "undo":
        stacks = state_of(clouds).standing
        clouds.store.append(*(
            Entry(0, 2e9, "ann", Action.UNDO, ref, extra={"undoes": stacks[ref][-1].seq})
            for ref in asked
        ))  # fmt: skip
        assert begins(clouds).attempt == first.attempt
    (clouds.project.folder / "finish.json").unlink()
    later = begins(clouds)
    assert later.attempt.number == 2
    assert later.attempt.plan.alpha < first.attempt.plan.alpha / 10


def finish(labelled: Labelled, *options: str) -> tuple[int, str]:
    words = ["finish", str(labelled.project.folder), "--of", "set", "--max-error", "0.02"]
    found = CliRunner().invoke(app, [*words, *options])
    return found.exit_code, " ".join(f"{found.output} {found.exception or ''}".split())


def test_the_part_that_is_certified_already_can_be_accepted_at_any_time(
    clouds: Labelled,
) -> None:
    assert "No audit with this promise" in finish(clouds, "--accept-ready")[1]
    audit = begin(clouds, SetPromise(0.02, 0.95))
    answer(clouds, audit, most=2)
    assert "Nothing is certified yet" in finish(clouds, "--accept-ready")[1]
    while (found := audit.verdict(state_of(clouds))).ready <= 20 and not found.certified:
        answer(clouds, audit, most=2)
    assert not found.certified
    assert f"{found.ready} labels are certified already" in finish(clouds, "--plan")[1]
    code, words = finish(clouds, "--accept-ready")
    assert code == 0 and f"{found.ready} labels accepted; at most 18 of all 900" in words
    assert len(wrong_labels(clouds)) <= 18
    assert "--take-back" in finish(clouds)[1], "what is accepted is not drawn any more"
    assert finish(clouds, "--accept-ready")[1].startswith("0 labels accepted")
    assert finish(clouds, "--take-back")[0] == 0
    assert begin(clouds, SetPromise(0.02, 0.95)).verdict(state_of(clouds)) == found


def test_labels_that_are_corrected_no_longer_count_for_a_class(clouds: Labelled) -> None:
    audit = begin(clouds, SetPromise(0.2, 0.95, per_class=True))
    answer(clouds, audit, most=2000)
    before = audit.verdict(state_of(clouds))
    assert before.certified
    known = [
        stack[-1] for stack in state_of(clouds).standing.values()
        if stack[-1].label == "defect" and stack[-1].audit is None
    ]  # fmt: skip
    clouds.store.append(*(Entry(0, 2e9, "ann", Action.LABEL, e.ref, "ok") for e in known))
    after = audit.verdict(state_of(clouds))
    assert known and after.ready < before.ready


def test_when_an_audit_sinks_it_names_the_better_threshold_and_its_price(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    labels = ["ok" if n % 2 else "defect" for n in range(3000)]
    X = rng.normal(0, 0.6, (3000, 8)).astype(np.float32)
    X[:, 0] += np.where(np.array(labels) == "ok", 1, -1)
    made = make_random(tmp_path, X, labels, 200, ("ok", "defect"))
    audit = begin_accepted(made)
    assert "new attempt" not in audit.meter(state_of(made)).words
    weak = sorted(audit.accepted, key=lambda ref: audit.accepted[ref][1])[:8]
    sure = list(audit.accepted)[:60]
    for ref in (*weak, *sure):
        said = audit.accepted[ref][0]
        label = said if ref in sure else "defect" if said == "ok" else "ok"
        made.store.append(
            Entry(0, 2e9, "ann", Action.LABEL, ref, label, extra={"audit": audit.attempt.name})
        )
    words = audit.meter(state_of(made)).words
    assert "Better by now: a new attempt at p ≥" in words and "--new-attempt" in words
    shown = CliRunner().invoke(app, [
        "finish", str(made.project.folder), "--max-error", "0.05", "--plan", "--new-attempt",
        "--json",
    ])  # fmt: skip
    table = json.loads(shown.stdout)
    assert table["attempt"] == 2 and table["threshold"] > audit.attempt.plan.threshold
