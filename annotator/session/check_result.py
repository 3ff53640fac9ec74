"""The result of a check, as numbers and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from annotator.items.refs import format_interval, format_percent, make_printable, plural
from annotator.learn.error_estimate import Interval

BLIND_RULE = "Check: random items, labelled without the prediction. A skip counts as wrong."


@dataclass(frozen=True, slots=True)
class StopRules:
    """The rules that end a check once all are met; without a rule it never ends by itself."""

    max_error: float | None = None
    """The largest error of the frozen model."""
    min_found: Mapping[str, float] = field(default_factory=dict)
    """Class to the least share of its items that people have labelled."""


@dataclass(frozen=True, slots=True)
class ClassShare:
    """The share of a class among all items, and how many of its items people have labelled."""

    name: str
    share: Interval
    found: int
    found_share: Interval
    """The share of its items that people have labelled."""


@dataclass(frozen=True, slots=True)
class RuleResult:
    """A stop rule, and the bound that decides it."""

    rule: str
    """The rule as the command line has it: `max-error`, or `min-found NAME`."""
    limit: float
    bound: float
    met: bool

    def __str__(self) -> str:
        name = make_printable(self.rule.removeprefix("min-found "))
        met = "yes" if self.met else "not yet"
        if self.rule == "max-error":
            return f"error at most {100 * self.limit:g} %: {met} (at most {100 * self.bound:.1f} %)"
        return f"{100 * self.limit:g} % of {name} found: {met} (at least {100 * self.bound:.1f} %)"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check so far."""

    name: str
    model: str
    level: float
    """The confidence of each interval."""
    items: int
    """The number of items that the sample is drawn from."""
    checked: int
    wrong: int
    skipped: int
    """Checked items that were skipped, or have left the project: they count as wrong."""
    error: Interval
    rules: tuple[RuleResult, ...]
    caveats: tuple[str, ...] = ()
    """The changes since the model was frozen, and what then holds."""
    waiting: int = 0
    """Answers that do not count yet, because an item drawn before them has none."""

    @property
    def waits(self) -> str:
        """A sentence about the answers that do not count yet; "" without any."""
        if not self.waiting:
            return ""
        return f"{plural(self.waiting, 'answer')} more, once an item drawn earlier has one."

    @property
    def done(self) -> bool:
        """True if there is a stop rule, and all are met."""
        return bool(self.rules) and all(rule.met for rule in self.rules)

    def as_dict(self, classes: Sequence[ClassShare]) -> dict[str, Any]:
        """Return the fields of the JSON output."""
        found = asdict(self) | {"done": self.done}
        return found | {
            "classes": {share.name: asdict(share) | {"name": share.name} for share in classes}
        }

    @property
    def headline(self) -> str:
        """The error with its interval, in a few words."""
        error = self.error
        words = f"{self.checked:,} checked, {self.wrong:,} wrong"
        if not self.checked:
            return f"{words}. The model expects an error of {format_percent(error.value)}"
        span = format_interval(error.low, error.high)
        return f"{words}: error {format_percent(error.value)} ({span})"


def check_panel_lines(result: CheckResult, classes: Sequence[ClassShare]) -> tuple[str, ...]:
    """Return the result so far in short lines, beside the picture; the last one is the rule."""
    shares = [
        f"{make_printable(c.name)} {format_percent(c.share.value)} "
        f"({format_interval(c.share.low, c.share.high)})"
        for c in classes
    ]
    each = f"{100 * result.level:g} % each, valid however often you look"
    waits = [result.waits] if result.waiting else []
    return (result.headline, *waits, *map(str, result.rules), *shares, each, BLIND_RULE)


def result_lines(result: CheckResult, classes: Sequence[ClassShare]) -> list[str]:
    """Return the result as text: the error, the shares of the classes, the rules, the caveats."""
    lines = [
        f"{result.name} of {make_printable(result.model)}, on {result.items:,} items without a "
        f"label when it began:",
        f"  {result.headline}",
    ]
    if result.waiting:
        lines.append(f"  {result.waits}")
    if result.skipped:
        lines.append(f"  {result.skipped:,} of these were skipped, and count as wrong")
    for one in classes:
        span = format_interval(one.share.low, one.share.high)
        lines.append(
            f"  {make_printable(one.name)}: {format_percent(one.share.value)} of all items "
            f"({span}), {one.found:,} labelled"
        )
    lines += [f"  {rule}" for rule in result.rules]
    lines.append(
        f"  Each interval holds with {100 * result.level:g} % confidence, however often you look."
    )
    return [*lines, *(f"  {note}" for note in result.caveats)]
