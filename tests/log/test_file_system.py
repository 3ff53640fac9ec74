"""The advice for a project by the file system below it."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotator.log.store.file_system import describe_store_fit, find_lock_fault

NETWORK = (
    "nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "beegfs_nodev", "ceph", "virtiofs",
    "wekafs", "9p", "fuse.sshfs", "fuse.juicefs", "fuse.glusterfs",
)  # fmt: skip


@pytest.mark.parametrize("kind", NETWORK)
def test_a_network_file_system_is_for_one_machine_or_for_a_teams_folder(kind: str) -> None:
    detail, fix = describe_store_fit(kind, Path("/data/p"))
    assert "one machine at a time" in detail
    assert "local disk" in fix
    assert "annotator team init /data/p --store folder:FOLDER" in fix
    assert "postgresql://" in fix


@pytest.mark.parametrize("kind", ["fuse.gcsfuse", "fuse.rclone", "fuse.s3fs"])
def test_an_object_store_is_not_for_a_teams_folder(kind: str) -> None:
    detail, fix = describe_store_fit(kind, Path("/data/p"))
    assert "may be lost" in detail
    assert "folder:" not in fix
    assert "postgresql://" in fix


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "zfs"])
def test_a_local_disk_needs_no_advice(kind: str) -> None:
    assert describe_store_fit(kind, Path("/data/p")) == (kind, "")


def test_locks_work_on_this_disk(tmp_path: Path) -> None:
    assert find_lock_fault(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
