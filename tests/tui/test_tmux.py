"""Real keys in a real terminal: the command as a user runs it, inside tmux."""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from annotator.log.entries import Entry, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from tests.tui.tmux_terminal import Tmux, state

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Tmux]]:
    """terminal(path, *options, size=...): `annotator run path` in tmux."""
    opened: list[Tmux] = []

    def open_(path: Path, *options: str, size: tuple[int, int] = (80, 24), first: str = "") -> Tmux:
        folder = tmp_path / f"terminal{len(opened)}"
        folder.mkdir()
        words = [sys.executable, "-m", "annotator", "run", str(path), "--graphics", "halfcell"]
        words += ["--no-features", *options]
        opened.append(Tmux(folder, first + shlex.join(words), size))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Six small images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (24, 16), (40 * number, 90, 200)).save(folder / f"{number}.png")
    return folder


def entries(project: Path) -> list[Entry]:
    store = SqliteStore(project / "labels.db")
    try:
        return list(store.entries())
    finally:
        store.close()


def decisions(project: Path) -> list[tuple[str, str | None]]:
    return [(str(row.action), row.label) for row in entries(project)]


def with_one_label(screen: Tmux) -> Tmux:
    screen.sees("0 of 6")
    screen.answer("a", "1 of 6")
    return screen


def test_label_undo_restart_resume_finish(
    terminal: Callable[..., Tmux], images: Path, tmp_path: Path
) -> None:
    project = tmp_path / "p"
    first = terminal(images, "--project", str(project), "--classes", "ok,defect")
    first.sees("0 of 6")
    first.answer("a", "1 of 6")
    first.answer("Right", "2 of 6")
    first.press("BSpace")
    first.sees("taken back: defect")
    first.press("s")
    first.sees("1 skipped")
    shown = first.until(lambda: first.named)
    first.press("q")
    first.sees("2 answered")
    first.sees("annotator run")
    first.sees("status 0")
    assert decisions(project) == [
        ("label", "ok"), ("label", "defect"), ("undo", None), ("skip", None),
    ]  # fmt: skip

    again = terminal(project)
    again.sees("2 of 6")  # one of them skipped
    again.sees(f" {shown} ")  # the very picture that was on screen
    for count in range(3, 7):
        again.answer("d", f"{count} of 6" if count < 6 else "All answered")
    again.sees("annotator export")
    again.press("q")
    again.sees("Nothing is left")
    standing = replay(entries(project))
    assert sorted(filter(None, map(standing.label, standing.standing))) == ["defect"] * 4 + ["ok"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(
    terminal: Callable[..., Tmux], images: Path, tmp_path: Path, number: signal.Signals
) -> None:
    project = tmp_path / "p"
    screen = with_one_label(terminal(images, "--project", str(project)))
    os.kill(screen.pid(), number)
    screen.sees(f"status {128 + number}")
    assert "1 of 6" not in screen.text  # the alternate screen is left
    screen.press("echo typed | tr a-z A-Z", "Enter")
    screen.sees("TYPED")  # the shell has the keyboard as it was
    assert screen.run("display", "-p", "#{mouse_any_flag}#{alternate_on}").strip() == "00"
    assert len(entries(project)) == 1


def test_suspended_and_taken_up_again(
    terminal: Callable[..., Tmux], images: Path, tmp_path: Path
) -> None:
    screen = terminal(images, "--project", str(tmp_path / "p"))
    screen.sees("0 of 6")
    pid = screen.pid()
    screen.press("C-z")
    screen.until(lambda: state(pid) == "T")
    screen.until(lambda: screen.run("display", "-p", "#{alternate_on}").strip() == "0")
    os.kill(pid, signal.SIGCONT)
    screen.sees("0 of 6")
    screen.answer("a", "1 of 6")


def test_a_line_that_is_cut_ends_it_and_gives_its_items_back(
    terminal: Callable[..., Tmux], images: Path, tmp_path: Path
) -> None:
    project = tmp_path / "p"
    screen = with_one_label(terminal(images, "--project", str(project)))
    pid = screen.pid()
    screen.close()
    screen.until(lambda: not state(pid))
    assert decisions(project) == [("label", "negative")]
    store = SqliteStore(project / "labels.db")
    assert store.leased_by_others(time.time(), "nobody") == set()
    store.close()


def test_a_killed_session_loses_nothing_and_comes_back_to_its_picture(
    terminal: Callable[..., Tmux], images: Path, tmp_path: Path
) -> None:
    project = tmp_path / "p"
    screen = with_one_label(terminal(images, "--project", str(project)))
    shown = screen.named
    os.kill(screen.pid(), signal.SIGKILL)
    screen.sees("status 137")
    assert decisions(project) == [("label", "negative")]
    again = terminal(project)
    again.sees("1 of 6")
    again.sees(f" {shown} ")


def test_two_annotators_at_once(
    terminal: Callable[..., Tmux], images: Path, tmp_path: Path
) -> None:
    for number in range(6, 30):
        Image.new("RGB", (24, 16)).save(images / f"{number}.png")
    project = tmp_path / "p"
    ann = terminal(images, "--project", str(project), "--annotator", "ann")
    ann.sees("0 of 30")
    bob = terminal(project, "--annotator", "bob")
    bob.sees("0 of 30")
    ann.sees("6 leased")
    ann.answer("a", "1 of 30")
    bob.sees("1 of 30")
    for count in range(1, 9, 2):
        for place, (who, key) in enumerate([(ann, "a"), (bob, "d")], 1):
            who.answer(key, lambda wanted=count + place: len(entries(project)) == wanted)
    ann.sees("9 of 30")
    bob.sees("9 of 30")
    rows = entries(project)
    assert len({row.ref for row in rows}) == len(rows) == 9
    assert {row.annotator for row in rows} == {"ann", "bob"}
    ann.press("q")  # and resumes under the same name
    ann.until(lambda: "--annotator ann" in ann.text.replace("\n", ""))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk(terminal: Callable[..., Tmux], images: Path, tmp_path: Path) -> None:
    project = tmp_path / "p"
    project.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(project)], capture_output=True
    )
    if mount.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        ProjectFolder.create(
            project, Settings((ClassInfo("no"), ClassInfo("yes")), images=str(images))
        )
        screen = terminal(project)
        screen.sees("0 of 6")
        screen.answer("a", "1 of 6")
        ballast = project / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)) == 4096:
                    pass
            except OSError:
                pass
        for count in range(2, 7):  # the pages that SQLite has already may hold some more
            screen.press("d")
            ends = "NOT SAVED", "All labelled", f"{count} of 6"
            screen.until(lambda ends=ends: any(words in screen.text for words in ends))
            if "NOT SAVED" in screen.text:
                break
        else:
            pytest.skip("this SQLite found room for six labels on a full disk")
        screen.sees("NOT SAVED: The disk is full")
        shown = screen.named
        saved = len(entries(project))
        screen.press("d", "s", "f", "h")
        screen.sees("Label as yes")  # the help: the keys before it were taken
        screen.press("h")
        screen.until(lambda: "Label as yes" not in screen.text)
        assert screen.named == shown
        assert len(entries(project)) == saved
        ballast.unlink()
        screen.answer("d", lambda: "NOT SAVED" not in screen.text)
        assert [row.ref for row in entries(project)][saved:] == [shown]
        screen.press("q")
        screen.sees("status 0")
    finally:
        subprocess.run(["umount", "-l", str(project)], check=True)


