"""Each command in one short line, for the list of them all; its own --help says more."""

from __future__ import annotations

SUMMARY = {
    "run": "Label images: open a project, or a folder of images.",
    "demo": "Label the bundled example: trays of machined parts.",
    "init": "Make a project without opening it.",
    "add": "Add images, boxes or classes later.",
    "browse": "Label pages of many crops at once.",
    "next": "Say what to label next, and lease it: for scripts.",
    "answer": "Label one item: for scripts.",
    "detect": "Find objects with detectors, in ensemble.",
    "faces": "Find faces, describe them, group those of one person.",
    "identities": "Put identities right, page by page.",
    "discover": "Find objects that no model was trained for.",
    "proposals": "Say how often proposed boxes are right, by score.",
    "cluster": "Put items that look alike together.",
    "features": "Compute the features that the model learns from.",
    "finish": "Let the model label the rest, certified by an audit.",
    "review": "Look again at doubtful labels.",
    "search": "Find items by name, label, likeness or words.",
    "simulate": "Compare strategies on labels that are known.",
    "predict": "Write what the model says of unlabelled items.",
    "status": "Say how far a project is.",
    "export": "Write the labels, in the format of your trainer.",
    "import": "Read labels of other programs into the log.",
    "log": "Print every label, skip, undo, flag and note.",
    "report": "Write one page about a project, or its figures.",
    "config": "Show the settings that hold, and where they are said.",
    "doctor": "Say what works here, and the line that mends the rest.",
    "completion": "Print a script that completes commands in your shell.",
    "hits": "Give out pages of images as tasks, and see who did them.",
    "hits make": "Draw HITs, with known items among them.",
    "hits run": "Do a HIT, from where it was left.",
    "hits assign": "Give a worker a HIT before they come.",
    "hits status": "Say who did what: codes, gold scores, times.",
}
"""A line has room for 58 characters beside the longest name."""
