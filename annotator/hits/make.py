"""HITs from a project: candidates for each class, with items among them whose answer is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np

from annotator.errors import ProjectError, bullet_list
from annotator.hits.model import (
    IMAGES,
    PAGES,
    Hit,
    HitClass,
    HitImage,
    HitPage,
    HitSet,
    other_class,
)
from annotator.items.refs import make_printable, plural
from annotator.log.entries import LogState
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.session import predict

ORDERS = ("random", "likely")
"""Orders of the candidates of a class: any unlabelled items at random, or those that the model
predicts as the class, the likeliest first."""
_RESERVE = 4
"""The number of images in a page's reserve, which replace broken ones."""


@dataclass(frozen=True, slots=True)
class HitRecipe:
    """A recipe for a set of HITs."""

    name: str
    classes: tuple[str, ...]
    """The classes asked for; each page asks for one."""
    pages: int = PAGES
    images: int = IMAGES
    gold: int = 2
    """Known positives on each page, and as many known negatives."""
    hits: int | None = None
    """The most HITs; None for as many as there are candidates for."""
    workers: int | None = 1
    """The number of workers for each HIT; None for all who come."""
    unique: bool = True
    order: str = "random"
    negative: str | None = None
    """The label of images that are not selected; None leaves them unlabelled."""
    seed: int = 0


def make_hits(project: ProjectFolder, state: LogState, recipe: HitRecipe) -> HitSet:
    """Draw the HITs, all from `recipe.seed`: the same project gives the same HITs.

    Raises `ProjectError` for numbers that do not fit together, for classes without enough known
    items, and if no item is left to ask for.
    """
    _check(project, state, recipe)
    rng = np.random.default_rng(recipe.seed)
    pages = [
        list(_pages(project, state, recipe, name, candidates, rng))
        for name, candidates in _candidates(project, state, recipe, rng).items()
    ]
    # Classes take turns, so that every HIT has its share of each.
    turns = [page for turn in zip_longest(*pages) for page in turn if page is not None]
    parts = [turns[start : start + recipe.pages] for start in range(0, len(turns), recipe.pages)]
    hits = [
        Hit(recipe.name, f"{recipe.name}-{number:04d}", _numbered(part), recipe.unique)
        for number, part in enumerate(parts[: recipe.hits], 1)
    ]
    if not hits:
        raise ProjectError(
            "No unlabelled item is left to ask for, or, with --order likely, none is predicted "
            "as a class asked for"
        )
    made = {
        "seed": recipe.seed, "order": recipe.order, "gold": recipe.gold,
        "pages": recipe.pages, "images": recipe.images,
    }  # fmt: skip
    return HitSet(recipe.name, tuple(hits), recipe.workers, _negative(project, recipe), made)


def _check(project: ProjectFolder, state: LogState, recipe: HitRecipe) -> None:
    names, problems = project.settings.names, []
    for name in (*recipe.classes, *([recipe.negative] if recipe.negative else [])):
        if name not in names:
            problems.append(
                f"{make_printable(name)!r} is not a class; the classes are "
                f"{make_printable(', '.join(names))}"
            )
    if recipe.negative in recipe.classes:
        problems.append(f"{recipe.negative} cannot be asked for and also be the negative class")
    if recipe.order not in ORDERS:
        problems.append(f"no order {recipe.order!r}; choose {' or '.join(ORDERS)}")
    if recipe.images <= 2 * recipe.gold:
        problems.append(
            f"{plural(recipe.images, 'image')} leave no room beside {2 * recipe.gold} known ones; "
            "give fewer with --gold, or more --images"
        )
    for name in recipe.classes:
        for relation, positive in (("of", True), ("not of", False)):
            count = len(_known(state, name, positive))
            if count < recipe.gold:
                problems.append(
                    f"{plural(count, 'labelled item')} {'is' if count == 1 else 'are'} {relation} "
                    f"class {make_printable(name)}, but --gold {recipe.gold} needs {recipe.gold}: "
                    f"label some first, or give --gold {count}"
                )
    if problems:
        raise ProjectError(bullet_list(problems, "No HITs were made:"))


