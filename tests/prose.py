"""The prose rules, and the check of docstrings, comments, messages and Markdown against them.

`python tests/prose.py [PATH …]` prints `file:line: rule: text` and a total; `--count` prints a
table of totals instead. All rules are in `RULES` and in the word lists above it.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECKED = ("annotator", "tests", "README.md", "docs", "CHANGELOG.md", "CONTRIBUTING.md")

ALLOWED = ("Notes on regularized least squares", "Normalized Cut")
"""Exact texts, quoted from elsewhere, that no rule looks at."""


def _words(text: str) -> frozenset[str]:
    """Return the words of `text`."""
    return frozenset(text.split())


# fmt: off
QUESTIONS = _words("What Whether Where Which How When Why Who Whose Whom Of")
"""Openings that no docstring, field or option help may have."""

ARTICLES = _words("A An The")
PRONOUNS = _words("""
    It Its He She They Their Them This That These Those There Here We Our You Your
    Somebody Someone Something Nobody Everybody Everyone Anybody Anyone
""")
PREPOSITIONS = _words("""
    About After Among As At Because Before Beside Between By Beyond During For From If In Inside
    Into On Onto Out Outside Over Per Since So Than Then Through To Toward Towards Under Until
    Upon Via While With Within Without And Or But Nor
""")
QUANTIFIERS = _words("""
    All Another Any Anything Both Each Either Every Everything Few Fewer Half Less Many More Most
    Neither No None Not Nothing Only Other Several Some One Two Three Four Five Six Seven Ten
""")
NOT_VERBS = _words("""
    Best Better Big Bytes Class Column Command Curves Down Error False First Greedy Grey Heading
    Height High Image Item Known Large Last Later Left Likeliest Low Luma Major New Never Next Old
    Once Path Pixel Plain Probability Rare Ref Right Row Same Second Small Text Title True Tuple
    Unit Up Whole Width Word Worker Area Axis Accuracy Hours Yes String Greyscale Eight Nine Ready
    Safe Cosine Distance Margin Coverage Intersection Equation Uncertain Leave-one-out Wilson
    Variable Kept Found Taken Drawn Written Given Made Shown Held Told Said Sent Grown Done Seen
    Chosen Built Lost Loose Latest Current Comma Pillow Be Mapping Member Progress
""")
"""Nouns, adjectives, adverbs and participles that a function's docstring must not open with."""

NOUNS_OR_VERBS = _words("Pool Frame Size File Key Value Number Total Empty Page Picture")
"""Words that a function's docstring may open with only before a determiner: "Pool the rows"."""

DETERMINERS = _words("the a an what which its whether how")
VERBS_LIKE_NOUNS = _words("""
    Need Feed Embed Seed Proceed Exceed Speed Shed Succeed Weed Bring Ring Ping Spring Apply Reply
    Supply Multiply Rely Imply Comply Fly Mention Question Partition Position Condition Focus Bias
""")
"""Verbs that end as participles, adverbs or nouns do."""

PLURALS = _words("""
    Boxes Bytes Cells Classes Columns Commands Files Figures Features Frames HITs Images Items
    Keys Labels Lines Messages Numbers Pages Paths Pictures Pixels Refs Rows Scores Settings
    Strategies Texts Values Words Tasks Faces Proposals Probabilities Always Progress
""")
"""Plural nouns that may stand before an article at the start of a class's docstring."""

THIRD_PERSON = _words("""
    Accepts Adds Allows Appends Applies Asks Assigns Begins Belongs Breaks Brings Builds Calls
    Carries Checks Chooses Closes Collects Combines Computes Contains Converts Creates Decides
    Decodes Describes Does Encodes Ends Finds Fits Follows Forgets Gathers Gets Gives Goes Handles
    Has Helps Holds Ignores Is Joins Keeps Knows Lays Learns Leaves Lets Loads Looks Makes Moves
    Offers Opens Picks Plays Prepares Prints Provides Puts Raises Reads Receives Remembers Removes
    Renders Replaces Represents Returns Runs Says Searches Seeks Sees Selects Sends Sets Shows
    Sorts Starts Stops Stores Takes Tells Throws Tries Turns Uses Waits Wants Watches Wishes
    Works Wraps Writes Yields
""")
IMPERATIVES = _words("""
    Add Ask Build Choose Compute Convert Create Decode Do Fetch Find Fit Fix Get Give Go Have
    Install Keep Know Learn Let Look Make Mend Open Put Raise Remove Replace Return Say See Send
    Skip Tell Use Write
""")
"""Verbs that a class's docstring must not open with: a class is a noun phrase."""

