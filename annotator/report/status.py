"""Figures about a project, for `annotator status` and `annotator log`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from annotator.errors import AnnotatorError
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.items.refs import (
    format_done,
    format_interval,
    format_percent,
    make_printable,
    plural,
)
from annotator.log.agreement import agreement_lines, measure_agreement
from annotator.log.entries import Action, Entry, LogState, label_seconds, reviewed_labels
from annotator.log.store.open import load_log_state
from annotator.project.item_pool import load_refs
from annotator.project.label_sets import NO_CLASS, count_classes
from annotator.project.project import ProjectFolder
from annotator.proposals.precision import describe_precision, measure_precision
from annotator.report.estimate import check_figures, check_lines, minutes_left, time_lines
from annotator.report.hierarchy import hierarchy_figures, hierarchy_lines
from annotator.report.names import name_figures, name_lines
from annotator.report.slices import estimate_project, format_slices

_MANY_CLASSES = 20
_BAR_CELLS = 20


def project_status(
    project: ProjectFolder, *, estimate: bool = True, only: Collection[str] | None = None
) -> dict[str, Any]:
    """Return the figures of `annotator status --json`, of all items or of the refs in `only`.

    Without `estimate`, the figures of the model are None.
    """
    state = load_log_state(project, only)
    standing = [stack[-1] for stack in state.standing.values()]
    labels = [entry for entry in standing if entry.action is Action.LABEL]
    counts = _count_labels(labels, project.settings.multi_label)
    names = [*project.settings.names, *sorted(set(counts) - set(project.settings.names), key=str)]
    models = [entry for entry in labels if entry.model]
    alone = {str(name): counts[name] for name in names}
    refs = load_refs(project) if only is None else RefTable(only)
    # Items may have been removed from refs.csv after they were answered.
    answered = int((refs.rows(list(state.standing)) >= 0).sum())
    found: dict[str, Any] = {"estimate": None, "slices": None, "work": None, "name_weight": None}
    if estimate:
        found = estimate_project(project, state)
    return {
        "project": str(project.folder),
        "items": len(refs),
        "answered": answered,
        "labelled": len(labels),
        "skipped": len(standing) - len(labels),
        "remaining": len(refs) - answered,
        "flagged": len(state.flagged),
        "reviewed": _count_reviewed(state),
        "classes": alone,
        "hierarchy": hierarchy_figures(state, project.settings.tree, alone),
        "annotators": dict(Counter(entry.annotator for entry in labels)),
        "seconds_per_label": label_seconds(state),
        "minutes_left": minutes_left(found.pop("work"), len(refs) - answered, state),
        "names": name_figures(project, found.pop("name_weight")),
        **found,
        "check": check_figures(project, state, refs) if only is None else None,
        "model": max(models, key=lambda entry: entry.seq).model if models else None,
        "features": _features(project),
        "strategy": project.settings.strategy,
        "agreement": measure_agreement(state, project.settings.tree.level_out).as_dict(),
        "proposals": [g.as_dict() for g in measure_precision(project, state, classes=False)],
    }


def _count_reviewed(state: LogState) -> dict[str, Any]:
    """Return the number of labels that a review confirmed, and of those of each reviewer."""
    names = [who for _, who in reviewed_labels(state)]
    counts = Counter(name for who in names for name in who)
    return {"labels": len(names), "annotators": dict(counts.most_common())}


def _count_labels(labels: Collection[Entry], multi: bool) -> Counter[str | None]:
    """Return the labels of each class; with `multi`, an item counts for each of its classes."""
    counts: Counter[str | None] = Counter(entry.label for entry in labels)
    if not multi:
        return counts
    none = counts[NO_CLASS]
    return count_classes(counts) + Counter({NO_CLASS: none} if none else {})


def _features(project: ProjectFolder) -> dict[str, Any] | None:
    if not project.has_features:
        return None
    try:
        store = FeatureStore.open(project.features_folder)
    except AnnotatorError as error:
        return {"error": str(error)}
    rows, dim = store.matrix.shape
    return {"extractor": store.name, "rows": rows, "dim": dim, "dtype": str(store.matrix.dtype)}


def format_status(found: dict[str, Any]) -> str:
    """Return the figures of `project_status` as text."""
    lines = [
        f"{found['answered']:,} of {found['items']:,} answered "
        f"({format_done(found['answered'], found['items'])}): {found['labelled']:,} labelled, "
        f"{found['skipped']:,} skipped, {found['flagged']:,} flagged",
        *_class_lines(found),
    ]
    if found["annotators"]:
        names = ", ".join(f"{make_printable(n)} {c:,}" for n, c in found["annotators"].items())
        lines.append(f"by {names}")
    lines += _reviewed_lines(found["reviewed"], found["labelled"])
    if found["seconds_per_label"] is not None:
        seconds = found["seconds_per_label"]
        pace = f", {60 / seconds:.0f} a minute" if seconds else ""
        lines.append(f"{seconds:.1f} s a label{pace}")
    if e := found["estimate"]:
        span = format_interval(e["low"], e["high"])
        lines.append(
            f"estimated error of the model on the pool: {format_percent(e['error'])} "
            f"(90 % interval {span}), from {plural(e['labels'], 'label')}, n_eff {e['n_eff']:.0f}"
        )
        if each := e.get("each_class"):
            ends = format_interval(each["low"], each["high"])
            lines.append(
                f"  that is of whole sets of classes; class by class: "
                f"{format_percent(each['value'])} ({ends})"
            )
    lines += check_lines(found["check"])
    lines += time_lines(found["minutes_left"])
    lines += format_slices(found["slices"])
    lines += [_feature_line(found["features"]), *name_lines(found["names"])]
    lines += agreement_lines(found["agreement"])
    lines += [f"proposals of {describe_precision(group)}" for group in found["proposals"]]
    return "\n".join(lines)


def _feature_line(features: Mapping[str, Any] | None) -> str:
    if features is None:
        return "no features yet; `annotator features` or `annotator run` computes them"
    if "error" in features:
        return f"features: {features['error']}"
    return f"features: {features['extractor']}, {features['rows']:,} x {features['dim']}"


def _reviewed_lines(reviewed: Mapping[str, Any], labelled: int) -> list[str]:
    """Return a bar of the labels that a review confirmed, and who did; nothing before a review."""
    if not (count := reviewed["labels"]):
        return []
    full = max(1, _BAR_CELLS * count // labelled)
    names = ", ".join(f"{make_printable(n)} {c:,}" for n, c in reviewed["annotators"].items())
    return [
        f"reviewed {'█' * full}{'░' * (_BAR_CELLS - full)} {count:,} of "
        f"{plural(labelled, 'label')} ({format_done(count, labelled)}), by {names}"
    ]


def _class_lines(found: Mapping[str, Any]) -> list[str]:
    """Return a line for each class; of many classes, only for those with labels."""
    counts: Mapping[str, int] = found["classes"]
    if found["hierarchy"] is not None:
        return [*hierarchy_lines(found["project"], counts, found["hierarchy"], _MANY_CLASSES)]
    shown = {n: c for n, c in counts.items() if c or len(counts) <= _MANY_CLASSES}
    lines = [f"  {make_printable(name)}: {count:,}" for name, count in shown.items()]
    without = len(counts) - len(shown)
    return (
        [*lines, f"  without a label: {plural(without, 'class', 'classes')}"] if without else lines
    )


def format_entry(entry: Entry) -> str:
    """Return a row of the log as one line, safe for a terminal."""
    day = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at))
    action = f"{entry.action} {make_printable(entry.label)}" if entry.label else str(entry.action)
    if entry.action is Action.UNDO:
        action = f"undo of {(entry.extra or {}).get('undoes')}"
    note = f"  {make_printable(entry.note)}" if entry.note else ""
    name = make_printable(entry.annotator)
    return f"{entry.seq:>6}  {day}  {name}  {action}  {make_printable(entry.ref)}{note}"
