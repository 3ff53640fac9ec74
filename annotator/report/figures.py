"""Everything that the report says, as plain values: `annotator report --json`."""

from __future__ import annotations

import platform
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator import __version__
from annotator.errors import AnnotatorError
from annotator.items.refs import make_printable, plural
from annotator.learn.model import out_of_sample_proba
from annotator.learn.ranking import Ranking, Snapshot, learn
from annotator.learn.stopping import advise_stopping, forecast_labels
from annotator.log.agreement import measure_agreement
from annotator.log.entries import Action, Entry, LogState
from annotator.log.prequential import PrequentialScores, windowed_mean
from annotator.log.store import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.proposals import has_proposals
from annotator.proposals.precision import measure_precision
from annotator.report.status import project_status
from annotator.session.predict import FittedProject, fit, iter_predictions, unlabelled_rows

_MAX_POINTS = 300
"""Places at which a curve is given."""
_MAX_ITEMS = 24
"""Items of each list."""
_WORK_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Example:
    """An item that is worth a look, and why."""

    ref: str
    label: str | None
    predicted: str | None
    probability: float | None
    why: str


def collect_figures(project: ProjectFolder, now: float | None = None) -> dict[str, Any]:
    """All figures of a project. What cannot be had (no features, one class only) is named under
    "missing", with what to do about it."""
    state, difficulty, entries = LogState(), PrequentialScores(), list[Entry]()
    if project.labels_file.exists():
        store = SqliteStore(project.labels_file)
        for entry in store.entries():
            state.apply(entry)
            difficulty.apply(entry)
            entries.append(entry)
        store.close()
    missing: list[str] = []
    counts = project_status(project)
    found: dict[str, Any] = {
        "made_at": time.time() if now is None else now,
        "status": counts,
        "progress": _progress(entries),
        "difficulty": _difficulty(difficulty),
        "hardest": [asdict(one) for one in _hardest(state)],
        "agreement": measure_agreement(state).as_dict(),
        "proposals": _proposals(project, state),
        "provenance": _provenance(project, entries),
        **_of_model(project, state, missing),
        "missing": missing if counts["items"] else [],
    }
    return found | {"next": _next_commands(project, found)}


def _thin_places(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """At most `_MAX_POINTS` places of a long series, the first and the last among them."""
    return np.unique(
        np.linspace(0, len(values) - 1, min(len(values), _MAX_POINTS)).astype(np.int64)
    )


def _progress(entries: Sequence[Entry]) -> dict[str, Any]:
    """Answers by people over working time: pauses of a minute and more count as nothing."""
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
        # Of a page that was answered at one go nobody knows how long it took.
        "per_minute": float(len(at) / worked[-1]) if worked[-1] >= 1 / 60 else None,
    }


def _difficulty(difficulty: PrequentialScores) -> dict[str, Any]:
    """The error on each label as it came, over the last 50: of what was shown, not of the pool."""
    wrong = difficulty.wrong
    places = _thin_places(wrong) if len(wrong) else np.zeros(0, np.int64)
    return {
        "labels": (places + 1).tolist(),
        "error": windowed_mean(wrong)[places].round(4).tolist() if len(wrong) else [],
        "mean": float(wrong.mean()) if len(wrong) else None,
    }


def _hardest(state: LogState) -> list[Example]:
    """What the model was most surely wrong about when it was labelled."""
    found = []
    for _, last in state.labels():
        if not last.proba or last.by_machine or last.label not in last.proba:
            continue
        best = max(last.proba, key=last.proba.__getitem__)
        if best != last.label:
            p = last.proba[best]
            why = f"the model said {best} at {p:.2f} before it was labelled"
            found.append(Example(last.ref, last.label, best, p, why))
    return sorted(found, key=lambda one: -(one.probability or 0))[:_MAX_ITEMS]


def _proposals(project: ProjectFolder, state: LogState) -> list[dict[str, Any]]:
    if not has_proposals(project):
        return []
    return [group.as_dict() for group in measure_precision(project, state)]


def _of_model(project: ProjectFolder, state: LogState, missing: list[str]) -> dict[str, Any]:
    """What takes a model: the estimate, shares, confusion, doubtful and suspicious items."""
    empty: dict[str, Any] = {
        "estimate": None, "history": [], "shares": {}, "forecast": None, "advice": None,
        "confusion": None, "doubtful": [], "suspicious": [], "doubted": 0,
    }  # fmt: skip
    try:
        fitted = fit(project, state)
    except AnnotatorError as error:
        missing.append(str(error))
        return empty
    ranking = learn(_with_open_rows(fitted), project.settings.seed)
    return {
        **empty,
        **_estimated(ranking, project.settings.target_error),
        **_out_of_sample_labels(fitted),
        "doubtful": [asdict(one) for one in _doubtful(fitted, state)],
    }


