"""A similarity query and a file-name query among a million items, beside plain numpy and Python.

Ours is exact and reads the mapped half floats where they lie; plain numpy converts or multiplies
them as they are, or is given them as single floats in memory, which takes twice the room. Then
queries about columns, boxes and the log, in seconds of one processor, and how many planted label
errors `review` finds on real images, where ../shared/data is.
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from annotator.curate.review_evidence import gather_evidence
from annotator.curate.search import Searcher
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.learn.label_conflicts import MIN_VOTES, find_likely_errors
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.session.pool_features import PoolFeatures

N, D, MOST = 1_000_000, 384, 100
LIMIT = 0.3
FACTS_LIMIT = 2.0
SHARED = Path(os.environ.get("ANNOTATOR_SHARED", Path(__file__).parents[2] / "shared"))
SETS = ("flowers", "magnetic-tile", "cifar10")


def timed(work: Callable[[], Any], runs: int = 7) -> float:
    """The median seconds of some runs, after one to warm up."""
    took = []
    for _ in range(runs + 1):
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return median(took[1:])


def million(folder: Path) -> np.ndarray[Any, Any]:
    made = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float16, (N, D))
    rng = np.random.default_rng(0)
    for start in range(0, N, 50_000):
        made[start : start + 50_000] = rng.standard_normal((50_000, D), np.float32)
    made.flush()
    return np.load(folder / "x.npy", mmap_mode="r")


def similarity(folder: Path) -> None:
    matrix = million(folder)
    refs = RefTable([f"site{n % 37}/camera{n % 11}/IMG_{n:07d}.jpg" for n in range(N)])
    store = FeatureStore(refs, matrix, {"name": "made"}, np.ones(N, np.uint8))
    searcher = Searcher(refs, PoolFeatures(store, refs))
    state = replay(
        Entry(n + 1, 1.0, "ann", Action.LABEL, refs[n * 41], "ok") for n in range(20_000)
    )
    like = f"like:{refs[4242]}"
    begun = time.perf_counter()
    first = searcher.find(like, state, limit=MOST)
    print(
        f"{'the first one, which finds the lengths of the rows, too':58}"
        f"{time.perf_counter() - begun:8.3f} s"
    )
    ours = timed(lambda: searcher.find(like, state, limit=MOST))
    query = np.asarray(matrix[4242], np.float32)
    single = np.asarray(matrix, np.float32)
    lengths = np.linalg.norm(single, axis=1)

    def top(scores: Any) -> Any:
        scores = scores / lengths
        rows = np.argpartition(scores, N - MOST - 1)[N - MOST - 1 :]
        return rows[np.argsort(-scores[rows])]

    plain = top(single @ query)
    assert first.rows.tolist() == plain[1:].tolist(), "not what plain numpy finds"
    rows = [
        ("ours: search like:REF, 0.77 GB of half floats, mapped", ours),
        ("ours with a condition: like:REF open",
         timed(lambda: searcher.find(f"{like} open", state, limit=MOST))),
        ("numpy, 1.5 GB of single floats in memory", timed(lambda: top(single @ query))),
        ("numpy, half floats converted whole",
         timed(lambda: top(np.asarray(matrix, np.float32) @ query), 1)),
        ("numpy, half floats as they are", timed(lambda: top(matrix @ matrix[4242]), 1)),
    ]  # fmt: skip
    for title, seconds in rows:
        verdict = f"   limit {LIMIT} s: {'kept' if seconds <= LIMIT else 'MISSED'}"
        ratio = f"   {seconds / ours:5.1f} x ours" if seconds is not ours else ""
        print(f"{title:58}{seconds:8.3f} s{verdict if title.startswith('ours') else ratio}")
    names(searcher, refs, state)


def names(searcher: Searcher, refs: RefTable, state: LogState) -> None:
    print()
    listed = list(refs)
    for title, query, test in (
        ("part of a name", "img_00123", lambda ref: "img_00123" in ref.lower()),
        ("a glob", "*77?.jpg", None),
        ("a state and a part", "open 4242", None),
    ):
        seconds = timed(lambda query=query: searcher.find(query, state, limit=MOST), 5)  # type: ignore[misc]
        beside = ""
        if test is not None:
            plain = timed(lambda test=test: [r for r in listed if test(r)], 3)  # type: ignore[misc]
            beside = f"   a loop over Python strings {plain:.3f} s, {plain / seconds:.0f} x ours"
        print(f"{title + ': ' + query:58}{seconds:8.3f} s{beside}")


def facts(folder: Path) -> None:
    """Queries about columns, boxes, the log and times: the first time, then with what is read."""
    print(
        f"\n{'a table of ' + format(N, ',') + ' boxes with 3 columns':58}{'first':>10}{'then':>10}"
    )
    settings = Settings(classes=(ClassInfo("ok"), ClassInfo("bad")), images=str(folder))
    project = ProjectFolder.create(folder / "p", settings)
    with project.refs_file.open("w") as file:
        file.write("filename,bbox,camera,lens no,temp\n")
        file.writelines(
            f'site{n % 37}/IMG_{n // 4:07d}.jpg,"{n % 640},0,{8 + n % 90},{9 + n % 70}",'
            f"{n % 11},A {n % 3},{n % 400 / 10}\n"
            for n in range(N)
        )
    refs = load_refs(project)
    at = 1_790_000_000.0
    state = replay(
        Entry(n + 1, at + 60 * n, "ann", Action.LABEL, refs[n * 41], "ok") for n in range(20_000)
    )
    for query in (
        "camera=3", '"lens no"="a 1" temp>20', "size<32", "path:site3/*", "label:ok -by:bo",
        "at>=2026-10-01", "camera=3 open size>=32 -path:site3/*",
    ):  # fmt: skip
        searcher, took = Searcher(refs, project=project), []
        for _ in range(3):
            begun = time.process_time()
            searcher.find(query, state, limit=MOST, classes=("ok", "bad"))
            took.append(time.process_time() - begun)
        first, then = took[0], min(took[1:])
        verdict = f"   limit {FACTS_LIMIT:g} s: {'kept' if first <= FACTS_LIMIT else 'MISSED'}"
        print(f"{query:58}{first:8.3f} s{then:8.3f} s{verdict}")


def planted() -> None:
    """1,000 labels of each set, one in 20 wrong: what the queues find of them."""
    print(
        f"\n{'of the labels planted wrong, 5 % of 1,000':32}{'errors: found in':>20}"
        f"{'in the first of them':>22}{'neighbours: found in':>22}"
    )
    for name in SETS:
        folder = SHARED / "data" / name
        if not folder.is_dir():
            print(f"{name}: needs {folder}")
            continue
        rows = list(csv.DictReader((folder / "truth.csv").open()))
        truth = {row["filename"]: row["label"] for row in rows}
        with tempfile.TemporaryDirectory() as place:
            project, state, wrong = _mislabelled(Path(place), folder, truth)
            evidence = gather_evidence(project, state)
        found = find_likely_errors(evidence.y, evidence.proba, near=evidence.nearest.rows).rows
        bad = np.array([ref in wrong for ref in evidence.refs])
        near = evidence.contradictions() >= MIN_VOTES
        head = bad[found][: len(wrong)].mean()
        print(
            f"{name:32}{f'{bad[found].sum()} of {len(wrong)} in {len(found)}':>20}{head:>22.0%}"
            f"{f'{(bad & near).sum()} in {near.sum()}':>22}"
        )


def _mislabelled(
    place: Path, folder: Path, truth: dict[str, str]
) -> tuple[ProjectFolder, LogState, set[str]]:
    classes = sorted(set(truth.values()))
    settings = Settings(classes=tuple(map(ClassInfo, classes)), images=str(folder))
    project = ProjectFolder.create(place / "p", settings)
    project.refs_file.write_text("filename\n" + "\n".join(truth) + "\n")
    FeatureStore.adopt(project.features_folder, folder / "features.npy", RefTable(truth))
    rng = np.random.default_rng(0)
    wrong, entries = set(), []
    for ref in rng.permutation(list(truth))[:1000].tolist():
        label = truth[ref]
        if rng.random() < 0.05:
            label = str(rng.choice([one for one in classes if one != label]))
            wrong.add(ref)
        entries.append(Entry(len(entries) + 1, 1.0, "ann", Action.LABEL, ref, label))
    return project, replay(entries), wrong


def main() -> None:
    print(f"{N:,} items x {D}, the best {MOST}; {len(os.sched_getaffinity(0))} cores; medians")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as folder:
        similarity(Path(folder))
        facts(Path(folder))
    planted()


if __name__ == "__main__":
    main()
