"""A network as it is in Python, for predictions before it is exported."""

from __future__ import annotations

from typing import Any

import numpy as np


class NetworkEngine:
    """A Paddle layer in evaluation mode that turns images [n, c, h, w] into logits [n, classes].

    Args:
        network: the layer.
        multi_label: whether the probability of each class is the sigmoid of its logit; else they
            are the softmax of all.
    """

    def __init__(self, network: Any, multi_label: bool = False) -> None:
        self.network = network
        self.multi_label = multi_label

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 [n, classes], of images, float32 [n, c, h, w]."""
        import paddle

        with paddle.no_grad():
            logits = self.network(paddle.to_tensor(images))
        functions = paddle.nn.functional
        probabilities = functions.sigmoid if self.multi_label else functions.softmax
        result: np.ndarray = probabilities(logits).numpy()
        return result
