"""Asking only the items of a query: the choices of key T, and what they do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotator.items.refs import make_printable, plural
from annotator.report.slices import SliceTable
from annotator.tui.curves.slices import NO_SLICES, prepare_slices
from annotator.tui.pages.search_dialog import ask_query, last_query, saved_searches
from annotator.tui.widgets.choices import Choice
from annotator.tui.widgets.waiting import WaitScreen

if TYPE_CHECKING:
    from annotator.curate.search import SearchResults
    from annotator.errors import AnnotatorError
    from annotator.tui.host import ScreenHost


@dataclass(frozen=True, slots=True)
class Within:
    """The part of the pool to ask."""

    query: str | None
    """The query that its items match; "" to be asked for, None for all items."""
    worst: bool = False
    """True for the slice with the largest expected error, which is found first."""


def within_choices(host: ScreenHost) -> list[Choice[Within]]:
    """Return the parts of the pool that can be chosen, the end of a choice first."""
    now = host.session.within
    found = [Choice(Within(None), "everywhere", f"no longer only {now}")] if now else []
    found.append(Choice(Within(""), "within …", "only the items of a query"))
    if host.session.ranking is not None:
        about = "the slice with the largest expected error"
        found.append(Choice(Within("", worst=True), "within the worst slice", about))
    saved = {f"@{name}": query for name, query in saved_searches(host).items()}
    found += [
        Choice(Within(name), f"within {name}", make_printable(query), _mark(name, now))
        for name, query in saved.items()
    ]
    if (last := last_query(host)) and last not in saved:
        title = f"within {make_printable(last)}"
        found.append(Choice(Within(last), title, "the last search", _mark(last, now)))
    return found


def _mark(query: str, now: str) -> str:
    return "●" if make_printable(query) == now else ""


def ask_within(host: ScreenHost, chosen: Within) -> None:
    """Ask only the items of a query from the next one on, or all items again."""
    if chosen.worst:
        host.push_screen(
            WaitScreen("Comparing the slices …", prepare_slices(host)), partial(_ask_worst, host)
        )
        return
    if chosen.query is None:
        restrict_session(host, None, "")
        host.asked_query = ""
        host.say("from the next item on: everywhere")
        return

    def take(query: str, found: SearchResults) -> None:
        mask = np.zeros(len(host.session.queue.refs), bool)
        mask[found.rows] = True
        restrict_session(host, mask, make_printable(query))
        host.asked_query = query
        left = plural(host.session.queue.open_count, "open item")
        host.say(f"from the next item on: within {host.session.within}, {left}")

    ask_query(host, "Ask only the items of", take, query=chosen.query)


def _ask_worst(host: ScreenHost, table: SliceTable | AnnotatorError | None) -> None:
    if not isinstance(table, SliceTable):
        return
    if (worst := table.worst) is None:
        host.say(NO_SLICES, "warn")
    else:
        ask_within(host, Within(worst.query))


def restrict_session(host: ScreenHost, mask: NDArray[np.bool_] | None, title: str) -> None:
    """Ask only the rows of `mask` (n,), None for all, and show so."""
    host.session.restrict(mask, title)
    host.learn()
    host.show_activity()
    host.sync()
