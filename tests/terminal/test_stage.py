"""Pictures ahead of keys, over a line, in virtual time."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from annotator.items.refs import Item
from annotator.terminal import transport
from annotator.terminal.backend import Payload
from annotator.terminal.caps import Technique
from annotator.terminal.requests import EncodeJob, PictureRequest, ScreenState
from tests.terminal.virtual_annotator import (
    ITEMS,
    KINDS,
    VARIANTS,
    VirtualAnnotator,
    encoded,
    shown,
)

SEQUENCES = 5
TERMINALS = [*((technique, "") for technique in KINDS), *((VARIANTS[k], k) for k in VARIANTS)]


@pytest.mark.parametrize(("technique", "kind"), TERMINALS)
def test_random_keys_and_resizes_never_label_what_is_not_on_screen(
    technique: Technique, kind: str
) -> None:
    for seed in range(SEQUENCES):
        chance = random.Random(seed)
        rate = chance.choice([60e3, 250e3, 5e6])
        session = VirtualAnnotator(technique, rate=rate, rtt=0.1, kind=kind)
        keys = _wander(session, chance, 20)
        session.run(3)
        wrong = [pair for pair in session.labels if pair[0] != pair[1]]
        assert not wrong, f"seed {seed}: {wrong}"
        assert len(session.labels) + session.blind == keys
        assert session.screen.problems == []
        assert shown(session.screen) == ITEMS[session.index % len(ITEMS)]


def _wander(
    session: VirtualAnnotator, chance: random.Random, steps: int, *, careless: bool = False
) -> int:
    """Keys at a human pace, bursts of auto-repeat, and windows dragged; returns the keys.

    With `careless` keys are typed ahead of the first picture, and now and then text is pasted.
    """
    keys = 0
    for _ in range(chance.randint(1, 8) if careless else 0):
        session.press(chance.choice("ad"))
        session.run(chance.choice([0.0, 0.001, 0.01, 0.05]))
        keys += 1
    for _ in range(steps):
        move = chance.random()
        if careless and chance.random() < 0.15:
            text = "".join(chance.choices("ad", k=chance.randint(1, 40)))
            session.paste(text)
            keys += len(text)
        if move < 0.12:
            session.resize(chance.choice([24, 30, 18]), chance.choice([10, 8]))
        elif move < 0.3:
            for _ in range(6):
                session.press("d")
                session.run(0.03)
            keys += 6
        else:
            session.press("d" if move < 0.85 else "a")
            keys += 1
        session.run(chance.choice([0.02, 0.2, 0.4, 0.8, 1.5]))
    return keys


@pytest.mark.parametrize("technique", KINDS)
@pytest.mark.parametrize(("rate", "rtt"), [(250e3, 0.1), (50e6, 0.001)])
def test_keys_typed_ahead_and_pastes_never_label_what_is_not_on_screen(
    technique: Technique, rate: float, rtt: float
) -> None:
    for seed in range(SEQUENCES):
        session = VirtualAnnotator(technique, rate=rate, rtt=rtt, guard="auto")
        keys = _wander(session, random.Random(seed), 20, careless=True)
        session.run(3)
        assert not [pair for pair in session.labels if pair[0] != pair[1]], seed
        assert len(session.labels) + session.blind == keys


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("guard", ["auto", "on", "off"])
def test_keys_before_the_first_picture_label_nothing_whatever_the_guard(
    guard: str, silent: bool
) -> None:
    session = VirtualAnnotator(Technique.HALFCELL, rate=50e6, rtt=0.001, guard=guard, silent=silent)
    for _ in range(5):
        session.press("d")
        session.run(0.002)
    session.run(1)
    assert session.labels == []
    session.paste("dadada")
    session.run(1)
    assert session.labels == []
    session.press("d")
    session.run(1)
    assert len(session.labels) == 1


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of shared memory."""
    monkeypatch.setattr("annotator.terminal.transport.FOLDER", tmp_path)
    return tmp_path


