"""The voters of an ensemble: models that run here, files of boxes, and programs of the user's own.

A voter that fails is named and left out; the run continues with the others.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from annotator.detection.boxes_file import read_boxes_file
from annotator.detection.detectors import TransformersDetector
from annotator.detection.ensemble import EnsembleModel, describe_unknown_classes, match_classes
from annotator.detection.passes import DetectionPasses
from annotator.detection.program import BoxProgram
from annotator.detection.results import (
    DetectionAnswers,
    DetectionCache,
    ImageDetections,
    stamp_file,
)
from annotator.errors import AnnotatorError, FeatureError
from annotator.features.decoding import map_pipelined
from annotator.features.pipeline import ExtractionReport, ProgressCounter
from annotator.images import ImageFolder
from annotator.items.atomic import read_file, write_atomically
from annotator.items.json_text import parse_json
from annotator.items.refs import Item, make_printable
from annotator.project.project import ProjectFolder
from annotator.proposals.runs import RunOutput, RunStep, RunStopped, UnreadImages, run_detector

_NAMES_FILE = "model-names.json"


def tell_models_apart(
    project: ProjectFolder, voters: Sequence[EnsembleModel]
) -> tuple[EnsembleModel, ...]:
    """Return the voters with names of their own: no two models share one, in no run of a project.

    A model whose short name is taken has the end of its path, or a number, added: `model (b)`.
    """
    file = project.folder / ".cache" / _NAMES_FILE
    try:
        names = {str(name): str(whole) for name, whole in parse_json(read_file(file)).items()}
    except (OSError, ValueError, AttributeError):
        names = {}
    before, named = dict(names), []
    for voter in voters:
        whole = _identity(voter.name)
        parent = Path(whole).parent.name
        tries = [voter.short, f"{voter.short} ({parent})"] if parent else [voter.short]
        free = (*tries, *(f"{voter.short} ({number})" for number in range(2, len(names) + 3)))
        label = next(name for name in free if names.setdefault(name, whole) == whole)
        named.append(replace(voter, label=label))
    if names != before:
        file.parent.mkdir(exist_ok=True)
        write_atomically(file, json.dumps(names).encode())
    return tuple(named)


def _identity(name: str) -> str:
    """Return what tells a model from all others: a local folder or file by its whole path."""
    kind, mark, rest = name.partition(":")
    local = Path(rest if mark and kind == "boxes" else name)
    return str(local.resolve()) if local.exists() else name


@dataclass(frozen=True, slots=True)
class VoterOptions:
    """The classes and texts that voters look for, and how models run."""

    passes: DetectionPasses = DetectionPasses()
    classes: tuple[str, ...] = ()
    """The only classes wanted; () for all."""
    texts: tuple[str, ...] = ()
    """The texts that a zero-shot model looks for."""
    renames: Mapping[str, str] = field(default_factory=dict)
    instances: Path | None = None
    """The COCO JSON that numbers the images and classes of COCO results."""
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None


@dataclass(slots=True)
class VoterRun:
    """The voters of a run, asked one after the other."""

    project: ProjectFolder
    paths: Sequence[str]
    options: VoterOptions
    output: RunOutput
    unread: UnreadImages
    workers: int | None = None
    alone: bool = False
    """True for a run of one voter: its error is the run's."""
    failed: int = 0
    left_out: list[str] = field(default_factory=list)
    """Voters, and rows of their files, that take no part, each with its reason."""

    def ask(self, voter: EnsembleModel) -> tuple[DetectionAnswers, frozenset[str]] | None:
        """Return a voter's answers and the wanted classes that it knows.

        None for one that knows none of the classes, or fails: `left_out` says why. Raises
        `RunStopped`.
        """
        try:
            found = self._ask(voter)
        except RunStopped:
            raise
        except Exception as error:  # whatever a model's code raises
            if self.alone:
                raise
            self.failed += 1
            kind = "" if isinstance(error, AnnotatorError) else f"{type(error).__name__}: "
            reason = make_printable(f"{kind}{str(error).strip()}")
            self._leave_out(
                f"{make_printable(voter.short)}: has no vote, because it fails. {reason}"
            )
            return None
        if found is None:
            self.left_out.append(f"{make_printable(voter.name)}: knows none of the classes")
        return found

    def _ask(self, voter: EnsembleModel) -> tuple[DetectionAnswers, frozenset[str]] | None:
        kind, _, rest = voter.name.partition(":")
        if kind == "boxes":
            return self._read_file(Path(rest), voter)
        if kind == "cmd":
            program = BoxProgram(rest)
            return self._run_program(program, voter), frozenset(self.options.classes)
        return self._run_model(voter)

    def _run_model(self, voter: EnsembleModel) -> tuple[DetectionAnswers, frozenset[str]] | None:
        """Run a network, which is gone when this returns: no two of them share the memory."""
        options = self.options
        detector = TransformersDetector(
            voter.name, options.texts, device=options.device, dtype=options.dtype,
            batch_size=options.batch_size,
        )  # fmt: skip
        for text in detector.left_out:
            self._leave_out(f"{make_printable(voter.short)}: {text}")
        names, missing = match_classes(detector.classes, options.classes, options.renames)
        if missing and not detector.zero_shot:
            self.output.message(describe_unknown_classes(voter.name, missing, detector.classes))
        if options.classes and not names:
            return None
        results, report = run_detector(
            self.project, self.paths, detector, voter.short, options.passes, self.output,
            self.workers,
        )  # fmt: skip
        self._count(report, voter)
        if detector.note:
            self.output.message(f"{make_printable(voter.short)}: {detector.note}")
        return results, names

    def _read_file(
        self, file: Path, voter: EnsembleModel
    ) -> tuple[DetectionAnswers, frozenset[str]] | None:
        boxes = read_boxes_file(file, self.options.instances)
        classes = boxes.classes
        names, missing = match_classes(classes, self.options.classes, self.options.renames)
        if missing and classes:
            self.output.message(describe_unknown_classes(voter.name, missing, classes))
        if self.options.classes and not names:
            return None
        source = ImageFolder(self.project.images.resolve(), self.project.settings.max_pixels)
        self.left_out += boxes.match_images(self.paths, lambda path: source.size(Item(path)))
        self.left_out += [
            f"{make_printable(voter.short)}: {count:,} {reason}"
            for reason, count in boxes.left_out.items()
        ]
        return boxes, names

    def _run_program(self, program: BoxProgram, voter: EnsembleModel) -> DetectionAnswers:
        folder = self.project.folder / ".cache" / "detect"
        results = DetectionCache(folder, program.describe())

        def work(step: RunStep) -> ExtractionReport:
            return self._run_program_step(program, results, step)

        self._count(self.output.run(voter.short, "image", work), voter)
        return results

    def _run_program_step(
        self, program: BoxProgram, results: DetectionCache, step: RunStep
    ) -> ExtractionReport:
        root, limit = self.project.images.resolve(), self.project.settings.max_pixels
        stamps = {path: stamp_file(root / path) for path in self.paths}
        todo = [path for path in self.paths if not results.has_answer(path, stamps[path])]
        tally = ProgressCounter(len(self.paths) - len(todo), len(todo), time.monotonic)
        step.progress(tally.progress())

        def look(path: str) -> tuple[str, ImageDetections | str]:
            return path, program.detect(path, root / path, limit)

        threads = self.workers or 1
        for path, answer in map_pipelined(ThreadPoolExecutor(threads), look, todo, threads):
            if isinstance(answer, str):
                tally.count_broken(path, answer)
            else:
                results.add([(answer, stamps[path])])
                tally.count(1)
            step.progress(tally.progress())
            if step.stop():
                return tally.report(complete=False)
        return tally.report(complete=True)

    def _count(self, report: ExtractionReport, voter: EnsembleModel) -> None:
        """Count the images without an answer. Raises `FeatureError` if no image has one."""
        if report.broken and not report.done:
            first = report.broken[0]
            raise FeatureError(
                f"{voter.short} answers no image. {first.ref}: {first.reason}. Use another model."
            )
        self.unread.add(report, voter.short)

    def _leave_out(self, line: str) -> None:
        self.left_out.append(line)
        self.output.message(line)
