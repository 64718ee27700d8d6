"""`results.json` of a training benchmark, in a schema that readers can rely on.

Times are in seconds, memory in bytes. What could not be measured is None.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ppcls.benchmark.results import Count, Fraction, Number, Quantile
from ppcls.checking import Section


class Speed(Section):
    """How fast one part of training is.

    Attributes:
        images_per_second: the median over turns, with its interval.
        step: quantiles of the seconds of a step: the 50th, 90th and 99th percentile.
        variation: the coefficient of variation of the steps.
    """

    images_per_second: Quantile
    step: List[Quantile]
    variation: Optional[Number] = None


class Limits(Section):
    """What the machine does at best.

    Attributes:
        matrix_product: floating-point operations per second, in float32.
        bandwidth: bytes per second that a copy reads and writes, together.
        decoding: image files of this data set per second, by as many threads as the loader has.
        step: images per second of a step that does nothing but the network's multiplications,
            forward and backward, at the speed of `matrix_product`.
    """

    matrix_product: Number
    bandwidth: Number
    decoding: Optional[Number] = None
    step: Optional[Number] = None


class Training(Section):
    """How fast a recipe trains.

    Attributes:
        network: its name.
        kernels: what computes its layers.
        batch: shape of a batch, [n, channels, height, width].
        precision: "float32", or the type of mixed precision.
        workers: threads that read images.
        parts: by the name of the part, see `ppcls.benchmark.training.measure.PARTS`.
        phases: median seconds of "forward", "backward" and "update" of a step.
        data_wait: the fraction of the time of training that is spent waiting for batches.
        headspace: how many times as fast training were with a loader that takes no time.
        trainer_cost: the time of a step in the trainer over that in a bare loop.
        peak_memory: the most memory that the process had; on a GPU, that of the GPU.
        kept_bytes: of the batches that the measurement kept in memory, which the process had as
            well.
        limits: of the machine.
        rounds: how many turns each part had.
        steps: how many steps a turn had, without those to warm up.
        environment: see `ppcls.benchmark.environment`.
        config: the resolved configuration.
    """

    network: str
    kernels: str
    batch: List[Count]
    precision: str
    workers: Count
    parts: Dict[str, Speed]
    phases: Dict[str, Number]
    data_wait: Fraction
    headspace: Quantile
    trainer_cost: Quantile
    peak_memory: Count
    kept_bytes: Count
    limits: Limits
    rounds: Count
    steps: Count
    environment: Dict[str, Any]
    config: Dict[str, Any]


class BatchTrial(Section):
    """What training with a batch size comes to.

    Attributes:
        images_per_second: of the trainer, with batches from the loader.
        step: the median seconds of a batch.
        peak_memory: the most memory that the process had; on a GPU, that of the GPU.
        images: of the training set.
        device_memory: that a GPU has; None on a CPU.
    """

    images_per_second: Number
    step: Number
    peak_memory: Count
    images: Count
    device_memory: Optional[Count] = None
