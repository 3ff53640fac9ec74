"""The choice of a technique, and of the backend that carries it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annotator.errors import TerminalError
from annotator.terminal.caps import (
    KittyVariant,
    ProbeFinding,
    Technique,
    TerminalCapabilities,
    Tmux,
    version_number,
)
from annotator.terminal.replies import (
    FRAME,
    MEMORY,
    PLACEMENT,
    QUERY,
    QUIET,
    TerminalReplies,
)

if TYPE_CHECKING:
    from annotator.terminal.backend import Backend, Colour

GRAPHICS = ("auto", "kitty", "sixel", "iterm", "halfcell", "none")
"""The choices of `--graphics` and `ANNOTATOR_GRAPHICS`."""


def requested_graphics(graphics: str, env: Mapping[str, str]) -> str:
    """Return the choice that counts: the flag, then ANNOTATOR_GRAPHICS, then auto.

    Raises `TerminalError` for a word that is not one of `GRAPHICS`.
    """
    set_for_all = env.get("ANNOTATOR_GRAPHICS", "")
    choice = set_for_all if graphics == "auto" and set_for_all else graphics
    if choice not in GRAPHICS:
        source = "ANNOTATOR_GRAPHICS" if choice == set_for_all else "--graphics"
        raise TerminalError(f"{source} is {choice!r}. Choose one of {', '.join(GRAPHICS)}.")
    return choice


@dataclass(frozen=True, slots=True)
class KnownTerminal:
    """The facts that no question finds out about a terminal of some name and version."""

    name: str
    """The beginning of the name that it gives (XTVERSION), in lower case."""
    since: tuple[int, int]
    source: str
    placeholders: bool = False
    frames: bool = False
    """True if frames may be used even if the answer about them is missing."""
    inline: bool = False
    """True if it shows iTerm2's inline images. They are better there than kitty's placements."""
    variant: KittyVariant = KittyVariant()


KNOWN = (
    KnownTerminal(
        "kitty",
        (0, 48),
        "kitty's changelog, 0.28.0 (placeholders); kovidgoyal/kitty pull 10092 (N=1, 0.48)",
        placeholders=True,
        frames=True,
        variant=KittyVariant(transient=True),
    ),
    KnownTerminal(
        "kitty", (0, 28), "kitty's changelog, 0.28.0: placeholders", placeholders=True, frames=True
    ),
    KnownTerminal(
        "ghostty",
        (1, 0),
        "ghostty-org/ghostty pull 2015: placeholders (pull 13943: frames, by answer)",
        placeholders=True,
    ),
    KnownTerminal(
        "iterm2",
        (3, 7),
        "sorokin-vladimir/tele issue 259: it reads a missing third mark as -1",
        placeholders=True,
        inline=True,
        variant=KittyVariant(third_mark=True),
    ),
    KnownTerminal("iterm2", (0, 0), "iterm2.com/documentation-images.html", inline=True),
    KnownTerminal("wezterm", (0, 0), "wezterm.org/imgcat.html", inline=True),
    KnownTerminal("mintty", (0, 0), "mintty's wiki, CtrlSeqs: image support", inline=True),
    KnownTerminal(
        "konsole",
        (0, 0),
        "KDE/konsole, Vt102Emulation.cpp: `a=d` frees no picture; drawn right in Konsole 25.04",
        variant=KittyVariant(retains=True),
    ),
)
"""The terminals about which answers are not enough, the newest version of each first."""


def known_terminal(version: str) -> KnownTerminal | None:
    """Return the line of `KNOWN` for what a terminal answers to XTVERSION."""
    name, number = version.lower(), version_number(version)
    for known in KNOWN:
        if name.startswith(known.name) and number >= known.since:
            return known
    return None


def choose_technique(
    answers: TerminalReplies, multiplexer: str = "", tmux: Tmux | None = None
) -> tuple[Technique, str]:
    """Return the best technique for a terminal, and the reason.

    Answers decide. A name decides only what cannot be asked (see `KNOWN`): Konsole, WezTerm and
    iTerm2 before 3.7 say OK to a kitty query and yet have no placeholders.
    """
    if multiplexer in ("screen", "mosh"):
        return Technique.HALFCELL, f"{multiplexer} does not pass pictures on"
    if multiplexer == "tmux":
        return _inside_tmux(answers, tmux or Tmux())
    known = known_terminal(answers.version)
    better_inline = known is not None and known.inline and not known.placeholders
    if answers.kitty and answers.places and not better_inline:
        return _by_kitty(answers, known)
    if known is not None and known.inline:
        return Technique.ITERM, "shows iTerm2's inline images, as JPEG the smallest payload"
    if answers.version.lower().startswith("xterm.js") and 4 in answers.attributes:
        return Technique.ITERM, "xterm.js with images enabled shows iTerm2's inline images"
    if 4 in answers.attributes:
        return Technique.SIXEL, "reports sixel in its device attributes"
    if not answers.closed:
        return Technique.HALFCELL, "did not answer the questions"
    return Technique.HALFCELL, "reports no picture protocol"


def _by_kitty(answers: TerminalReplies, known: KnownTerminal | None) -> tuple[Technique, str]:
    """Return the best way of kitty's protocol."""
    if known is None or not known.placeholders:
        return Technique.CLASSIC, "answers a kitty graphics query, and places pictures"
    if answers.frames or (answers.frames is None and known.frames):
        return Technique.FRAMES, "has placeholders, and takes frames"
    return Technique.PLACEHOLDERS, "has placeholders, and takes no frames"


