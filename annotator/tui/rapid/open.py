"""Opening rapid mode from the labelling screen."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from annotator.items.refs import Item
from annotator.pages import BrowseSource, PageOrder, PageRequest, SelectionMode, with_target
from annotator.pages.orders import STREAM_MOST_DOUBT
from annotator.tui.host import ScreenHost, contrast_of, crop_loader
from annotator.tui.label.text import rapid_refusal
from annotator.tui.picture.picture import PictureView
from annotator.tui.rapid.player import AHEAD
from annotator.tui.rapid.screen import RapidScreen

if TYPE_CHECKING:
    from annotator.session.session import LabelSession
    from annotator.tui.rapid.text import StreamQuestion

TARGETS, OTHERS, LEAST = 8, 12, 4
"""Known positives and negatives in the stream that measures the delay; the fewest of each."""


def sample_known(session: LabelSession, asked: StreamQuestion) -> tuple[list[Item], set[Item]]:
    """Return labelled items in random order and those to be marked; none if there are too few."""
    rng = np.random.default_rng([session.seed, session.state.seq])
    last = [entry for _, entry in session.state.labels() if not entry.by_machine]
    yes = [entry.ref for entry in last if (entry.label == asked.label) != asked.excepts]
    no = [entry.ref for entry in last if (entry.label == asked.label) == asked.excepts]
    if len(yes) < LEAST or len(no) < LEAST:
        return [], set()
    targets = [Item.parse(str(ref)) for ref in rng.permutation(yes)[:TARGETS]]
    others = [Item.parse(str(ref)) for ref in rng.permutation(no)[:OTHERS]]
    items = [*targets, *others]
    return [items[place] for place in rng.permutation(len(items))], set(targets)


def open_rapid(host: ScreenHost) -> None:
    """Open a stream of pictures; one key marks."""
    project, session = host.project, host.session
    if reason := rapid_refusal(host.caps, session):
        host.say(reason, "warn")
        return
    settings = project.settings
    picture = PictureView(
        crop_loader(project), host.caps, line=host.pacer, guard="off", depth=AHEAD,
        lossless=settings.pictures == "exact",
    )  # fmt: skip
    picture.contrast = contrast_of(host)

    def source(asked: StreamQuestion, count: int) -> BrowseSource:
        request = PageRequest(
            asked.label, SelectionMode.POSITIVES_ONLY, PageOrder.RANDOM, per_page=count
        )
        if asked.excepts:
            sure = replace(
                request,
                select=SelectionMode.EXCEPTIONS,
                order=PageOrder.NEEDED,
                most_doubt=STREAM_MOST_DOUBT,
            )
            request = with_target(sure, settings)
        return BrowseSource(session, request)

    def left(given: int | None) -> None:
        if given:
            host.say(f"{given:,} labelled rapidly")
        host.sync()
        host.learn()

    label = session.strategy.find or session.classes[-1 if len(session.classes) == 2 else 0]
    host.push_screen(
        RapidScreen(session, picture, source, partial(sample_known, session), label), left
    )
