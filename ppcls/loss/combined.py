"""The sum of several losses."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

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
        teacher: gives logits [n, classes] for images, for losses that need them.

    Attributes:
        features: to be set where a loss `needs_features`: gives those of the network and of the
            teacher after both have seen a batch.

    Raises:
        ConfigError: the list is empty, a loss or an argument of it is unknown, a loss does not fit
            the classes, or it needs a teacher, and there is none.
    """

    def __init__(
        self,
        parts: Sequence[Union[Part, str, Mapping[str, Any]]],
        aux_weight: float = 0.3,
        classes: Optional[TrainClasses] = None,
        teacher: Optional[Callable[[paddle.Tensor], paddle.Tensor]] = None,
    ) -> None:
        super().__init__()
        if not parts:
            raise ConfigError("the list of losses is empty; give one, such as '- CELoss: {}'")
        found = [as_part("loss", part) for part in parts]
        self.names = distinct([part.name for part in found])
        self.losses = paddle.nn.LayerList([_built(part, classes) for part in found])
        self.aux_weight = aux_weight
        self.teacher = teacher
        pupils = [name for name, loss in zip(self.names, self.losses) if _needs_teacher(loss)]
        if pupils and teacher is None:
            raise ConfigError(
                f"{pupils[0]} compares with a teacher, and there is none: training has one where "
                "the section Teacher names it, evaluation never"
            )
        self.learns_from_teacher = bool(pupils)
        self.features: Optional[Callable[[], Tuple[paddle.Tensor, paddle.Tensor]]] = None

    @property
    def needs_features(self) -> bool:
        """Whether one of the losses looks at features."""
        return any(_needs_features(loss) for loss in self.losses)

    @property
    def notes(self) -> List[str]:
        """What the losses have to say at the start of a run."""
        named = zip(self.names, self.losses)
        return [f"{name}: {loss.note}" for name, loss in named if loss.note]

    def forward(
        self, outputs: Outputs, labels: Labels, images: Optional[paddle.Tensor] = None
    ) -> Dict[str, paddle.Tensor]:
        """Return each loss's weighted value by name, then their sum under "loss".

        What auxiliary heads add to the sum is one value, called "aux". All are scalars that stay on
        the device. `images` [n, channels, height, width] are what a teacher sees.
        """
        taught = self.teacher(images) if self.teacher and self.learns_from_teacher else None
        features = self.features() if self.features and self.needs_features else None

        def of(loss: paddle.nn.Layer, outputs: Outputs) -> paddle.Tensor:
            more = {"taught": taught} if _needs_teacher(loss) else {}
            if _needs_features(loss):
                more["features"] = features
            return loss(outputs, labels, **more)

        values = {name: of(loss, outputs) for name, loss in zip(self.names, self.losses)}
        for name, value in values.items():
            if math.prod(value.shape) != 1:
                raise ConfigError(
                    f"the loss {name} returns a tensor of shape {list(value.shape)}; it must "
                    "return one number, such as the mean over the images"
                )
        heads = auxiliary_logits(outputs)
        of_heads = [loss for loss in self.losses if not _needs_features(loss)]
        if heads and of_heads:
            further = [of(loss, logits) for logits in heads for loss in of_heads]
            values["aux"] = self.aux_weight * sum(further)
        return {**values, "loss": sum(values.values())}


def _needs_teacher(loss: paddle.nn.Layer) -> bool:
    """Whether a loss does; one's own need not extend `Loss`."""
    return bool(getattr(loss, "needs_teacher", False))


def _needs_features(loss: paddle.nn.Layer) -> bool:
    return bool(getattr(loss, "needs_features", False))


def _built(part: Part, classes: Optional[TrainClasses]) -> paddle.nn.Layer:
    loss: paddle.nn.Layer = part.build(classes=classes)
    if not hasattr(loss, "_forward_pre_hooks"):
        raise ConfigError(f"{part.name}.__init__ must begin with super().__init__()")
    return loss
