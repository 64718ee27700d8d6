"""Averages of the weights in the course of training, which are what evaluation and export use."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from typing import Dict, Iterator, Optional

import numpy as np
import paddle

from ppcls.engine.statistics import PreciseStatistics
from ppcls.errors import CheckpointError


class AveragedWeights(ABC):
    """An average of every floating-point entry of a network's state dict.

    Attributes:
        model: the network.
        average: the averages, under the state dict's names.
        statistics: takes those of batch normalisation for the averages; None leaves their average.
        keep_better: whether the weights themselves are evaluated as well, and the better of both is
            kept.
    """

    keep_better: bool = False

    def __init__(
        self, model: paddle.nn.Layer, statistics: Optional[PreciseStatistics] = None
    ) -> None:
        self.model, self.statistics = model, statistics
        self.average = {name: value.clone().detach() for name, value in model.state_dict().items()}

    @abstractmethod
    def update(self, step: int) -> None:
        """Take in the weights after optimiser update number `step` (counted from 1)."""

    def arrays(self) -> Dict[str, np.ndarray]:
        """Return the averages as arrays under the state dict's names."""
        return {name: value.numpy() for name, value in self.average.items()}

    def load(self, arrays: Dict[str, np.ndarray]) -> None:
        """Take back what `arrays` returned.

        Raises:
            CheckpointError: names or shapes differ; nothing has been changed then.
        """
        for name, value in self.average.items():
            if name not in arrays or arrays[name].shape != tuple(value.shape):
                raise CheckpointError(
                    f"the moving average does not fit the network: {name} is missing, or of "
                    "another shape. Resume from another checkpoint"
                )
        for name, value in self.average.items():
            value.set_value(arrays[name].astype(value.numpy().dtype, copy=False))

    @contextlib.contextmanager
    def applied(self, epochs: int = 0) -> Iterator[None]:
        """Let the network have the averaged weights inside the block, and statistics of their own
        where these are wanted.

        Args:
            epochs: how many are over.
        """
        own = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.set_state_dict(self.average)
        try:
            if self.statistics and self._takes_statistics(epochs):
                self.statistics.take(self.model, epochs - 1)
                for name, value in self.model.state_dict().items():
                    if name.endswith(("._mean", "._variance")):
                        paddle.assign(value, self.average[name])
            yield
        finally:
            self.model.set_state_dict(own)

    def _takes_statistics(self, epochs: int) -> bool:
        """Whether statistics are taken after so many epochs; what training starts from is judged as
        it is.
        """
        return epochs > 0


class ExponentialMovingAverage(AveragedWeights):
    """Keeps ``average = decay * average + (1 - decay) * weight`` (Polyak averaging), as used for
    EfficientNet and MobileNetV3.

    With `ramp`, the decay is lowered to ``(1 + step) / (10 + step)`` while that is smaller, so that
    the random initial weights are forgotten early on (TensorFlow's `ExponentialMovingAverage` with
    `num_updates`).
    """

    def __init__(
        self,
        model: paddle.nn.Layer,
        decay: float,
        ramp: bool = True,
        keep_better: bool = False,
        statistics: Optional[PreciseStatistics] = None,
    ) -> None:
        super().__init__(model, statistics)
        self.decay = decay
        self.ramp = ramp
        self.keep_better = keep_better

    @paddle.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimiser update number `step` (counted from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step)) if self.ramp else self.decay
        for name, value in self.model.state_dict().items():
            if paddle.is_floating_point(value):
                # In place: half the time of new tensors, which matters where steps are short.
                average = self.average[name]
                average.scale_(decay)
                average.add_(value.astype(average.dtype).scale(1 - decay))
            else:
                paddle.assign(value, self.average[name])