AMERICAN = r"""
    color behavior center(?:ed|s|ing)?\b gray neighbor favor honor\b labeled labeling labeler
    modeled modeling canceled canceling traveled fulfill artifact catalog\b defense analyz
    penaliz initializ realiz
    (?:organ|recogn|optim|standard|summar|minim|maxim|random|serial|custom|util|special)iz
    (?:general|normal|visual|vector|regular|character|categor|prioriti|memor)iz
"""
"""Beginnings of American spellings."""
# fmt: on


@dataclass(frozen=True)
class Rule:
    """A phrase that prose must not contain, with what to write instead."""

    name: str
    pattern: str
    advice: str
    bad: str
    good: str
    unless_before: str = ""
    """Pattern for the text before a match that makes the match harmless."""
    kinds: str = "dcsm"
    """The kinds of prose that it holds for: d(ocstrings), c(omments), s(trings), m(arkdown)."""


_COUNTED = (
    r"(?:\d[\d,]*|one|two|three|four|five|some|most|many|all|each|both|none|any|either|neither"
    r"|part|half|rest|first|last|few|several|\bthe \w+)$"
)
_VERB = r"(?:is|are|was|were|has|have|had|can|cannot|does|do)"
_STATE = (
    r"(?:absent|missing|not|none|known|wanted|needed|hidden|open|rejected|quick|large|small|narrow"
    r"|ranked|given|asked|possible|one|a class|certified)"
)

RULES = (
    Rule("is no", r"\b(?:is|are|was|were) no (?!longer\b|more\b|fewer\b|less\b|better\b|worse\b"
         r"|larger\b|smaller\b|later\b|sooner\b|matter\b|different\b|one\b)",
         "write “is not a …” (“there is no …” is fine)",
         "'x' is no row number", "'x' is not a row number; there is no row 7",
         unless_before=r"\b[Tt]here(?: \w+)?$"),
    Rule("mend", r"\b[Mm]end(?:s|ed|ing)?\b", "write “fix”",
         "mend the quotes there", "fix the quotes there"),
    Rule("go on", r"\b(?:[Gg]o|goes|going|gone|went) on\b(?! (?:top|the|an?|disk|screen)\b)",
         "write “resume”, “continue” or “run the same command to resume”",
         "the same command goes on where it was", "run the same command to resume"),
    Rule("hear", r"\b[Hh]ear(?:s|d|ing)?\b", "write “is notified of”, “is called with” or “gets”",
         "`failed` hears of images", "`failed` is called with each image"),
    Rule("told", r"\b[Tt]old of\b|\b(?:is|are|be|was|were|been) told\b(?! apart)",
         "write “is notified of”, “is called with”, “is known”",
         "`progress` is told of each row", "curves are told apart by their signs"),
    Rule("pass over", r"\b[Pp]ass(?:es|ed|ing)? over\b", "write “skip”",
         "hidden files are passed over", "one pass over the file; a backward pass over marks",
         unless_before=r"\b(?:an?|the|one|two|every|each|another|single|first|second|last|more"
         r"|forward|backward)$"),
    Rule("so many", r"\b[Ss]o many\b(?!(?: [^\s.;]+){1,8} that\b)",
         "name the number: “at most `count` items”, “number of …”",
         "Only so many of each queue.", "so many rows have come that the sample is old"),
    Rule("bare pronoun", r"\bsuch(?=[.,;:)]|$)|\bthose(?=[.,;:)]|$)|\bsuch as (?:are|is)\b",
         "give “such” or “those” its noun", "keep those, until the file changes",
         "kept as those files, until they change; and as such,", unless_before=r"\b[Aa]s$"),
    Rule("where for if", r"""(?:\b(?:None|[Nn]one|[Ee]mpty|Nothing|nothing|False|True|NaN|all)"""
         r"""|(?<![\w.])-?\d+|""|\bRaises `[^`]+`) where\b"""
         rf"|\bwhere (?:(?:it|they|that) (?:is|are|was|were|cannot be) {_STATE}\b"
         rf"|there (?:is|are|was|were)\b|(?:no|nothing|none|nobody)\b)|, where that {_VERB}\b"
         r"|(?<=[.;] )Where (?:it|they|there|that|no|nothing|none|nobody)\b",
         "write “if” for a condition", "The box, or None where there is none.",
         "The box, or None if there is none; the folder where it is kept."),
    Rule("or it were", r"\bor it were\b", "say it in the present tense, with “otherwise”",
         "it brings nothing, or it were a fault", "nothing to import; faults are reported"),
    Rule("somebody", r"\b(?:[Ss]ome|[Nn]o|[Ee]very|[Aa]ny)body(?:'s)?\b",
         "write “annotator”, “another annotator”, “no annotator” or “person” (of a face)",
         "one that nobody has labelled", "one that no annotator has labelled"),
    Rule("of which", r"\bof which\b", "write “whose …”, or two sentences",
         "A picture of which some parts were sent", "9 images, 3 of which are labelled",
         unless_before=_COUNTED),
    Rule("archaic", r"\b(?:[Ww]hereof|[Ww]hereby|[Ww]herein|[Tt]hereof|[Tt]herein|[Ll]est"
         r"|[Hh]itherto|[Hh]enceforth|[Ww]hence|[Tt]hence|[Nn]aught|[Nn]ought|[Ww]hilst"
         r"|[Bb]eholds?|[Bb]eheld|[Ff]lits?|[Oo]ftener|such an? one|of its own accord|must needs"
         r"|the likes? of|[Ww]ish(?:es|ed)?)\b",
         "use the plain word of today", "See crops flit by", "A fast stream of crops"),
    Rule("American spelling",
         rf"\b(?![A-Z]{{2}})(?i:{'|'.join(AMERICAN.split())})[a-z]*\b(?!\s*[:=])",
         "write the British spelling, or put the library's name in `backticks`",
         "the color of the center", "the colour of the centre; `color` of Rich"),
)  # fmt: skip

