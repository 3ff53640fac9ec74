"""The contract of extractors; a new one is added to `EXTRACTORS`."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.features.classic import ClassicExtractor
from annotator.features.extractor import Extractor


def tiny_network(folder: Path) -> Extractor:
    torch = pytest.importorskip("torch", reason="needs the models extra")
    transformers = pytest.importorskip("transformers", reason="needs the models extra")
    from annotator.features.backbones import Backbone

    torch.manual_seed(0)
    config = transformers.Dinov2WithRegistersConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    transformers.Dinov2WithRegistersModel(config).save_pretrained(folder)
    return Backbone(str(folder), batch_size=4)


EXTRACTORS: dict[str, Callable[[Path], Extractor]] = {
    "classic": lambda folder: ClassicExtractor(),
    "network": tiny_network,
}


@pytest.fixture(params=EXTRACTORS)
def extractor(request: pytest.FixtureRequest, tmp_path: Path) -> Extractor:
    return EXTRACTORS[request.param](tmp_path)


def pictures(extractor: Extractor, count: int) -> list[NDArray[np.uint8]]:
    width, height = extractor.size
    random = np.random.default_rng(0)
    return list(random.integers(0, 256, (count, height, width, 3)).astype(np.uint8))


def test_each_picture_gives_dim_finite_numbers(extractor: Extractor) -> None:
    found = extractor(pictures(extractor, 11))
    assert found.shape == (11, extractor.dim)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_a_row_depends_on_its_picture_alone(extractor: Extractor) -> None:
    some = pictures(extractor, 11)
    together, backwards = extractor(some), extractor(some[::-1])[::-1]
    alone = np.concatenate([extractor([picture]) for picture in some])
    assert np.allclose(together, alone, atol=1e-4)
    assert np.allclose(together, backwards, atol=1e-4)
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_pictures_are_not_written_to_and_may_be_read_only(extractor: Extractor) -> None:
    some = pictures(extractor, 3)
    before = [picture.copy() for picture in some]
    for picture in some:
        picture.flags.writeable = False
    extractor(some)
    assert all(np.array_equal(*pair) for pair in zip(some, before, strict=True))


def test_another_thread_gets_the_same(extractor: Extractor) -> None:
    some = pictures(extractor, 5)
    with ThreadPoolExecutor(1) as pool:
        assert np.allclose(pool.submit(extractor, some).result(), extractor(some), atol=1e-4)


def test_its_description_is_plain_and_names_it(extractor: Extractor) -> None:
    described = extractor.describe()
    assert described["name"] == extractor.name
    assert json.loads(json.dumps(described)) == described
    assert extractor.batch_size >= 1
