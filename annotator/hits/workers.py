"""Who worked, without saying who."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import uuid
from pathlib import Path

from annotator.project.project import ProjectFolder


def worker_id(project: ProjectFolder, name: str) -> str:
    """`name` as 10 hexadecimal digits that say nothing of it: HMAC-SHA-256 under the project's
    salt, which is made on the first call and stays in the project, readable by its owner only.

    The same name has the same id within a project, and another in every other project.
    """
    return hmac.new(project_salt(project).encode(), name.encode(), hashlib.sha256).hexdigest()[:10]


def project_salt(project: ProjectFolder) -> str:
    """What the project's workers' ids and completion codes are made with."""
    file = project.folder / "worker-salt.txt"
    if not file.exists():
        _make_salt(file)
    return file.read_text(encoding="ascii").strip()


def _make_salt(file: Path) -> None:
    """Two who come at once get the same salt: the file appears whole, and never changes."""
    draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    draft.touch(mode=0o600)
    try:
        draft.write_text(f"{secrets.token_hex(16)}\n", encoding="ascii")
        with contextlib.suppress(FileExistsError):
            file.hardlink_to(draft)
    finally:
        draft.unlink()
