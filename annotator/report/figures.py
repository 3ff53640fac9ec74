"""The figures of the report as plain values: `annotator report --json`."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import AnnotatorError
from annotator.items.refs import plural, shell_quoted
from annotator.learn.label_conflicts import class_tree, find_likely_errors
from annotator.learn.model import out_of_sample_proba
from annotator.learn.ranking import Ranking, learn
from annotator.learn.stopping import advise_stopping, forecast_labels
from annotator.learn.tag_conflicts import find_tag_errors
from annotator.log.agreement import measure_agreement
from annotator.log.entries import PREDICTED, Action, Entry, LogState, is_settled
from annotator.log.prequential import PrequentialScores, windowed_mean
from annotator.log.store.open import open_store
from annotator.project.label_sets import name_decisions, set_probability
from annotator.project.project import ProjectFolder
from annotator.proposals import has_proposals
from annotator.proposals.precision import measure_precision
from annotator.report.estimate import estimate_as_dict, minutes_left, with_open_rows
from annotator.report.slices import estimate_query, find_slices, measure_sample
from annotator.report.status import project_status
from annotator.session.predict import FittedProject, fit, iter_predictions, unlabelled_rows
from annotator.session.price_list import OpenPool, price_list
from annotator.version import __version__

_MAX_POINTS = 300
"""The largest number of points of a curve."""
_MAX_ITEMS = 24
"""The largest number of items in each list."""
_WORK_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Example:
    """An item worth a look, with the reason."""

    ref: str
    label: str | None
    predicted: str | None
    probability: float | None
    why: str


@dataclass(frozen=True, slots=True)
class ReportPart:
    """The items of a query, to which a report is limited."""

    query: str
    mask: NDArray[np.bool_]
    """(n,) True for these rows of the pool."""
    refs: frozenset[str]


def collect_figures(
    project: ProjectFolder, now: float | None = None, part: ReportPart | None = None
) -> dict[str, Any]:
    """Return all figures of a project, or of a part of its items; the model learns from all.

    "missing" lists the figures that cannot be computed (no features, one class only), with the
    command that helps.
    """
    tree = project.settings.tree
    state, whole, difficulty = LogState(), LogState(), PrequentialScores(tree.is_within)
    entries = list[Entry]()
    if project.labels_file.exists():
        store = open_store(project)
        for entry in store.entries():
            whole.apply(entry)
            if part is not None and entry.ref not in part.refs:
                continue
            state.apply(entry)
            difficulty.apply(entry)
            entries.append(entry)
        store.close()
    missing: list[str] = []
    counts = project_status(project, estimate=False, only=part.refs if part else None)
    found: dict[str, Any] = {
        "made_at": time.time() if now is None else now,
        "query": part.query if part else None,
        "status": counts,
        "progress": _progress(entries),
        "difficulty": _difficulty(difficulty),
        "hardest": [asdict(example) for example in _hardest(state)],
        "agreement": measure_agreement(state, tree.level_out).as_dict(),
        "proposals": _proposals(project, state),
        "provenance": _provenance(project, entries),
        **_model_figures(project, whole, missing, part),
        "missing": missing if counts["items"] else [],
    }
    counts["estimate"], counts["slices"] = found["estimate"], found["slices"]
    if work := found.pop("work"):
        counts["minutes_left"] = minutes_left(work, counts["remaining"], whole)
    return found | {"next": _next_commands(project, found)}


def _thin_places(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return at most `_MAX_POINTS` positions of a series, the first and the last included."""
    return np.unique(
        np.linspace(0, len(values) - 1, min(len(values), _MAX_POINTS)).astype(np.int64)
    )


