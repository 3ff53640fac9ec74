"""annotator check on the command line: what it shows, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotator.log.store.open import load_log_state
from annotator.project.project import ProjectFolder
from annotator.session.check import open_check
from tests.cli.command_line import bad, good
from tests.session.test_check import ask, make, truth, write
from tests.session.test_check import project as project  # noqa: PLC0414  a fixture


def test_without_a_terminal_it_asks_nothing_and_freezes_nothing(project: ProjectFolder) -> None:
    assert "needs a terminal" in bad("check", project.folder)
    assert "annotator check" in bad("check", project.folder, "--show")
    assert "--show" in bad("check", project.folder, "--show", "--new", code=2)
    assert not [*project.folder.glob("check-*")]


def test_show_prints_the_result_so_far(project: ProjectFolder) -> None:
    check = open_check(project, load_log_state(project))
    ask(project, check, 40)
    text = good("check", project.folder, "--show")
    assert "40 checked" in text and "crack:" in text and "annotator check" in text
    found = json.loads(good("check", project.folder, "--show", "--json"))
    assert found["checked"] == 40 and not found["rules"] and not found["done"]
    assert found["error"]["low"] < found["error"]["value"] < found["error"]["high"]
    assert set(found["classes"]) == {"ok", "crack"}
    wide = json.loads(good("check", project.folder, "--show", "--json", "--confidence", "0.99"))
    assert wide["error"]["high"] > found["error"]["high"]
    status = json.loads(good("status", project.folder, "--json"))["check"]
    assert status["error"] == found["error"]
    assert "check-1 of ridge@60: 40 items checked" in good("status", project.folder)


def test_the_exit_status_says_if_the_rules_are_met(project: ProjectFolder) -> None:
    ask(project, open_check(project, load_log_state(project)), 60)
    rules = ["check", project.folder, "--show", "--json", "--max-error", "0.9"]
    assert json.loads(good(*rules))["done"]
    bad(*rules, "--min-found", "crack=0.99")
    bad("check", project.folder, "--show", "--max-error", "0.000001")


@pytest.mark.parametrize("text", ["crack", "crack=", "=0.5", "crack=2", "crack=0", "crack=nan"])
def test_a_rule_about_a_class_is_a_class_and_a_share(project: ProjectFolder, text: str) -> None:
    assert "CLASS=SHARE" in bad("check", project.folder, "--show", "--min-found", text, code=2)


def test_the_labels_of_a_check_enter_the_estimate_of_the_pool(tmp_path: Path) -> None:
    from annotator.project.settings import ClassInfo

    project = make(tmp_path, (ClassInfo("ok"), ClassInfo("crack")))
    write(project, {f"{n:03}.jpg": truth(f"{n:03}.jpg") for n in range(60)}, picked_by="import")
    assert json.loads(good("status", project.folder, "--json"))["estimate"] is None
    ask(project, open_check(project, load_log_state(project)), 30)
    found = json.loads(good("status", project.folder, "--json"))["estimate"]
    assert found["labels"] == 30 and found["n_eff"] == pytest.approx(30)
