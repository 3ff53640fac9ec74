"""The members of a team: who may do what, what each has done, and who is on what now."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from annotator.errors import StoreError
from annotator.items.refs import make_printable, plural
from annotator.log.entries import Action, LogState
from annotator.log.store.protocol import SyncState
from annotator.project.project import ProjectFolder


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """One member, or an annotator of the log who is none."""

    annotator: str
    login: str | None
    role: str | None
    """The role in the database; None in a folder, which has no roles, and for former members."""
    labels: int
    skips: int
    last_at: float | None
    """Seconds since the epoch of the last decision that stands."""
    items: tuple[str, ...]
    """The refs on the member's screen and next on it."""
    item_seconds: float | None
    """The seconds for which the first of them has been the member's; None if it is unknown."""


@dataclass(frozen=True, slots=True)
class TeamStatus:
    """A team, as far as this copy of its log and the team's log itself can tell."""

    store: str
    members: tuple[MemberStatus, ...]
    sync: SyncState

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "store": self.store,
            "members": [asdict(member) for member in self.members],
            "waiting": self.sync.waiting,
            "synced_at": self.sync.synced_at,
            "away_since": self.sync.away_since,
            "problem": self.sync.problem or None,
        }


@dataclass(slots=True)
class _Screen:
    """The items of one annotator's screens, the one shown first, and since when."""

    refs: list[str] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)


def describe_team(project: ProjectFolder, state: LogState, sync: SyncState) -> TeamStatus:
    """Return the members of a project's team; without the team's log, those of its copy."""
    store = project.settings.store or ""
    logins: dict[str, tuple[str | None, str | None]] = {}
    screens: dict[str, _Screen] = {}
    try:
        logins, screens = _ask_team(store, project.settings.schema, project.folder)
    except StoreError as error:
        sync = sync._replace(problem=sync.problem or str(error))
    names = [*logins, *sorted(set(state.history) - set(logins))]
    members = tuple(
        _member(name, *logins.get(name, (None, None)), state, screens.get(name, _Screen()))
        for name in names
    )
    return TeamStatus(store, members, sync)


def _ask_team(
    store: str, schema: str, start: Path
) -> tuple[dict[str, tuple[str | None, str | None]], dict[str, _Screen]]:
    """Return each member's login and role, and the items on each screen."""
    screens: dict[str, _Screen] = defaultdict(_Screen)
    if store.startswith("folder:"):
        from annotator.log.store.journal import FolderLog

        log = FolderLog(start / store.removeprefix("folder:"), "status")
        for ref, annotator in log.held_by_others("").items():
            screens[annotator].refs.append(ref)
        return {}, screens
    from annotator.log.store.postgres import PostgresTeam, ServerAddress

    team = PostgresTeam(ServerAddress.parse(store, schema))
    members = {member.annotator: member for member in team.members()}
    for annotator, ref, seconds in team.leases():
        screens[annotator].refs.append(ref)
        screens[annotator].ages.append(seconds)
    return {
        name: (member.login, None if member.ended else member.role)
        for name, member in members.items()
    }, screens


def _member(
    name: str, login: str | None, role: str | None, state: LogState, screen: _Screen
) -> MemberStatus:
    decisions = list(state.history.get(name, {}).values())
    labels = sum(entry.action is Action.LABEL for entry in decisions)
    last = max((entry.at for entry in decisions), default=None)
    return MemberStatus(
        name,
        login,
        role,
        labels,
        len(decisions) - labels,
        last,
        tuple(screen.refs),
        screen.ages[0] if screen.ages else None,
    )


def format_team(status: TeamStatus, now: float) -> str:
    """Return the status for an annotator to read."""
    from annotator.items.refs import format_duration

    lines = [make_printable(status.store)]
    for member in status.members:
        role = member.role or ("former member" if member.login else "")
        words = [make_printable(member.annotator), *([role] if role else [])]
        if member.login and member.login != member.annotator:
            words.append(f"login {make_printable(member.login)}")
        words.append(plural(member.labels, "label"))
        if member.skips:
            words.append(plural(member.skips, "skip"))
        if member.last_at is not None:
            words.append(f"last {format_duration(max(0.0, now - member.last_at))} ago")
        if member.items:
            words.append(f"now on {make_printable(member.items[0])}")
            if member.item_seconds is not None:
                words[-1] += f" for {format_duration(member.item_seconds)}"
        lines.append("  " + ", ".join(words))
    if status.sync.waiting:
        lines.append(f"{plural(status.sync.waiting, 'row')} of this copy to send")
    if status.sync.problem:
        lines.append(status.sync.problem)
    return "\n".join(lines)
