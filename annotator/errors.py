"""What can go wrong, one class per remedy.

A message says what is wrong, where, and what to do about it, in one or a few lines.
The command line prints it on stderr and exits with 1; anything that is not an
`AnnotatorError` is a fault of this program and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence


class AnnotatorError(Exception):
    """Base of every error that the user can mend."""


class RefError(AnnotatorError):
    """Mend a ref, a refs file or the list of images."""


class ImageError(AnnotatorError):
    """Mend, replace or skip one image file."""


class ProjectError(AnnotatorError):
    """Mend annotator.toml or name another project."""


class StoreError(AnnotatorError):
    """Mend the place where labels are kept; no label was written."""


class FeatureError(AnnotatorError):
    """Compute or name the features again."""


class ExtraMissing(AnnotatorError):
    """Install a package or fetch weights; the message holds the exact command."""


class QueryError(AnnotatorError):
    """Mend what is searched for."""


class TerminalError(AnnotatorError):
    """Use another terminal, window size or --graphics."""


def bullet_list(problems: Sequence[str], heading: str, limit: int = 20) -> str:
    """One message for all problems at once: the first `most` of them, and how many more."""
    lines = [heading, *(f"  {problem}" for problem in problems[:limit])]
    if len(problems) > limit:
        lines.append(f"  … and {len(problems) - limit} more")
    return "\n".join(lines)
