"""A network in Python gives what its exported bundle gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ppcls.errors import UsageError
from ppcls.inference import Predictor
from ppcls.inference.engines.network import NetworkEngine
from ppcls.inference.postprocess import Topk
from ppcls.inference.predictor import Classifier


def test_the_same_probabilities_as_the_bundle(exported: Path) -> None:
    import paddle

    from ppcls.arch import create_model

    bundle = Predictor(exported, device="cpu")
    paddle.seed(0)
    network = create_model("LeNet", in_channels=3)
    network.eval()
    engine = NetworkEngine(network)
    images = np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)
    found = engine.run(images)
    assert found.shape == (3, 10) and found.dtype == np.float32
    np.testing.assert_allclose(found, bundle.engine.run(images), atol=1e-6)
    with pytest.raises(UsageError, match="batch_size is at least 1"):
        Classifier(bundle.transform, (3, 32, 32), engine, Topk(), batch_size=0)
