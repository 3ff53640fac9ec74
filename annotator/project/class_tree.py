"""The classes of a project as a tree: `car` and `bus` are kinds of `vehicle`.

A label may name any class of the tree. One of an inner class, such as `vehicle`, says less than one
of a leaf, and can be refined later. A project without parents is flat: each class is a leaf, and
each question to its tree has the answer that it would have without a tree.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

from annotator.errors import ProjectError, bullet_list
from annotator.items.refs import make_printable
from annotator.project.classes import ClassInfo

PATH_SEPARATOR = "/"
"""The mark between a parent and its child, as in `vehicle/car`."""
LEAF = "leaf"
"""The level of the finest classes."""


@dataclass(frozen=True)
class ClassTree:
    """The classes and their parents; any other name has neither a parent nor a child."""

    parents: Mapping[str, str | None]
    """Each class, in order, to the class above it."""

    @classmethod
    def of(cls, infos: Sequence[ClassInfo]) -> ClassTree:
        """Return the tree of a project's classes."""
        return cls({info.name: info.parent or None for info in infos})

    @property
    def is_flat(self) -> bool:
        """True if no class has a parent."""
        return not self._children

    @cached_property
    def _children(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for name, parent in self.parents.items():
            if parent is not None:
                found[parent] = (*found.get(parent, ()), name)
        return found

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """The classes without a child, in order."""
        return tuple(name for name in self.parents if name not in self._children)

    @property
    def inner(self) -> tuple[str, ...]:
        """The classes with children, in order."""
        return tuple(name for name in self.parents if name in self._children)

    @cached_property
    def depth(self) -> int:
        """The number of levels; 1 for a flat project."""
        return max(map(self.level, self.parents), default=1)

    def children(self, name: str) -> tuple[str, ...]:
        """Return the classes directly below a class, in order."""
        return self._children.get(name, ())

    def is_leaf(self, name: str) -> bool:
        """Return True if no class is below `name`."""
        return name not in self._children

    def line(self, name: str) -> tuple[str, ...]:
        """Return the classes from the top of the tree down to `name`, which is the last."""
        found = [name]
        while (parent := self.parents.get(found[-1])) is not None:
            found.append(parent)
        return tuple(reversed(found))

    def level(self, name: str) -> int:
        """Return 1 for a class without a parent, 2 for its children, and so on."""
        return len(self.line(name))

    def path(self, name: str) -> str:
        """Return a class with the classes above it: `vehicle/car`."""
        return PATH_SEPARATOR.join(self.line(name))

    def is_within(self, name: str, ancestor: str) -> bool:
        """Return True if `name` is `ancestor` or a class below it."""
        return name == ancestor or (ancestor in self._children and ancestor in self.line(name))

    def agree(self, one: str, other: str) -> bool:
        """Return True if two labels do not contradict each other: one is within the other."""
        return self.is_within(one, other) or self.is_within(other, one)

    def all_agree(self, labels: Collection[str]) -> bool:
        """Return True if no two labels contradict each other."""
        return all(self.agree(one, other) for one, other in combinations(labels, 2))

    def level_out(self, labels: Sequence[str]) -> list[str]:
        """Return labels of one item as fine as all that do not contradict them.

        `vehicle` and `car` become `vehicle` twice; `cat` beside them stays.
        """
        if self.is_flat:
            return list(labels)
        return [next(above for above in self.line(label) if above in labels) for label in labels]

    def below(self, name: str) -> tuple[str, ...]:
        """Return the classes below `name` at any depth, in order of the tree."""
        return tuple(found for child in self.children(name) for found in self.branch(child))

    def branch(self, name: str) -> tuple[str, ...]:
        """Return `name` and the classes below it, in order of the tree."""
        return (name, *self.below(name))

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All classes, each followed by those below it; a flat project keeps its order."""
        tops = (name for name, parent in self.parents.items() if parent is None)
        return tuple(found for top in tops for found in self.branch(top))

    def at_level(self, name: str, level: int | None) -> str | None:
        """Return the class at `level` that `name` is or is below; a level of None is the leaf's.

        A leaf above the level stays as it is. None is returned for a class that has classes below
        it and lies above the level: it is not refined that far.
        """
        line = self.line(name)
        if level is not None and level <= len(line):
            return line[level - 1]
        return name if self.is_leaf(name) else None

    def sum_up(self, proba: Mapping[str, float]) -> dict[str, float]:
        """Return the probability of each class: that of an inner one includes all below it."""
        if self.is_flat:
            return dict(proba)
        found = dict.fromkeys(self.parents, 0.0) | dict.fromkeys(proba, 0.0)
        for name, p in proba.items():
            for above in self.line(name):
                found[above] += p
        return found

    def counts(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Return how many labels each class has, those of the classes below it included."""
        found = dict(counts)
        for name, count in counts.items():
            for above in self.line(name)[:-1]:
                found[above] = found.get(above, 0) + count
        return found

    @property
    def parent_rows(self) -> tuple[int, ...]:
        """The place of each class's parent among the classes, -1 at the top."""
        places = {name: place for place, name in enumerate(self.parents)}
        return tuple(-1 if up is None else places[up] for up in self.parents.values())


def find_tree_faults(infos: Sequence[ClassInfo], multi: bool = False) -> list[str]:
    """Return the faults of the classes' parents, each with the remedy.

    Each begins with the class, so that a message can name its line in annotator.toml.
    """
    nested = [info for info in infos if info.parent]
    if not nested:
        return []
    names = {info.name for info in infos}
    problems = [
        _about(info.name, _explain_unknown(str(info.parent), names))
        for info in nested
        if info.parent not in names
    ]
    problems += _find_circles({info.name: info.parent for info in infos})
    problems += [
        _about(info.name, f"a name with {PATH_SEPARATOR} reads as a path of classes. Write the "
               f"last part as the name and the part before it as the parent")
        for info in infos
        if PATH_SEPARATOR in info.name
    ]  # fmt: skip
    if multi:
        problems.append(
            _about(nested[0].name, f"parent = {str(nested[0].parent)!r} has no meaning with "
                   "multi_label, where an item has several classes. Remove one of the two")
        )  # fmt: skip
    return problems


def _about(name: str, fault: str) -> str:
    return f"class {make_printable(name)}: {fault}"


def _explain_unknown(parent: str, names: Collection[str]) -> str:
    shown = make_printable(repr(parent))
    close = difflib.get_close_matches(parent, names, 1)
    remedy = (
        f"Did you mean {make_printable(repr(close[0]))}?"
        if close
        else f"Add a [[classes]] table with name = {shown}, or remove the parent"
    )
    return f"parent = {shown} is not a class. {remedy}"


def _find_circles(parents: Mapping[str, str | None]) -> Iterator[str]:
    seen: set[str] = set()
    for name in parents:
        line = [name]
        while line[-1] not in seen and (above := parents.get(line[-1])) and above not in line:
            line.append(above)
        if line[-1] not in seen and (above := parents.get(line[-1])) in line:
            circle = [*line[line.index(str(above)) :], str(above)]
            yield _about(
                circle[0],
                f"its parents form a circle: {make_printable(' → '.join(circle))}. "
                "Remove the parent of one of them",
            )
        seen.update(line)


def split_class_path(text: str) -> tuple[str, ...]:
    """Return the classes of a path such as `vehicle/car`, from the top down.

    Raises `ProjectError` for a path with an empty part.
    """
    parts = tuple(part.strip() for part in text.split(PATH_SEPARATOR))
    if not all(parts):
        shown = make_printable(repr(text))
        raise ProjectError(
            f"{shown} has an empty part beside a {PATH_SEPARATOR}. Write parent{PATH_SEPARATOR}"
            f"class, or, for a name that holds a {PATH_SEPARATOR}, write it in annotator.toml"
        )
    return parts


def expand_paths(infos: Sequence[ClassInfo]) -> tuple[ClassInfo, ...]:
    """Return classes named by paths as classes with parents; absent parents are added before them.

    `vehicle/car` becomes `vehicle`, and `car` with the parent `vehicle`. Raises `ProjectError` for
    a path with an empty part, a class that is named twice and one that has two parents.
    """
    found: dict[str, ClassInfo] = {}
    named: set[str] = set()
    for info in infos:
        *above, name = split_class_path(info.name)
        for parent, step in zip((info.parent, *above), (*above, name), strict=True):
            known = found.get(step)
            if known is not None and parent and known.parent not in (None, parent):
                raise ProjectError(_explain_two_parents(step, str(known.parent), parent))
            own = info if step == name else known or ClassInfo(step)
            parent = parent or (known.parent if known else None)
            found[step] = replace(own, name=step, parent=parent)
        if name in named:
            raise ProjectError(f"class {make_printable(name)} is named twice. Remove one of them")
        named.add(name)
    return tuple(found.values())


def take_parents(names: Sequence[str], parents: Mapping[str, str]) -> tuple[ClassInfo, ...]:
    """Return the classes `names` of a data set, then those above them, each with its parent.

    A class that is above all others and has no label of its own says nothing, and is left out. If
    the parents form no tree, the classes are flat.
    """
    found: dict[str, str | None] = dict.fromkeys(names)
    for name in names:
        step = name
        while found.get(step) is None and parents.get(step):
            found[step] = parents[step]
            step = parents[step]
            found.setdefault(step, None)
    while len(tops := [name for name, up in found.items() if up is None]) == 1 < len(found):
        if tops[0] in names:
            break
        del found[tops[0]]
        found = {name: None if up == tops[0] else up for name, up in found.items()}
    infos = tuple(ClassInfo(name, parent=up) for name, up in found.items())
    return tuple(map(ClassInfo, names)) if find_tree_faults(infos) else infos


def _explain_two_parents(name: str, one: str, other: str) -> str:
    return make_printable(
        f"class {name} has two parents: {one} and {other}. A name is unique in the whole tree: "
        "rename one of the two classes"
    )


def check_tree(infos: Sequence[ClassInfo], multi: bool = False) -> None:
    """Raise `ProjectError` for parents that do not exist or form a circle."""
    if faults := find_tree_faults(infos, multi):
        raise ProjectError(bullet_list(faults, "These classes cannot be used:"))
