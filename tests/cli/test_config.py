"""`annotator config show --origin`: which settings hold, and where each is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings


@pytest.fixture
def project(tmp_path: Path) -> Path:
    images = tmp_path / "images"
    images.mkdir()
    settings = Settings(classes=(ClassInfo("ok"), ClassInfo("bad")), images=str(images), seed=7)
    return ProjectFolder.create(tmp_path / "p", settings).folder


def _run(home: Path, *args: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ANNOTATOR_")}
    done = subprocess.run(
        [sys.executable, "-m", "annotator", "config", "show", *args],
        capture_output=True, text=True, check=False,
        env={**kept, "XDG_CONFIG_HOME": str(home), **env},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def test_each_setting_names_where_it_is_said(project: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "annotator").mkdir(parents=True)
    (home / "annotator" / "config.toml").write_text('keymap = "vim"\ngraphics = "sixel"\n')
    done = _run(home, str(project), "--json", ANNOTATOR_GRAPHICS="kitty")
    found = json.loads(done.stdout)
    assert found["seed"] == [7, str(project / "annotator.toml")]
    assert found["keymap"] == ["vim", str(home / "annotator" / "config.toml")]
    assert found["graphics"] == ["kitty", "$ANNOTATOR_GRAPHICS"]
    assert found["context"] == [0.25, "default"]
    assert found["classes"][0] == ["ok", "bad"]
    text = _run(home, str(project), "--origin").stdout
    assert any(line.startswith("seed = 7 ") and "annotator.toml" in line
               for line in text.splitlines())  # fmt: skip


def test_a_setting_that_is_unknown_is_named_with_its_file(project: Path, tmp_path: Path) -> None:
    toml = project / "annotator.toml"
    toml.write_text("colour = 3\n" + toml.read_text())
    done = _run(tmp_path, str(project), code=1)
    assert "colour: not a setting of this file" in done.stderr
    assert "annotator.toml" in done.stderr


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("line", ['keys = "fixed"', 'digits = "fixed"'])
def test_fixed_digits_have_two_spellings_in_either_file(
    project: Path, tmp_path: Path, line: str, own: bool
) -> None:
    home = tmp_path / "home"
    (home / "annotator").mkdir(parents=True)
    mine, theirs = home / "annotator" / "config.toml", project / "annotator.toml"
    file = mine if own else theirs
    file.write_text(f"{line}\n{file.read_text() if file.exists() else ''}")
    found = json.loads(_run(home, str(project), "--json").stdout)
    assert found["digits"] == ["fixed", str(file)]
    assert found["keys"][1] == "default"
    mine.write_text('digits = "model"\n[keys]\nskip = "x"\n')
    found = json.loads(_run(home, str(project), "--json").stdout)
    assert found["digits"][0] == ("model" if own else "fixed")


@pytest.mark.parametrize("line", ['keys = "loose"', 'digits = "loose"', "digits = 9"])
def test_other_digits_are_refused_with_the_line(project: Path, tmp_path: Path, line: str) -> None:
    file = project / "annotator.toml"
    file.write_text(f"{line}\n{file.read_text()}")
    error = _run(tmp_path, str(project), code=1).stderr
    assert "line 1, " in error and '"fixed"' in error
