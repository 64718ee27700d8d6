"""Engines called bare: every size of batch has the answers of the toolkit."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls.benchmark.bare import BARE
from ppcls.inference.bundle import Bundle
from ppcls.inference.engines import ENGINES, EngineOptions, open_engine


@pytest.mark.parametrize("name", list(BARE))
def test_batches_that_are_not_full_are_answered(name: str, bundle: Bundle) -> None:
    pytest.importorskip(ENGINES[name].package)
    format = next((one for one in ENGINES[name].formats if one in bundle.formats), None)
    if format is None:
        pytest.skip("paddle2onnx is not installed")
    call = BARE[name](bundle.formats[format], 1, "fp32", 3)
    ours = open_engine("paddle_plain", bundle, EngineOptions("cpu", 1))
    drawn = np.random.default_rng(0)
    for size in (3, 2, 3, 1, 5):
        images = drawn.standard_normal((size, *bundle.input_shape), dtype=np.float32)
        np.testing.assert_allclose(call(images), ours.run(images), atol=1e-5)
