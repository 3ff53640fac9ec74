"""The view of a screen, for the terminal that takes the screen over."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from annotator.tui.host import ScreenHost
from annotator.tui.key_repeat import Pace

if TYPE_CHECKING:
    from annotator.pages import PageRequest
    from annotator.tui.label.near_duplicates import NearDuplicates
    from annotator.tui.label.screen import LabelScreen


class ViewedApp(ScreenHost, Protocol):
    """The app whose view another terminal takes over."""

    label_screen: LabelScreen
    near_duplicates: NearDuplicates
    pace: Pace

    @property
    def screen_stack(self) -> list[Any]:
        """The screens, the one on top last."""

    @property
    def opens_itself(self) -> bool:
        """True if the labelling screen comes first, and no command opens another in its place."""


def screen_view(app: ViewedApp) -> dict[str, Any]:
    """Return the view of the labelling screen and of the pages over it, for JSON."""
    screen, session, pace = app.label_screen, app.session, app.pace
    item, walk = screen.walk.item, screen.walk
    view: dict[str, Any] = {
        "ref": item.ref if item is not None else None,
        "back": walk.back if walk.active else 0,
        "answers": pace.answers,
        "seconds": round(pace.seconds, 1),
        "hidden": app.hides_prediction,
        "group": app.near_duplicates.answers_group,
        "strategy": asdict(session.strategy),
        "within": app.asked_query,
    }
    if (pages := _open_request(app)) is not None:
        view["pages"] = asdict(pages)
    return view


def _open_request(app: ViewedApp) -> PageRequest | None:
    """Return the request of the pages that were opened over the labelling screen."""
    for screen in app.screen_stack[2:] if app.opens_itself else ():
        request = getattr(getattr(screen, "source", None), "request", None)
        if request is not None and type(request).__name__ == "PageRequest":
            return request  # type: ignore[no-any-return]
    return None


def restore_view(app: ViewedApp, view: Mapping[str, Any]) -> None:
    """Show the view of the terminal before, as far as its items are still there.

    A view that another version has written, and that this one cannot read, is left out.
    """
    with contextlib.suppress(TypeError, ValueError, KeyError):
        _restore(app, view)
    app.label_screen.sync()


def _restore(app: ViewedApp, view: Mapping[str, Any]) -> None:
    screen = app.label_screen
    app.pace.resume(int(view.get("answers") or 0), float(view.get("seconds") or 0.0))
    app.hides_prediction = bool(view.get("hidden"))
    app.near_duplicates.answers_group = bool(view.get("group"))
    from annotator.session.learner import StrategyChoice

    strategy = view.get("strategy")
    if isinstance(strategy, dict) and asdict(app.session.strategy) != strategy:
        app.session.choose_strategy(StrategyChoice(**strategy))
    if query := view.get("within"):
        from annotator.tui.label.within import Within, ask_within

        ask_within(app, Within(str(query)))
    back = int(view.get("back") or 0)
    if back:
        screen.walk_to(back)
        if screen.walk.item is None or screen.walk.item.ref != view.get("ref"):
            screen.return_to_question()
    if isinstance(pages := view.get("pages"), dict):
        from annotator.pages import PageOrder, PageRequest, SelectionMode
        from annotator.tui.pages.open import open_pages

        kinds = {"select": SelectionMode(pages["select"]), "order": PageOrder(pages["order"])}
        open_pages(app, PageRequest(**{**pages, **kinds}), keep="pages")
