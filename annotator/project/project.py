"""The project folder: annotator.toml, refs.csv, features/ and labels.db.

Everything except labels.db is plain text or a plain array, safe to edit and to copy. Image files
are never moved or written.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from annotator.errors import ProjectError
from annotator.items.atomic import write_atomically
from annotator.items.refs import make_printable, shell_quoted
from annotator.project.class_tree import check_tree
from annotator.project.classes import ClassInfo, class_table
from annotator.project.lock import lock_project
from annotator.project.settings import Settings, check_classes, format_settings, read_settings

SETTINGS_FILE = "annotator.toml"


@dataclass(frozen=True, slots=True)
class ProjectFolder:
    """An opened project folder."""

    folder: Path
    settings: Settings

    @classmethod
    def open(cls, folder: Path) -> ProjectFolder:
        """Read `folder`. Raises `ProjectError` with every fault of annotator.toml."""
        file = folder / SETTINGS_FILE
        if not os.path.lexists(file):
            raise ProjectError(_explain_no_project(folder))
        return cls(folder, read_settings(file, user_settings_file()))

    @classmethod
    def create(cls, folder: Path, settings: Settings) -> ProjectFolder:
        """Make `folder` with its annotator.toml. Raises `ProjectError` if it has one already."""
        check_classes(settings.names, settings.multi_label)
        check_tree(settings.classes, settings.multi_label)
        file = folder / SETTINGS_FILE
        require_no_project(folder)
        try:
            text = format_settings(settings).encode()
        except UnicodeEncodeError as error:
            raise ProjectError(
                f"{make_printable(settings.images)} is not UTF-8; annotator.toml must be. "
                "Rename the folder of images."
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
                f"Cannot make a project in {make_printable(str(folder))}: {error.strerror}. "
                "Name another folder (with `annotator run`: --project DIR)."
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
        """The table of the project's items."""
        return self.folder / "refs.csv"

    @property
    def features_folder(self) -> Path:
        """The folder of the feature store."""
        return self.folder / self.settings.features

    @property
    def has_features(self) -> bool:
        """True if the features of some items have been computed."""
        return (self.features_folder / "meta.json").exists()

    @property
    def proposals_file(self) -> Path:
        """The table of proposed boxes."""
        return self.folder / "proposals.csv"

    @property
    def words_file(self) -> Path:
        """The scores of the classes by their names."""
        return self.folder / ".cache" / "words.npz"

    @property
    def fingerprints_file(self) -> Path:
        """The cache of the items' perceptual hashes."""
        return self.folder / ".cache" / "prints.npz"

    @property
    def labels_file(self) -> Path:
        """The log of all decisions."""
        return self.folder / "labels.db"


def require_no_project(folder: Path) -> None:
    """Raise `ProjectError` if `folder` is a project already."""
    if (folder / SETTINGS_FILE).exists():
        raise ProjectError(
            f"{make_printable(str(folder))} is already a project. Open it: "
            f"`annotator run {shell_quoted(folder)}`, or name another folder."
        )


def append_classes(project: ProjectFolder, classes: Sequence[str | ClassInfo]) -> ProjectFolder:
    """Add classes at the end of annotator.toml, and return the project with them.

    Classes that it has already and everything else in the file stay as they are, comments included.
    Raises `ProjectError` for a name that no class can have, or a file that cannot be written.
    """
    with lock_project(project.folder):
        _append_to_settings(project, classes)
    file = project.folder / SETTINGS_FILE
    settings = replace(project.settings, classes=read_settings(file, user_settings_file()).classes)
    return replace(project, settings=settings)


def _append_to_settings(project: ProjectFolder, classes: Sequence[str | ClassInfo]) -> None:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError
    from tomlkit.items import AoT

    file = project.folder / SETTINGS_FILE
    # Read the file again: another program may have added classes meanwhile.
    known = read_settings(file).classes
    given = [ClassInfo(one) if isinstance(one, str) else one for one in classes]
    new = {info.name: info for info in given if info.name not in {one.name for one in known}}
    check_classes((*(info.name for info in known), *new), project.settings.multi_label)
    check_tree((*known, *new.values()), project.settings.multi_label)
    try:
        document = tomlkit.parse(file.read_text("utf-8"))
        tables = document.setdefault("classes", tomlkit.aot())
        nested = isinstance(tables, AoT)
        for name, info in new.items():
            table = tomlkit.table() if nested else tomlkit.inline_table()
            table.update(class_table(info))
            tables.append(table if nested or len(table) > 1 else name)
        write_atomically(file, tomlkit.dumps(document).encode())
    except (OSError, TOMLKitError) as error:
        why = getattr(error, "strerror", None) or error
        raise ProjectError(
            f"{make_printable(str(file))} cannot be changed: {why}. Add these classes to it in an "
            f"editor: {make_printable(', '.join(new))}"
        ) from error


def change_settings(folder: Path, changes: Mapping[str, str | None]) -> None:
    """Set settings in annotator.toml, or take out those that are None; all else stays as it is.

    Raises `ProjectError` for a file that cannot be changed.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    file = folder / SETTINGS_FILE
    with lock_project(folder):
        try:
            text = change_settings_text(file.read_text("utf-8"), changes)
            write_atomically(file, text.encode())
        except (OSError, TOMLKitError) as error:
            why = getattr(error, "strerror", None) or error
            lines = (f"{key} = {tomlkit.item(v).as_string()}" for key, v in changes.items() if v)
            raise ProjectError(
                f"{make_printable(str(file))} cannot be changed: {why}. Write these lines into it "
                f"in an editor: {'; '.join(lines) or 'none of ' + ', '.join(changes)}"
            ) from error


def change_settings_text(text: str, changes: Mapping[str, str | None]) -> str:
    """Return the text of an annotator.toml with other values of some settings; None removes one."""
    import tomlkit

    document = tomlkit.parse(text)
    for key, value in changes.items():
        if value is None:
            document.pop(key, None)
        else:
            document[key] = value  # a new one stands in front of the first table
    return tomlkit.dumps(document)


def is_project(folder: Path) -> bool:
    """Return True if `folder` holds an annotator.toml."""
    return (folder / SETTINGS_FILE).is_file()


def default_folder(images: Path) -> Path:
    """Return the default project folder of a folder of images: `photos.annotator` for `photos`."""
    images = images.resolve()
    return images.with_name(images.name + ".annotator")


def _explain_no_project(folder: Path) -> str:
    """Return a message for a folder that is not a project, with the command that helps."""
    name, quoted = make_printable(str(folder)), shell_quoted(folder)
    problem = f"{name} is not an annotator project: it has no {SETTINGS_FILE}."
    if not folder.exists():
        return f"{problem} Make one: annotator init {quoted} --images DIR"
    other = default_folder(folder)
    if is_project(other):
        return f"{problem} The project of its images is {shell_quoted(other)}"
    return f"{problem} Make a project of the images in it: annotator run {quoted}"


def user_settings_file() -> Path:
    """Return the path of the user's own settings."""
    from annotator.items.user_folders import config_folder

    return config_folder() / "config.toml"
