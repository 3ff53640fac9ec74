"""Clusters of features: found, named, written, paged and asked first."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from annotator.cli.app import app
from annotator.detection.cluster import CLUSTER_METHODS, cluster_vectors
from annotator.detection.dbscan import dbscan
from annotator.detection.proposal import Proposal
from annotator.errors import ExtraMissing, FeatureError, RefError
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.items.refs import Box, Item
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.pages import PageOrder, PageRequest, SelectionMode
from annotator.pages.browse import BrowseSource
from annotator.project.clusters import Clusters, read_clusters
from annotator.project.item_pool import load_refs, read_priorities
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.proposals import ProposalWriter
from annotator.session.session import LabelSession

SIZES = (30, 20, 10)
"""Sizes of three heaps in directions far apart."""


def heaps(noise: int = 0, d: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """(n, d) features and the heap of each, −1 for rows in directions of their own."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(len(SIZES)), SIZES)
    rows = np.eye(d)[truth] + 0.03 * rng.normal(size=(len(truth), d))
    alone = np.eye(d)[3 : 3 + noise] * 5
    rows = np.concatenate([rows * rng.uniform(0.5, 9, (len(rows), 1)), alone])
    truth = np.concatenate([truth, np.full(noise, -1)])
    order = rng.permutation(len(rows))
    return rows[order].astype(np.float32), truth[order]


@pytest.mark.parametrize("method", CLUSTER_METHODS)
def test_heaps_are_found_whatever_their_length_the_largest_first(method: str) -> None:
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    X, truth = heaps()
    found = cluster_vectors(X, method, count=3, eps=0.2, min_size=4)  # type: ignore[arg-type]
    assert found.cluster_of.tolist() == truth.tolist()


def test_what_is_near_nothing_is_noise() -> None:
    X, truth = heaps(noise=4)
    assert cluster_vectors(X, "dbscan", eps=0.2, min_size=3).cluster_of.tolist() == truth.tolist()


@pytest.mark.parametrize(("eps", "least"), [(0.02, 2), (0.1, 5), (0.3, 3), (1.2, 4)])
def test_dbscan_finds_the_clusters_of_scikit_learn(
    eps: float, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sklearn = pytest.importorskip("sklearn.cluster", reason="needs scikit-learn")
    monkeypatch.setattr("annotator.detection.dbscan._BLOCK", 64)  # several blocks
    rng = np.random.default_rng(1)
    X = np.repeat(rng.normal(size=(20, 6)), 15, axis=0) + 0.25 * rng.normal(size=(300, 6))
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    theirs = sklearn.DBSCAN(eps=eps, min_samples=least, metric="cosine").fit(X.astype(float))
    ours = dbscan(X, eps, least)
    assert ((ours < 0) == (theirs.labels_ < 0)).all()
    core = theirs.core_sample_indices_
    # Where a border row lies between two clusters, either is right: cores are compared.
    pairs = set(zip(ours[core].tolist(), theirs.labels_[core].tolist(), strict=True))
    assert len(pairs) == len(set(theirs.labels_[core].tolist())) == ours.max() + 1


def test_the_most_typical_comes_first() -> None:
    X, truth = heaps()
    found = cluster_vectors(X, "dbscan", eps=0.2, min_size=3)
    for number in range(len(found)):
        inside = found.items(number)
        assert set(inside.tolist()) == set(np.flatnonzero(truth == number).tolist())
        unit = X[inside] / np.linalg.norm(X[inside], axis=1, keepdims=True)
        assert (np.diff(unit @ unit.mean(axis=0)) <= 1e-6).all()


def test_no_features_and_too_many_for_hdbscan_are_said() -> None:
    with pytest.raises(FeatureError, match="annotator features"):
        cluster_vectors(np.zeros((0, 4), np.float32))
    with pytest.raises(FeatureError, match="--method dbscan"):
        cluster_vectors(np.ones((30_001, 1), np.float32), "hdbscan")


def test_without_scikit_learn_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ExtraMissing, match="pip install"):
        cluster_vectors(heaps()[0], "kmeans")


# --- a project


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    """Items with features in three heaps: z.png of the largest, y.png, x.png."""
    X, truth = heaps()
    images = tmp_path / "images"
    images.mkdir()
    for name in "xyz":
        Image.new("RGB", (700, 50), (90, 50, 120)).save(images / f"{name}.png")
    refs = [
        Item("zyx"[heap] + ".png", Box(10 * row, 0, 9, 20)).ref for row, heap in enumerate(truth)
    ]
    made = ProjectFolder.create(
        tmp_path / "p", Settings((ClassInfo("cat"), ClassInfo("dog")), images="../images")
    )
    lines = [f'{ref.partition("#")[0]},"{ref.partition("=")[2]}"' for ref in refs]
    made.refs_file.write_text("\n".join(["filename,bbox", *lines]) + "\n")
    np.save(tmp_path / "features.npy", X)
    FeatureStore.adopt(made.features_folder, tmp_path / "features.npy", RefTable(refs))
    return made