def test_on_the_same_machine_pictures_go_through_memory_and_none_stays_in_it(memory: Path) -> None:
    for seed in range(SEQUENCES):
        session = VirtualAnnotator(Technique.FRAMES, rate=50e6, rtt=0.002, shared=True)
        keys = _wander(session, random.Random(seed), 20)
        session.run(3)
        assert not [pair for pair in session.labels if pair[0] != pair[1]], seed
        assert len(session.labels) + session.blind == keys
        assert session.screen.problems == []
        assert shown(session.screen) == ITEMS[session.index % len(ITEMS)]
        session.screen.feed(session.stage.end())
        assert not list(memory.iterdir())


def test_what_no_terminal_has_read_is_removed_at_the_end(memory: Path) -> None:
    kept = transport.write_shared_memory(b"a picture for a terminal that has gone")
    read = transport.write_shared_memory(b"another")
    (memory / read[1:]).unlink()  # by the terminal
    assert [path.name for path in memory.iterdir()] == [kept[1:]]
    transport.unlink_recent_memory()
    assert not list(memory.iterdir())


def test_on_the_same_machine_a_new_picture_costs_a_few_bytes(memory: Path) -> None:
    session = VirtualAnnotator(
        Technique.FRAMES, rate=50e6, rtt=0.002, columns=60, rows=20, shared=True
    )
    session.run(2)
    before = session.sent
    for _ in range(10):
        session.press("d")
        session.run(0.5)
    assert session.sent - before < 10 * 500
    assert len(session.labels) == 10


def test_where_the_shared_memory_is_full_pictures_take_the_line(memory: Path) -> None:
    session = VirtualAnnotator(Technique.FRAMES, rate=50e6, rtt=0.002, shared=True)
    session.run(1)
    memory.rmdir()
    for _ in range(8):
        session.press("d")
        session.run(0.5)
    assert len(session.labels) == 8
    assert all(item == seen for item, seen in session.labels)
    assert session.screen.problems == []


def test_a_key_shows_the_next_picture_in_one_round_trip_and_a_few_bytes() -> None:
    session = VirtualAnnotator(Technique.FRAMES)
    session.run(8)
    sent = session.sent
    session.press("d")
    session.run(0.051)  # the key's way to the program
    assert session.sent - sent < 200
    session.run(1)
    assert session.waits[-1] < 0.1 + 0.01


def test_a_key_hardly_waits_while_pictures_travel() -> None:
    session = VirtualAnnotator(Technique.FRAMES, columns=60, rows=20)
    session.run(4)
    for _ in range(12):
        session.press("d")
        session.run(0.7)
    assert max(session.waits[1:]) < 0.1 + 0.06


def test_the_picture_before_is_still_there_for_undo() -> None:
    session = VirtualAnnotator(Technique.FRAMES)
    session.run(6)
    for _ in range(3):
        session.press("d")
        session.run(1)
    before = session.sent
    session.press("a")
    session.run(0.2)
    assert shown(session.screen) == ITEMS[2]
    assert session.sent - before < 2000


def test_what_tmux_throws_away_is_sent_again() -> None:
    for seed in range(20):
        rate = (250e3, 50e6)[seed % 2]
        session = VirtualAnnotator(Technique.FRAMES, rate=rate, tmux=True, lossy=0.08, seed=seed)
        for _ in range(8):
            session.press("d")
            session.run(0.9)
        session.lossy = 0.0
        session.run(20)
        assert all(item == seen for item, seen in session.labels)
        assert shown(session.screen) == ITEMS[session.index]


@pytest.mark.parametrize("rate", [250e3, 50e6])
@pytest.mark.parametrize("losing", [100, 700, 1500, 4096, 20_000])
def test_what_tmux_throws_away_when_the_window_changes_its_size_is_sent_again(
    losing: int, rate: float
) -> None:
    session = VirtualAnnotator(Technique.FRAMES, rate=rate, tmux=True)
    session.run(4)
    session.losing = losing
    session.resize(30, 12)
    session.run(4)
    assert shown(session.screen) == ITEMS[0]
    session.press("d")
    session.run(1)
    assert shown(session.screen) == ITEMS[1]
    assert session.labels == [(ITEMS[0], ITEMS[0])]


@pytest.mark.parametrize(("technique", "kind"), TERMINALS)
def test_the_end_leaves_nothing_in_the_terminal(technique: Technique, kind: str) -> None:
    session = VirtualAnnotator(technique, kind=kind)
    session.run(2)
    session.press("d")
    session.run(0.3)
    session._write(session.stage.end())  # behind what is still on its way
    session.run(2)
    # Konsole frees nothing, xterm.js needs a clear one on top: a pixel is all that may stay.
    sizes = {stored.frames[0].size for stored in session.screen.images.values()}
    assert sizes <= ({(1, 1)} if kind in ("konsole", "xterm.js") else set())


