"""Several metrics as one."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from ppcls.errors import CheckpointError
from ppcls.labels import Labels
from ppcls.loss.outputs import Outputs
from ppcls.metric.base import Metric
from ppcls.registry import Part, as_part
from ppcls.text import distinct, is_whole_number


class CombinedMetric(Metric):
    """All metrics of a list, in one flat dict whose first key is the main value. No metrics measure
    nothing.

    A key that two of them share gets "_2" the second time.

    Args:
        parts: the metrics: parts, or what a recipe writes, such as `{"TopkAcc": {"topk": 1}}`
        class_num: how many classes there are, where that is known
    """

    def __init__(
        self,
        parts: Sequence[Union[Part, str, Mapping[str, Any]]],
        class_num: Optional[int] = None,
    ) -> None:
        found = [as_part("metric", part) for part in parts]
        self.metrics: List[Metric] = [part.build(class_num=class_num) for part in found]

    @property
    def names(self) -> List[str]:
        """The keys of all metrics, told apart."""
        return distinct([name for metric in self.metrics for name in metric.names])

    def higher_is_better(self, name: str) -> bool:
        """Whether the best model is the one with the highest value of this name."""
        owners = [(metric, own) for metric in self.metrics for own in metric.names]
        metric, own = owners[self.names.index(name)]
        return metric.higher_is_better(own)

    def reset(self) -> None:
        """Reset every metric."""
        for metric in self.metrics:
            metric.reset()

    def update(self, outputs: Outputs, labels: Labels) -> None:
        """Update every metric; see `Metric.update`."""
        for metric in self.metrics:
            metric.update(outputs, labels)

    def compute(self) -> Dict[str, float]:
        """Return every metric's values in one dict with the keys `names`."""
        values = [metric.compute() for metric in self.metrics]
        return dict(zip(self.names, [value for part in values for value in part.values()]))

    def state(self) -> Dict[str, Any]:
        """Return all states in one dict, keys prefixed with the metric's place in the list."""
        return {
            f"{index}.{key}": value
            for index, metric in enumerate(self.metrics)
            for key, value in metric.state().items()
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; a `CheckpointError` says if the list was another."""
        parts: List[Dict[str, Any]] = [{} for _ in self.metrics]
        for key, value in state.items():
            index, _, rest = key.partition(".")
            if not is_whole_number(index) or int(index) >= len(parts):
                raise CheckpointError(f"the state of {len(parts)} metrics cannot hold '{key}'")
            parts[int(index)][rest] = value
        for metric, part in zip(self.metrics, parts):
            metric.load_state(part)
