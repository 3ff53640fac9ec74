"""The file system below a folder, and what it can do for a log."""

from __future__ import annotations

from pathlib import Path

NETWORK_FILE_SYSTEMS = frozenset(
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "9p", "afs"]
    + ["fuse.sshfs", "fuse.ceph-fuse"]
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
