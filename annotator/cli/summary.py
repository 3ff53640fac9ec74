"""Each command: where it is, and in one short line what it does; its own --help says more."""

from __future__ import annotations

COMMANDS = {
    "run": ("labelling", "Label images: open a project, or a folder of images."),
    "demo": ("labelling", "Label the bundled example: trays of machined parts."),
    "init": ("labelling", "Make a project without opening it."),
    "add": ("add", "Add images, boxes or classes later."),
    "browse": ("browse", "Label pages of many crops at once."),
    "next": ("next_answer", "Say what to label next, and lease it: for scripts."),
    "answer": ("next_answer", "Label one item: for scripts."),
    "detect": ("detect", "Find objects with detectors, in ensemble."),
    "faces": ("faces", "Find faces, describe them, group those of one person."),
    "identities": ("identities", "Put identities right, page by page."),
    "discover": ("discover", "Find objects that no model was trained for."),
    "proposals": ("proposals", "Say how often proposed boxes are right, by score."),
    "cluster": ("cluster", "Put items that look alike together."),
    "features": ("features", "Compute the features that the model learns from."),
    "finish": ("finish", "Let the model label the rest, certified by an audit."),
    "review": ("review", "Look again at doubtful labels."),
    "search": ("search", "Find items by name, label, likeness or words."),
    "simulate": ("simulate", "Compare strategies on labels that are known."),
    "predict": ("status_predict", "Write what the model says of unlabelled items."),
    "status": ("status_predict", "Say how far a project is."),
    "export": ("exchange", "Write the labels, in the format of your trainer."),
    "import": ("importing", "Read labels of other programs into the log."),
    "log": ("log", "Print every label, skip, undo, flag and note."),
    "report": ("report", "Write one page about a project, or its figures."),
    "config": ("config", "Show the settings that hold, and where they are said."),
    "doctor": ("system", "Say what works here, and the line that mends the rest."),
    "completion": ("system", "Print a script that completes commands in your shell."),
    "hits": ("hits", "Give out pages of images as tasks, and see who did them."),
}
"""Name -> the module of annotator.cli that has it, and a line with room for 58 characters."""

HITS = {
    "make": "Draw HITs, with known items among them.",
    "run": "Do a HIT, from where it was left.",
    "assign": "Give a worker a HIT before they come.",
    "status": "Say who did what: codes, gold scores, times.",
}
"""The same for the commands of `annotator hits`."""
