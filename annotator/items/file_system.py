"""The file system below a folder, and what it can do for a log."""

from __future__ import annotations

import fcntl
import tempfile
from contextlib import suppress
from pathlib import Path

from annotator.items.atomic import NO_LOCK_ERRORS
from annotator.items.refs import make_printable, shell_quoted

OBJECT_STORES = frozenset(
    ["fuse.gcsfuse", "fuse.rclone", "fuse.s3fs", "fuse.goofys", "fuse.mount-s3", "fuse.blobfuse2"]
)
"""File systems that cannot append to a file so that it is kept at once."""
NETWORK_FILE_SYSTEMS = OBJECT_STORES | frozenset(
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "beegfs_nodev", "ceph"]
    + ["9p", "afs", "virtiofs", "wekafs", "fuse.sshfs", "fuse.ceph-fuse", "fuse.juicefs"]
    + ["fuse.glusterfs"]
)


def file_system_type(folder: Path) -> str:
    """Return the type of the file system of `folder` ("ext4", "nfs4"), or "" if it is unknown."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
        place = folder.resolve()
    except OSError:
        return ""
    best = ("", "")
    for mount, kind in (line.split()[1:3] for line in lines):
        mount = mount.replace("\\040", " ")
        if place.is_relative_to(mount) and len(mount) >= len(best[0]):
            best = (mount, kind)
    return best[1]


def find_lock_fault(folder: Path) -> OSError | None:
    """Return the error with which locks of files do not work in `folder`; None if they do.

    SQLite uses those of `fcntl`, all else those of `flock`. A folder that cannot be written is not
    tried.
    """
    with suppress(OSError), tempfile.TemporaryFile(dir=folder) as file:
        for lock in (fcntl.lockf, fcntl.flock):
            try:
                lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in NO_LOCK_ERRORS:
                    return error
    return None


def describe_no_locks(folder: Path, error: OSError) -> str:
    """Return the message for a folder in which locks of files do not work."""
    kind = file_system_type(folder) or "unknown"
    return (
        f"{make_printable(str(folder))}: file locks do not work on this file system ({kind}: "
        f"{error.strerror}), so two programs could damage each other's files. Move the project "
        "to a local disk. For several machines: annotator team init PROJECT --store folder:FOLDER "
        "needs no locks in FOLDER. An admin can mount Lustre with them: -o flock"
    )


def describe_store_fit(kind: str, folder: Path) -> tuple[str, str]:
    """Return what a log can do on a file system of this kind, and what to do for more.

    `folder` is that of the project. The second text is "" for a local disk, where all works.
    """
    team = f"annotator team init {shell_quoted(folder)} --store"
    if kind in OBJECT_STORES:
        return (
            f"{kind}, an object store: a label that was written here may be lost",
            f"move the project to a local disk; for several machines: {team} postgresql://HOST/DB",
        )
    if kind in NETWORK_FILE_SYSTEMS:
        return (
            f"{kind}, a network file system: labels.db works here with one machine at a time",
            f"for several: move the project to a local disk, then {team} folder:FOLDER (a folder "
            "here) or postgresql://HOST/DB",
        )
    return kind or "unknown", ""
