"""The glossary of the labelling screen: a sentence for each term that may stand on it.

`docs/glossary.md` has an entry for each of these terms, and for all others of the project.
"""

from __future__ import annotations

import re

GLOSSARY = {
    "pool error": "The share of the whole pool that the current model labels wrongly, estimated "
    "from the labels whose probability of being drawn is known.",
    "interval": "A 90 % interval holds the true value in 9 of 10 cases: that of the panel at the "
    "moment you look, those of a check however often you look.",
    "n_eff": "The effective number of labels: the estimate is as exact as if this number of "
    "labels had been drawn evenly. The panel shows the estimate from 8 on.",
    "target error": "The error below which you may stop, `target_error` in annotator.toml.",
    "enough for": "The least of 1, 2, 5, 10 and 20 % that the upper end of the interval is within: "
    "the model is good enough if you accept this share of wrong labels.",
    "one by one": "The time to answer every open item by itself at your pace; until that is known, "
    "at 3.6 s an item.",
    "pages": "The time for the items that still need a look if you see them on pages of many, by "
    "published times of 1.1 s for a decision on a page and 3.6 s for one alone. The model labels "
    "the others. The error in the end is your target error, or 1 %.",
    "finish": "The time for the audit of `annotator finish`, and for the items that it does not "
    "accept, one by one. The error that it excludes is your target error, or 5 %.",
    "how hard your questions are": "How often the model was wrong on the shown items just before "
    "you labelled them, and the squared error of its probabilities. Hard items are chosen on "
    "purpose, so half right is usual, and this does not estimate the pool error.",
    "precision": "The share of the items that really belong to a class, among those that the model "
    "assigns to it.",
    "hunt": "A search for one class: the strategy prefers items that may belong to it.",
    "strategy": "The rule that picks the next item. Until the model has learnt, items come at "
    "random.",
    "herding-mix": "The default strategy: items that represent many others first, then random and "
    "uncertain ones with known probabilities.",
    "margin": "A strategy: items whose two most probable classes are close.",
    "entropy": "A strategy: items on which the model is most uncertain over all classes.",
    "audit": "A test of the frozen model: items drawn at random, which you label without seeing "
    "its predictions.",
    "check": "A measurement of the frozen model: random items, which you label without seeing its "
    "predictions. Its intervals hold however often you look.",
    "second opinion": "Your label for an item that another annotator has labelled. It is compared "
    "with the first label and never replaces it.",
    "near-duplicate": "An item that looks almost the same: the same file, almost the same image, "
    "or almost the same features.",
    "lease": "A reservation of an item for one session or script: no other session asks for it.",
    "proposal": "A box that a detector found, with the class that it suggests.",
}
"""Term -> its explanation on the help screen."""

_PATTERNS = {
    "pool error": r"pool error|whole pool",
    "interval": r"\b90 %",
    "n_eff": r"\bn_eff\b|\bn \d",
    "target error": r"≤ |you may stop|\btarget\b",
    "one by one": r"one by one|\bleft \d",
    "pages": r"\bpages\b|· \S \d",
    "finish": r"\bfinish (to )?\d",
    "hunt": r"\bhunt",
    "check": r"\bchecked\b|\bcheck-\d",
    "strategy": r"at random|\bherding-mix\b|\bmargin\b|\bentropy\b|\bleast-confidence\b|\bseed\b"
    r"|\buherding\b|\btypiclust\b|\bcoreset\b|\bbadge\b",
    "lease": r"\bleased\b",
    "proposal": r"\bproposed\b",
    "second opinion": r"second opinion",
}
"""Term -> the pattern by which the screen shows it; other terms stand on it as they are."""


def terms_on_screen(text: str) -> dict[str, str]:
    """Return the terms that stand in a screen's text, with their explanations."""
    words = " ".join(text.split())
    return {
        term: explanation
        for term, explanation in GLOSSARY.items()
        if re.search(_PATTERNS.get(term, re.escape(term)), words, re.IGNORECASE)
    }
