"""The rules of prose hold everywhere, and each rule rejects what it should and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import prose


@pytest.mark.parametrize("place", prose.CHECKED)
def test_prose_reads_once(place: str) -> None:
    findings = prose.check([prose.ROOT / place])
    assert not findings, "\n".join(map(str, [*findings[:100], f"{len(findings)} findings"]))


def _rules_broken_by(text: str, kind: str = "d") -> set[str]:
    piece = prose.Prose(Path("a.py"), 1, text, kind)
    return {found.rule for found in prose.check_prose(piece)}


@pytest.mark.parametrize("rule", prose.RULES, ids=lambda rule: rule.name)
def test_a_rule_rejects_its_bad_example_and_passes_its_good_one(rule: prose.Rule) -> None:
    for kind in rule.kinds:
        assert rule.name in _rules_broken_by(rule.bad, kind)
        assert _rules_broken_by(rule.good, kind) == set()


@pytest.mark.parametrize(
    "text",
    [
        "There is no page left; there are no boxes, and it is no longer open.",
        "Of 9 images, the first of which is open, half of which are labelled.",
        "`hear` and ``is no`` are code; the folder where the file lies.",
        "As such, it is kept; such items, and those that are open.",
        "Curves are told apart by their dashes, in one pass over the file.",
    ],
)
def test_what_is_harmless_passes(text: str) -> None:
    assert _rules_broken_by(text) == set()


def test_a_phrase_is_found_across_lines_and_named_by_its_line() -> None:
    piece = prose.Prose(Path("a.py"), 5, "Read a file.\n\n    A file that is\n    no CSV.", "d")
    assert [(one.line, one.rule) for one in prose.check_prose(piece)] == [(7, "is no")]


OPENINGS = {
    "function": (
        ["Return the rows.", "Pass it on.", "Process one row.", "Re-rank the pool.", "Bring it."],
        [
            "What a run did.", "Whether it is open.", "The rows.", "A row.", "Returns the rows.",
            "Raises `RefError`.", "Of the rows, one.", "Rows of a table.", "`text` in bold.",
            "(n,) cosines.", "Labelled items.", "It is open.", "Share of the rows.", "One row.",
            "With a lock.", "Wilson's interval.", "row of a table",
        ],
    ),
    "property": (
        ["The rows.", "Rows of a table.", "(n,) labels.", "Bytes that are left.", "Return a row."],
        ["What to run next.", "Whether it is open.", "Returns a row.", "For the log."],
    ),
    "class": (
        ["A table of rows.", "Cells of text.", "One row of the log.", "refs (n,) and labels."],
        ["What a run did.", "How to ask.", "Holds a row.", "Names the rows.", "Keep the rows.",
         "It holds rows."],
    ),
    "module": (
        ["Features of images.", "Write a table.", "run: label a folder."],
        ["What is shown.", "How far it is.", "Opens the review.", "Which images go where."],
    ),
    "field": (
        ["Number of rows.", "True if it is open.", "The place of the box."],
        ["Whether it is open.", "How many there are.", "Where it lies.", "Of the session."],
    ),
    "help": (
        ["Number of items.", "Only the open items.", "Write to this file."],
        ["How many items.", "Of the identities.", "Which set.", "… and from two models."],
    ),
    "test": (
        ["The rows of a project.", "Return a project."],
        ["What a run did.", "Returns a project.", "It is open."],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", OPENINGS)
def test_openings(kind: str) -> None:
    good, bad = OPENINGS[kind]
    assert [text for text in good if prose.opening_fault(kind, text)] == []
    assert [text for text in bad if not prose.opening_fault(kind, text)] == []


SOURCE = '''"""A module."""

from functools import cached_property


class Table:
    rows = 0
    """How many rows."""

    def __init__(self) -> None: ...

    def compose(self) -> None: ...

    @cached_property
    def first(self) -> str:
        """The first row."""
        def inner() -> None: ...
        return "a b is " "no row" + f"{self} is no row"  # goes
        # on here


class _Private:
    def method(self) -> None: ...


def read(path: str) -> None:
    """The file at `path`."""
'''


def test_python_is_read_by_docstrings_fields_comments_strings_and_names(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(SOURCE)
    assert [(found.line, found.rule) for found in prose.check_file(path)] == [
        (6, "no docstring"),
        (8, "opening of field"),
        (12, "no docstring"),
        (18, "is no"),
        (18, "is no"),
        (27, "opening of function"),
    ]
    in_tests = prose.check_file(path, test=True)
    assert [(found.line, found.rule) for found in in_tests] == [(8, "opening of field")]


def test_adjacent_comments_are_one_text() -> None:
    source = "x = 1\n# the same command goes\n# on\n\n# is\n\n# no\n"
    found = [
        one for text in prose.comments(Path("a.py"), source) for one in prose.check_prose(text)
    ]
    assert [(one.line, one.rule) for one in found] == [(2, "go on")]


def test_markdown_is_read_outside_of_code(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(
        "# Title\n\nA file that is\nno CSV.\n\n```\nx is no file\n```\n\n`is no` code;"
        " [a link](https://example.com/color).\n\n| mend | fix |\n"
    )
    assert [(one.line, one.rule) for one in prose.check_file(path)] == [(3, "is no"), (12, "mend")]
