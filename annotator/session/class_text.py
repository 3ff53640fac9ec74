"""The texts of a project's classes: what a network for pictures and text says of its items.

`annotator words` computes them once. `.cache/words/` holds the network's features of a random
sample of the items, like any features, so that another name of a class takes seconds.
`.cache/words.npz` holds the scores of the classes as a function of the project's own features; it
fits only these classes with these texts, and these features.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.errors import AnnotatorError, FeatureError
from annotator.features.extractor import Extractor
from annotator.features.paired import TAKE_SIGLIP, knows_words
from annotator.features.pipeline import ExtractionProgress, extract_features
from annotator.features.store import FeatureStore
from annotator.features.weights import cached_weights
from annotator.images import ImageFolder
from annotator.items.atomic import write_atomically
from annotator.items.ref_table import RefTable
from annotator.items.refs import make_printable, shell_quoted
from annotator.learn.model import make_estimator
from annotator.learn.rows import normalize_rows
from annotator.learn.text_prior import MAX_TEXT_SAMPLE, TextPrior, prior_from_scores
from annotator.project.project import ProjectFolder

if TYPE_CHECKING:
    from annotator.project.classes import ClassInfo
    from annotator.project.settings import Settings

SAMPLE_SIZE = 2_000
"""Items whose pictures another network sees, unless `--limit` says otherwise."""
LEAST_SAMPLE = 2
_TEMPLATES = ("a photo of a {}", "{}")


class TextNetwork(Extractor, Protocol):
    """An extractor that puts pictures and texts into one space."""

    def shares_space(self, extractor: Mapping[str, Any]) -> bool:
        """Return whether features of `extractor` lie in the space of the texts."""
        ...

    def texts(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Return the features (k, e) of k texts, as unit rows."""
        ...


@dataclass(frozen=True, slots=True)
class ClassText:
    """A class and its prompts."""

    name: str
    prompts: tuple[str, ...]
    share: float
    """The share of the items that are most likely of it, by the texts alone."""


@dataclass(frozen=True, slots=True)
class TextReport:
    """The outcome of a run."""

    model: str
    items: int
    """The size of the sample."""
    classes: tuple[ClassText, ...]


def class_prompts(info: ClassInfo, tops: Mapping[str, str | None] | None = None) -> tuple[str, ...]:
    """Return the prompts of a class: its name, its synonyms, and its description.

    `tops` maps classes to their parents: a class below another one is a kind of it.
    """
    parent = info.parent or (tops or {}).get(info.name)
    kind = f", a kind of {_plain(parent)}" if parent else ""
    names = dict.fromkeys(_plain(name) for name in (info.name, *info.synonyms))
    found = [template.format(name) + kind for name in names for template in _TEMPLATES]
    if info.description.strip():
        found.append(f"{_plain(info.name)}: {info.description.strip()}")
    return tuple(dict.fromkeys(found))


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").split())