def _negative(project: ProjectFolder, recipe: HitRecipe) -> str | None:
    """Return the label of images that are not selected."""
    return recipe.negative or other_class(project.settings.names, recipe.classes)


def _known(state: LogState, name: str, positive: bool) -> list[str]:
    """Return the refs that annotators have labelled as this class, or as another."""
    return [
        last.ref
        for _, last in state.labels()
        if not last.by_machine and (last.label == name) == positive
    ]


def _candidates(
    project: ProjectFolder, state: LogState, recipe: HitRecipe, rng: np.random.Generator
) -> dict[str, list[str]]:
    """Return the refs that may be asked for each class, in the order of the pages."""
    if recipe.order == "likely":
        return _likely(project, state, recipe)
    refs = load_refs(project)
    open_ = np.flatnonzero(predict.unlabelled_rows(refs, state))
    rows = [int(row) for row in open_ if refs[int(row)] not in state.standing]
    return {name: [refs[row] for row in rng.permutation(rows)] for name in recipe.classes}


def _likely(project: ProjectFolder, state: LogState, recipe: HitRecipe) -> dict[str, list[str]]:
    fitted = predict.fit(project, state)
    found: dict[str, list[tuple[float, str]]] = {name: [] for name in recipe.classes}
    places = {name: fitted.classes.index(name) for name in found if name in fitted.classes}
    for rows, proba in predict.predict_pieces(fitted, predict.unlabelled_rows(fitted.refs, state)):
        taken = fitted.model.targets.one_hot(proba)
        for name, c in places.items():
            for place in np.flatnonzero(taken[:, c]).tolist():
                if (ref := fitted.refs[int(rows[place])]) not in state.standing:
                    found[name].append((-float(proba[place, c]), ref))
    return {name: [ref for _, ref in sorted(pairs)] for name, pairs in found.items()}


def _pages(
    project: ProjectFolder,
    state: LogState,
    recipe: HitRecipe,
    name: str,
    candidates: Sequence[str],
    rng: np.random.Generator,
) -> Iterator[HitPage]:
    room = recipe.images - 2 * recipe.gold
    known = {positive: _known(state, name, positive) for positive in (True, False)}
    asks = hit_class(project, name)
    for start in range(0, len(candidates), room):
        gold = {
            ref: positive
            for positive, refs in known.items()
            for ref in _some(refs, recipe.gold, rng)
        }
        shown = [*candidates[start : start + room], *gold]
        seed = int(rng.integers(2**31))
        order = np.random.default_rng(seed).permutation(len(shown))
        images = tuple(HitImage(shown[place], shown[place]) for place in order)
        near = set(shown)
        spare = [ref for ref in _some(candidates, len(near) + _RESERVE, rng) if ref not in near]
        reserve = tuple(HitImage(ref, ref) for ref in spare[:_RESERVE])
        yield HitPage(1, asks, images, gold, reserve, seed)


def _some(refs: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """Draw `count` of the refs without replacement; all if there are fewer."""
    places = rng.choice(len(refs), min(count, len(refs)), replace=False) if refs else ()
    return [refs[int(place)] for place in places]


def _numbered(pages: Sequence[HitPage]) -> tuple[HitPage, ...]:
    return tuple(replace(page, pageno=number) for number, page in enumerate(pages, 1))


def hit_class(project: ProjectFolder, name: str) -> HitClass:
    """Return a class of the project as the class of a HIT."""
    info = next((info for info in project.settings.classes if info.name == name), None)
    words = tuple(dict.fromkeys([name, *getattr(info, "synonyms", ())]))
    link = getattr(info, "link", "")
    wnid = name if name[:1] == "n" and name[1:].isdecimal() and len(name) == 9 else ""
    return HitClass(name, wnid, words, info.description if info else "", (link,) if link else ())