def test_where_a_picture_belongs_to_its_cells_the_one_before_is_still_there_for_undo() -> None:
    session = VirtualAnnotator(Technique.CLASSIC, kind="xterm.js")
    session.run(8)
    for _ in range(3):
        session.press("d")
        session.run(4)
    before = session.sent
    session.press("a")
    session.run(0.16)  # the key's way, the picture's way, and drawing
    assert shown(session.screen) == ITEMS[2]
    assert session.sent - before < 400


@pytest.mark.parametrize(
    ("kind", "most"), [("kitty-0.48", 60), ("ghostty-frames", 60), ("xterm.js", 300)]
)
def test_a_picture_that_was_sent_ahead_costs_the_key_a_few_bytes(kind: str, most: int) -> None:
    session = VirtualAnnotator(VARIANTS[kind], kind=kind)
    session.run(8)
    before = session.sent
    session.press("d")
    session.run(0.051)  # the key's way to the program
    assert session.sent - before < most
    session.run(1)
    assert shown(session.screen) == ITEMS[1]


def test_memory_in_the_terminal_is_bounded() -> None:
    session = VirtualAnnotator(Technique.FRAMES, rate=5e6, rtt=0.01)
    for _ in range(60):
        session.press("d")
        session.run(0.4)
    images = session.screen.images
    assert sum(len(stored.frames) for stored in images.values()) <= 17 * len(images)
    assert len(images) <= 2


def test_a_better_version_on_its_way_does_not_keep_another_picture_from_being_shown() -> None:
    """Versions of two sizes are two images in the terminal, and one of them is being sent."""
    for seed in range(SEQUENCES):
        session = VirtualAnnotator(Technique.FRAMES, rate=60e3)
        chance = random.Random(seed)
        for _ in range(12):
            session.run(chance.uniform(0.6, 2.0))
            session.press("d")
        session.run(3)
        assert [item for item, _ in session.labels] == [seen for _, seen in session.labels], seed
        assert len(session.labels) > 6


def test_a_jump_far_ahead_is_not_held_back_by_what_is_on_its_way() -> None:
    session = VirtualAnnotator(Technique.FRAMES, rate=60e3)
    session.run(1.0)
    session.index = 15
    session._show()
    session.run(1.2)
    assert shown(session.screen) == ITEMS[15]


def test_more_pictures_may_be_expected_than_the_terminal_can_keep() -> None:
    session = VirtualAnnotator(Technique.FRAMES, rate=5e6, rtt=0.01)
    session.stage.plan.depth = 64
    session.stage.expect([PictureRequest(item) for item in ITEMS])
    session.run(5)
    for _ in range(5):
        session.press("d")
        session.run(1)
    assert [item for item, seen in session.labels] == [seen for item, seen in session.labels]
    assert len(session.labels) == 5


def test_a_slow_line_gets_a_palette_first_and_the_exact_picture_when_idle() -> None:
    session = VirtualAnnotator(Technique.FRAMES, rate=120e3, columns=60, rows=20)
    while not session.waits:
        session.run(0.01)
    first = session.stage.state.payload
    session.run(20)
    then = session.stage.state.payload
    assert first is not None
    assert then is not None
    assert first.size * 2 < then.size
    assert shown(session.screen) == ITEMS[0]


def test_somebody_who_thinks_long_sees_the_exact_picture_before_all_others_are_there() -> None:
    def ahead_when_exact(pace: float) -> int:
        session = VirtualAnnotator(Technique.FRAMES, rate=120e3, columns=60, rows=20)
        session.run(20)
        for _ in range(8):  # jumps: nothing is ahead
            session.index += 6
            session._show()
            session.run(pace)
        session.index += 6
        session._show()
        best = session.stage.plan.ladder[-1]
        for _ in range(4000):
            session.run(0.01)
            current = session.stage.plan.current
            have = session.stage._stock.best_ready(current, session.stage.area) if current else None
            if have is not None and have.quality == best:
                break
        return session.stage.ready

    assert ahead_when_exact(8.0) < ahead_when_exact(0.5)


