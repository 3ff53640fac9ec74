"""The checks of the program, its packages, the terminal, the GPU and the model weights."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

from annotator.doctor.finding import Finding
from annotator.features.weights import DEFAULT_BACKBONE, MODELS, cached_weights
from annotator.terminal.diagnostics import diagnose_terminal
from annotator.version import __version__

EXTRAS = {
    "models": ("learnt features, detectors", ("torch", "transformers", "huggingface_hub")),
    "faces": ("faces", ("cv2", "onnxruntime", "sklearn", "huggingface_hub")),
    "parquet": ("Parquet files", ("pyarrow",)),
    "heif": ("HEIC and HEIF images", ("pillow_heif",)),
    "jxl": ("JPEG XL images", ("pillow_jxl",)),
    "postgres": ("a team's log in PostgreSQL", ("psycopg",)),
    "dicom": ("DICOM images", ("pydicom",)),
    "logistic": ("--estimator logistic, clusters", ("sklearn",)),
}
"""Extra of the distribution to its purpose and the modules that it installs."""
_GPU_FIELDS = "name,memory.total,memory.free,compute_cap,driver_version"
_BF16_CAPABILITY = 8.0  # Ampere: older ones compute bfloat16 slowly, in software


def check_machine() -> Iterator[Finding]:
    """Check everything outside a project."""
    yield from _program()
    yield from _terminal()
    yield from _extras()
    yield from _gpu()
    yield from _weights()


def _program() -> Iterator[Finding]:
    yield Finding("annotator", True, f"{__version__}, Python {platform.python_version()}")
    try:
        found = ", ".join(f"{n} {importlib.metadata.version(n)}" for n in ("textual", "pillow"))
        yield Finding("packages", True, f"{found}, SQLite {sqlite3.sqlite_version}")
    except importlib.metadata.PackageNotFoundError as error:
        fix = "pip install --force-reinstall annotator-tui"
        yield Finding("packages", False, f"{error.name} is not installed", fix, blocks=True)


def _terminal() -> Iterator[Finding]:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        fix = "run `annotator doctor` in the terminal that you label in; over ssh use `ssh -t`"
        yield Finding("terminal", False, "standard input or output is not a terminal", fix)
        return
    for fact in diagnose_terminal():
        asked = fact.asked
        told = (asked.question, asked.answer, asked.conclusion) if asked else ("", "", "")
        yield Finding(fact.name, fact.ok, fact.detail, fact.fix, False, *told)


def _extras() -> Iterator[Finding]:
    """Look for the modules without importing them: importing torch takes seconds."""
    for name, (purpose, modules) in EXTRAS.items():
        absent = [module for module in modules if importlib.util.find_spec(module) is None]
        detail = f"for {purpose}: " + (
            f"{', '.join(absent)} not installed" if absent else "installed"
        )
        fix = f"pip install 'annotator-tui[{name}]'" if absent else ""
        yield Finding(f"extra {name}", not absent, detail, fix)


def _gpu() -> Iterator[Finding]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        yield Finding("GPU", True, "hidden by CUDA_VISIBLE_DEVICES: features run on the CPU")
        return
    if not shutil.which("nvidia-smi"):
        where = "the CPU" if sys.platform != "darwin" else "mps or the CPU"
        yield Finding("GPU", True, f"no NVIDIA driver: features run on {where}")
        return
    for line in _smi():
        name, total, free, capability, driver = (cell.strip() for cell in line.split(","))
        # Older drivers print "[N/A]".
        known = float(capability) if capability.replace(".", "", 1).isdecimal() else 0.0
        dtype = "bf16" if known >= _BF16_CAPABILITY else "fp16"
        detail = f"{name}, {free} of {total} MiB free, driver {driver}; --dtype auto means {dtype}"
        yield Finding("GPU", True, detail)
    torch = _version("torch")
    if torch is not None and "+cpu" in torch:
        fix = (
            "pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu128"
        )
        yield Finding("GPU and torch", False, f"torch {torch} cannot use the GPU", fix)


def _smi() -> list[str]:
    command = ["nvidia-smi", f"--query-gpu={_GPU_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line for line in done.stdout.splitlines() if line.count(",") == _GPU_FIELDS.count(",")]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _weights() -> Iterator[Finding]:
    if importlib.util.find_spec("huggingface_hub") is None:
        return
    from huggingface_hub import constants

    here = [name for name in MODELS if cached_weights(name)]
    offline = ", offline (HF_HUB_OFFLINE): nothing is downloaded" if _offline() else ""
    detail = f"{', '.join(here) or 'none'} in {constants.HF_HUB_CACHE}{offline}"
    model, size = MODELS[DEFAULT_BACKBONE]
    fix = (
        ""
        if DEFAULT_BACKBONE in here
        else f"hf download {model}   ({size}; without it features are classic)"
    )
    yield Finding("weights", not fix, detail, fix)


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")
