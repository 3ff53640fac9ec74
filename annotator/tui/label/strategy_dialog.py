"""The dialog that chooses how items are picked: a strategy, or the hunt for one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from annotator.items.refs import make_printable
from annotator.learn.registry import STRATEGIES
from annotator.session.learner import StrategyChoice
from annotator.tui.label.text import strategy_title
from annotator.tui.widgets.choices import Choice, ChoiceScreen

if TYPE_CHECKING:
    from annotator.tui.label.within import Within

WORDS = {
    "herding-mix": "the default: representative, then uncertain items",
    "random": "every open item with the same probability",
    "margin": "the two most probable classes are close",
    "entropy": "the model is uncertain over all classes",
    "least-confidence": "the most probable class has a low probability",
    "seed": "uncertain items, classes with few labels first",
    "uherding": "items that represent many uncertain ones",
    "typiclust": "the most typical item of each cluster",
    "coreset": "the items farthest from all labels",
    "badge": "uncertain items, far from each other",
}


def make_strategy_dialog(
    counts: Mapping[str, int],
    now: StrategyChoice,
    rare: str | None = None,
    parts: Sequence[Choice[Within]] = (),
) -> ChoiceScreen[StrategyChoice | Within]:
    """Return the dialog that chooses a strategy; `counts` has the labels of each class.

    The hunt for `rare`, a rare class, is offered first; during a hunt, its end. `parts` are the
    parts of the pool that can be asked alone.
    """
    offered, does = now, "enter chooses"
    if now.find is not None:
        offered = StrategyChoice("herding-mix", None, now.estimator)
        does = f"enter stops hunting {make_printable(now.find)}"
    elif rare is not None:
        offered = StrategyChoice("herding-mix", rare, now.estimator)
        does = f"{make_printable(rare)} is rare: enter hunts for it"
    strategies = strategy_choices(counts, now, offered)
    plain = len(strategies) - 2 * len(counts)
    choices: list[Choice[Any]] = [*strategies[:plain], *parts, *strategies[plain:]]
    place = next((at for at, choice in enumerate(choices) if choice.value == offered), 0)
    return ChoiceScreen(choices, heading="How items are picked", does=does, place=place)


def strategy_choices(
    counts: Mapping[str, int], now: StrategyChoice, offered: StrategyChoice
) -> list[Choice[StrategyChoice]]:
    """Return every strategy, then the hunt for each class, then its most probable items."""
    words = {name: WORDS.get(name, "") for name in STRATEGIES if name != "max-probability"}
    found = [(StrategyChoice(name, None, now.estimator), about) for name, about in words.items()]
    for name, about in (
        ("herding-mix", "alternates probable and uncertain items"),
        ("max-probability", "only the most probable items of this class"),
    ):
        found += [(StrategyChoice(name, label, now.estimator), about) for label in counts]
    return [
        Choice(
            choice,
            strategy_title(choice),
            f"stop hunting; {about}" if now.find and choice == offered else about,
            "●" if choice == now else "",
            counts.get(choice.find or ""),
        )
        for choice, about in found
    ]
