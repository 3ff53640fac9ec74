"""The screen of prices: what each promise of `finish` would cost and spare by now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen

from annotator.errors import AnnotatorError
from annotator.items.refs import format_duration, shell_quoted
from annotator.session.predict import prepare_fit
from annotator.session.price_list import (
    ACCEPTED,
    SET,
    USUAL_SECONDS,
    AuditOffer,
    OpenPool,
    PriceList,
    price_list,
)
from annotator.tui.styled_text import Line, wrap_text
from annotator.tui.widgets.bars import KeyBar, KeyHint
from annotator.tui.widgets.lines import Lines
from annotator.tui.workers import make_poster

if TYPE_CHECKING:
    from annotator.tui.host import ScreenHost
    from annotator.tui.key_repeat import Pace

NO_PRICES = "Prices appear with the first model: it needs features, and labels of two classes."


class PriceScreen(Screen[None]):
    """An opaque screen with the price list, made anew after each fit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,v,V,q,Q,ctrl+c,enter", "leave", "close", priority=True),
    ]

    class Found(Message):
        """The prices, computed in a thread."""

        def __init__(self, prices: PriceList) -> None:
            super().__init__()
            self.prices = prices

    def __init__(self, host: ScreenHost, pace: Pace) -> None:
        """Show the prices of the host's session, at this pace."""
        super().__init__()
        self._host, self._pace, self._post = host, pace, make_poster(self)
        self._finding, self._known = False, object()
        self._lines, self._keys = _PriceLines(id="prices"), KeyBar(id="keys")

    def compose(self) -> ComposeResult:
        """Lay out the list above the keys."""
        yield self._lines
        yield self._keys

    def on_mount(self) -> None:
        """Show the keys, and renew the prices once a second if the model has changed."""
        self._lines.folder = shell_quoted(self._host.project.folder)
        self._keys.show([KeyHint("esc", "close", ("leave", ""), 9)])
        self.set_interval(1.0, self._renew)
        self._renew()

    def _renew(self) -> None:
        known = self._host.session.ranking
        if self._finding or self._known is known:
            return
        self._finding, self._known = True, known
        arguments = (prepare_prices(self._host),)
        threading.Thread(target=self._find, args=arguments, name="prices", daemon=True).start()

    def _find(self, find: Callable[[], PriceList]) -> None:
        self._post(self.Found(find()))

    def on_price_screen_found(self, message: Found) -> None:
        """Show the prices."""
        self._finding = False
        self._lines.show(message.prices, self._pace.per_minute)

    def action_leave(self) -> None:
        """Close the screen."""
        self.dismiss(None)

    @on(KeyBar.Chosen)
    async def _clicked(self, message: KeyBar.Chosen) -> None:
        await self.run_action(message.action[0])


def prepare_prices(host: ScreenHost) -> Callable[[], PriceList]:
    """Read the labels now, and return the function that finds the prices in another thread."""
    session = host.session
    features = session.learner.features
    if features is None or session.blind:
        return PriceList
    fit = prepare_fit(host.project, features, session.queue.refs, session.state)
    pool = OpenPool.of(session.queue.refs, session.state)

    def find() -> PriceList:
        try:
            return price_list(fit(), pool)
        except AnnotatorError:
            return PriceList()  # too few classes

    return find


class _PriceLines(Lines):
    """The lines of the price list."""

    folder = ""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._prices: PriceList | None = None
        self._seconds: float | None = None

    def show(self, prices: PriceList, per_minute: float | None) -> None:
        """Show these prices, at this pace."""
        self._prices, self._seconds = prices, 60 / per_minute if per_minute else None
        self.update()

    def draw(self, width: int, height: int) -> Sequence[Line]:
        """Return the lines of the list."""
        return shown_prices(self._prices, self._seconds, self.folder, width)


_HEADS = {
    SET: "The finished set, if you label the rest (--of set):",
    ACCEPTED: "The labels that the model gives (--of accepted):",
}
_COLUMNS = ("error", "labels for you", "in the audit", "time", "spared", "saves")


def _row(*cells: str) -> str:
    return "".join(
        f"{cell:>{width}}" for cell, width in zip(cells, (8, 16, 14, 11, 11, 11), strict=True)
    )


def _offer_row(offer: AuditOffer, seconds: float) -> Line:
    """Return the price of one promise, as a row of the table."""
    head = f"{100 * offer.max_error:g} %"
    if not offer.spared:
        return [(f"{head:>8}  not worth it", "dim")]
    row = _row(
        head, f"{offer.left:,}", f"{offer.audited:,}", format_duration(offer.left * seconds),
        f"{offer.spared:,}", format_duration(offer.spared * seconds),
    )  # fmt: skip
    return [(row, "text")]


def shown_prices(
    prices: PriceList | None, seconds: float | None, folder: str, cells: int
) -> list[Line]:
    """Return the price list with the command that begins an audit."""
    lines: list[Line] = [[(" what a certificate costs, and what it spares", "title")], []]
    if prices is None or not prices.open:
        words = "Planning audits …" if prices is None else NO_PRICES
        return [*lines, *([(f" {line}", "text")] for line in wrap_text(words, cells - 2))]
    seconds = seconds or prices.seconds or USUAL_SECONDS
    head = wrap_text(f"At {seconds:.1f} s a label, {prices.head}", cells - 2)
    lines += [[(f" {line}", "strong")] for line in head]
    for name, offers in ((SET, prices.whole), (ACCEPTED, prices.accepted)):
        if offers:
            lines.append([])
            lines += [[(f" {line}", "strong")] for line in wrap_text(_HEADS[name], cells - 2)]
            lines += [[(_row(*_COLUMNS), "dim")], *(_offer_row(offer, seconds) for offer in offers)]
    end = f"annotator finish {folder} --of set --max-error 0.05"
    lines += [[], [(" Quit, then begin an audit:", "dim")]]
    lines += [[(f"   {line}", "code")] for line in wrap_text(end, cells - 4)]
    if not prices.whole:
        lines.append([(" Labels of a model stand: --take-back before --of set.", "dim")])
    return lines
