"""Top-k accuracy."""

from __future__ import annotations

from typing import Annotated, Dict, List, Mapping, Optional, Sequence, Union

import paddle
from pydantic import Field

from ppcls.errors import CheckpointError, ConfigError
from ppcls.labels import Labels
from ppcls.loss.outputs import Outputs, main_logits
from ppcls.metric.base import Metric
from ppcls.registry import Provided, register

Count = Annotated[int, Field(ge=1)]
"""A number of classes."""


@register("metric", "GoogLeNetTopkAcc")
@register("metric")
class TopkAcc(Metric):
    """The fraction of samples whose label is among the k classes with the highest scores, for each
    k.

    Among equal scores the lower class index comes first, as with `argmax`. Where the label's own
    score is not a number it comes last, so that a network that has diverged gets 0. Hits are
    counted as integers on the device, so the result does not depend on the batch size.

    Soft labels are not taken: an image that Mixup made of two has no class that could be hit.

    PaddleClas calls it GoogLeNetTopkAcc where a network has auxiliary heads, of which none counts.

    A k that is not below `class_num` (when that is known) is left out: it would always give 1.

    Raises:
        ConfigError: no k is left.
    """

    def __init__(
        self,
        topk: Union[Count, Annotated[List[Count], Field(min_length=1)]] = [1, 5],  # noqa: B006 - read only, and shown as the default
        class_num: Provided[Optional[int]] = None,
    ) -> None:
        wanted = [topk] if isinstance(topk, int) else list(dict.fromkeys(topk))
        self.topk = _possible(wanted, class_num)
        self.reset()

    @property
    def names(self) -> List[str]:
        """Such as ["top1", "top5"]."""
        return [f"top{k}" for k in self.topk]

    def reset(self) -> None:
        """Set all counts to zero."""
        self._count = 0
        self._hits = paddle.zeros([len(self.topk)], dtype="int64")

    def update(self, outputs: Outputs, labels: Labels) -> None:
        """Count the batch's hits on the device; see `Metric.update`."""
        logits = main_logits(outputs).detach()
        if logits.shape[0] == 0:
            return
        rank = _rank(logits, labels.values.unsqueeze(1))
        hits = [(rank < k).astype("int64").sum() for k in self.topk]
        self._hits = self._hits + paddle.stack(hits)
        self._count += logits.shape[0]

    def compute(self) -> Dict[str, float]:
        """Return hits divided by samples, for each k."""
        hits = self._hits.tolist()
        fractions = [hit / self._count if self._count else float("nan") for hit in hits]
        return dict(zip(self.names, fractions))

    def state(self) -> Dict[str, float]:
        """Return the numbers of samples and of hits; those of several processes add up."""
        hits = map(float, self._hits.tolist())
        return {"count": float(self._count), **dict(zip(self.names, hits))}

    def load_state(self, state: Mapping[str, float]) -> None:
        """Go on from what `state` returned; a `CheckpointError` says if it was for another topk."""
        expected = ["count", *self.names]
        if sorted(state) != sorted(expected):
            wanted, given = ", ".join(expected), ", ".join(state) or "nothing"
            raise CheckpointError(f"the state of TopkAcc needs {wanted}; it has {given}")
        self._count = int(state["count"])
        self._hits = paddle.to_tensor([int(state[name]) for name in self.names], dtype="int64")


def _possible(wanted: Sequence[int], class_num: Optional[int]) -> List[int]:
    if class_num is None:
        return list(wanted)
    kept = [k for k in wanted if k < class_num]
    if not kept:
        dropped = ", ".join(f"top{k}" for k in wanted)
        raise ConfigError(
            f"TopkAcc.topk: with {class_num} classes {dropped} is always 1; add a k below"
        )
    return kept


def _rank(logits: paddle.Tensor, labels: paddle.Tensor) -> paddle.Tensor:
    """Return how many classes come before the label [n, 1], as int64 [n].

    Those that come behind are counted, since every comparison with nan is false.
    """
    own = paddle.take_along_axis(logits, labels, axis=1)
    columns = paddle.arange(logits.shape[-1], dtype=labels.dtype).unsqueeze(0)
    behind = (logits < own) | ((logits == own) & (columns >= labels))
    return logits.shape[-1] - behind.astype("int64").sum(axis=1)
