"""Long runs of models over a project's images: their output, their stop, and where they resume."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Any, NamedTuple, Self

from annotator.detection.detect import detect_images
from annotator.detection.detectors import Detector
from annotator.detection.passes import DetectionPasses
from annotator.detection.results import DetectionCache
from annotator.errors import ProjectError
from annotator.features.pipeline import ExtractionProgress, ExtractionReport
from annotator.items.atomic import only_regular, read_file, write_atomically
from annotator.items.json_text import parse_json
from annotator.items.refs import make_printable
from annotator.items.text_files import add_line_sum, check_line_sums, read_json_lines
from annotator.project.project import ProjectFolder


class RunStopped(Exception):
    """The end of a run that was stopped; what it computed is on disk, and the same run resumes."""


class RunStep(NamedTuple):
    """The callables of one step of a run."""

    progress: Callable[[ExtractionProgress], None]
    """Called with the progress after each image."""
    stop: Callable[[], bool]
    """Called after each image; true to stop."""


@contextmanager
def _silent_step(name: str, unit: str) -> Iterator[RunStep]:
    yield RunStep(lambda _: None, lambda: False)


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class RunOutput:
    """The callables that a run reports to; by default it runs silently to its end."""

    step: Callable[[str, str], AbstractContextManager[RunStep]] = _silent_step
    """The opener of a step, called with the model's name and the plural of the unit counted."""
    report: Callable[[ExtractionReport, str, str], None] = _ignore
    """Called at the end of a step with its report, the model's name and the unit."""
    message: Callable[[str], None] = _ignore
    """Called with each remark for the user."""

    def run(
        self, name: str, unit: str, work: Callable[[RunStep], ExtractionReport]
    ) -> ExtractionReport:
        """Run one step and report it. Raises `RunStopped` if it was stopped."""
        with self.step(name, f"{unit}s") as step:
            report = work(step)
        self.report(report, name, unit)
        if not report.complete:
            raise RunStopped
        return report


SILENT = RunOutput()
"""An output that shows nothing and never stops a run."""


def run_detector(
    project: ProjectFolder,
    paths: Sequence[str],
    detector: Detector,
    name: str,
    passes: DetectionPasses,
    output: RunOutput,
    workers: int | None = None,
) -> tuple[DetectionCache, ExtractionReport]:
    """Run a detector over all images that it has not answered yet; return all its answers.

    Raises `RunStopped`.
    """
    described = {**detector.describe(), **passes.describe()}
    results = DetectionCache(project.folder / ".cache" / "detect", described)

    def work(step: RunStep) -> ExtractionReport:
        return detect_images(
            paths, project.images.resolve(), detector, results, passes,
            max_pixels=project.settings.max_pixels, workers=workers,
            progress=step.progress, stop=step.stop,
        )  # fmt: skip

    return results, output.run(name, "image", work)


class UnreadImages:
    """The images that some models of a run could not answer, each with its reason."""

    def __init__(self, models: int) -> None:
        """Begin with no image; `models` is the number of models in the run."""
        self._models = models
        self._names: dict[tuple[str, str], list[str]] = {}

    def add(self, report: ExtractionReport, name: str) -> None:
        """Add the images that the model `name` could not answer."""
        for broken in report.broken:
            self._names.setdefault((broken.ref, broken.reason), []).append(name)

    def lines(self) -> list[str]:
        """Return one line per image and reason; it names the models unless all are meant."""
        lines = []
        for (ref, reason), names in self._names.items():
            models = "" if len(names) >= self._models else f" (for {', '.join(names)})"
            lines.append(f"{make_printable(ref)}: {reason}{models}")
        return lines


class ProcessedImages:
    """`.cache/done-….txt`: an image and a checksum per line, for one command and its options.

    Write an image's proposals first, then `add` the image. After a crash the next run looks at
    that image again, and the writer skips the proposals that it wrote before.
    """

    def __init__(self, project: ProjectFolder, options: Mapping[str, Any]) -> None:
        """Open the file of `options`: all that the proposals depend on, as plain JSON.

        Raises `ProjectError` for a file that cannot be written.
        """
        text = json.dumps(options, sort_keys=True, ensure_ascii=False)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._path = project.folder / ".cache" / f"done-{key}.txt"
        self._model = str(options.get("model", ""))
        try:
            self._path.parent.mkdir(exist_ok=True)
            self._file = open(  # noqa: PTH123, SIM115
                self._path, "a+b", buffering=0, opener=only_regular
            )
            write_atomically(self._path.with_suffix(".json"), text.encode())
        except OSError as error:
            raise self._unwritable(error) from error
        self._file.seek(0)
        before = self._file.read()
        whole = before[: before.rfind(b"\n") + 1]  # a crash may cut the last line short
        self._file.truncate(len(whole))
        # An image whose line is damaged, or has no checksum, is looked at again.
        lines = check_line_sums(BytesIO(whole), required=True)
        self._images = {str(line.row.get("image")) for line in read_json_lines(lines)}

    def forget_other_options(self) -> None:
        """Forget what the same model has done with other options: its proposals give way."""
        for named in self._path.parent.glob("done-*.json"):
            other = named.with_suffix(".txt")
            with suppress(OSError, ValueError, AttributeError):
                options = parse_json(read_file(named))
                if other != self._path and options.get("model") == self._model:
                    other.unlink(missing_ok=True)
                    named.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._file.close()

    def __contains__(self, image: str) -> bool:
        return image in self._images

    def __len__(self) -> int:
        return len(self._images)

    def add(self, image: str) -> None:
        """Mark an image as processed. Raises `ProjectError` if the disk is full."""
        line = add_line_sum(json.dumps({"image": image})).encode()
        try:
            # Cut short, or not written at all: the next run looks at this image again.
            self._file.write(line)
        except OSError as error:
            raise self._unwritable(error) from error
        self._images.add(image)

    def _unwritable(self, error: OSError) -> ProjectError:
        return ProjectError(
            f"{make_printable(str(self._path))} cannot be written: {error.strerror}. "
            "Free some space, then run the same command to resume."
        )
