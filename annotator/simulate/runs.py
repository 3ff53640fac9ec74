"""All runs of a simulation on all cores; finished runs are kept, so that a simulation resumes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from annotator.errors import ProjectError
from annotator.items.atomic import only_regular
from annotator.items.processes import spawn_context
from annotator.items.refs import make_printable
from annotator.items.text_files import add_line_sum, check_line_sums, read_json_lines
from annotator.simulate.ceiling import simulate_ceiling
from annotator.simulate.options import CEILING, SimulateOptions, SimulationJob
from annotator.simulate.oracle import simulate_run
from annotator.simulate.summary import summarize_runs
from annotator.simulate.task import TruthTable, load_truth, make_task

SOURCES = (
    "learn/*.py", "simulate/*.py", "session/session.py", "session/learner.py", "session/queue.py",
    "session/pool_features.py",
)  # fmt: skip
ProgressCallback = Callable[[int, int], None]
_loaded_truth: tuple[SimulateOptions, TruthTable, Any] | None = None
"""The truth and the features that this worker process has loaded."""


def run_simulations(
    options: SimulateOptions, progress: ProgressCallback | None = None
) -> dict[str, Any]:
    """Make all runs; return {"runs": [...], "summary": [...]}, runs in the order of the grid.

    `progress(done, total)` is called at the start and after every run. Runs in `options.state`
    are not made again. Raises `ProjectError` and `FeatureError` before any run starts.
    """
    options.check()
    load_truth(options)
    mark = "" if options.state is None else options_digest(options)
    jobs, done = options.jobs(), _finished_runs(options, mark)
    left = [job for job in jobs if job not in done]
    report = progress or (lambda done, total: None)
    report(len(jobs) - len(left), len(jobs))
    for job, result in _job_results(options, left):
        done[job] = result
        _keep_result(options, mark, job, result)
        report(sum(job in done for job in jobs), len(jobs))
    runs = [done[job] for job in jobs]
    return {"runs": runs, "summary": summarize_runs(runs)}


def default_state_file(options: SimulateOptions) -> Path:
    """Return the default file of finished runs: one for each task, in the user's cache."""
    from annotator.items.user_folders import cache_folder

    return cache_folder() / "simulate" / f"{options_digest(options)[:16]}.jsonl"


def _job_results(
    options: SimulateOptions, jobs: list[SimulationJob]
) -> Iterator[tuple[SimulationJob, dict[str, Any]]]:
    processes = min(options.processes or os.cpu_count() or 1, len(jobs))
    if processes <= 1:
        yield from ((job, _run_job(options, job)) for job in jobs)
        return
    # Spawned: a forked copy of a process with BLAS threads can hang.
    with ProcessPoolExecutor(processes, mp_context=spawn_context()) as pool:
        futures = {pool.submit(_run_job, options, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            names = ", ".join(options.estimators)
            raise ProjectError(
                "A process of the simulation ended before its run did: it was killed, the memory "
                f"was full, or the estimator ended it ({make_printable(names)}). Finished runs are "
                "kept: run the command again, perhaps with --processes 1."
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _run_job(options: SimulateOptions, job: SimulationJob) -> dict[str, Any]:
    global _loaded_truth
    if _loaded_truth is None or _loaded_truth[0] != options:
        _loaded_truth = (options, *load_truth(options))
    _, truth, matrix = _loaded_truth
    simulate = simulate_ceiling if job.strategy == CEILING else simulate_run
    return simulate(make_task(truth, matrix, options, job.seed), job, options)


def options_digest(options: SimulateOptions) -> str:
    """Return a digest of the inputs that all runs share: data, options and program."""
    digest = hashlib.sha256()
    chosen = asdict(options)
    for name in ("strategies", "estimators", "seeds", "processes", "state", "truth", "features"):
        del chosen[name]
    digest.update(repr(sorted(chosen.items())).encode())
    package = Path(__file__).parents[1]
    sources = [path for name in SOURCES for path in sorted(package.glob(name))]
    own = [Path(name.rpartition(":")[0]) for name in options.estimators]
    sources += [path for path in own if path.suffix == ".py" and path.is_file()]
    for path in (options.truth, options.features, *sources):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _finished_runs(options: SimulateOptions, mark: str) -> dict[SimulationJob, dict[str, Any]]:
    if options.state is None or not options.state.is_file():
        return {}
    found = {}
    with open(options.state, "rb", opener=only_regular) as file:  # noqa: PTH123
        for row, _, _ in read_json_lines(check_line_sums(file)):
            if row.get("fingerprint") == mark:
                with suppress(KeyError, TypeError):  # not a line that this program wrote
                    found[SimulationJob(*row["job"])] = dict(row["run"])
    return found


def _keep_result(
    options: SimulateOptions, mark: str, job: SimulationJob, result: dict[str, Any]
) -> None:
    if options.state is None:
        return
    options.state.parent.mkdir(parents=True, exist_ok=True)
    line = add_line_sum(json.dumps({"fingerprint": mark, "job": job, "run": result}))
    with options.state.open("a", encoding="utf-8") as file:
        file.write(f"\n{line}")  # the file may end in a line that was cut off