def test_a_tiny_window(terminal: Callable[..., Tmux], images: Path, tmp_path: Path) -> None:
    screen = terminal(images, "--project", str(tmp_path / "p"), size=(40, 10))
    screen.sees("This window is too small")
    screen.press("a")
    screen.run("resize-window", "-x", "60", "-y", "20")
    screen.sees("0 of 6")
    screen.answer("a", "1 of 6")


def test_a_window_that_grew_leaves_nothing_behind(
    terminal: Callable[..., Tmux], images: Path, tmp_path: Path
) -> None:
    screen = terminal(images, "--project", str(tmp_path / "p"))
    screen.sees("0 of 6")
    screen.run("resize-window", "-x", "110", "-y", "40")
    screen.until(lambda: "H help" in screen.text.splitlines()[39])
    screen.press("q")
    screen.sees("status 0")
    assert screen.text.startswith("0 answered")


def test_flowers(terminal: Callable[..., Tmux], shared: Path, tmp_path: Path) -> None:
    """Real photographs, labelled by what they are."""
    flowers = shared / "data" / "flowers"
    with (flowers / "truth.csv").open() as file:
        truth = {Path(row["filename"]).name: row["label"] for row in csv.DictReader(file)}
    kinds = sorted(set(truth.values()))
    project = tmp_path / "p"
    screen = terminal(
        flowers / "images", "--project", str(project), "--classes", ",".join(kinds)
    )  # fmt: skip
    screen.sees("0 of 1,500")
    given = {}
    for count in range(1, 6):
        name = screen.named
        given[name] = truth[name]
        screen.answer(str(kinds.index(truth[name]) + 1), f"{count} of 1,500")
    screen.press("q")
    screen.sees("5 answered")
    assert {row.ref: row.label for row in entries(project)} == given
