"""A network as it is in Python, for predictions before it is exported."""

from __future__ import annotations

from typing import Any

import numpy as np


class NetworkEngine:
    """A Paddle layer in evaluation mode that turns images [n, c, h, w] into logits [n, classes]."""

    def __init__(self, network: Any) -> None:
        self.network = network

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 [n, classes], of images, float32 [n, c, h, w]."""
        import paddle

        with paddle.no_grad():
            logits = self.network(paddle.to_tensor(images))
        result: np.ndarray = paddle.nn.functional.softmax(logits).numpy()
        return result
