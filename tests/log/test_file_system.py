"""The advice for a project by the file system below it."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotator.doctor import Finding, examine_setup
from annotator.items.file_system import describe_store_fit, find_lock_fault
from annotator.log.store.journal import FolderTeam
from annotator.log.store.replica import make_replica
from annotator.project.classes import ClassInfo
from annotator.project.project import ProjectFolder
from annotator.project.settings import Settings

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


def test_doctor_checks_the_folder_of_a_team(tmp_path: Path) -> None:
    team = tmp_path / "team"
    settings = Settings(classes=(ClassInfo("a"),), images="..", store=f"folder:{team}")
    project = ProjectFolder.create(tmp_path / "p", settings)

    def find() -> Finding:
        (found,) = [f for f in examine_setup(project.folder) if f.name == "team folder"]
        return found

    assert not find().ok
    assert "mounted" in find().detail
    FolderTeam(team).create()
    make_replica(project.labels_file, FolderTeam(team).uid())
    assert find().ok
