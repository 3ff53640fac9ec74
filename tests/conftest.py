"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_SHARED = Path(os.environ.get("ANNOTATOR_SHARED", Path(__file__).parents[1].parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images, features and weights; without it the test is skipped."""
    if not (_SHARED / "data" / "README.md").is_file():
        pytest.skip("shared test data is absent: needs ../shared/data (or ANNOTATOR_SHARED)")
    return _SHARED