def _with_open_rows(fitted: FittedProject) -> Snapshot:
    """The snapshot with its unlabelled rows open: what is left belongs to the estimate."""
    closed = np.zeros(len(fitted.snapshot.closed), bool)
    closed[fitted.snapshot.rows] = True
    return replace(fitted.snapshot, closed=closed, want=1)


def _estimated(ranking: Ranking, target: float | None) -> dict[str, Any]:
    estimate, past = ranking.estimate, ranking.past
    if estimate is None or not estimate.shown:
        return {}
    told = advise_stopping(estimate, past.kappas, target)
    return {
        "estimate": {name: getattr(estimate, name)
                     for name in ("error", "low", "high", "n_eff", "labels")},
        "history": [asdict(point) for point in past.points],
        "shares": {name: asdict(share)
                   for name, share in zip(ranking.classes, estimate.shares, strict=False)},
        "forecast": forecast_labels(past.points, target) if target is not None else None,
        "advice": asdict(told) if told is not None else None,
    }  # fmt: skip


def _out_of_sample_labels(fitted: FittedProject) -> dict[str, Any]:
    """Every label against the model that does not know it (leave-one-out)."""
    y, names = fitted.snapshot.y, fitted.classes
    proba = out_of_sample_proba(fitted.model, fitted.labelled, y)
    said = proba.argmax(axis=1)
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (y, said), 1)
    refs = [fitted.features.store.refs[int(row)] for row in fitted.snapshot.rows]
    rows = np.arange(len(y))
    order = np.argsort(proba[rows, y] - proba[rows, said])[:_MAX_ITEMS]
    suspicious = [
        Example(refs[i], names[y[i]], names[said[i]], float(proba[i, said[i]]),
                f"labelled {names[y[i]]}; without this label the model says {names[said[i]]} "
                f"at {proba[i, said[i]]:.2f}")
        for i in order.tolist() if said[i] != y[i]
    ]  # fmt: skip
    return {
        "confusion": {"classes": list(names), "counts": counts.tolist()},
        "suspicious": [asdict(one) for one in suspicious],
        "doubted": int((said != y).sum()),
    }


def _doubtful(fitted: FittedProject, state: LogState) -> list[Example]:
    """The open items whose two likeliest classes are closest."""
    best: list[tuple[float, Example]] = []
    for ref, proba in iter_predictions(fitted, unlabelled_rows(fitted.refs, state)):
        order = np.argsort(proba)
        first, second = int(order[-1]), int(order[-2]) if len(order) > 1 else int(order[-1])
        margin = float(proba[first] - proba[second])
        if len(best) < _MAX_ITEMS or margin < best[-1][0]:
            one, other = fitted.classes[first], fitted.classes[second]
            why = f"{one} {proba[first]:.2f}, {other} {proba[second]:.2f}"
            best.append((margin, Example(ref, None, one, float(proba[first]), why)))
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
    """What to do now: a command and its reason, the most useful first."""
    folder = shlex.quote(make_printable(str(project.folder)))
    steps = []
    counts = found["status"]
    if counts["items"] and not project.images.is_dir():
        steps.append((f"annotator doctor {folder}", "the images' folder is not there"))
    if counts["features"] is None and counts["items"]:
        steps.append((f"annotator features {folder}", "there are no features: the order is random"))
    if found["suspicious"]:
        why = f"the model doubts {found['doubted']:,} of the labels"
        steps.append((f"annotator review {folder}", why))
    told = found["advice"]
    if told and told["stop"] and counts["remaining"]:
        steps.append((f"annotator finish {folder} --max-error 0.02", told["reason"]))
    if counts["remaining"]:
        why = f"{plural(counts['remaining'], 'item')} still open"
        if found["forecast"]:
            more = max(found["forecast"] - counts["labelled"], 0)
            why += (
                f"; about {plural(more, 'label')} more to the target error"
                if more <= counts["remaining"]
                else "; by the trend so far not enough to reach the target error"
            )
        steps.append((f"annotator run {folder}", why))
    if counts["labelled"]:
        why = f"{plural(counts['labelled'], 'label')} to take out"
        steps.append((f"annotator export {folder} labels.csv", why))
    if not counts["items"]:
        steps.append((f"annotator add {folder} --images DIR", "there is no image yet"))
    return [{"command": command, "why": why} for command, why in steps]