_OPENING = {
    "small": "open with an imperative verb (“Return …”), not with an article or a pronoun",
    "noun": "open with an imperative verb (“Return …”), not with a noun or an adjective",
    "code": "open with an imperative verb, with a capital, not with code or a number",
    "third": "open in the imperative: “Return”, “Write”, not “Returns”, “Writes”",
}


def _not_imperative(word: str, after: str) -> str:
    """Return the reason that `word`, before the word `after`, opens no command; "" if it may."""
    if word in ARTICLES | PRONOUNS | QUANTIFIERS | PREPOSITIONS:
        return "small"
    if not word.isalpha() and not re.fullmatch(r"[A-Z][a-z]+-[a-z]+", word):
        return "code"
    if len(word) == 1 or not word[0].isupper() or word[1:] != word[1:].lower():
        return "code"
    if word in NOUNS_OR_VERBS and after in DETERMINERS:
        return ""
    if word in NOT_VERBS | NOUNS_OR_VERBS or after in {"of", "is", "are", "was", "were", "has"}:
        return "noun"
    ending = re.search("(ed|ing|ly|ion|ity|ness)$", word)
    if ending and word not in VERBS_LIKE_NOUNS:
        return "noun"
    if word.endswith("s") and not word.endswith("ss") and word not in VERBS_LIKE_NOUNS:
        return "third"
    return ""


def _noun_phrase_fault(kind: str, word: str, after: str) -> str:
    """Return the fault of an opening that should be a noun phrase; "" if there is none."""
    if word in PRONOUNS or (word in PREPOSITIONS and kind not in {"test", "field"}):
        return "open with a noun phrase, not with a pronoun, preposition or conjunction"
    plural = word in PLURALS or not word.endswith("s") or word.endswith("ss")
    if word in THIRD_PERSON or (after in DETERMINERS and not plural):
        return "open with a noun phrase (“A table of …”), not with a verb in the third person"
    if kind == "class" and word in IMPERATIVES:
        return "open with a noun phrase, not with a verb: a class is a thing"
    return ""


def opening_fault(kind: str, text: str) -> str:
    """Return what is wrong with how `text` opens; "" if nothing is.

    `kind` is module, class, function, property, field, help (of an option) or test (a test or one
    of its fixtures, which may open with a noun phrase too).
    """
    word, after, *_ = *(word.strip("`.,:;()…“”\"'") for word in text.split()[:2]), "", ""
    if word in QUESTIONS:
        return f"do not open with “{word}”: name the thing, or what the function does"
    if kind == "help":
        return "open with a noun phrase or a verb" if text.startswith("…") else ""
    if kind == "function":
        return _OPENING.get("code" if text[:1] in "`(" else _not_imperative(word, after), "")
    return _noun_phrase_fault(kind, word, after)


@dataclass(frozen=True)
class Prose:
    """A piece of prose and where it stands."""

    path: Path
    line: int
    text: str
    kind: str
    """d(ocstring), c(omment), s(tring) or m(arkdown)."""
    opens: str = ""
    """The kind of thing that it documents (see `opening_fault`); "" if its opening is free."""
    lines: tuple[str, ...] = ()
    """The source lines of a string that may be joined from several."""


