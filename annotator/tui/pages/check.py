"""The check of a frozen model from the labelling screen, as pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from annotator.errors import AnnotatorError
from annotator.items.refs import make_printable
from annotator.log.store.open import load_log_state
from annotator.pages import PER_PAGE
from annotator.pages.check import CheckSource
from annotator.session.check import Check, open_check
from annotator.session.frozen_model import load_frozen_model
from annotator.tui.host import ScreenHost
from annotator.tui.pages.screen import PageScreen
from annotator.tui.widgets.choices import Choice, ChoiceScreen
from annotator.tui.widgets.waiting import WaitScreen


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """A check as the palette offers it."""

    new: bool = False
    """True to freeze the model of now, False to resume the last check."""
    per_page: int = PER_PAGE


def choose_check(host: ScreenHost) -> None:
    """Ask which check to open, and open it once the model is frozen."""

    def choose(request: CheckRequest | None) -> None:
        if request is None:
            return
        project = host.project

        def begin() -> Check:
            return open_check(project, load_log_state(project), new=request.new)

        def show(check: Check | AnnotatorError | None) -> None:
            if isinstance(check, AnnotatorError):
                host.say(make_printable(str(check).splitlines()[0]), "warn")
            elif check is not None:
                open_check_pages(host, check, per_page=request.per_page)

        host.push_screen(WaitScreen("Freezing the model …", begin), show)

    does = "enter opens it; the model's predictions stay hidden"
    host.push_screen(ChoiceScreen(_choices(host), heading="Check the model", does=does), choose)


def _choices(host: ScreenHost) -> list[Choice[CheckRequest]]:
    try:
        begun = load_frozen_model(host.project.folder)
    except AnnotatorError:
        begun = None
    pages, single = "pages of random items", "one random item at a time"
    if begun is None:
        return [
            Choice(CheckRequest(), "check, as pages", pages),
            Choice(CheckRequest(per_page=1), "check, one by one", single),
        ]
    return [
        Choice(CheckRequest(), f"{begun.name}, as pages", f"{pages}, for {begun.model}"),
        Choice(CheckRequest(per_page=1), f"{begun.name}, one by one", single),
        Choice(CheckRequest(True), "new check, as pages", "the model of now, and its open items"),
        Choice(CheckRequest(True, 1), "new check, one by one", "the model of now"),
    ]


def open_check_pages(
    host: ScreenHost,
    check: Check,
    on_left: Callable[[], object] | None = None,
    per_page: int = PER_PAGE,
) -> None:
    """Open the pages of a check; `on_left` is called when the annotator leaves them."""
    session = host.session
    source = CheckSource(session, check, _page_class(check, session.multi), per_page)
    screen = PageScreen(
        source, host.project, session, host.caps, host.pacer, per_page=per_page, prediction=False
    )

    def left(submitted: int | None) -> None:
        if on_left is not None:
            on_left()
            return
        host.say(check.result(session.state).headline)
        host.sync()

    host.push_screen(screen, left)


def _page_class(check: Check, multi: bool) -> str:
    """Return the rarer one of two classes, which a page asks for; "" for other projects."""
    names = check.project.settings.names
    if multi or len(names) != 2 or not set(names) <= set(check.frozen.classes):
        return ""
    expected = dict(zip(check.frozen.classes, check.frozen.known[1:], strict=True))
    return min(names, key=lambda name: expected[name].mean)
