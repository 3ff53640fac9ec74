"""Files of HITs: JSON, JSON lines or CSV, and the sets of a project in its folder `hits`.

Every fault of a file is named before anything is used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

from annotator.errors import ProjectError, RefError, bullet_list
from annotator.hits.model import Hit, HitClass, HitImage, HitPage, HitSet
from annotator.items.atomic import read_file, write_atomically
from annotator.items.json_text import parse_json
from annotator.items.refs import Item, make_printable
from annotator.items.text_files import open_text, read_rows
from annotator.project.lock import lock_project
from annotator.project.project import ProjectFolder

_COLUMNS = ("pageno", "class", "url")
_MANY = "|"
"""Between synset words, and between links, in one cell of a CSV."""
_YES = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
Fault = Callable[[str, str], None]


def read_hits(file: Path, *, answered: bool = True) -> list[Hit]:
    """Read the HITs of a .json (one, a list, or {"hits": [...]}), .jsonl or .csv file.

    With `answered` each gold item must have its answer, which a set of a project keeps apart.
    Raises `RefError` that names every fault and its place.
    """
    if not file.is_file():
        raise RefError(
            f"{make_printable(str(file))} does not exist. Make HITs with `annotator hits make`"
        )
    problems: list[str] = []

    def fault(place: str, text: str) -> None:
        problems.append(make_printable(f"{file.name}, {place}: {text}"))

    tables = _from_csv(file, fault) if file.suffix.lower() == ".csv" else _from_json(file)
    hits = [_hit(table, f"HIT {place}", file.stem, fault) for place, table in enumerate(tables, 1)]
    pages = [page for hit in hits for page in hit.pages] if answered else []
    for id_ in (id_ for page in pages for id_, wanted in page.gold.items() if wanted is None):
        fault("gold", f"{id_!r} has no answer; give true or false")
    for dataset_id in _twice((hit.dataset, hit.id) for hit in hits):
        fault(f"HIT {dataset_id[1]}", f"appears twice in {dataset_id[0]}; give each its own id")
    if not hits:
        fault("all of it", "holds no HIT")
    if problems:
        raise RefError(
            bullet_list(problems, f"{make_printable(str(file))} cannot be used as it is:")
        )
    return hits


def _from_json(file: Path) -> list[Any]:
    with open_text(file) as text:
        try:
            if file.suffix.lower() == ".jsonl":
                return [parse_json(line) for line in text if line.strip()]
            found = parse_json(text.read())
        except ValueError as error:
            raise RefError(
                f"{make_printable(str(file))} is not JSON: {error}; HITs come as .json, .jsonl "
                "or .csv"
            ) from error
    if isinstance(found, dict) and isinstance(found.get("hits"), list):
        return list(found["hits"])
    return found if isinstance(found, list) else [found]


def _from_csv(file: Path, fault: Fault) -> list[Any]:
    """Read one row for each image; the rows of one page stand together.

    Columns: hitDatasetName, hit, pageno, wnid, class, description, wikipedia, image_id, url, gold,
    reserve.
    """
    cells = read_rows(file)
    _, header = next(cells, (1, list[str]()))
    if absent := [name for name in _COLUMNS if name not in header]:
        fault("line 1", f"has no column {', '.join(absent)}; it needs {', '.join(_COLUMNS)}")
        return []
    # A row that is too short lacks its last columns.
    rows = [dict(zip_longest(header, row[: len(header)], fillvalue="")) for _, row in cells]
    return [
        _table_of(list(group))
        for _, group in groupby(rows, lambda row: (row.get("hitDatasetName"), row.get("hit")))
    ]


def _table_of(rows: list[dict[str, str]]) -> dict[str, Any]:
    """Return the JSON of the HIT in these rows of a CSV."""
    pages = []
    for pageno, group in groupby(rows, lambda row: row["pageno"]):
        of_page = list(group)
        first = of_page[0]
        words = _many(first["class"])
        images: dict[bool, list[dict[str, str]]] = {False: [], True: []}
        gold = {}
        for row in of_page:
            image = {"id": row.get("image_id") or row["url"], "url": row["url"]}
            images[bool(_YES.get((row.get("reserve") or "").lower()))].append(image)
            if row.get("gold"):
                gold[image["id"]] = _YES.get(row["gold"].lower(), row["gold"])
        pages.append(
            {
                "pageno": int(pageno) if pageno.isdecimal() else pageno,
                "class": {
                    "id": first.get("wnid") or (words[0] if words else ""),
                    "wnid": first.get("wnid") or "",
                    "synset": words,
                    "description": first.get("description") or "",
                    "wikipedia": _many(first.get("wikipedia") or ""),
                },
                "images": images[False],
                "reserve": images[True],
                "gold": gold,
            }
        )
    head = rows[0]
    return {"hitDatasetName": head.get("hitDatasetName"), "id": head.get("hit"), "pages": pages}


def _many(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(_MANY) if part.strip()]


def _hit(table: Any, place: str, stem: str, fault: Fault) -> Hit:
    table = _table(table, place, fault)
    pages = table.get("pages")
    if not isinstance(pages, list) or not pages:
        fault(place, "has no pages; `pages` is a list of {pageno, class, images}")
        pages = []
    found = tuple(
        _page(page, f"{place}, page {number}", number, fault)
        for number, page in enumerate(pages, 1)
    )
    if [page.pageno for page in found] != list(range(1, len(found) + 1)):
        fault(place, "does not number its pages 1, 2, 3 …; fix `pageno`")
    dataset, id_ = table.get("hitDatasetName") or stem, table.get("id") or stem
    return Hit(str(dataset), str(id_), found, bool(table.get("isUnique", False)))


def _page(page: Any, place: str, number: int, fault: Fault) -> HitPage:
    page = _table(page, place, fault)
    images = _images(page.get("images"), f"{place}, images", fault)
    reserve = _images(page.get("reserve", []), f"{place}, reserve", fault)
    if not images:
        fault(place, "shows no image; `images` is a list of {id, url}")
    for id_ in _twice(image.id for image in (*images, *reserve)):
        fault(place, f"has the image {id_!r} twice")
    gold = _table(page.get("gold", {}), f"{place}, gold", fault)
    for id_, wanted in gold.items():
        if id_ not in {image.id for image in images}:
            fault(f"{place}, gold", f"{id_!r} is not an image of the page")
        if wanted is not None and not isinstance(wanted, bool):
            fault(f"{place}, gold", f"{id_!r} is {wanted!r}; give true or false")
    pageno, seed = page.get("pageno", number), page.get("seed")
    asks = _class(page.get("class"), f"{place}, class", fault)
    return HitPage(pageno, asks, images, gold, reserve, seed if isinstance(seed, int) else None)


def _class(found: Any, place: str, fault: Fault) -> HitClass:
    table = _table(found, place, fault)
    synset, links = _texts(table, "synset", place, fault), _texts(table, "wikipedia", place, fault)
    wnid = str(table.get("wnid") or "")
    id_ = str(table.get("id") or wnid or (synset[0] if synset else ""))
    if not id_.strip():
        fault(place, "has no name; give `synset`, `wnid` or `id`")
    return HitClass(id_, wnid, synset, str(table.get("description") or ""), links)


def _images(found: Any, place: str, fault: Fault) -> tuple[HitImage, ...]:
    images = []
    for number, entry in enumerate(found if isinstance(found, list) else (), 1):
        table = _table(entry, f"{place} {number}", fault)
        url = table.get("url") or table.get("originalUrl") or table.get("path") or table.get("id")
        try:
            ref = Item.parse(str(url or "").removeprefix("file://")).ref
        except RefError as error:
            fault(f"{place} {number}", str(error))
            continue
        images.append(HitImage(str(table.get("id") or ref), ref))
    return tuple(images)


def _texts(table: Mapping[str, Any], key: str, place: str, fault: Fault) -> tuple[str, ...]:
    found = table.get(key) or []
    found = [found] if isinstance(found, str) else found
    if not isinstance(found, list) or not all(isinstance(part, str) for part in found):
        fault(place, f"{key} is {found!r}; give a list of texts")
        return ()
    return tuple(found)


def _table(found: Any, place: str, fault: Fault) -> Mapping[str, Any]:
    if isinstance(found, dict):
        return found
    fault(place, f"is {type(found).__name__}, not an object {{…}}")
    return {}


def _twice(values: Iterable[Any]) -> list[Any]:
    seen: set[Any] = set()
    again = [value for value in values if value in seen or seen.add(value)]  # type: ignore[func-returns-value]
    return list(dict.fromkeys(again))


FOLDER = "hits"
_PLAIN = re.compile(r"[\w.-]+")


def save_hit_set(project: ProjectFolder, hits: HitSet) -> Path:
    """Write the set into the project. Raises `ProjectError` if the name is taken."""
    if not _PLAIN.fullmatch(hits.name) or hits.name.startswith("."):
        raise ProjectError(
            f"{make_printable(hits.name)!r} cannot be a file name. Use letters, digits, - and _"
        )
    file = project.folder / FOLDER / f"{hits.name}.json"
    with lock_project(project.folder):
        _write_hit_set(file, hits)
    return file


def _write_hit_set(file: Path, hits: HitSet) -> None:
    if file.exists():
        raise ProjectError(
            f"{make_printable(str(file))} exists, and workers may have worked on it. "
            "Give another --name"
        )
    table = {
        "hitDatasetName": hits.name, "workers": hits.workers, "negative": hits.negative,
        "made": hits.made, "hits": [hit.as_dict(answers=False) for hit in hits.hits],
    }  # fmt: skip
    file.parent.mkdir(exist_ok=True)
    _write_gold(file, hits)
    write_atomically(file, json.dumps(table, ensure_ascii=False, indent=1).encode())


def gold_file(file: Path) -> Path:
    """Return the file of a set's gold answers, which a worker's account may not read."""
    return file.parent / "gold" / file.name


def _write_gold(file: Path, hits: HitSet) -> None:
    gold = [[dict(page.gold) for page in hit.pages] for hit in hits.hits]
    place = gold_file(file)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    write_atomically(place, json.dumps(gold, ensure_ascii=False).encode())
    place.chmod(0o600)


def _add_gold(file: Path, hits: Iterable[Hit]) -> tuple[Hit, ...]:
    """Return the HITs with the gold answers of their file, if this account may read it."""
    try:
        gold = parse_json(read_file(gold_file(file)))
    except (FileNotFoundError, PermissionError):
        return tuple(hits)  # without answers, or a set of 0.1.0 with its answers in it
    except (OSError, ValueError):
        gold = None
    try:
        return tuple(
            replace(
                hit,
                pages=tuple(
                    replace(page, gold=answers)
                    for page, answers in zip(hit.pages, pages, strict=True)
                ),
            )
            for hit, pages in zip(hits, gold, strict=True)
        )
    except (TypeError, ValueError) as error:
        raise RefError(
            f"{make_printable(str(gold_file(file)))} does not fit its HITs. Put back the file "
            "that `annotator hits make` wrote."
        ) from error


def load_hit_sets(project: ProjectFolder) -> dict[str, HitSet]:
    """Return the sets by name. Raises `RefError` for a file that cannot be used."""
    files = sorted((project.folder / FOLDER).glob("*.json"))
    return {file.stem: _load(file) for file in files}


def select_hit_set(project: ProjectFolder, name: str | None) -> HitSet:
    """Return the set of this name; for None the only one. Raises `ProjectError` with the names."""
    sets = load_hit_sets(project)
    folder = make_printable(str(project.folder))
    if not sets:
        raise ProjectError(
            f"{folder} has no HITs yet: annotator hits make {folder} --class NAME, or "
            f"annotator hits run FILE --project {folder}"
        )
    if name is None and len(sets) > 1:
        raise ProjectError(
            f"{folder} has several sets; give --name {make_printable('|'.join(sets))}"
        )
    if name is not None and name not in sets:
        raise ProjectError(
            make_printable(f"{folder} has no HITs named {name!r}; there are {', '.join(sets)}")
        )
    return sets[name if name is not None else next(iter(sets))]


def _load(file: Path) -> HitSet:
    hits = _add_gold(file, read_hits(file, answered=False))
    table = parse_json(read_file(file))
    workers, negative = table.get("workers"), table.get("negative")
    return HitSet(
        file.stem,
        hits,
        workers if isinstance(workers, int) and workers > 0 else None,
        negative if isinstance(negative, str) else None,
        table.get("made"),
    )
