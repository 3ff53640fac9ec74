"""A check: it asks a uniform sample in its order, and what it shows holds whatever else happens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotator.errors import FeatureError, ProjectError
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.log.store.open import load_log_state
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder, append_classes
from annotator.project.settings import ClassInfo, Settings
from annotator.report.status import format_status, project_status
from annotator.session.check import Check, find_check, open_check
from annotator.session.check_result import StopRules, result_lines
from annotator.session.frozen_model import load_frozen_model, store_frozen_model
from annotator.session.mode import SessionMode
from annotator.session.session import LabelSession

ITEMS, LABELLED = 400, 60


def truth(ref: str) -> str:
    return "crack" if int(Path(ref).stem) % 8 == 0 else "ok"


def make(folder: Path, infos: tuple[ClassInfo, ...], **settings: bool) -> ProjectFolder:
    made = ProjectFolder.create(folder / "p", Settings(infos, images=str(folder), **settings))
    refs = [f"{n:03}.jpg" for n in range(ITEMS)]
    made.refs_file.write_text("ref\n" + "\n".join(refs) + "\n")
    rng = np.random.default_rng(0)
    X = rng.normal(0, 0.6, (ITEMS, 6)).astype(np.float32)
    X[:, 0] += [1 if truth(ref) == "ok" else -1 for ref in refs]
    np.save(folder / "mine.npy", X)
    FeatureStore.adopt(made.features_folder, folder / "mine.npy", RefTable(refs))
    return made


def write(project: ProjectFolder, answers: dict[str, str | None], **fields: object) -> None:
    store = SqliteStore(project.labels_file)
    rows = (
        Entry(0, float(at), "ann", Action.LABEL if name else Action.SKIP, ref, name, **fields)  # type: ignore[arg-type]
        for at, (ref, name) in enumerate(answers.items())
    )
    store.append(*rows)
    store.close()


def state_of(project: ProjectFolder) -> LogState:
    return load_log_state(project)


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    """400 items, an eighth of them cracks; 60 have labels."""
    made = make(tmp_path, (ClassInfo("ok"), ClassInfo("crack")))
    write(made, {f"{n:03}.jpg": truth(f"{n:03}.jpg") for n in range(LABELLED)})
    return made


def ask(project: ProjectFolder, check: Check, count: int, annotator: str = "ann") -> list[str]:
    """Label the next items of a check as its screen does; return their refs."""
    store, asked = SqliteStore(project.labels_file), []
    state = replay(store.entries())
    check.choose_refs(state)
    mode = SessionMode(check.name, "", check.is_over, sample=check)
    session = LabelSession(
        store, project.settings.names, annotator=annotator, mode=mode, priorities=mode.asked_first
    )
    session.extend(check.refs)
    for _ in range(count):
        if session.current is None:
            break
        assert session.prediction is None
        asked.append(session.current.ref)
        session.label(truth(session.current.ref))
    session.close()
    store.close()
    return asked


def true_error(check: Check) -> float:
    frozen = check.frozen
    pairs = zip(frozen.refs, frozen.predicted, strict=True)
    return float(np.mean([truth(ref) != guess for ref, guess in pairs]))


def test_it_asks_in_the_order_of_the_draws_and_its_labels_have_a_propensity(
    project: ProjectFolder,
) -> None:
    check = open_check(project, state_of(project))
    asked = ask(project, check, 30)
    assert tuple(asked) == check.frozen.refs[:30]
    rows = [state_of(project).standing[ref][0] for ref in asked]
    assert [row.pool for row in rows] == list(range(ITEMS - LABELLED, ITEMS - LABELLED - 30, -1))
    assert all(row.picked_by == "check" and row.audit == "check-1" for row in rows)
    assert rows[0].q == pytest.approx(1 / (ITEMS - LABELLED))


def test_the_interval_holds_the_true_error_and_shares(project: ProjectFolder) -> None:
    check = open_check(project, state_of(project))
    ask(project, check, 120)
    state = state_of(project)
    result = check.result(state)
    assert (result.checked, result.items) == (120, ITEMS - LABELLED)
    assert result.error.low <= true_error(check) <= result.error.high
    assert result.error.high - result.error.low < 0.25
    share = check.class_share(state, "crack")
    assert share.share.low <= 1 / 8 <= share.share.high
    assert share.found == sum(state.label(ref) == "crack" for ref in state.standing)
    assert share.found_share.low <= share.found / 50 <= share.found_share.high


def test_all_items_checked_leave_no_doubt(project: ProjectFolder) -> None:
    check = open_check(project, state_of(project))
    ask(project, check, ITEMS)
    result, share = check.result(state_of(project)), check.class_share(state_of(project), "crack")
    assert result.error.low == result.error.high == pytest.approx(true_error(check))
    assert share.share.low == share.share.high == pytest.approx(1 / 8)
    assert share.found_share.low == pytest.approx(1)


def test_it_resumes_with_the_same_model_and_order(project: ProjectFolder) -> None:
    first = open_check(project, state_of(project))
    asked = ask(project, first, 20)
    again = open_check(project, state_of(project))
    assert again.frozen.model == first.frozen.model == f"ridge@{LABELLED}"
    assert again.result(state_of(project)) == first.result(state_of(project))
    more = ask(project, again, 10)
    assert tuple(asked + more) == first.frozen.refs[:30]


def test_a_new_check_freezes_the_model_of_now(project: ProjectFolder) -> None:
    ask(project, open_check(project, state_of(project)), 20)
    check = open_check(project, state_of(project), new=True)
    assert (check.name, check.frozen.model) == ("check-2", f"ridge@{LABELLED + 20}")
    assert check.result(state_of(project)).items == ITEMS - LABELLED - 20


def test_an_item_labelled_elsewhere_counts_with_that_label_and_is_not_asked(
    project: ProjectFolder,
) -> None:
    check = open_check(project, state_of(project))
    second, fourth = check.frozen.refs[1], check.frozen.refs[3]
    write(project, {second: truth(second), fourth: truth(fourth)})
    assert check.result(state_of(project)).checked == 0  # the first draw comes first
    asked = ask(project, check, 2)
    assert tuple(asked) == (check.frozen.refs[0], check.frozen.refs[2])
    assert check.result(state_of(project)).checked == 4


def test_two_annotators_check_one_sample(project: ProjectFolder) -> None:
    check = open_check(project, state_of(project))
    asked = ask(project, check, 5, "ann")
    asked += ask(project, open_check(project, state_of(project)), 5, "bob")
    assert tuple(asked) == check.frozen.refs[:10]
    assert check.result(state_of(project)).checked == 10


def test_a_skip_counts_as_wrong_and_an_undo_takes_it_back(project: ProjectFolder) -> None:
    check = open_check(project, state_of(project))
    write(project, {check.frozen.refs[0]: None})
    result = check.result(state_of(project))
    assert (result.checked, result.wrong, result.skipped) == (1, 1, 1)
    store = SqliteStore(project.labels_file)
    mode = SessionMode(check.name, sample=check)
    session = LabelSession(store, ("ok", "crack"), annotator="ann", mode=mode)
    session.extend(check.frozen.refs)
    assert session.undo() == []  # the skip was not given in this check
    session.label(truth(session.current.ref) if session.current else "")
    assert len(session.undo()) == 1


def test_labels_of_a_model_are_asked_again(project: ProjectFolder) -> None:
    write(project, {"399.jpg": "ok"}, extra={"machine": True, "audit": "finish-1"})
    check = open_check(project, state_of(project))
    assert "399.jpg" in check.frozen.refs
    asked = ask(project, check, ITEMS)
    assert "399.jpg" in asked
    assert not state_of(project).standing["399.jpg"][-1].by_machine


def test_a_rule_about_the_error_ends_the_check(project: ProjectFolder) -> None:
    check = open_check(project, state_of(project), rules=StopRules(max_error=0.3))
    asked = ask(project, check, ITEMS)
    result = check.result(state_of(project))
    assert result.done and result.error.high <= 0.3
    assert len(asked) == result.checked < 150


def test_a_rule_about_a_class_needs_most_of_its_items(project: ProjectFolder) -> None:
    rules = StopRules(min_found={"crack": 0.9})
    check = open_check(project, state_of(project), rules=rules)
    cracks = [f"{n:03}.jpg" for n in range(0, ITEMS, 8)]
    ask(project, check, 40)
    assert not check.result(state_of(project)).done
    write(project, {ref: "crack" for ref in cracks if state_of(project).label(ref) is None})
    ask(project, check, ITEMS)
    (rule,) = check.result(state_of(project)).rules
    assert rule.met and rule.bound >= 0.9
    assert check.result(state_of(project)).checked < ITEMS - LABELLED


def test_new_items_and_classes_are_named_and_change_nothing(project: ProjectFolder) -> None:
    check = open_check(project, state_of(project))
    ask(project, check, 30)
    before = check.result(state_of(project))
    with project.refs_file.open("a") as file:
        file.write("new-1.jpg\nnew-2.jpg\n")
    append_classes(project, [ClassInfo("dent")])
    again = find_check(ProjectFolder.open(project.folder), load_refs(project))
    assert again is not None
    after = again.result(state_of(project))
    assert replace(after, caveats=()) == replace(before, caveats=())
    words = " ".join(after.caveats)
    assert "2 items came since" in words and "dent" in words
    dent = again.class_share(state_of(project), "dent")
    assert dent.share.low == 0 and dent.share.high < 0.2
    assert project_status(ProjectFolder.open(project.folder))["check"]["checked"] == 30


def test_a_class_that_is_gone_makes_its_predictions_wrong(project: ProjectFolder) -> None:
    check = open_check(project, state_of(project))
    settings = replace(project.settings, classes=(ClassInfo("ok"), ClassInfo("scratch")))
    changed = Check(replace(project, settings=settings), check.frozen, load_refs(project))
    assert any("crack is a class no more" in note for note in changed.result(LogState()).caveats)


def test_a_drawn_item_that_is_gone_counts_as_wrong(project: ProjectFolder) -> None:
    check = open_check(project, state_of(project))
    gone = check.frozen.refs[0]
    project.refs_file.write_text(project.refs_file.read_text().replace(f"{gone}\n", ""))
    again = find_check(project, load_refs(project))
    assert again is not None
    ask(project, again, 3)
    result = again.result(state_of(project))
    assert (result.checked, result.wrong >= 1) == (4, True)
    assert any("1 drawn item left the project" in note for note in result.caveats)


def test_a_skip_of_the_past_is_not_asked(tmp_path: Path, project: ProjectFolder) -> None:
    write(project, {"300.jpg": None})
    check = open_check(project, state_of(project))
    assert "300.jpg" not in check.frozen.refs


def test_of_two_processes_that_begin_a_check_the_first_wins(project: ProjectFolder) -> None:
    first = open_check(project, state_of(project)).frozen
    other = replace(first, model="ridge@999")
    assert store_frozen_model(project.folder, other).model == first.model


def test_labels_that_are_corrected_or_outside_the_draws_count_as_they_are(
    project: ProjectFolder,
) -> None:
    check = open_check(project, state_of(project))
    write(project, {f"{n:03}.jpg": "crack" for n in range(LABELLED)})
    write(project, dict.fromkeys(check.frozen.refs[1:], "crack"))
    share = check.class_share(state_of(project), "crack")
    assert share.found == ITEMS - 1
    assert share.share.low == pytest.approx(1 - 1 / ITEMS) and share.share.high == 1
    write(project, {check.frozen.refs[0]: "ok"})
    share = check.class_share(state_of(project), "crack")
    assert share.share.low == share.share.high == pytest.approx(1 - 1 / ITEMS)
    assert share.found_share.low == 1


def test_answers_behind_an_open_draw_wait_and_that_is_said(project: ProjectFolder) -> None:
    check = open_check(project, state_of(project))
    late = {ref: truth(ref) for ref in check.frozen.refs[1:6]}
    write(project, late, extra={"audit": check.name})
    result = check.result(state_of(project))
    assert (result.checked, result.waiting) == (0, 5)
    assert any("5 answers more" in line for line in check.lines(state_of(project)))
    write(project, {check.frozen.refs[0]: "ok"})
    result = check.result(state_of(project))
    assert (result.checked, result.waiting) == (6, 0)


def test_items_without_features_are_named(tmp_path: Path) -> None:
    project = make(tmp_path, (ClassInfo("ok"), ClassInfo("crack")))
    with (project.folder / "refs.csv").open("a") as refs:
        refs.writelines(f"later{n}.jpg\n" for n in range(7))
    write(project, {f"{n:03}.jpg": truth(f"{n:03}.jpg") for n in range(LABELLED)})
    check = open_check(project, state_of(project))
    notes = check.result(state_of(project)).caveats
    assert notes == ("7 items had no features: the check says nothing about them.",)
    assert open_check(project, state_of(project)).result(state_of(project)).caveats == notes


def test_the_command_that_continues_keeps_the_rules_and_the_confidence(
    project: ProjectFolder,
) -> None:
    rules = StopRules(0.05, {"crack": 0.9})
    check = open_check(project, state_of(project), level=0.99, rules=rules)
    options = check.command.split(" --")[1:]
    assert options == ["max-error 0.05", "min-found crack=0.9", "confidence 0.99"]


def test_the_meter_counts_towards_the_rules(project: ProjectFolder) -> None:
    whole = open_check(project, state_of(project))
    assert whole.meter(state_of(project)).more == ITEMS - LABELLED
    limit = true_error(whole) + 0.1
    check = open_check(project, state_of(project), rules=StopRules(limit))
    counts = []
    while not check.result(state_of(project)).done:
        ask(project, check, 10)
        meter = check.meter(state_of(project))
        assert meter.more is not None
        counts.append((meter.asked, meter.more))
    end = counts[-1][0]
    assert counts[-1] == (end, 0) and end < ITEMS - LABELLED
    assert all(more > 0 for _, more in counts[:-1])


def test_an_undo_past_the_start_of_a_resumed_check_brings_the_item_back(
    project: ProjectFolder,
) -> None:
    check = open_check(project, state_of(project))
    first = ask(project, check, 5)
    store = SqliteStore(project.labels_file)
    check.choose_refs(replay(store.entries()))
    mode = SessionMode(check.name, "", check.is_over, sample=check)
    session = LabelSession(
        store, ("ok", "crack"), annotator="ann", mode=mode, priorities=mode.asked_first
    )
    session.extend([*check.answered_refs, *check.refs])
    assert session.undo()
    assert session.current is not None and session.current.ref == first[-1]
    session.close()


def test_a_damaged_file_is_named_with_the_way_out(project: ProjectFolder) -> None:
    open_check(project, state_of(project))
    (project.folder / "check-1.npz").write_bytes(b"no archive")
    with pytest.raises(ProjectError, match=r"check-1\.npz cannot be read.*\n?.*mv "):
        load_frozen_model(project.folder)
    assert "check-1.npz cannot be read" in format_status(project_status(project))


def test_what_a_check_needs(tmp_path: Path, project: ProjectFolder) -> None:
    assert find_check(project, load_refs(project)) is None
    with pytest.raises(ProjectError, match="cracks is not a class"):
        open_check(project, state_of(project), rules=StopRules(min_found={"cracks": 0.9}))
    with pytest.raises(ProjectError, match="No class has labels"):
        open_check(project, LogState())
    write(project, {f"{n:03}.jpg": truth(f"{n:03}.jpg") for n in range(ITEMS)})
    with pytest.raises(ProjectError, match="no unlabelled item"):
        open_check(project, state_of(project))
    bare = ProjectFolder.create(tmp_path / "bare", Settings((ClassInfo("ok"),)))
    (tmp_path / "bare" / "refs.csv").write_text("ref\n1.jpg\n")
    with pytest.raises(FeatureError):
        open_check(bare, LogState())


def test_an_inner_class_counts_the_classes_below_it(tmp_path: Path) -> None:
    infos = (ClassInfo("defect"), ClassInfo("ok"), ClassInfo("crack", parent="defect"))
    project = make(tmp_path, infos)
    write(project, {f"{n:03}.jpg": truth(f"{n:03}.jpg") for n in range(LABELLED)})
    check = open_check(project, state_of(project))
    ask(project, check, 60)
    state = state_of(project)
    inner, leaf = (check.class_share(state, name) for name in ("defect", "crack"))
    assert inner.share.low <= 1 / 8 <= inner.share.high
    assert inner.found == leaf.found
    coarse = {ref: "defect" for ref in check.frozen.refs[:60] if state.label(ref) == "crack"}
    wrong = check.result(state).wrong
    write(project, coarse)
    again = find_check(project, load_refs(project))
    assert again is not None and again.result(state_of(project)).wrong <= wrong


def test_a_set_of_classes_is_wrong_if_one_class_is(tmp_path: Path) -> None:
    project = make(tmp_path, (ClassInfo("ok"), ClassInfo("crack")), multi_label=True)
    write(project, {f"{n:03}.jpg": truth(f"{n:03}.jpg") for n in range(LABELLED)})
    check = open_check(project, state_of(project))
    write(project, dict.fromkeys(check.frozen.refs[:20], "ok|crack"))
    result = check.result(state_of(project))
    expected = sum(
        set(guess.split("|")) != {"ok", "crack"} for guess in check.frozen.predicted[:20]
    )
    assert (result.checked, result.wrong) == (20, expected)
    assert check.class_share(state_of(project), "ok").share.low > 0.1


def test_the_text_names_the_error_the_shares_and_the_rules(project: ProjectFolder) -> None:
    rules = StopRules(0.4, {"crack": 0.5})
    check = open_check(project, state_of(project), rules=rules)
    ask(project, check, 40)
    state = state_of(project)
    text = "\n".join(result_lines(check.result(state), check.class_shares(state)))
    assert "40 checked" in text and "crack:" in text and "however often you look" in text
    assert "error at most 40 %: yes" in text and "50 % of crack found: not yet" in text