def run(*args: object) -> dict[str, object]:
    result = CliRunner().invoke(app, ["cluster", *map(str, args), "--json"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def found(project: ProjectFolder, *args: object) -> list[dict[str, object]]:
    told = run(project.folder, "--method", "dbscan", "--eps", "0.2", *args)
    return told["clusters"]  # type: ignore[return-value]


def image(ref: str) -> str:
    return Item.parse(ref).path


def test_clusters_are_written_with_their_items(project: ProjectFolder) -> None:
    assert [one["size"] for one in found(project)] == list(SIZES)
    listed = read_clusters(project)
    assert len(listed.refs) == sum(SIZES)
    for ref, number in zip(listed.refs, listed.cluster.tolist(), strict=True):
        assert image(ref) == ("z.png", "y.png", "x.png")[number]


def test_labels_name_their_cluster_then_proposals_do(project: ProjectFolder) -> None:
    refs = list(load_refs(project))
    with ProposalWriter(project) as writer:
        for ref in refs:
            item, name = Item.parse(ref), "horse" if ref.startswith("y") else "object"
            writer.add([Proposal(item, 0.5, name, "m")])
    store = SqliteStore(project.labels_file)
    ofz = [ref for ref in refs if ref.startswith("z")]
    for ref, label in zip(ofz, ("cat", "cat", "dog", "cat"), strict=False):
        store.append(Entry(0, 1.0, "ann", Action.LABEL, ref, label))
    store.close()
    first, second, third = found(project)
    assert (first["name"], first["share"], first["by"]) == ("cat", 0.75, "labels")
    assert (second["name"], second["share"], second["by"]) == ("horse", 1.0, "proposals")
    assert third["name"] is None
    assert read_clusters(project).names == {0: "cat", 1: "horse"}


def test_typical_asks_one_item_of_each_cluster_and_runs_all_of_them(project: ProjectFolder) -> None:
    clusters = found(project, "--queue", "typical")
    first = [item.ref for item in read_priorities(project)]
    assert first == [one["typical"][0] for one in clusters]  # type: ignore[index]
    found(project, "--queue", "runs")
    asked = [image(item.ref) for item in read_priorities(project)]
    assert asked == ["z.png"] * 30 + ["y.png"] * 20 + ["x.png"] * 10


def browse(project: ProjectFolder, store: SqliteStore, wish: PageRequest) -> BrowseSource:
    session = LabelSession(
        store, project.settings.names, annotator="ann", clusters=read_clusters(project)
    )
    session.extend(load_refs(project))
    return BrowseSource(session, wish)


def test_each_cluster_is_a_page_from_its_middle_outwards(project: ProjectFolder) -> None:
    clusters = found(project)
    store = SqliteStore(project.labels_file)
    pages = browse(
        project,
        store,
        PageRequest("cat", SelectionMode.POSITIVES_ONLY, PageOrder.CLUSTERS, per_page=40),
    )
    for expected in clusters:
        page = pages.next()
        assert page is not None
        assert len(page.refs) == expected["size"]
        assert list(page.refs[:4]) == expected["typical"]
    store.close()


def test_a_page_of_exceptions_asks_about_the_name_of_its_cluster(project: ProjectFolder) -> None:
    store = SqliteStore(project.labels_file)
    ofz = [ref for ref in load_refs(project) if ref.startswith("z")]
    store.append(*(Entry(0, 1.0, "ann", Action.LABEL, ref, "dog") for ref in ofz[:3]))
    found(project)
    pages = browse(
        project,
        store,
        PageRequest("", SelectionMode.EXCEPTIONS, PageOrder.CLUSTERS, "cat", per_page=40),
    )
    page = pages.next()
    assert page is not None
    assert page.label == "dog"
    assert set(page.refs) == set(ofz[3:])
    store.close()


def test_without_json_each_cluster_is_a_line(project: ProjectFolder) -> None:
    args = ["cluster", str(project.folder), "--method", "dbscan", "--eps", "0.2"]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    assert [int(line.split()[1]) for line in result.stdout.splitlines()] == list(SIZES)


def test_a_sample_clusters_so_many(project: ProjectFolder) -> None:
    told = run(project.folder, "--sample", "20", "--method", "dbscan", "--eps", "0.2")
    assert sum(one["size"] for one in told["clusters"]) <= 20  # type: ignore[index, union-attr]
    assert told["in_none"] >= 40  # type: ignore[operator]


def test_a_project_without_features_says_how_to_compute_them(tmp_path: Path) -> None:
    made = ProjectFolder.create(tmp_path / "p", Settings((ClassInfo("a"),)))
    made.refs_file.write_text("filename\na.png\n")
    with pytest.raises(FeatureError, match="annotator features"):
        run(made.folder, "--method", "dbscan")


def test_a_faulty_line_of_clusters_csv_is_named(project: ProjectFolder) -> None:
    (project.folder / "clusters.csv").write_text("ref,cluster,name\na.png,0,\nb.png,none,\n")
    with pytest.raises(RefError, match="line 3"):
        read_clusters(project)


def test_refs_that_have_left_the_pool_are_passed_over() -> None:
    listed = Clusters(RefTable(["a", "gone", "b"]), np.array([0, 0, 1], np.int32), {})
    pool = RefTable(["b", "a", "c"])
    parts = listed.groups(pool, np.array([0, 1, 2]))
    assert [part.tolist() for part in parts] == [[1], [0]]
    assert [part.tolist() for part in listed.groups(pool, np.array([0]))] == [[0]]
