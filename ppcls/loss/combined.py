"""The sum of several losses."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

import paddle

from ppcls.errors import ConfigError
from ppcls.labels import Labels
from ppcls.loss.class_weights import TrainClasses
from ppcls.loss.outputs import Outputs, auxiliary_logits
from ppcls.registry import Part, as_part
from ppcls.text import distinct


class CombinedLoss(paddle.nn.Layer):
    """All losses of a list, each with its own weight, and their sum.

    Where a network returns the logits of auxiliary heads too, every loss is taken of each of them
    as well, and counts `aux_weight` times.

    Args:
        parts: the losses: parts, or what a recipe writes, such as `{"CELoss": {"epsilon": 0.1}}`.
        aux_weight: see above.
        classes: those of the training set, for losses that weigh classes; None in evaluation.

    Raises:
        ConfigError: the list is empty, a loss or an argument of it is unknown, or a loss does not
            fit the classes.
    """

    def __init__(
        self,
        parts: Sequence[Union[Part, str, Mapping[str, Any]]],
        aux_weight: float = 0.3,
        classes: Optional[TrainClasses] = None,
    ) -> None:
        super().__init__()
        if not parts:
            raise ConfigError("the list of losses is empty; give one, such as '- CELoss: {}'")
        found = [as_part("loss", part) for part in parts]
        self.names = distinct([part.name for part in found])
        self.losses = paddle.nn.LayerList([_built(part, classes) for part in found])
        self.aux_weight = aux_weight

    @property
    def notes(self) -> List[str]:
        """What the losses have to say at the start of a run."""
        named = zip(self.names, self.losses)
        return [f"{name}: {loss.note}" for name, loss in named if loss.note]

    def forward(self, outputs: Outputs, labels: Labels) -> Dict[str, paddle.Tensor]:
        """Return each loss's weighted value by name, then their sum under "loss".

        What auxiliary heads add to the sum is one value, called "aux". All are scalars that stay on
        the device.
        """
        values = {name: loss(outputs, labels) for name, loss in zip(self.names, self.losses)}
        for name, value in values.items():
            if math.prod(value.shape) != 1:
                raise ConfigError(
                    f"the loss {name} returns a tensor of shape {list(value.shape)}; it must "
                    "return one number, such as the mean over the images"
                )
        heads = auxiliary_logits(outputs)
        if heads:
            further = [loss(logits, labels) for logits in heads for loss in self.losses]
            values["aux"] = self.aux_weight * sum(further)
        return {**values, "loss": sum(values.values())}


def _built(part: Part, classes: Optional[TrainClasses]) -> paddle.nn.Layer:
    loss: paddle.nn.Layer = part.build(classes=classes)
    if not hasattr(loss, "_forward_pre_hooks"):
        raise ConfigError(f"{part.name}.__init__ must begin with super().__init__()")
    return loss