def _progress(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return answers by people over working time, without pauses of a minute or more."""
    at = np.array([e.at for e in entries if e.action in (Action.LABEL, Action.SKIP)
                   and not e.by_machine and e.picked_by != "import"])  # fmt: skip
    if not len(at):
        return {"minutes": [], "answers": [], "per_minute": None}
    gaps = np.diff(np.sort(at), prepend=at.min())
    worked = np.cumsum(np.where(gaps < _WORK_PAUSE, gaps, 0.0)) / 60
    places = _thin_places(worked)
    return {
        "minutes": worked[places].round(3).tolist(),
        "answers": (places + 1).tolist(),
        # The time spent on a page that was submitted at once is not known.
        "per_minute": float(len(at) / worked[-1]) if worked[-1] >= 1 / 60 else None,
    }


def _difficulty(difficulty: PrequentialScores) -> dict[str, Any]:
    """Return the model's error on each new label, over the last 50.

    It is the error on the items shown, not on the pool.
    """
    wrong = difficulty.wrong
    places = _thin_places(wrong) if len(wrong) else np.zeros(0, np.int64)
    return {
        "labels": (places + 1).tolist(),
        "error": windowed_mean(wrong)[places].round(4).tolist() if len(wrong) else [],
        "mean": float(wrong.mean()) if len(wrong) else None,
    }


def _hardest(state: LogState) -> list[Example]:
    """Return the labels that the model contradicted with most confidence before they were given."""
    found = []
    for _, last in state.labels():
        best = last.predicted
        if not last.proba or last.by_machine or not best or not last.label:
            continue
        several = PREDICTED in (last.extra or {})
        if best != last.label and (several or last.label in last.proba):
            p = (
                set_probability(last.proba, best, tuple(last.proba))
                if several
                else last.proba[best]
            )
            why = f"before the label the model predicted {best} at {p:.2f}"
            found.append(Example(last.ref, last.label, best, p, why))
    return sorted(found, key=lambda example: -(example.probability or 0))[:_MAX_ITEMS]


def _proposals(project: ProjectFolder, state: LogState) -> list[dict[str, Any]]:
    if not has_proposals(project):
        return []
    return [group.as_dict() for group in measure_precision(project, state)]


def _model_figures(
    project: ProjectFolder, state: LogState, missing: list[str], part: ReportPart | None
) -> dict[str, Any]:
    """Return the figures that need a model: estimate, shares, confusion, doubtful items."""
    empty: dict[str, Any] = {
        "estimate": None, "slices": None, "prices": None, "work": None, "history": [], "shares": {},
        "forecast": None, "advice": None, "out_of_reach": False,
        "confusion": None, "doubtful": [], "suspicious": [], "doubted": 0,
    }  # fmt: skip
    try:
        fitted = fit(project, state)
    except AnnotatorError as error:
        missing.append(str(error))
        return empty
    refs = None if part is None else part.refs
    found = {
        **empty,
        **_out_of_sample_labels(fitted, state, refs),
        "doubtful": [asdict(example) for example in _doubtful(fitted, state, part)],
    }
    if part is not None:
        inside = estimate_query(fitted, project, part.mask)
        return {**found, "estimate": estimate_as_dict(inside.estimate if inside else None)}
    ranking = learn(with_open_rows(fitted), project.settings.seed)
    measure_sample(fitted, project)
    slices = find_slices(fitted, project, ranking.estimate).as_dict()
    estimated = _estimated(ranking, project.settings.target_error, len(fitted.refs))
    prices = price_list(fitted, OpenPool.of(fitted.refs, state)).as_dict()
    return {**found, **estimated, "slices": slices, "prices": prices}


def _estimated(ranking: Ranking, target: float | None, items: int) -> dict[str, Any]:
    estimate, past = ranking.estimate, ranking.past
    if estimate is None or not estimate.shown:
        return {}
    advice = advise_stopping(estimate, past.kappas, target)
    forecast = forecast_labels(past.points, target) if target is not None else None
    return {
        "estimate": estimate_as_dict(estimate),
        "work": ranking.work,
        "history": [asdict(point) for point in past.points],
        "shares": {name: asdict(share)
                   for name, share in zip(ranking.classes, estimate.shares, strict=False)},
        "forecast": forecast if forecast is None or forecast <= items else None,
        "out_of_reach": forecast is not None and forecast > items,
        "advice": asdict(advice) if advice is not None else None,
    }  # fmt: skip


def _out_of_sample_labels(
    fitted: FittedProject, state: LogState, only: Collection[str] | None
) -> dict[str, Any]:
    """Compare every label, or those of `only` some refs, with the model fitted without it.

    Suspicious are the cases of the review's queue `errors`.
    """
    y, names = fitted.snapshot.y, fitted.classes
    proba = out_of_sample_proba(fitted.model, fitted.labelled, y)
    if fitted.snapshot.has_tags:
        return _out_of_sample_sets(fitted, state, only, proba)
    counts = np.zeros((len(names), len(names)), np.int64)
    refs = [fitted.features.store.refs[int(row)] for row in fitted.snapshot.rows]
    inside = np.array([only is None or ref in only for ref in refs], bool)
    np.add.at(counts, (y[inside], proba.argmax(axis=1)[inside]), 1)
    found = find_likely_errors(y, proba, class_tree(fitted.model))
    suspicious = [
        Example(refs[i], names[y[i]], names[c], float(proba[i, c]),
                f"labelled {names[y[i]]}; without this label the model predicts "
                f"{names[c]} at {proba[i, c]:.2f}")
        for i, c in zip(found.rows.tolist(), found.suspects.tolist(), strict=True)
        if inside[i] and not is_settled(state, refs[i], "errors")
    ]  # fmt: skip
    return {
        "confusion": {"classes": list(names), "counts": counts.tolist()},
        "suspicious": [asdict(example) for example in suspicious[:_MAX_ITEMS]],
        "doubted": len(suspicious),
    }


def _out_of_sample_sets(
    fitted: FittedProject,
    state: LogState,
    only: Collection[str] | None,
    proba: NDArray[np.floating],
) -> dict[str, Any]:
    """Return the labels with one class too many or too few; sets have no confusion table."""
    found = find_tag_errors(fitted.snapshot.y, proba)
    names = name_decisions(fitted.snapshot.y, fitted.classes)
    refs = [fitted.features.store.refs[int(row)] for row in fitted.snapshot.rows]
    suspicious = [
        Example(refs[i], names[i], fitted.classes[c], float(proba[i, c]),
                f"labelled {names[i]}; without this label the model gives "
                f"{fitted.classes[c]} {proba[i, c]:.2f}")
        for i, c in zip(found.rows.tolist(), found.suspects.tolist(), strict=True)
        if (only is None or refs[i] in only) and not is_settled(state, refs[i], "errors")
    ]  # fmt: skip
    return {
        "suspicious": [asdict(example) for example in suspicious[:_MAX_ITEMS]],
        "doubted": len(suspicious),
    }


def _doubtful(fitted: FittedProject, state: LogState, part: ReportPart | None) -> list[Example]:
    """Return the open items whose two likeliest classes are closest."""
    best: list[tuple[float, Example]] = []
    wanted = unlabelled_rows(fitted.refs, state) & (True if part is None else part.mask)
    for ref, proba in iter_predictions(fitted, wanted):
        # Of several classes, those in most doubt come last, of one the likeliest.
        order = np.argsort(-np.abs(proba - 0.5) if fitted.snapshot.has_tags else proba)
        first, second = int(order[-1]), int(order[-2]) if len(order) > 1 else int(order[-1])
        margin = float(proba[first] - proba[second])
        if fitted.snapshot.has_tags:
            margin = -float(fitted.model.targets.margin(proba[None])[0])
        if len(best) < _MAX_ITEMS or margin < best[-1][0]:
            likeliest, other = fitted.classes[first], fitted.classes[second]
            why = f"{likeliest} {proba[first]:.2f}, {other} {proba[second]:.2f}"
            best.append((margin, Example(ref, None, likeliest, float(proba[first]), why)))
            best = sorted(best, key=lambda pair: pair[0])[:_MAX_ITEMS]
    return [example for _, example in best]


def _provenance(project: ProjectFolder, entries: Sequence[Entry]) -> dict[str, Any]:
    settings = project.settings
    by = Counter(entry.annotator for entry in entries if entry.action is Action.LABEL)
    machine = Counter(e.model or "unknown" for e in entries if e.by_machine)
    return {
        "annotator": __version__, "python": platform.python_version(), "numpy": np.__version__,
        "project": str(project.folder), "seed": settings.seed, "strategy": settings.strategy,
        "estimator": settings.estimator, "model": settings.model,
        "log_rows": len(entries),
        "first": min((e.at for e in entries), default=None),
        "last": max((e.at for e in entries), default=None),
        "labels_by": dict(by), "machine_labels_by": dict(machine),
        "picked_by": dict(Counter(e.picked_by or "unknown" for e in entries
                                  if e.action is Action.LABEL)),
    }  # fmt: skip


def _next_commands(project: ProjectFolder, found: dict[str, Any]) -> list[dict[str, str]]:
    """Return the commands to run next with their reasons, the most useful first."""
    folder = shell_quoted(project.folder)
    steps = []
    counts = found["status"]
    if counts["items"] and not project.images.is_dir():
        steps.append((f"annotator doctor {folder}", "the images folder does not exist"))
    if counts["features"] is None and counts["items"]:
        steps.append(
            (
                f"annotator features {folder}",
                "there are no features yet: items are asked in random order",
            )
        )
    if found["suspicious"]:
        why = f"the model doubts {plural(found['doubted'], 'label')}"
        steps.append((f"annotator review {folder}", why))
    advice = found["advice"]
    if advice and advice["stop"] and counts["remaining"]:
        steps.append((f"annotator finish {folder} --max-error 0.02", advice["reason"]))
    if counts["remaining"]:
        why = f"{plural(counts['remaining'], 'item')} not labelled yet"
        more = (found["forecast"] or 0) - counts["labelled"]
        if found["out_of_reach"]:
            why += "; at the current trend too few to reach the target error"
        elif more > 0:
            why += f"; about {plural(more, 'label')} more to the target error"
        steps.append((f"annotator run {folder}", why))
    if counts["labelled"]:
        why = f"{plural(counts['labelled'], 'label')} to export"
        steps.append((f"annotator export {folder} labels.csv", why))
    if not counts["items"]:
        steps.append((f"annotator add {folder} --images DIR", "there are no images yet"))
    return [{"command": command, "why": why} for command, why in steps]
