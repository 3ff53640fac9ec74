"""The choices among classes, for the dialog that finds one among hundreds by a few letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from annotator.items.refs import make_printable
from annotator.project.class_tree import ClassTree
from annotator.project.settings import ClassInfo
from annotator.tui.label.class_list import INDENT
from annotator.tui.widgets.choices import Choice


def class_choices(
    classes: Sequence[ClassInfo],
    keys: Mapping[str, str],
    counts: Mapping[str, int],
    shares: Mapping[str, float] | None,
) -> list[Choice[str]]:
    """Return the classes, the most probable first; `keys`, `counts` and `shares` go by name.

    If only some have a key, they come after the others: they need no search. In a hierarchy each
    class is below its parent, and is found by its parents' names, too.
    """
    tree = ClassTree.of(classes)
    some = any(not keys.get(info.name) for info in classes)
    likely = shares or {}
    ranked = sorted(
        classes, key=lambda info: (some and bool(keys.get(info.name)), -likely.get(info.name, 0.0))
    )
    if not tree.is_flat:
        places = {name: place for place, name in enumerate(tree.order)}
        ranked = sorted(classes, key=lambda info: places[info.name])
        counts, likely = tree.counts(counts), tree.sum_up(likely) if shares else {}
    return [
        Choice(
            info.name,
            INDENT * (tree.level(info.name) - 1) + make_printable(info.name),
            key=keys.get(info.name, ""),
            count=counts.get(info.name, 0),
            share=likely.get(info.name),
            synonyms=(*info.synonyms, *tree.line(info.name)[:-1]),
            details=describe_class(info),
        )
        for info in ranked
    ]


def describe_class(info: ClassInfo) -> str:
    """Return the description of a class in annotator.toml."""
    lines = [info.description, ", ".join(info.synonyms), info.link]
    if info.examples:
        lines.append(f"{len(info.examples)} reference pictures")
    return "\n".join(make_printable(line) for line in lines if line)
