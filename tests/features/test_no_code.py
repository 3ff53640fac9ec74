"""Code that lies in the folder of a model never runs, and no question offers to run it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import annotator

_LOADERS = {"from_pretrained", "open_"}
_FORBIDDEN = {"torch.load", "torch.hub.load", "pickle.load", "pickle.loads", "joblib.load"}
_OPEN = """
import sys, builtins
builtins.input = lambda *_: "y"
from pathlib import Path
from annotator.features.weights import require_package
name = sys.argv[1]
from annotator.features import text, backbones
from annotator.detection import backbone, names, networks
from annotator.errors import AnnotatorError
for open_ in (
    lambda: text._tower_kind(require_package("transformers"), Path(name), name),
    lambda: text.TextEncoder(name) if hasattr(text, "TextEncoder") else None,
    lambda: backbones._load_network(Path(name), name),
    lambda: backbone._open_backbone(name, Path(name)),
    lambda: networks.open_network(name, ["a cat"]),
    lambda: names._Checkpoint(name, "AutoModel", "cpu", "fp32"),
    lambda: networks._image_processor(name, Path(name)),
    lambda: networks._processor(name, Path(name)),
):
    try:
        open_()
    except AnnotatorError as error:
        assert "trust_remote_code" not in str(error), error
        print("refused", error)
"""


def _calls() -> list[tuple[str, ast.Call]]:
    package = Path(annotator.__file__).parent
    return [
        (f"{file.relative_to(package)}:{node.lineno}", node)
        for file in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
    ]


def test_every_call_that_opens_a_checkpoint_forbids_its_code() -> None:
    found = 0
    for place, call in _calls():
        name = ast.unparse(call.func)
        assert name not in _FORBIDDEN, place
        if name.split(".")[-1] in _LOADERS:
            found += 1
            said = {word.arg: word.value for word in call.keywords}.get("trust_remote_code")
            assert isinstance(said, ast.Constant), f"{place}: say trust_remote_code=False"
            assert said.value is False, place
    assert found >= 10


def test_arrays_are_loaded_without_pickle() -> None:
    for place, call in _calls():
        if ast.unparse(call.func) == "np.load":
            said = {word.arg: word.value for word in call.keywords}.get("allow_pickle")
            assert said is None or (isinstance(said, ast.Constant) and said.value is False), place


@pytest.mark.parametrize("file", ["config", "processor", "tokenizer"])
def test_code_of_a_model_folder_never_runs_whatever_is_answered(tmp_path: Path, file: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    model = tmp_path / "model"
    model.mkdir()
    mapped = {"AutoConfig": "evil.C", "AutoModel": "evil.E", "AutoTokenizer": ["evil.E", None],
              "AutoImageProcessor": "evil.E", "AutoProcessor": "evil.E"}  # fmt: skip
    kind = "evil" if file == "config" else "vit"
    (model / "config.json").write_text(json.dumps({"model_type": kind, "auto_map": mapped}))
    for name in ("preprocessor_config.json", "processor_config.json", "tokenizer_config.json"):
        (model / name).write_text(json.dumps({"auto_map": mapped}))
    (model / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').write('ran')\n")
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, str(model)], capture_output=True, text=True, check=False
    )
    assert not (tmp_path / "ran").exists()
    assert "refused" in done.stdout, done.stderr
    assert "custom code? [y/N]" not in done.stdout + done.stderr