def _inside_tmux(answers: TerminalReplies, tmux: Tmux) -> tuple[Technique, str]:
    """Return the best technique inside tmux.

    Placeholders stay in their pane because they are text; tmux places its own sixels.
    """
    known = known_terminal(answers.version)
    if known is not None and known.placeholders and tmux.passthrough:
        return _by_kitty(answers, known)
    if tmux.sixel:
        return Technique.SIXEL, "tmux draws sixel in a terminal that knows it"
    if not tmux.passthrough:
        return Technique.HALFCELL, "tmux keeps pictures from the terminal"
    return (
        Technique.HALFCELL,
        "the terminal around tmux has no pictures that follow its panes",
    )


_SENT_AHEAD = "pictures are sent before the keys"


def explain_answers(
    far: TerminalReplies, near: TerminalReplies, asked: bool
) -> tuple[ProbeFinding, ...]:
    """Return each question with its answer and conclusion. `near` is tmux if there is one.

    `asked` is False if the questions about kitty's protocol were left out.
    """
    known = known_terminal(far.version)
    none = "no answer" if asked else "not asked: it would be printed"
    sixel = ";".join(map(str, sorted(near.attributes))) or "no answer"
    return (
        _explain_kitty(far, none),
        *_explain_pictures(far, known, none),
        *_explain_name(far, known),
        ProbeFinding(
            "sixel",
            "device attributes (DA1)",
            sixel,
            "draws sixel" if 4 in near.attributes else "none",
        ),
        ProbeFinding(
            "updates",
            "mode 2026 (DECRQM)",
            "known" if near.sync else "unknown, or no answer",
            "synchronised" if near.sync else "as they come",
        ),
    )


def _explain_pictures(
    far: TerminalReplies, known: KnownTerminal | None, none: str
) -> Iterator[ProbeFinding]:
    answers = [", ".join(far.verdicts_on(n)) or none for n in (PLACEMENT, FRAME, MEMORY)]
    places = "places pictures sent earlier" if far.kitty and far.places else "none"
    yield ProbeFinding("placements", "a=p of no image", answers[0], places)
    yield ProbeFinding("frames", "a=f on one pixel", answers[1], _conclude_frames(far, known))
    memory = "reads this machine's memory" if far.shared_memory else "pictures take the line"
    yield ProbeFinding("shared memory", "a=q,t=s", answers[2], memory)


def _explain_name(far: TerminalReplies, known: KnownTerminal | None) -> Iterator[ProbeFinding]:
    """Yield what the name and the version decide."""
    name, question = far.version or "no name given", "name and version (they cannot be asked)"
    source = f"yes: {known.source}" if known is not None else ""
    has = source if known is not None and known.placeholders else "not known to have them"
    yield ProbeFinding("placeholders", question, name, has)
    shows = source if known is not None and known.inline else "not known to show them"
    yield ProbeFinding("inline images", question, name, shows)


def _explain_kitty(far: TerminalReplies, none: str) -> ProbeFinding:
    answer = ", ".join(far.verdicts_on(QUERY)) or none
    conclusion = _SENT_AHEAD if far.kitty else "none"
    if far.leaks:
        answer += f"; to q=2, too: {', '.join(far.verdicts_on(QUIET))}"
        conclusion += ", and its answers taken out of the keys"
    return ProbeFinding("kitty graphics", "a=q; a=t,q=2", answer, conclusion)


def _conclude_frames(far: TerminalReplies, known: KnownTerminal | None) -> str:
    if far.frames or (far.frames is None and known is not None and known.frames):
        return "a key costs 20 bytes" if known and known.placeholders else "useless here"
    return "none"


FORCED = {
    "kitty": "kitty graphics",
    "sixel": "sixel",
    "iterm": "iTerm2 inline images",
    "halfcell": "half cells",
    "none": "no pictures",
}
"""The words for each choice other than auto."""


def force_technique(choice: str, found: Technique) -> Technique:
    """Return the technique for a choice other than auto; of the kitty family, the best there is."""
    if choice == "kitty":
        return found if found.stores else Technique.CLASSIC
    return Technique(choice)


def backend_for(caps: TerminalCapabilities, background: Colour = (0, 0, 0)) -> Backend:
    """Return the backend of the technique; `background` fills the margins beside a picture."""
    # Imported here: probing the terminal needs neither NumPy nor Pillow.
    from annotator.terminal import kitty, redrawn, xterm_js

    if caps.technique is Technique.CLASSIC and caps.terminal.lower().startswith("xterm.js"):
        return xterm_js.XtermJsBackend(caps, background)
    if caps.technique is Technique.FRAMES and caps.shared_memory and not caps.wrapped:
        return kitty.SharedFrameBackend(caps, background)
    backends: dict[Technique, Callable[[TerminalCapabilities, Colour], Backend]] = {
        Technique.FRAMES: kitty.FrameBackend,
        Technique.PLACEHOLDERS: kitty.PlaceholderBackend,
        Technique.CLASSIC: kitty.ClassicBackend,
        Technique.SIXEL: redrawn.SixelBackend,
        Technique.ITERM: redrawn.ItermBackend,
        Technique.HALFCELL: redrawn.HalfCellBackend,
        Technique.NONE: redrawn.NoPictureBackend,
    }
    return backends[caps.technique](caps, background)


SLOW = 0.04
"""Round trip in seconds from which on a line is slow."""


def thumbnail_backend(caps: TerminalCapabilities) -> Backend | None:
    """Return the backend for small pictures beside the large one; None if they cost too much.

    A kitty keeps them, and text cells place them. Other terminals draw them as text, as half cells,
    if no slow line lies between.
    """
    from annotator.terminal import kitty, redrawn

    if caps.technique in (Technique.FRAMES, Technique.PLACEHOLDERS):
        return kitty.PlaceholderBackend(caps)
    if caps.technique is Technique.NONE or caps.remote or caps.rtt >= SLOW:
        return None
    return redrawn.HalfCellBackend(caps)
