"""What was given on the command line, checked and put into settings."""

from __future__ import annotations

import csv
import shlex
from typing import TYPE_CHECKING, Any

from annotator.errors import ProjectError
from annotator.refs import printable

if TYPE_CHECKING:
    from annotator.project import Project
    from annotator.settings import ClassInfo, Settings


def parse_classes(text: str | None) -> tuple[ClassInfo, ...]:
    """Names separated by commas; quotes keep a comma within a name."""
    from annotator.settings import ClassInfo, check_classes

    if text is None:
        return ()
    names = tuple(name.strip() for name in next(csv.reader([text]), []))
    check_classes(names)
    return tuple(ClassInfo(name) for name in names)


def with_given(settings: Settings, **changes: Any) -> Settings:
    """`settings` with those changes that are not None."""
    from dataclasses import replace

    return replace(settings, **{key: value for key, value in changes.items() if value is not None})


def check_names(settings: Settings) -> None:
    """Raises `ProjectError` for a strategy, an estimator or a class to find that does not exist."""
    from annotator.errors import several
    from annotator.learn.model import estimator
    from annotator.learn.registry import STRATEGIES

    problems = [
        f"no {kind} {printable(repr(name))}; choose one of {printable(', '.join(known))}"
        for kind, name, known in (
            ("strategy", settings.strategy, tuple(STRATEGIES)),
            ("class to find", settings.find, settings.names),
        )
        if name is not None and name not in known
    ]
    try:
        estimator(settings.estimator)
    except ProjectError as error:
        problems.append(str(error))
    if problems:
        raise ProjectError(several(problems, "these names are not known:"))


def with_default_classes(settings: Settings) -> Settings:
    from dataclasses import replace

    from annotator.formats.begin import DEFAULT_CLASSES
    from annotator.settings import ClassInfo

    if settings.classes:
        return settings
    return replace(settings, classes=tuple(ClassInfo(name) for name in DEFAULT_CLASSES))


def refs_of_others(project: Project, who: str) -> list[str]:
    from annotator.pool import load
    from annotator.sitting import labelled_by_others
    from annotator.store import SqliteStore

    refs = labelled_by_others(SqliteStore(project.labels_file), who, load(project))
    if not refs:
        raise ProjectError(
            f"nobody but {printable(who)} has labelled anything yet; to label first: annotator run "
            f"{shlex.quote(str(project.folder))}"
        )
    return refs