def test_where_palettes_are_forbidden_only_exact_pictures_travel() -> None:
    session = VirtualAnnotator(Technique.FRAMES, columns=60, rows=20)
    session.stage.plan.budget.lossless = True
    for _ in range(3):
        session.run(6)
        payload = session.stage.state.payload
        exact = session.stage.plan.ladder[-1]
        wanted = EncodeJob(session.stage.state.shown, session.stage.area, exact)
        assert payload.parts == encoded(Technique.FRAMES, wanted).parts
        session.press("d")


def test_a_dialog_over_the_picture_is_never_drawn_over() -> None:
    for technique in (Technique.SIXEL, Technique.CLASSIC, Technique.ITERM):
        session = VirtualAnnotator(technique, rate=5e6, rtt=0.01)
        session.run(3)
        session.stage.set_covered(True)
        session.run(1)
        session.screen.feed(b"\x1b[2J")  # what the compositor paints is up to it
        session.press("d")
        session.run(2)
        assert not session.screen.pixels().any()
        session.stage.set_covered(False)
        session.run(2)
        assert shown(session.screen) == session.stage.plan.current.item


def test_a_picture_drawn_again_after_a_dialog_was_not_waited_for() -> None:
    now = 100.0
    view = ScreenState(lambda: now)
    request, payload = PictureRequest(Item("a.jpg")), Payload((), 0)
    view.begin_request()
    now += 0.25
    assert view.note_seen(view.show(request, payload, None, 0))
    assert view.waited == 0.25
    now += 90.0  # a dialog was open
    view.begin_redraw()
    assert view.note_seen(view.show(request, payload, None, 0))
    assert view.waited == 0.25
    view.begin_request()
    now += 0.5
    view.note_seen(view.show(request, payload, None, 0))
    assert view.waited == 0.5


@pytest.mark.parametrize("technique", KINDS)
def test_a_picture_of_the_same_items_stays_until_the_next_one_is_there(
    technique: Technique,
) -> None:
    session = VirtualAnnotator(technique, rate=5e6, rtt=0.01)
    session.run(3)
    first = shown(session.screen)
    session._work = lambda: None  # the encoder takes long
    session.stage.show(PictureRequest(ITEMS[9]), keep=True)
    session.run(2)
    assert shown(session.screen) == first


def test_the_parts_of_a_picture_that_are_on_the_screen_are_not_drawn_again() -> None:
    session = VirtualAnnotator(Technique.HALFCELL, rate=5e6, rtt=0.01)
    session.run(3)
    session._work = lambda: None
    stage, payload = session.stage, session.stage.state.payload
    assert payload is not None
    last = payload.parts[-1]
    changed = replace(payload, parts=(*payload.parts[:-1], last._replace(data=last.data + b" ")))
    for keep in (True, False):
        again = PictureRequest(Item(f"{keep}.png"))
        stage.show(again, keep=keep)
        sent = session.sent
        stage.encoded(EncodeJob(again, stage.area, stage.backend.ladder[-1]), changed)
        session.run(1)
        assert stage.state.seen == again
        assert (session.sent - sent < payload.size // 2) == keep


def test_a_picture_that_the_terminal_has_lost_is_not_seen_and_comes_again() -> None:
    session = VirtualAnnotator(Technique.CLASSIC)
    session.run(6)
    session.press("d")
    session.run(0.06)  # the key has come, and the picture's placement is on its way
    session.stage.failed(session.stage.backend.named)
    session.run(0.1)
    assert session.stage.state.seen is None
    session.press("d")
    session.run(4)
    assert session.blind == 1
    assert session.stage.state.seen == PictureRequest(ITEMS[1])
    assert shown(session.screen) == ITEMS[1]


def test_a_terminal_that_shows_no_picture_gets_half_cells_and_no_endless_stream() -> None:
    session = VirtualAnnotator(Technique.CLASSIC)
    stage = session.stage
    for _ in range(1000):
        session.run(0.01)
        if stage.state.shown is not None and stage.state.seen is None:
            stage.failed(stage.backend.named)
    assert stage.covered
    sent = session.sent
    session.run(5)
    stage.failed(stage.backend.named)
    session.run(5)
    assert session.sent - sent < 1000
