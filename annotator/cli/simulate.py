"""The command simulate: it compares query strategies on labelled data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.option_types import complete_names
from annotator.cli.project_options import JsonOption
from annotator.items.json_text import to_json_text

if TYPE_CHECKING:
    from annotator.simulate.options import SimulateOptions


def simulate(
    truth: Annotated[
        Path, typer.Option(help="A CSV file with the columns filename,label, and bbox for boxes.")
    ],
    features: Annotated[
        Path, typer.Option(help="A .npy file, its rows in the order of the CSV file.")
    ],
    strategy: Annotated[
        str,
        typer.Option(
            help="Query strategies, separated by commas.",
            autocompletion=complete_names("annotator.learn.registry:STRATEGIES"),
        ),
    ] = "herding-mix,random",
    estimator: Annotated[
        str,
        typer.Option(
            help="Classifiers, separated by commas: ridge, logistic, module:Class, file.py:Class.",
            autocompletion=complete_names("annotator.learn.model:ESTIMATORS"),
        ),
    ] = "ridge",
    budget: Annotated[int, typer.Option(min=1, help="Labels in each run.")] = 300,
    seeds: Annotated[
        str, typer.Option(help="Seeds, such as 0-9 or 0,2,5-7; one run each.")
    ] = "0-4",
    test_fraction: Annotated[
        float, typer.Option(help="The share of items held out to measure the model on.")
    ] = 0.3,
    positive: Annotated[
        str | None, typer.Option(help="The positive class of a binary task, against all others.")
    ] = None,
    prevalence: Annotated[
        float | None, typer.Option(help="The share of positives; others are left out.")
    ] = None,
    find: Annotated[bool, typer.Option(help="Search for the positives.")] = False,
    ceiling: Annotated[
        bool,
        typer.Option(
            "--ceiling",
            help="Also what a greedy oracle gains that knows all labels; 5 to 50 x as long.",
        ),
    ] = False,
    metric: Annotated[
        str,
        typer.Option(
            help="The metric: auto, accuracy, balanced-accuracy or average-precision.",
            autocompletion=complete_names("annotator.simulate.metrics:METRICS", "auto"),
        ),
    ] = "auto",
    ahead: Annotated[
        int, typer.Option(min=0, help="Items drawn ahead, as on a screen (there 5).")
    ] = 0,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Parallel processes. Default: one per core.")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            help="Simulate the human time to label everything instead: single, pages, rapid, or "
            "several separated by commas.",
            autocompletion=complete_names("annotator.simulate.human:MODES"),
        ),
    ] = None,
    target: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="The error to reach with --mode.")
    ] = 0.01,
    state: Annotated[
        Path | None,
        typer.Option(
            help="The file of finished runs, to resume from. Default: in the user's cache."
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Repeat finished runs.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Simulate sessions that answer from known labels, and compare query strategies.

    Finished runs are kept: run the same command to resume.

    \b
    annotator simulate --truth truth.csv --features features.npy
    annotator simulate --truth truth.csv --features features.npy \\
        --strategy herding-mix,margin,random --positive crack --prevalence 0.03 --find
    annotator simulate --truth truth.csv --features features.npy --mode pages --seeds 0-2
    """
    from annotator.simulate.options import CEILING, SimulateOptions, parse_seeds

    if mode is not None:
        modes = _parse_names(mode)
        _compare_human_time(truth, features, modes, parse_seeds(seeds), target, as_json)
        return
    options = SimulateOptions(
        truth=truth,
        features=features,
        strategies=(*_parse_names(strategy), *([CEILING] if ceiling else [])),
        estimators=_parse_names(estimator),
        budget=budget,
        seeds=parse_seeds(seeds),
        test_fraction=test_fraction,
        positive=positive,
        prevalence=prevalence,
        find=find,
        metric=metric,
        ahead=ahead,
        processes=processes,
        state=state,
    )
    options.check()
    _compare_strategies(options, fresh, as_json)


def _compare_strategies(options: SimulateOptions, fresh: bool, as_json: bool) -> None:
    from dataclasses import replace

    from annotator.simulate.runs import default_state_file, run_simulations
    from annotator.simulate.summary import format_result

    file = options.state or default_state_file(options)
    if fresh:
        file.unlink(missing_ok=True)
    result = run_simulations(replace(options, state=file), _print_progress)
    typer.echo(to_json_text(result) if as_json else format_result(result))


def _compare_human_time(
    truth: Path, features: Path, modes: tuple[str, ...], seeds: tuple[int, ...], target: float,
    as_json: bool,
) -> None:  # fmt: skip
    from annotator.simulate.human import MODES, format_effort, label_all
    from annotator.simulate.options import SimulateOptions
    from annotator.simulate.task import load_truth

    if unknown := set(modes) - set(MODES):
        words = f"{', '.join(sorted(unknown))} is not one of {', '.join(MODES)}"
        raise typer.BadParameter(words, param_hint="--mode")
    known, matrix = load_truth(SimulateOptions(truth=truth, features=features))
    found = []
    for mode in modes:
        for seed in seeds:
            found.append(
                label_all(known.refs, matrix, known.labels, mode, seed=seed, target=target)
            )
            _print_progress(len(found), len(modes) * len(seeds))
    typer.echo(to_json_text([one.as_dict() for one in found]) if as_json else format_effort(found))


def _parse_names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _print_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        typer.echo(f"\r{done} of {total} runs", err=True, nl=done == total)
    else:
        typer.echo(f"{done} of {total} runs", err=True)


COMMANDS = {"simulate": simulate}
