"""The weights of networks: their place on this machine, or the exact command that fetches them."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annotator.errors import ExtraMissing, FeatureError
from annotator.items.refs import make_printable
from annotator.items.user_folders import expand_home

MODELS = {
    "dinov2-small": ("facebook/dinov2-with-registers-small", "88 MB"),
    "dinov2-base": ("facebook/dinov2-with-registers-base", "346 MB"),
    "dinov2-large": ("facebook/dinov2-with-registers-large", "1.2 GB"),
    "dinov2-giant": ("facebook/dinov2-with-registers-giant", "4.5 GB"),
    "dinov3-small": ("facebook/dinov3-vits16-pretrain-lvd1689m", "86 MB"),
    "dinov3-base": ("facebook/dinov3-vitb16-pretrain-lvd1689m", "343 MB"),
    "dinov3-large": ("facebook/dinov3-vitl16-pretrain-lvd1689m", "1.2 GB"),
    "siglip2-base": ("google/siglip2-base-patch16-224", "1.5 GB"),
    "siglip2-large": ("google/siglip2-large-patch16-256", "3.5 GB"),
    "siglip2-so400m": ("google/siglip2-so400m-patch14-384", "4.5 GB"),
}
"""Short names: the Hugging Face id and the approximate size of the download."""

DEFAULT_BACKBONE = "dinov2-small"
_FILES = ["*.json", "*.safetensors", "merges.txt", "vocab.txt"]
_TOKENIZERS = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json",
    "vocab.txt",
)  # fmt: skip
_LONGEST_FAULT = 200  # characters of a library's message
_OLDER = "pytorch_model*.bin"
"""The files of older checkpoints; torch reads only numbers out of them, nothing that runs."""
_INSTALL = "pip install 'annotator-tui[models]'"
_CLASSIC = "`--model classic` works without a {}."


def default_model() -> str:
    """Return `dinov2-small` if torch and its weights are here, else `classic`; load neither."""
    packages = ("torch", "transformers", "huggingface_hub")
    if any(importlib.util.find_spec(package) is None for package in packages):
        return "classic"
    return DEFAULT_BACKBONE if _find_cached(MODELS[DEFAULT_BACKBONE][0]) else "classic"


def require_package(package: str, install: str = _INSTALL, alternative: str = _CLASSIC) -> Any:
    """Import a package. Raises `ExtraMissing` with the command that installs it.

    `alternative` names what works without it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ExtraMissing(
            _join_lines(
                f"{package} is not installed ({error}). Networks need it: {install}",
                alternative.format("package or a download"),
            )
        ) from error


def find_weights(
    name: str, known: Mapping[str, tuple[str, str]] = MODELS, alternative: str = _CLASSIC
) -> Path:
    """Return the folder with the weights of a short name, a Hugging Face id or a local folder.

    `known` has the short names, ids and sizes; `alternative` names what works without them. Weights
    that are not here are fetched, unless HF_HUB_OFFLINE is set. Raises `ExtraMissing` with the
    command that fetches them, `FeatureError` for any other name.
    """
    local = expand_home(name)
    if local.is_dir():
        return local.resolve()
    model, _ = known.get(name, (name, ""))
    if model.count("/") != 1 or name.startswith((".", "/", "~")):
        names = ", ".join([*(["classic"] if alternative is _CLASSIC else []), *known])
        raise FeatureError(
            f"{make_printable(name)} is neither a folder nor a model. Give one of {names}, or a "
            f"Hugging Face id such as {next(iter(known.values()))[0]}."
        )
    require_package("huggingface_hub", alternative=alternative)
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return _find_cached(model) or _fetch_weights(model)
    except (OSError, HfHubHTTPError) as error:
        raise ExtraMissing(_missing_weights(name, model, error, known, alternative)) from error


def require_tokenizer(folder: Path, name: str) -> None:
    """Raise `ExtraMissing` for a checkpoint that has no tokenizer.

    transformers makes an empty one in its place, to which all words are the same.
    """
    if not any((folder / file).is_file() for file in _TOKENIZERS):
        shown = make_printable(name)
        raise ExtraMissing(
            f"{shown} has no tokenizer: {make_printable(str(folder))} lacks tokenizer.json. "
            f"Fetch all of it: hf download {shown}"
        )


def cached_weights(name: str) -> Path | None:
    """Return the folder of weights on this machine, by short name, id or folder; fetch nothing."""
    local = expand_home(name)
    if local.is_dir():
        return local.resolve()
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    return _find_cached(MODELS.get(name, (name, ""))[0])


def _find_cached(model: str) -> Path | None:
    """Return the folder of weights that were downloaded before."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(model, local_files_only=True, allow_patterns=_FILES))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return folder if _has_weights(folder) else None


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors")) or any(folder.glob(_OLDER))


def _fetch_weights(model: str) -> Path:
    """Download weights. Raises `OSError` or `HfHubHTTPError` without a network, or if offline."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    if is_offline():
        raise OSError("HF_HUB_OFFLINE is set")
    try:
        folder = Path(snapshot_download(model, allow_patterns=_FILES))
        if not _has_weights(folder):
            folder = Path(snapshot_download(model, allow_patterns=[*_FILES, _OLDER]))
        return folder
    except HFValidationError as error:
        raise FeatureError(f"{make_printable(model)} is not a Hugging Face id: {error}") from error


def opening_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that transformers raises for a checkpoint that does not open.

    The checkpoint may be damaged, of an unknown kind, or one that would run code.
    """
    from safetensors import SafetensorError

    unsafe = require_package("torch").serialization.pickle.UnpicklingError
    return OSError, ValueError, KeyError, RuntimeError, SafetensorError, unsafe


def opening_fault(error: Exception) -> str:
    """Return why a checkpoint does not open, in words that can be printed."""
    text = str(error)
    if "trust_remote_code" in text:  # the library would advise to run the code
        return "it needs Python code from its own folder, which is never run"
    line = text.strip().partition("\n")[0]
    return make_printable(line if len(line) <= _LONGEST_FAULT else line[:_LONGEST_FAULT] + " …")


def is_offline() -> bool:
    """Return whether downloads are forbidden (HF_HUB_OFFLINE)."""
    from huggingface_hub import constants

    return bool(constants.is_offline_mode() or os.environ.get("HF_HUB_OFFLINE") == "1")


def _missing_weights(
    name: str, model: str, error: Exception, known: Mapping[str, tuple[str, str]], alternative: str
) -> str:
    size = next((size for listed, size in known.values() if listed == model), None)
    about = f"about {size}" if size else f"for its size see https://huggingface.co/{model}"
    reason = make_printable((str(error).splitlines() or [type(error).__name__])[0])
    lines = [
        f"The weights of {make_printable(name)} are not on this machine, and cannot be fetched "
        f"now ({reason}).",
        f"With a network: hf download {model}   ({about})",
    ]
    if expand_home(name).parent.is_dir() and name == model:
        lines.append(f"If you meant a folder: there is none called {make_printable(name)}.")
    if "dinov3" in model:
        lines.append(
            f"Before that, accept its licence at https://huggingface.co/{model} and log in: "
            "hf auth login"
        )
    return _join_lines(*lines, alternative.format("download"))


def _join_lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)
