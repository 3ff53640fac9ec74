"""The commands of a team: `team …`, `join` and `sync`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.project_options import AnnotatorOption, JsonOption, ProjectArgument, print_json
from annotator.errors import ProjectError
from annotator.items.refs import make_printable, plural, shell_quoted

if TYPE_CHECKING:
    from annotator.log.store.postgres import PostgresTeam

HELP = "Let several annotators, on several machines, work on one project."
StoreOption = Annotated[
    str,
    typer.Option(
        help="The team's log: postgresql://HOST/DATABASE, service=NAME or folder:PATH.",
        metavar="STORE",
    ),
]
SchemaOption = Annotated[str, typer.Option(help="The schema of the project in the database.")]


def init(
    project: ProjectArgument,
    store: StoreOption,
    schema: SchemaOption = "annotator",
    annotator: AnnotatorOption = None,
) -> None:
    """Move a project, with its whole log, into a team's log. You become its admin.

    Whatever interrupts it: the same command continues. The log as it was stays in
    labels-before-team.db.

    \b
    annotator team init p --store postgresql://gpubox/labels --schema parts
    annotator team init p --store folder:/shared/parts-team
    """
    from annotator.project.project import ProjectFolder
    from annotator.session.team import init_team

    opened = ProjectFolder.open(project)
    _require_store(store)
    if store.startswith("folder:"):
        from annotator.log.store.journal import FolderTeam

        FolderTeam(Path(store.removeprefix("folder:")).resolve()).create()
    else:
        _postgres_team(store, schema).create(opened.settings.annotator_name(annotator))
    rows = init_team(opened, store, schema, _tell)
    folder = shell_quoted(project)
    typer.echo(f"{plural(rows, 'row')} moved into {make_printable(store)}.", err=True)
    if store.startswith("folder:"):
        typer.echo(
            "A folder has no roles: whoever may write to it may label, import and undo.", err=True
        )
    else:
        typer.echo(f"next: annotator team add NAME {folder} --login LOGIN", err=True)
    typer.echo(f"others: annotator join {make_printable(store)} FOLDER", err=True)


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The annotator's name.")],
    project: ProjectArgument,
    login: Annotated[
        str | None, typer.Option(help="The login in the database. Default: the name.")
    ] = None,
    role: Annotated[
        str,
        typer.Option(
            help="observer (reads and exports), annotator (labels), reviewer (settles, and undoes "
            "what others did) or admin (imports, and manages members)."
        ),
    ] = "annotator",
) -> None:
    """Add a member, or change the login or the role of one.

    The login has to exist in the database: `createuser LOGIN`.

    \b
    annotator team add ana p --login ana
    annotator team add bob p --role reviewer
    """
    from annotator.log.store.postgres import ROLES

    if role not in ROLES:
        raise ProjectError(f"--role {make_printable(role)}: should be one of {', '.join(ROLES)}")
    _team_of(project).add_member(name, login or name, role)
    typer.echo(f"{make_printable(name)} is a member: {role}.", err=True)


def remove_member(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The annotator's name.")],
    project: ProjectArgument,
) -> None:
    """End a membership. The member's labels stay.

    \b
    annotator team remove ana p
    """
    if not _team_of(project).end_member(name):
        raise ProjectError(
            f"{make_printable(name)} is not a member. Members: annotator team status "
            f"{shell_quoted(project)}"
        )
    typer.echo(f"{make_printable(name)} is no longer a member.", err=True)


def status(project: ProjectArgument, as_json: JsonOption = False) -> None:
    """Show the members: roles, labels, last answers, and who is on what now.

    \b
    annotator team status p
    annotator team status p --json
    """
    from annotator.log.entries import replay
    from annotator.log.store.open import open_replica
    from annotator.project.project import ProjectFolder
    from annotator.session.team import require_team
    from annotator.session.team_status import describe_team, format_team

    opened = ProjectFolder.open(project)
    require_team(opened)
    with closing(open_replica(opened)) as store:
        store.wait_until_sent(5.0)
        found = describe_team(opened, replay(store.entries()), store.sync_state())
    if as_json:
        print_json(found.as_dict())
    else:
        typer.echo(format_team(found, time.time()))


def leave_with_rows(
    project: ProjectArgument,
    unsent: Annotated[
        bool, typer.Option("--unsent", help="Leave also while rows cannot be sent: they stay here.")
    ] = False,
) -> None:
    """Make a project of your own of your copy, with all rows of the team.

    \b
    annotator team leave p
    """
    from annotator.project.project import ProjectFolder
    from annotator.session.team import leave_project

    rows = leave_project(ProjectFolder.open(project), unsent=unsent)
    typer.echo(
        f"{make_printable(str(project))} has a log of its own now: {plural(rows, 'row')}.", err=True
    )


def join_project(
    store: Annotated[str, typer.Argument(metavar="STORE", help="The team's log.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The new project folder.")],
    schema: SchemaOption = "annotator",
    images: Annotated[
        Path | None, typer.Option(help="The folder of the images, if it is another one here.")
    ] = None,
    annotator: AnnotatorOption = None,
) -> None:
    """Make a project folder that works on a team's log.

    \b
    annotator join postgresql://gpubox/labels parts --schema parts
    annotator join folder:/shared/parts-team parts --images /data/parts
    """
    from annotator.session.team import join_team

    _require_store(store)
    changes = {"annotator": annotator, "images": str(images.resolve()) if images else None}
    given = {key: value for key, value in changes.items() if value is not None}
    joined = join_team(store, schema, folder, given, _tell)
    typer.echo(
        f"{make_printable(str(folder))} is a copy of the team's project.\n"
        f"next: annotator run {shell_quoted(joined.folder)}",
        err=True,
    )


def sync_copy(
    project: ProjectArgument,
    take: Annotated[
        bool, typer.Option("--take-refs", help="Take the team's refs.csv in place of this one.")
    ] = False,
    give: Annotated[
        bool, typer.Option("--give-refs", help="Give this refs.csv to the team, as an admin.")
    ] = False,
) -> None:
    """Send what was labelled here, and read what others have labelled.

    A screen does so by itself. This is for a laptop that was away.

    \b
    annotator sync p
    """
    from annotator.project.project import ProjectFolder
    from annotator.session.team import give_refs, sync_project, take_refs

    opened = ProjectFolder.open(project)
    if take:
        take_refs(opened)
    if give:
        give_refs(opened)
    found = sync_project(opened)
    typer.echo(
        f"{plural(found.sent, 'row')} sent, {plural(found.received, 'row')} received.", err=True
    )
    if found.refused:
        typer.echo(f"{plural(found.refused, 'row')} not taken: {found.reason}", err=True)
        raise typer.Exit(1)


def _require_store(store: str) -> None:
    from annotator.project.settings import is_store_name

    if not is_store_name(store):
        raise ProjectError(
            f"{make_printable(store)} is not a team's log: should be postgresql://HOST/DATABASE, "
            "service=NAME or folder:PATH, without a password (PostgreSQL reads it from ~/.pgpass)"
        )


def _team_of(folder: Path) -> PostgresTeam:
    from annotator.project.project import ProjectFolder
    from annotator.session.team import require_team

    project = ProjectFolder.open(folder)
    require_team(project)
    store = project.settings.store or ""
    if store.startswith("folder:"):
        raise ProjectError(
            f"{make_printable(store)} has no members: whoever may write to the folder works on it. "
            f"The others: annotator join {make_printable(store)} FOLDER"
        )
    return _postgres_team(store, project.settings.schema)


def _postgres_team(store: str, schema: str) -> PostgresTeam:
    from annotator.log.store.postgres import PostgresTeam, ServerAddress

    return PostgresTeam(ServerAddress.parse(store, schema))


_EVERY = 2.0
_told = [0.0]


def _tell(what: str, count: int, total: int) -> None:
    """Print how far it is, every two seconds."""
    if time.monotonic() - _told[0] >= _EVERY:
        _told[0] = time.monotonic()
        of = f" of {total:,}" if total else ""
        typer.echo(f"{count:,}{of} rows {what}", err=True)


GROUP: dict[str, Callable[..., None]] = {
    "init": init, "add": add, "remove": remove_member, "status": status, "leave": leave_with_rows,
}  # fmt: skip
COMMANDS: dict[str, Callable[..., None]] = {"join": join_project, "sync": sync_copy}
