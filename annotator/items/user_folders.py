"""The user's own folders for settings, data and caches, also for a user without a home."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_NO_HOME = Path("/.annotator")
"""The folder for a user without a home: only an administrator can put settings there."""


def config_folder() -> Path:
    """Return the folder of the user's settings."""
    from platformdirs import user_config_path

    return _find(user_config_path, "config")


def data_folder() -> Path:
    """Return the folder of the demo's project."""
    from platformdirs import user_data_path

    return _find(user_data_path, "data")


def cache_folder() -> Path:
    """Return the folder of what can be computed again."""
    from platformdirs import user_cache_path

    return _find(user_cache_path, "cache")


def expand_home(name: str) -> Path:
    """Return a path with `~` as the home; without a home, `~` stays as it is."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path.expanduser raises there


def _find(place: Callable[[str], Path], kind: str) -> Path:
    try:
        return place("annotator")
    except RuntimeError:  # neither HOME nor an entry for the user id
        return _NO_HOME / kind