@dataclass(frozen=True)
class Finding:
    """A place that breaks a rule."""

    path: Path
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        path = self.path.relative_to(ROOT) if self.path.is_relative_to(ROOT) else self.path
        return f"{path}:{self.line}: {self.rule}: {self.text}"


_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_Scope = (ast.Module, ast.ClassDef, *_Function)


def _kind(node: ast.AST, test: bool) -> str:
    """Return what the docstring of `node` documents."""
    if isinstance(node, ast.Module):
        return "module"
    if isinstance(node, ast.ClassDef):
        return "class"
    marks = [ast.unparse(mark) for mark in getattr(node, "decorator_list", [])]
    if any(mark.endswith(("property", ".setter", ".getter")) for mark in marks):
        return "property"
    return "test" if test else "function"


def docstrings(path: Path, tree: ast.Module, test: bool) -> Iterator[tuple[ast.Constant, Prose]]:
    """Yield the docstrings of modules, classes, functions and fields."""
    for node in ast.walk(tree):
        if not isinstance(node, _Scope):
            continue
        before: ast.AST = node
        for statement in node.body:
            string = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(string, ast.Constant) and isinstance(string.value, str):
                field = isinstance(before, (ast.Assign, ast.AnnAssign))
                kind = _kind(node, test) if before is node else "field" if field else ""
                yield string, Prose(path, string.lineno, string.value, "d", kind)
            before = statement


_CODE = re.compile(r"^\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|WITH|ALTER|BEGIN)\b")
_STYLE = re.compile(r"[\w-]+\s*:\s*[^;{}]+;|<\w+[ >/]")


def strings(path: Path, tree: ast.Module, lines: list[str], skip: set[int]) -> Iterator[Prose]:
    """Yield the string literals with a space in them, f-strings with `{}` for their values."""
    words = (
        word for call in ast.walk(tree) if isinstance(call, ast.Call) for word in call.keywords
    )
    helps = {id(word.value) for word in words if word.arg in {"help", "short_help", "epilog"}}
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part for part in node.values if isinstance(part, ast.Constant)]
            inner |= {id(part) for part in parts}
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if id(node) in skip or id(node) in inner or " " not in text.strip() or _CODE.match(text):
            continue
        opens = "help" if id(node) in helps else ""
        source = tuple(lines[node.lineno - 1 : node.end_lineno])
        yield Prose(path, node.lineno, text, "s", opens, source)


_PRAGMA = re.compile(r"^(?:type: ignore|noqa|fmt:|pragma|ruff|mypy|!|-\*-)")


def comments(path: Path, source: str) -> Iterator[Prose]:
    """Yield the comments, with those of adjacent lines and one column joined."""
    start, column, last, texts = 0, -1, -1, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, at = token.start
        text = token.string.lstrip("#").strip()
        if texts and (line, at) == (last + 1, column):
            texts.append(text)
        else:
            if texts:
                yield Prose(path, start, "\n".join(texts), "c")
            start, column, texts = line, at, [text]
        last = line
        if _PRAGMA.match(text):
            texts[-1] = ""
    if texts:
        yield Prose(path, start, "\n".join(texts), "c")


_LINK = re.compile(r"\]\([^)]*\)|https?://\S+|<!--.*?-->|<[^>]*>")


def markdown(path: Path, source: str) -> Iterator[Prose]:
    """Yield the paragraphs, table rows and headings outside of code fences."""
    block: list[str] = []
    start, fenced = 1, False
    for number, line in enumerate([*source.splitlines(), ""], 1):
        fence = line.lstrip().startswith(("```", "~~~"))
        fenced ^= fence
        alone = line.lstrip().startswith(("|", "#"))
        if block and (fence or fenced or alone or not line.strip()):
            yield Prose(path, start, "\n".join(block), "m")
            block = []
        if fence or fenced or not line.strip():
            continue
        line = _LINK.sub(lambda found: " " * len(found[0]), line)
        if alone:
            yield Prose(path, number, line, "m")
            continue
        start = start if block else number
        block.append(line)


def _masked(text: str) -> tuple[str, list[int]]:
    """Return `text` with single spaces, code and quotations blanked, and its places in `text`."""
    for quotation in ALLOWED:
        text = text.replace(quotation, "_" * len(quotation))
    text = re.sub(r"``[^`]+``|`[^`]*`", lambda code: "`" + "_" * (len(code[0]) - 2) + "`", text)
    text = re.sub(r"\s", " ", text)
    places = [at for at, sign in enumerate(text) if sign != " " or text[at - 1 : at] != " "]
    return "".join(text[at] for at in places), [*places, len(text)]


