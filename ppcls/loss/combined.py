"""The sum of several losses."""

from __future__ import annotations

from typing import Dict, Sequence

import paddle

from ppcls.errors import ConfigError
from ppcls.labels import Labels
from ppcls.loss.outputs import Outputs, auxiliary_logits
from ppcls.registry import Part
from ppcls.text import distinct


class CombinedLoss(paddle.nn.Layer):
    """All losses of a list, each with its own weight, and their sum.

    Where a network returns the logits of auxiliary heads too, every loss is taken of each of them
    as well, and counts `aux_weight` times.

    Raises:
        ConfigError: the list is empty.
    """

    def __init__(self, parts: Sequence[Part], aux_weight: float = 0.3) -> None:
        super().__init__()
        if not parts:
            raise ConfigError("the list of losses is empty; give one, such as '- CELoss: {}'")
        self.names = distinct([part.name for part in parts])
        self.losses = paddle.nn.LayerList([part.build() for part in parts])
        self.aux_weight = aux_weight

    def forward(self, outputs: Outputs, labels: Labels) -> Dict[str, paddle.Tensor]:
        """Return each loss's weighted value by name, then their sum under "loss".

        What auxiliary heads add to the sum is one value, called "aux". All are scalars that stay on
        the device.
        """
        values = {name: loss(outputs, labels) for name, loss in zip(self.names, self.losses)}
        heads = auxiliary_logits(outputs)
        if heads:
            further = [loss(logits, labels) for logits in heads for loss in self.losses]
            values["aux"] = self.aux_weight * sum(further)
        return {**values, "loss": sum(values.values())}
