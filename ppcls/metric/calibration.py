"""Whether the probabilities of a network mean what they say."""

from __future__ import annotations

from typing import Annotated, Any, Dict, List, Mapping

import paddle
import paddle.nn.functional as F
from pydantic import Field

from ppcls.errors import CheckpointError
from ppcls.labels import Labels
from ppcls.loss.outputs import Outputs, main_logits
from ppcls.metric.base import Metric
from ppcls.metric.confusion import decided
from ppcls.registry import register


@register("metric")
class CalibrationError(Metric):
    """The expected calibration error: |accuracy - mean probability| of the most probable class in
    bins of equal width, weighted by their images (Naeini et al. 2015, as Guo et al. 2017,
    arXiv:1706.04599, use it); the lower, the better. Bins hold their upper end.

    Where a network gives no numbers, an image counts as wrong with a probability of 1.

    Args:
        bins: how many.
    """

    def __init__(self, bins: Annotated[int, Field(ge=1, le=1000)] = 15) -> None:
        self.bins = bins
        self.reset()

    @property
    def names(self) -> List[str]:
        """The one name."""
        return ["calibration_error"]

    def higher_is_better(self, name: str) -> bool:
        """It is an error."""
        return False

    def reset(self) -> None:
        """Set all sums to zero."""
        self._images = 0
        self._gaps = paddle.zeros([self.bins], dtype="float64")

    def update(self, outputs: Outputs, labels: Labels) -> None:
        """Add up the batch on the device; see `Metric.update`."""
        logits = main_logits(outputs).detach().astype("float32")
        if logits.shape[0] == 0:
            return
        sure = F.softmax(logits).max(axis=1)
        sure = paddle.where(paddle.isnan(sure), paddle.ones_like(sure), sure)
        right = (decided(logits) == labels.values).astype("float64")
        places = paddle.clip(paddle.ceil(sure * self.bins) - 1, 0, self.bins - 1).astype("int64")
        chosen = F.one_hot(places, self.bins).astype("float64")
        self._gaps = self._gaps + (chosen * (right - sure.astype("float64")).unsqueeze(1)).sum(0)
        self._images += logits.shape[0]

    def compute(self) -> Dict[str, float]:
        """Return the value under its name; nan when nothing was seen."""
        total = float(self._gaps.abs().sum().item())
        return {"calibration_error": total / self._images if self._images else float("nan")}

    def state(self) -> Dict[str, Any]:
        """Return the sums of each bin; those of several processes add up."""
        gaps = {f"gap.{i}": gap for i, gap in enumerate(self._gaps.tolist())}
        return {"images": float(self._images), **gaps}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; a `CheckpointError` says if it had other bins."""
        keys = [f"gap.{i}" for i in range(self.bins)]
        if {"images", *keys} != state.keys():
            raise CheckpointError(
                f"the state of CalibrationError needs images and {self.bins} bins; it has "
                f"{len(state)} numbers"
            )
        self._images = int(state["images"])
        self._gaps = paddle.to_tensor([state[key] for key in keys], dtype="float64")