def _line(prose: Prose, start: int) -> int:
    """Return the line of the source on which the match at `start` stands."""
    if not prose.lines:
        return prose.line + prose.text.count("\n", 0, start)
    ahead = prose.text[start : start + 10].split("{}")[0].split("\n")[0]
    near = [at for at, line in enumerate(prose.lines) if ahead and ahead in line]
    return prose.line + (near[0] if near else 0)


def check_prose(prose: Prose) -> Iterator[Finding]:
    """Yield the places of `prose` that break a rule."""
    text, places = _masked(prose.text)
    if prose.opens and (fault := opening_fault(prose.opens, prose.text.strip())):
        opening = " ".join(prose.text.split()[:6])
        yield Finding(
            prose.path, prose.line, f"opening of {prose.opens}", f"“{opening} …” → {fault}"
        )
    styled = prose.kind == "s" and _STYLE.search(text)
    for rule in RULES:
        if prose.kind not in rule.kinds or (styled and rule.name == "American spelling"):
            continue
        for found in re.finditer(rule.pattern, text):
            before = text[: found.start()].rstrip()
            if rule.unless_before and re.search(rule.unless_before, before):
                continue
            start, end = places[found.start()], places[found.end()]
            around = prose.text[max(0, start - 30) : end + 30]
            yield Finding(
                prose.path, _line(prose, start), rule.name,
                f"“{' '.join(around.split())}” → {rule.advice}",
            )  # fmt: skip


def undocumented(path: Path, tree: ast.Module) -> Iterator[Finding]:
    """Yield the public modules, classes, functions, methods and properties without a docstring.

    Names that begin with "_", the members of such classes, and what is defined inside a function
    need none, nor do setters and overloads; what a framework calls (`compose`, …) does.
    """
    if not ast.get_docstring(tree) and tree.body:
        yield Finding(path, 1, "no docstring", "the module → add a docstring")

    def visit(parent: ast.AST, prefix: str) -> Iterator[Finding]:
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, (ast.ClassDef, *_Function)):
                if node.name.startswith("_"):
                    continue
                name = prefix + node.name
                marks = [ast.unparse(mark) for mark in node.decorator_list]
                second = any(mark.endswith((".setter", ".deleter", "overload")) for mark in marks)
                if not ast.get_docstring(node) and not second:
                    yield Finding(path, node.lineno, "no docstring", f"{name} → add a docstring")
                if isinstance(node, ast.ClassDef):
                    yield from visit(node, name + ".")
            elif isinstance(node, (ast.If, ast.Try, ast.With)):
                yield from visit(node, prefix)

    yield from visit(tree, "")


def check_file(path: Path, *, test: bool | None = None) -> list[Finding]:
    """Return the findings of a Python or Markdown file; of tests no strings, no public names."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return [found for prose in markdown(path, source) for found in check_prose(prose)]
    test = path.is_relative_to(ROOT / "tests") if test is None else test
    tree = ast.parse(source)
    documented = list(docstrings(path, tree, test))
    pieces = [prose for _, prose in documented] + list(comments(path, source))
    if not test:
        skip = {id(string) for string, _ in documented}
        pieces += strings(path, tree, source.splitlines(), skip)
    found = [one for prose in pieces for one in check_prose(prose)]
    if not test:
        found += undocumented(path, tree)
    return sorted(found, key=lambda one: one.line)


def files(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Yield the Python and Markdown files below `paths`, relative to the repository's root."""
    for path in map(Path, paths):
        place = path.resolve() if path.exists() else ROOT / path
        if not place.exists():
            raise FileNotFoundError(place)
        if place.is_file():
            yield place
        else:
            found = (one for kind in ("*.py", "*.md") for one in place.rglob(kind))
            below = [one for one in found if "node_modules" not in one.parts]
            yield from sorted(one for one in below if "data" not in one.relative_to(place).parts)


def check(paths: Iterable[str | Path]) -> list[Finding]:
    """Return the findings of all files below `paths`."""
    return [found for path in files(paths) for found in check_file(path)]


def main() -> int:
    """Print the findings of the paths on the command line; return 1 if there are some."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", default=CHECKED)
    parser.add_argument("--count", action="store_true", help="print totals per file and rule")
    options = parser.parse_args()
    findings = check(options.paths)
    if options.count:
        for part in (0, 2):  # of "file:line: rule: text"
            for name, count in Counter(str(one).split(":")[part] for one in findings).most_common():
                print(f"{count:6}  {name.strip()}")
    else:
        print(*findings, sep="\n")
    print(f"{len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