def compute_class_texts(
    project: ProjectFolder,
    store: FeatureStore,
    network: TextNetwork,
    *,
    limit: int = SAMPLE_SIZE,
    workers: int | None = None,
    progress: Callable[[ExtractionProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> TextReport | None:
    """Compute the scores of the project's classes, and write them; None if it was stopped.

    Raises `FeatureError` if fewer than two items have features and can be read.
    """
    settings = project.settings
    sample = _sample_rows(store, limit)
    if network.shares_space(store.extractor):
        pictures = store.matrix[sample]
    else:
        refs = RefTable([store.refs[row] for row in sample.tolist()])
        folder = project.folder / ".cache" / "words"
        done = extract_features(
            refs, ImageFolder(project.images, settings.max_pixels), network, folder,
            context=float(store.extractor.get("context") or settings.feature_context),
            workers=workers, progress=progress, stop=stop,
        )  # fmt: skip
        if not done.complete:
            return None
        sample, pictures = _pictures(folder, refs, sample)
    if len(sample) < LEAST_SAMPLE:
        raise FeatureError(
            "Fewer than two items have features and can be read. Compute the features: "
            f"annotator features {shell_quoted(project.folder)}"
        )
    return _score_classes(project, store, network, sample, pictures)


def _pictures(
    folder: Path, refs: RefTable, sample: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.floating[Any]]]:
    """Return the rows of the sample whose pictures could be read, and their features."""
    store = FeatureStore.open(folder)
    rows, ready = store.rows(refs), store.available()
    usable = rows >= 0
    if ready is not None:
        usable &= ready[np.maximum(rows, 0)]
    return sample[usable], store.matrix[rows[usable]]


def _score_classes(
    project: ProjectFolder,
    store: FeatureStore,
    network: TextNetwork,
    sample: NDArray[np.int64],
    pictures: NDArray[np.floating[Any]],
) -> TextReport:
    """Write the scores of the classes; `pictures` (m, e) are the network's features of `sample`."""
    settings, own = project.settings, normalize_rows(store.matrix[sample])
    prompts = [class_prompts(info) for info in settings.classes]
    vectors = np.stack([_mean_direction(network.texts(found)) for found in prompts])
    scores = np.asarray(normalize_rows(pictures) @ vectors.T, np.float64)
    prior = prior_from_scores(scores, own, tags=settings.multi_label)
    _write(project, store, network, prior)
    texts = zip(settings.names, prompts, _shares(settings, prior, own), strict=True)
    return TextReport(network.name, len(own), tuple(ClassText(*found) for found in texts))


def _shares(settings: Settings, prior: TextPrior, rows: NDArray[Any]) -> list[float]:
    """Return the share of unit rows that each class would get; a parent has those of its kinds."""
    tree, C = settings.tree, len(settings.classes)
    if tree.is_flat or settings.multi_label:
        best = prior.scores(rows).argmax(axis=1)
    else:
        model = make_estimator("ridge", C, tags=False, parents=tree.parent_rows, text=prior)
        model.fit(rows[:0], np.zeros(0, np.int64))
        best = model.predict_proba(rows).argmax(axis=1)
    shares = (np.bincount(best, minlength=C) / len(rows)).tolist()
    whole = dict(zip(settings.names, shares, strict=True))
    if not settings.multi_label:
        whole = tree.sum_up(whole)
    return [whole[name] for name in settings.names]


def _sample_rows(store: FeatureStore, limit: int) -> NDArray[np.int64]:
    """Return a random sample of the rows with features, the same ones each time."""
    ready = store.available()
    rows = np.arange(len(store.refs)) if ready is None else np.flatnonzero(ready)
    rows = np.array([row for row in rows.tolist() if store.refs[row]], np.int64)
    chosen = np.random.default_rng(0).permutation(rows)[: min(limit, MAX_TEXT_SAMPLE)]
    return np.sort(chosen)


def _mean_direction(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    mean = vectors.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def _write(
    project: ProjectFolder, store: FeatureStore, network: TextNetwork, prior: TextPrior
) -> None:
    data = io.BytesIO()
    weights = str(network.describe().get("weights", ""))
    np.savez(
        data, weights=prior.weights.astype(np.float32),
        model=np.array(weights if Path(weights).is_absolute() else network.name),
        identity=np.array(_identity(project, store)),
        texts=np.array(json.dumps(_texts(project.settings.classes))),
    )  # fmt: skip
    path = project.words_file
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data.getvalue())


def _identity(project: ProjectFolder, store: FeatureStore) -> str:
    """Return a digest of what the scores belong to, but for the classes: the features."""
    extractor = json.dumps(store.extractor, sort_keys=True, default=str)
    told = repr((project.settings.multi_label, extractor, store.matrix.shape[1]))
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def _texts(classes: Sequence[ClassInfo]) -> dict[str, list[str]]:
    """Return the prompts of each class, in the order of the columns of the scores."""
    return {info.name: list(class_prompts(info)) for info in classes}


def load_text_prior(
    project: ProjectFolder, store: FeatureStore, classes: Sequence[ClassInfo] | None = None
) -> TextPrior | None:
    """Return the scores of the project's classes by their texts, in the order of `classes`.

    None if `zero_shot` is off, if they were never computed, or for other texts or features.
    """
    found = _read(project) if project.settings.zero_shot != "off" else None
    if found is None or found["identity"] != _identity(project, store):
        return None
    known, asked = found["texts"], _texts(classes or project.settings.classes)
    weights = np.asarray(found["weights"], np.float64)
    if known != asked or weights.shape != (store.matrix.shape[1] + 1, len(known)):
        return None
    columns = {name: place for place, name in enumerate(known)}
    weights = weights[:, [columns[name] for name in asked]]
    return TextPrior(weights) if np.isfinite(weights).all() else None


def _read(project: ProjectFolder) -> dict[str, Any] | None:
    try:
        data = io.BytesIO(project.words_file.read_bytes())
        with np.load(data, allow_pickle=False) as found:
            texts = json.loads(str(found["texts"]))
            names = ("model", "identity")
            told = {name: str(found[name]) for name in names}
            return {"weights": found["weights"], "texts": dict(texts), **told}
    except Exception:  # whatever is wrong with a cache, it is made anew
        return None


@dataclass(frozen=True, slots=True)
class KnownNames:
    """The last reading of the names of a project's classes."""

    model: str
    classes: tuple[str, ...]
    """The classes whose texts are still those that were read."""


def find_known_names(project: ProjectFolder, store: FeatureStore) -> KnownNames | None:
    """Return the last reading of the names; None if there is none for these features."""
    found = _read(project)
    if found is None or found["identity"] != _identity(project, store):
        return None
    known = found["texts"]
    asked = _texts(project.settings.classes).items()
    return KnownNames(
        found["model"], tuple(name for name, said in asked if known.get(name) == said)
    )


def text_model(project: ProjectFolder, store: FeatureStore) -> str | None:
    """Return the network whose texts the project uses: that of its features, or of the last run.

    None if neither is on this machine.
    """
    weights = str(store.extractor.get("weights") or "")
    own = weights if Path(weights).is_absolute() else store.name
    last = _read(project)
    for name in (own, last["model"] if last else ""):
        if not name or store.extractor.get("external") and name == own:
            continue
        folder = None if name == "classic" else cached_weights(name)
        if folder is not None and knows_words(folder):
            return name
    return None


def explain_no_words(project: ProjectFolder, store: FeatureStore) -> str:
    """Return why the names of the classes have no part in the model, with the exact remedy.

    "" if they have one, or if `zero_shot` is off.
    """
    if project.settings.zero_shot == "off" or load_text_prior(project, store) is not None:
        return ""
    network = text_model(project, store)
    command = _words_command(project, network)
    if network is not None:
        why = "are not read yet" if _read(project) is None else "or the features have changed"
        by = make_printable(network)
        return f"The names of the classes {why}. Read them with {by}: {command}"
    return (
        f"The features of {make_printable(store.name)} know no words, so the model starts from "
        f"labels alone. To start from the names of the classes: {command}"
    )


def _words_command(project: ProjectFolder, network: str | None) -> str:
    model = "" if network is not None else " --model siglip2-base"
    return f"annotator words {shell_quoted(project.folder)}{model}"


@dataclass(frozen=True, slots=True)
class NameScores:
    """The scores of a project's classes by their names, or the reason why there are none."""

    classes: tuple[str, ...]
    """The classes, in the order of the scores."""
    text: TextPrior | None = None
    command: str = ""
    """The command that gives them a part in the model; "" if they have one."""
    readable: bool = False
    """True if `annotator words` can read them here, without another option."""


def find_name_scores(
    project: ProjectFolder, store: FeatureStore, learnt: Sequence[str] = ()
) -> NameScores:
    """Return the scores of the classes by their names, or why there are none.

    `learnt` are all classes of a running session, in its order: it may show only some of them.
    """
    names = tuple(learnt) or project.settings.names
    if project.settings.zero_shot == "off":
        return NameScores(names)
    classes = _classes_now(project) if learnt else {i.name: i for i in project.settings.classes}
    infos = [classes[name] for name in names if name in classes]
    text = load_text_prior(project, store, infos) if len(infos) == len(names) else None
    if text is not None:
        return NameScores(names, text)
    network = text_model(project, store)
    return NameScores(names, None, _words_command(project, network), bool(network))


def _classes_now(project: ProjectFolder) -> dict[str, ClassInfo]:
    """Return the classes of annotator.toml as it is now; those known before if it has faults."""
    try:
        infos = ProjectFolder.open(project.folder).settings.classes
    except AnnotatorError:
        infos = project.settings.classes
    return {info.name: info for info in infos}


def require_text_model(project: ProjectFolder, store: FeatureStore, model: str | None) -> str:
    """Return `model`, or the network whose texts the project uses; `FeatureError` without one."""
    found = model or text_model(project, store)
    if found is None:
        raise FeatureError(
            f"The features of {make_printable(store.name)} know no words. {TAKE_SIGLIP} "
            f"{_words_command(project, None)}"
        )
    return found
