"""The texts without a screen: names that fit, bars, curves, pace, keys."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult

from annotator.errors import ProjectError
from annotator.items.refs import format_duration, make_printable
from annotator.project.settings import ClassInfo
from annotator.session.progress import Progress
from annotator.tui.key_repeat import KeyRepeatFilter, Pace
from annotator.tui.keymaps import COMMAND_NAMES, KEYMAPS, make_keymap
from annotator.tui.label.progress_panel import progress_lines
from annotator.tui.picture.strips import TightCompositor
from annotator.tui.styled_text import (
    Line,
    clip_end,
    clip_start,
    draw_sparkline,
    format_chance,
    justify_line,
    line_width,
    wrap_text,
)
from annotator.tui.widgets.bars import CaptionBar
from annotator.tui.widgets.lines import Lines

NAMES = st.text(st.characters(exclude_categories=("Cs", "Mn", "Me", "Cf")), max_size=40)


@given(NAMES, st.integers(2, 30))
def test_clipped_names_fit_and_cannot_steer(name: str, cells: int) -> None:
    for clipped in (clip_end(name, cells), clip_start(name, cells)):
        assert cell_len(clipped) <= cells
        assert clipped.isprintable() or "\xa0" in name or not name.isprintable()
        assert make_printable(clipped) == clipped


def test_of_a_long_path_the_end_stays() -> None:
    assert clip_start("a/very/long/way/to/0042.png", 10) == "…/0042.png"


def test_the_left_side_wins_where_both_do_not_fit() -> None:
    line = justify_line([("name", "text")], [("1,234", "dim")], 8)
    assert "".join(text for text, _ in line) == "name    "
    assert line_width(justify_line([("name", "text")], [("1", "dim")], 8)) == 8


@given(st.text(st.characters(codec="ascii", exclude_categories=("Cc",))), st.integers(1, 30))
def test_wrapped_lines_fit_and_keep_every_word(text: str, cells: int) -> None:
    lines = wrap_text(text, cells)
    assert all(cell_len(line) <= cells for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_a_per_cent_sign_stays_with_its_number() -> None:
    assert wrap_text("roses 88 %, daisy 6 %", 20) == ["roses 88 %, daisy", "6 %"]


@pytest.mark.parametrize(
    ("share", "words"), [(0.0, "<1 %"), (0.004, "<1 %"), (0.5, "50 %"), (0.999, ">99 %")]
)
def test_a_chance_is_never_certain(share: float, words: str) -> None:
    assert format_chance(share) == words


def test_a_new_value_changes_the_end_of_a_curve_only() -> None:
    values = np.linspace(0, 1, 100)
    before, after = draw_sparkline(values[:99], 30, 1.0), draw_sparkline(values, 30, 1.0)
    assert len(before) == len(after) == 30
    changed = [x for x in range(30) if before[x] != after[x]]
    assert len(changed) <= 1
    assert draw_sparkline(np.array([0.0, 1.0]), 4, 1.0) == "▁█  "


def test_a_long_note_leaves_the_file_its_place() -> None:
    caption = CaptionBar()
    caption.show("images/00012.jpg", "", "✎ " + "remember this " * 20)
    (line,) = caption.draw(80, 1)
    words = "".join(text for text, _ in line)
    assert words.startswith(" images/00012.jpg  ✎ remember this") and len(words) == 80
    assert words.rstrip().endswith("…")


def test_pace_leaves_pauses_out() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    for wait in (2.0, 2.0, 3600.0, 2.0):
        now[0] += wait
        pace.answer()
    assert pace.per_minute == 30.0
    assert pace.seconds == 6.0 and pace.answers == 4
    assert pace.overall == 30.0
    for _ in range(30):  # the last ones are quicker than the whole sitting
        now[0] += 1.0
        pace.answer()
    assert pace.per_minute == 60.0 and pace.overall == 55.0
    pace.take_back(32)
    assert pace.overall is None
    pace.take_back(5)  # two, and three of an earlier sitting
    assert pace.answers == 0
    assert [format_duration(seconds) for seconds in (45, 720, 12600)] == ["45 s", "12 min", "3.5 h"]


@pytest.mark.parametrize("preset", KEYMAPS)
def test_every_preset_reaches_every_command_and_class(preset: str) -> None:
    keymap = make_keymap(preset, [ClassInfo(str(number)) for number in range(9)])
    without = [name for name in COMMAND_NAMES if not keymap.keys(name)]
    assert without == ["check"]  # the palette has it
    assert all(keymap.classes[str(number)] for number in range(9))


def test_a_projects_own_keys_take_the_place_of_the_presets() -> None:
    classes = [ClassInfo("ok"), ClassInfo("bad")]
    keymap = make_keymap("default", classes, {"skip": ("x",), "undo": ("u", "s")})
    assert keymap.action_of("x", "x") == ("skip", "")
    assert keymap.action_of("space", " ") == ("", "")
    assert keymap.action_of("s", "s") == ("undo", "")
    assert keymap.action_of("backspace", None) == ("", "")
    assert keymap.action_of("a", "a") == ("label", "ok")


def test_a_command_keeps_its_capital_if_the_project_gives_the_small_letter_away() -> None:
    keymap = make_keymap("default", [ClassInfo("ok"), ClassInfo("bad")], {"skip": ("r",)})
    assert keymap.action_of("r", "r") == ("skip", "")
    assert keymap.action_of("R", "R") == ("rapid", "")
    assert keymap.keys("rapid") == ["R"]


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"jump": ("x",)}, "jump is not a command"),
        ({"skip": ("x",), "flag": ("x",)}, "'x' is both skip and flag"),
    ],
)
def test_own_keys_in_conflict_are_refused(own: dict[str, tuple[str, ...]], words: str) -> None:
    with pytest.raises(ProjectError, match=words):
        make_keymap("default", [ClassInfo("ok")], own)


def test_a_class_key_that_is_an_own_key_of_a_command_is_refused() -> None:
    with pytest.raises(ProjectError, match="'x' is skip"):
        make_keymap("default", [ClassInfo("ok", key="x")], {"skip": ("x",)})


class Page(Lines):
    """Lines that a test sets."""

    lines: list[Line] = []

    def draw(self, width: int, height: int) -> list[Line]:
        return self.lines


class Pages(App[None]):
    COMPONENT_CLASSES = {f"role--{role}" for role in ("text", "dim", "strong")}
    CSS = "".join(f".role--{role} {{ color: white; }} " for role in ("text", "dim", "strong"))

    def compose(self) -> ComposeResult:
        yield Page()


async def test_updates_of_changed_cells_add_up_to_the_whole() -> None:
    """Whatever the lines were, what was sent for the change paints what a full repaint would."""
    rng = np.random.default_rng(0)
    app = Pages()
    async with app.run_test(size=(40, 3)) as pilot:
        app.screen._compositor = TightCompositor()
        app.screen.refresh(layout=True)
        await pilot.pause()
        page = app.query_one(Page)
        painted = [list(row) for row in _painted(app)]
        for _ in range(60):
            page.lines = [_line(rng) for _ in range(3)]
            page.update()
            app.screen._compositor.update_widgets({page})
            update = app.screen._compositor.render_partial_update()
            if update is not None:
                _paint(painted, update.render_segments(app.console))
            assert ["".join(row) for row in painted] == _painted(app)


def _line(rng: np.random.Generator) -> Line:
    roles = ("text", "dim", "strong")
    return [
        ("".join(rng.choice(list("ab 7━"), rng.integers(0, 12))), roles[rng.integers(3)])
        for _ in range(rng.integers(0, 4))
    ]


def _painted(app: App[None]) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


def _paint(painted: list[list[str]], written: str) -> None:
    """The row that a terminal shows."""
    for row, column, text in re.findall(
        r"\x1b\[(\d+);(\d+)H([^\x1b]*(?:\x1b\[[\d;]*m[^\x1b]*)*)", written
    ):
        plain = re.sub(r"\x1b\[[\d;]*m", "", text)
        start = int(column) - 1
        painted[int(row) - 1][start : start + len(plain)] = plain


def test_a_key_held_down_is_one_press_and_a_key_tapped_again_is_another() -> None:
    held = KeyRepeatFilter()
    assert not held("a", 1.0)
    # 300 ms until the keyboard begins to repeat, then every 33 ms.
    assert [held("a", 1.033 + n * 0.033) for n in range(20)] == [True] * 20
    assert not held("a", 2.5), "tapped again"
    assert not held("d", 2.52), "another key means another answer, however quick"
    assert not held("right", 2.53) and not held("d", 2.54), "with a key between"
    assert not any(KeyRepeatFilter(on=False)("a", at) for at in (1.0, 1.01, 1.02))


def test_the_count_of_answered_items_and_their_share_agree() -> None:
    progress = Progress(24, 23, 1, 0, 0, 0, {})  # one was skipped
    text = "\n".join("".join(part for part, _ in line) for line in progress_lines(progress, 9, 30))
    assert "24 of 24" in text and "100.0 %" in text and "1 skipped" in text
    progress = Progress(24, 20, 1, 0, 3, 2, {})
    text = "\n".join("".join(part for part, _ in line) for line in progress_lines(progress, 9, 30))
    assert "21 of 24" in text and "87.5 %" in text and "2 leased" in text
