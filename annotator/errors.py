"""The errors of the program, one class for each kind of remedy.

A message is the problem, its place and cause, and the remedy, in one or a few lines. The command
line prints it on stderr and exits with 1; anything that is not an `AnnotatorError` is a fault of
this program and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence


class AnnotatorError(Exception):
    """The base of every error that the user can fix."""


class RefError(AnnotatorError):
    """A fault in a ref, a refs file or the list of images."""


class ImageError(AnnotatorError):
    """A fault of one image file: repair, replace or skip it."""


class ProjectError(AnnotatorError):
    """A fault in annotator.toml or the project's folder."""


class StoreError(AnnotatorError):
    """A fault of the place where labels are kept; no label was written."""


class FeatureError(AnnotatorError):
    """A fault of the features: compute them again, or name others."""


class ExtraMissing(AnnotatorError):
    """An absent package or absent weights; the message holds the exact command."""


class QueryError(AnnotatorError):
    """A fault in what is searched for."""


class TerminalError(AnnotatorError):
    """A terminal, window or --graphics choice that cannot be used."""


MOST_LISTED = 20
"""The number of problems that a message shows."""


def bullet_list(problems: Sequence[str], heading: str, limit: int = MOST_LISTED) -> str:
    """Return one message for all problems: the first `limit` of them, and the number of others."""
    lines = [heading, *(f"  {problem}" for problem in problems[:limit])]
    if len(problems) > limit:
        lines.append(f"  … and {len(problems) - limit} more")
    return "\n".join(lines)
