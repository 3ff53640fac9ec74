"""Where the weights of a network lie, or the exact command that fetches them."""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

from annotator.errors import ExtraMissing, FeatureError
from annotator.refs import printable

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
"""Short names: the Hugging Face id and about how much is downloaded."""

DEFAULT = "dinov2-small"
_FILES = ["*.json", "*.safetensors"]
_INSTALL = "pip install 'annotator-tui[models]'"


def default_model() -> str:
    """`dinov2-small` where torch and its weights are at hand, else `classic`; loads neither."""
    packages = ("torch", "transformers", "huggingface_hub")
    if any(importlib.util.find_spec(package) is None for package in packages):
        return "classic"
    return DEFAULT if _cached(MODELS[DEFAULT][0]) else "classic"


def needed(package: str) -> Any:
    """The package, or `ExtraMissing` with the command that installs it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ExtraMissing(
            f"{package} is not installed ({error}); networks need it: {_INSTALL}\n"
            "`--model classic` needs no package and no download"
        ) from error


def find_weights(name: str) -> Path:
    """The folder with the weights of a short name, a Hugging Face id or a local folder.

    Weights that are not here are fetched, unless HF_HUB_OFFLINE is set. Raises `ExtraMissing`
    with the command that fetches them, `FeatureError` for a name that can be neither.
    """
    local = Path(name).expanduser()
    if local.is_dir():
        return local.resolve()
    model, _ = MODELS.get(name, (name, ""))
    if model.count("/") != 1 or name.startswith((".", "/", "~")):
        known = ", ".join(["classic", *MODELS])
        raise FeatureError(
            f"{printable(name)} is neither a folder nor a model; a model is one of {known}, "
            "or a Hugging Face id such as facebook/dinov2-base"
        )
    needed("huggingface_hub")
    return _cached(model) or _fetched(name, model)


def _cached(model: str) -> Path | None:
    """The folder of weights that were downloaded before."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(model, local_files_only=True, allow_patterns=_FILES))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return folder if any(folder.glob("*.safetensors")) else None


def _fetched(name: str, model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        if _offline():
            raise OSError("HF_HUB_OFFLINE is set")
        return Path(snapshot_download(model, allow_patterns=_FILES))
    except HFValidationError as error:
        raise FeatureError(f"{printable(name)} is no Hugging Face id: {error}") from error
    except (OSError, HfHubHTTPError) as error:
        raise ExtraMissing(_absent(name, model, error)) from error


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.is_offline_mode() or os.environ.get("HF_HUB_OFFLINE") == "1")


def _absent(name: str, model: str, error: Exception) -> str:
    size = next((size for known, size in MODELS.values() if known == model), None)
    about = f"about {size}" if size else f"its size is said at https://huggingface.co/{model}"
    reason = printable((str(error).splitlines() or [type(error).__name__])[0])
    lines = [
        f"the weights of {printable(name)} are not on this machine, and cannot be fetched now "
        f"({reason}).",
        f"Where there is a network: hf download {model}   ({about})",
    ]
    if "dinov3" in model:
        lines.append(
            f"Before that, accept its licence at https://huggingface.co/{model} and log in: "
            "hf auth login"
        )
    lines.append("`--model classic` needs no download")
    return "\n".join(lines)
