"""The rows of a table or a text list, with paths and boxes that fit the images."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from annotator.errors import RefError, bullet_list
from annotator.formats.box_fit import BoxFitter
from annotator.formats.image_finder import ImageFinder
from annotator.formats.reading import ImportContext, ImportedItem
from annotator.items.file_names import FileNames, missing_files
from annotator.items.listing import IMAGE_SUFFIXES, RefRow, read_list, read_table
from annotator.items.refs import Item, make_printable, plural, shell_quoted
from annotator.items.table_columns import TableShape
from annotator.project.adding import append_new_items
from annotator.project.project import ProjectFolder

LIST_SUFFIXES = (".txt", ".lst", ".list")


@dataclass
class TableRows:
    """A table or a text list that was read, and the faults that it has."""

    file: Path
    rows: list[RefRow]
    root: Path
    """The folder of the images."""
    names: FileNames
    """The files below it."""
    problems: list[str]
    about: TableShape = field(default_factory=TableShape)
    faulty: set[int] = field(default_factory=set)
    """The lines of rows whose boxes do not fit their images."""

    @classmethod
    def read(cls, file: Path, order: str, images: Path | None) -> TableRows:
        """Read a file; without `images`, guess their folder: the current one, or the file's."""
        problems: list[str] = []
        about = TableShape()
        if file.suffix.lower() in LIST_SUFFIXES:
            rows = list(read_list(file, images or Path.cwd(), problems))
        else:
            rows = list(read_table(file, order, problems, about))
        if not rows and not problems:
            problems.append(f"{make_printable(file.name)}: holds no rows")
        places = [Path.cwd(), file.resolve().parent]
        sample = [row.item.path for row in rows[:: max(1, len(rows) // 200)]]
        root = images or guess_root(sample, places)
        table = cls(file, rows, root, FileNames(root), problems, about)
        table._refuse_lists()
        table._respell()
        return table

    def _refuse_lists(self) -> None:
        """Report labels that are lists or objects, as other programs write several in one cell."""
        for row in self.rows:
            if row.label[:1] in ("[", "{") and _is_structured(row.label):
                self.faulty.add(row.line)
                self.problems.append(
                    f"{make_printable(self.file.name)}, line {row.line}, label: "
                    f"{make_printable(row.label[:80])} holds a list or an object. Write one class "
                    "in each row."
                )

    def _respell(self) -> None:
        """Take the paths as the disk spells them, and note how many changed."""
        images = ImageFinder(self.root)
        respelt = completed = 0
        for place, row in enumerate(self.rows):
            path, before = self.names.find(row.item.path), row.item.path
            respelt += path is not None and path != before
            if path is None and Path(before).suffix.lower() not in IMAGE_SUFFIXES:
                path = images.find(before, any_suffix=True)
                completed += path is not None
            if path is not None and path != before:
                self.rows[place] = row._replace(item=Item(path, row.item.box))
        for count, what in (
            (
                respelt,
                "in the spelling of the disk: / between folders, and its form of accents",
            ),
            (completed, "without an ending (the only such image is taken)"),
        ):
            if count:
                self.about.changed = True
                self.about.notes.append(f"{plural(count, 'path')} {what}")

    def fit_boxes(self, box_pixels: str | None, max_pixels: int, keep: bool = False) -> None:
        """Cut the boxes at the edges of their images; to `keep` a table, only count them."""
        reading = ImportContext(self.file, box_pixels=box_pixels, root=self.root)
        fitter = BoxFitter(reading, [self.root], max_pixels)
        fitter.find_shares(row.item.box for row in self.rows)
        fitted, absent = [], {path for path, _ in self.absent()}
        for row in self.rows:
            if row.item.box is None or row.item.path in absent:
                fitted.append(row)
                continue
            item = ImportedItem(f"line {row.line}", row.item, size=row.size)
            found = fitter.fit(item)
            if found is None:
                self.faulty.add(row.line)
            fitted.append(row._replace(item=found.item) if found else row)
        fitter.report()
        self.problems += reading.faults
        changed = sum(a.item != b.item for a, b in zip(self.rows, fitted, strict=True))
        if keep and changed and not self.about.changed:
            self.about.notes.append(
                f"{plural(changed, 'box', 'boxes')} over the edge of an image; exports cut them"
            )
            self._refuse_below_zero()
            return
        self.rows = fitted
        self.about.changed |= changed > 0
        self.about.notes += reading.describe_ignored()

    def _refuse_below_zero(self) -> None:
        for row in self.rows:
            if (box := row.item.box) and min(box.x, box.y) < 0:
                self.faulty.add(row.line)
                self.problems.append(
                    f"{make_printable(self.file.name)}, line {row.line}, bbox: begins outside the "
                    "image (below 0). Correct it, or make the project in another folder."
                )

    def absent(self) -> list[tuple[str, int]]:
        """Return the path and the line of each row whose file does not exist."""
        return self.names.missing((row.item.path, row.line) for row in self.rows)


def _is_structured(text: str) -> bool:
    """Return True for a list or an object, as JSON or as Python writes it."""
    try:
        return isinstance(ast.literal_eval(text[:4096]), (list, dict, set))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return False


def guess_root(paths: Iterable[str], places: Sequence[Path]) -> Path:
    """Return the folder below which most of the paths are found, the first of equal ones."""
    sample = [(path, 0) for path in paths]
    return min(places, key=lambda place: len(missing_files(sample, place)))


def add_refs(
    project: ProjectFolder, file: Path, say: Callable[[str], None] = lambda _: None
) -> int:
    """Add the rows of a table or a text list that are new, and return the number added.

    Raises `RefError` with every faulty row and every missing file, and adds nothing then. Labels
    in the table are not read: `annotator import` reads labels.
    """
    table = TableRows.read(file, project.settings.box_order, project.images)
    table.fit_boxes(None, project.settings.max_pixels)
    table.problems += [
        f"{make_printable(file.name)}, line {line}: no such file "
        f"{make_printable(str((project.images / path).resolve()))}"
        for path, line in table.absent()
    ]
    if table.problems:
        raise RefError(
            bullet_list(table.problems, f"{make_printable(str(file))}: nothing was added. Fix:")
        )
    for line in table.about.notes:
        say(line)
    if labels := sum(bool(row.label) for row in table.rows):
        command = f"annotator import {shell_quoted(project.folder)} {shell_quoted(file)}"
        say(f"{plural(labels, 'label')} not read. Read them with `{command}`")
    return append_new_items(project, [row.item for row in table.rows])
