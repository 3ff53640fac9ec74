"""The project of a file of HITs, made beside the file if there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from annotator.errors import ProjectError, RefError, bullet_list
from annotator.hits.files import load_hit_sets, read_hits, save_hit_set
from annotator.hits.model import Hit, HitImage, HitSet, other_class
from annotator.items.atomic import write_atomically
from annotator.items.listing import is_file
from annotator.items.refs import Item, make_printable, plural
from annotator.items.text_files import csv_bytes
from annotator.project.item_pool import load_refs as load_pool
from annotator.project.project import ProjectFolder, is_project
from annotator.project.settings import ClassInfo, Settings

OTHER = "other"
_SUFFIXES = ("", ".jpg", ".jpeg", ".JPEG", ".JPG", ".png")


def hits_project_folder(file: Path) -> Path:
    """Return the folder of a HIT file's project: `hits.json` has `hits.annotator`."""
    return file.with_suffix(".annotator")


def open_hits_file(
    file: Path, folder: Path, images: Path | None = None, left_out: list[str] | None = None
) -> tuple[ProjectFolder, HitSet]:
    """Open or make the project at `folder` with the HITs of `file` in it.

    Images are looked for below `images` (the file's own folder for None), under their url or
    their id. With a list `left_out`, images that are not there are added to it and left out, and so
    are pages without an image. Raises `RefError` or `ProjectError` with everything that is missing.
    """
    hits = read_hits(file)
    known = {hit.dataset for hit in hits}
    name = re.sub(r"[^\w.-]+", "-", known.pop() if len(known) == 1 else file.stem).lstrip(".")
    project = ProjectFolder.open(folder) if is_project(folder) else None
    root = images or (project.images if project else file.parent)
    if left_out is not None:
        hits = _without_missing(hits, root, file, left_out)
    hits = _located(hits, root, (project.images if project else root).resolve(), file)
    project = project or _new(folder, hits, root.resolve())
    _check(project, hits)
    negative = _negative(project, hits)
    wanted = HitSet(name, tuple(replace(hit, dataset=name) for hit in hits), None, negative)
    before = load_hit_sets(project).get(name)
    if before is None:
        _list(project, hits)
        save_hit_set(project, wanted)
    elif before.hits != wanted.hits:
        raise ProjectError(
            f"{make_printable(str(folder))} holds other HITs named {make_printable(name)}, and "
            "workers may have worked on them. Give another folder with --project DIR"
        )
    return project, before or wanted


def _new(folder: Path, hits: list[Hit], root: Path) -> ProjectFolder:
    """Make a project with the classes that the pages ask for, and one for the rest."""
    infos = {page.asks.name: page.asks.description for hit in hits for page in hit.pages}
    classes = [ClassInfo(name, description=text) for name, text in infos.items()]
    if len(classes) == 1:
        classes.insert(0, ClassInfo(OTHER if OTHER not in infos else f"not {OTHER}"))
    return ProjectFolder.create(folder, Settings(classes=tuple(classes), images=str(root)))


def _located(hits: list[Hit], root: Path, base: Path, file: Path) -> list[Hit]:
    """Return the HITs with refs in place of urls, relative to `base` if they are below it."""
    problems: list[str] = []

    def found(image: HitImage) -> HitImage:
        place = next((path for path in _places(image, root) if is_file(path)), None)
        if place is None:
            problems.append(make_printable(image.ref))
            return image
        place = place.resolve()
        path = place.relative_to(base).as_posix() if place.is_relative_to(base) else str(place)
        return replace(image, ref=Item(path, Item.parse(image.ref).box).ref)

    def all_found(images: tuple[HitImage, ...]) -> tuple[HitImage, ...]:
        return tuple(map(found, images))

    hits = [
        replace(
            hit,
            pages=tuple(
                replace(page, images=all_found(page.images), reserve=all_found(page.reserve))
                for page in hit.pages
            ),
        )
        for hit in hits
    ]
    if problems:
        heading = (
            f"{make_printable(str(file))}: {plural(len(problems), 'image')} not below "
            f"{make_printable(str(root))}. Nothing is downloaded: fetch them and give their folder "
            "with --images DIR, or leave them out with --skip-missing"
        )
        raise RefError(bullet_list(problems, heading))
    return hits


def _without_missing(hits: list[Hit], root: Path, file: Path, gone: list[str]) -> list[Hit]:
    """Return the HITs without the images that are not below `root`, and add those to `gone`."""

    def there(images: tuple[HitImage, ...]) -> tuple[HitImage, ...]:
        found = tuple(image for image in images if any(map(is_file, _places(image, root))))
        gone.extend(image.ref for image in images if image not in found)
        return found

    kept = []
    for hit in hits:
        pages = [
            replace(page, images=there(page.images), reserve=there(page.reserve))
            for page in hit.pages
        ]
        shown = [page for page in pages if page.images]
        numbered = tuple(
            replace(
                page,
                pageno=number,
                gold={i.id: page.gold[i.id] for i in page.images if i.id in page.gold},
            )
            for number, page in enumerate(shown, 1)
        )
        if numbered:
            kept.append(replace(hit, pages=numbered))
    if not kept:
        raise RefError(
            f"{make_printable(str(file))}: no image is below {make_printable(str(root))}. Give "
            "their folder with --images DIR"
        )
    return kept


def _places(image: HitImage, root: Path) -> Iterator[Path]:
    """Yield the places of an image below `root`: its path, then its id or its name."""
    path = Item.parse(image.ref).path
    if "://" not in path:
        yield root / path
    for name in (image.id, PurePosixPath(path).name):
        for suffix in _SUFFIXES:
            yield root / f"{name.lstrip('/')}{suffix}"


def _check(project: ProjectFolder, hits: list[Hit]) -> None:
    names = project.settings.names
    asked = {page.asks.name for hit in hits for page in hit.pages}
    if missing := sorted(asked - set(names)):
        raise ProjectError(
            make_printable(
                f"{project.folder} has no class {', '.join(missing)} (it has {', '.join(names)}). "
                "Add a [[classes]] table to its annotator.toml, or give another --project DIR"
            )
        )


def _negative(project: ProjectFolder, hits: list[Hit]) -> str | None:
    """Return the label of images that are not selected."""
    asked = {page.asks.name for hit in hits for page in hit.pages}
    return other_class(project.settings.names, asked)


def _list(project: ProjectFolder, hits: list[Hit]) -> None:
    """List the images in the refs.csv of a new project; check them against an older one."""
    refs = dict.fromkeys(
        image.ref for hit in hits for page in hit.pages for image in (*page.images, *page.reserve)
    )
    if not project.refs_file.exists():
        write_atomically(project.refs_file, csv_bytes(["filename"], ([ref] for ref in refs)))
        return
    pool = load_pool(project)
    rows = pool.rows(list(refs))
    missing = [make_printable(ref) for ref, row in zip(refs, rows.tolist(), strict=True) if row < 0]
    if missing:
        heading = (
            f"Not items of {make_printable(str(project.folder))}: "
            f"{plural(len(missing), 'image')}. Add them to its refs.csv, or "
            "give another folder with --project DIR"
        )
        raise ProjectError(bullet_list(missing, heading))
