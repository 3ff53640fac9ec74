"""A project: a folder with annotator.toml, refs.csv, features/ and labels.db.

All but labels.db is plain text or a plain array, safe to edit and to copy. Image files are
never moved or written.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from annotator.errors import ProjectError
from annotator.items.atomic import write_atomically
from annotator.items.refs import make_printable, shell_quoted
from annotator.project.settings import Settings, check_classes, format_settings, read_settings

SETTINGS_FILE = "annotator.toml"


@dataclass(frozen=True, slots=True)
class ProjectFolder:
    """An opened project folder."""

    folder: Path
    settings: Settings

    @classmethod
    def open(cls, folder: Path) -> ProjectFolder:
        """Read `folder`. Raises `ProjectError` that names every fault of annotator.toml."""
        file = folder / SETTINGS_FILE
        if not file.exists():
            raise ProjectError(_explain_no_project(folder))
        return cls(folder, read_settings(file, user_settings_file()))

    @classmethod
    def create(cls, folder: Path, settings: Settings) -> ProjectFolder:
        """Make `folder` with its annotator.toml. Raises `ProjectError` where one is already."""
        check_classes(settings.names, settings.multi_label)
        file = folder / SETTINGS_FILE
        if file.exists():
            raise ProjectError(
                f"{make_printable(str(folder))} is a project already: open it with "
                f"`annotator run {shell_quoted(folder)}`, or name another folder"
            )
        try:
            text = format_settings(settings).encode()
        except UnicodeEncodeError as error:
            raise ProjectError(
                f"{make_printable(settings.images)} is not UTF-8, which annotator.toml has to be: "
                "rename the folder of images"
            ) from error
        new = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(file, text)
        except OSError as error:
            if new:  # nothing is left behind
                with contextlib.suppress(OSError):
                    folder.rmdir()
            raise ProjectError(
                f"cannot make a project in {make_printable(str(folder))}: {error.strerror}; mend "
                "that, or name another folder (with `annotator run`: --project DIR)"
            ) from error
        return cls(folder, settings)

    @property
    def images(self) -> Path:
        """The folder that relative image paths start from."""
        plain = self.folder / self.settings.images
        # `p/../photos` is `photos` to a reader, unless p is a link to somewhere else.
        short = Path(os.path.normpath(plain))
        return short if short.resolve() == plain.resolve() else plain

    @property
    def refs_file(self) -> Path:
        return self.folder / "refs.csv"

    @property
    def features_folder(self) -> Path:
        return self.folder / self.settings.features

    @property
    def fingerprints_file(self) -> Path:
        """The cache of what the items look like."""
        return self.folder / ".cache" / "prints.npz"

    @property
    def labels_file(self) -> Path:
        return self.folder / "labels.db"


def append_classes(project: ProjectFolder, names: Sequence[str]) -> ProjectFolder:
    """The project with classes more, at the end of its annotator.toml; those it has stay.

    Everything else in the file stays as it is, comments included. Raises `ProjectError` for names
    that no class can have, or a file that cannot be written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError
    from tomlkit.items import AoT

    file = project.folder / SETTINGS_FILE
    # The file, not what was read at the start: another program may have added some meanwhile.
    known = read_settings(file).names
    new = [name for name in dict.fromkeys(names) if name not in known]
    check_classes((*known, *new), project.settings.multi_label)
    try:
        document = tomlkit.parse(file.read_text("utf-8"))
        tables = document.setdefault("classes", tomlkit.aot())
        for name in new:
            table = tomlkit.table()
            table.add("name", name)
            tables.append(table if isinstance(tables, AoT) else name)
        write_atomically(file, tomlkit.dumps(document).encode())
    except (OSError, TOMLKitError) as error:
        why = getattr(error, "strerror", None) or error
        raise ProjectError(
            f"{make_printable(str(file))} cannot be changed ({why}); add the classes there yourself: "
            f"{make_printable(', '.join(new))}"
        ) from error
    settings = replace(project.settings, classes=read_settings(file, user_settings_file()).classes)
    return replace(project, settings=settings)


def is_project(folder: Path) -> bool:
    return (folder / SETTINGS_FILE).is_file()


def default_folder(images: Path) -> Path:
    """Where the project of a folder of images goes: `photos` has `photos.annotator`."""
    images = images.resolve()
    return images.with_name(images.name + ".annotator")


def _explain_no_project(folder: Path) -> str:
    """What is wrong with a folder that holds no project, and what to do."""
    name, quoted = make_printable(str(folder)), shell_quoted(folder)
    said = f"{name} is not an annotator project (no {SETTINGS_FILE})"
    if not folder.exists():
        return f"{said}; make one with `annotator init {quoted} --images DIR`"
    other = default_folder(folder)
    if is_project(other):
        return f"{said}; that of its images is {shell_quoted(other)}"
    return f"{said}; make one of the images in it with `annotator run {quoted}`"


def user_settings_file() -> Path:
    """Where a user's own settings are."""
    from platformdirs import user_config_path

    return user_config_path("annotator") / "config.toml"
