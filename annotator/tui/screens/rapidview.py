"""What the rapid screen is made of."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import Screen

from annotator.rapid import Delay
from annotator.session import Session
from annotator.tui import rapidwords
from annotator.tui.outcome import Outcome
from annotator.tui.player import Player
from annotator.tui.rapidwords import Asked, Mode
from annotator.tui.widgets.bars import Caption, Header, KeyBar
from annotator.tui.widgets.picture import Picture
from annotator.tui.widgets.stage import Stage
from annotator.tui.widgets.tight import TightCompositor


class RapidView(Screen[int]):
    """Its parts, and what they say."""

    def __init__(self, session: Session, picture: Picture, label: str) -> None:
        super().__init__()
        self.session, self.asked, self.rate = session, Asked(label), 3.0
        self.mode, self.given = Mode.READY, 0
        self.delay, self.measured = Delay(), False
        self._player: Player | None = None
        self._outcome: Outcome | None = None
        self._compositor = TightCompositor()
        self.picture = picture
        self.header = Header("rapid", id="header")
        self.stage = Stage(picture, id="stage")
        self.caption, self.keys = Caption(id="caption"), KeyBar(id="keys")

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.stage
        yield self.caption
        yield self.keys

    def do_ready(self) -> None:
        """Offer the choices."""
        self.mode = Mode.READY
        self.stage.tell(*rapidwords.ready(self.asked, self.rate, self.delay))
        self.say_state()

    def say_state(self) -> None:
        """The live keys, and where the stream is."""
        self.keys.show(rapidwords.hints(self.mode, self.asked, self.session.classes))
        self.say_where()

    def say_where(self) -> None:
        player = self._player
        words = f"{self.asked.marks} · {self.rate:g} a second"
        if self.mode in (Mode.STREAMING, Mode.CALIBRATING) and player is not None:
            words = rapidwords.progress(player, self.asked.marks, self.mode)
        elif self.mode is Mode.DOUBT and self._outcome is not None:
            words = f"in doubt: {len(self._outcome.doubtful)}"
        elif self.mode is Mode.NAMING and self._outcome is not None:
            words = f"{self.asked.marks}, but what? {len(self._outcome.unnamed)} left"
        self.caption.show(words)
        self.caption.link(self.picture.status if player is not None else "")

    def say(self, text: str, role: str = "text") -> None:
        self.header.say(text, role)
        self.set_timer(4.0, lambda: self.header.say(""))
