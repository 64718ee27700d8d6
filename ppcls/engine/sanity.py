"""Ends a run whose loss or weights are no numbers any more, before they are judged or saved."""

from __future__ import annotations

import math

import paddle

from ppcls.engine.checkpoint import CheckpointFolder, TrainState
from ppcls.engine.meter import Meter
from ppcls.engine.world import World
from ppcls.errors import TrainingError
from ppcls.optimizer.schedule import Schedule


class FiniteCheck:
    """Looks for NaN and infinity in all processes, and says between which steps they came up.

    Attributes:
        sound_until: the last step after which the loss was known to be finite.
    """

    def __init__(self, schedule: Schedule, checkpoints: CheckpointFolder, world: World) -> None:
        """Keep where learning rates come from, and where the last good checkpoint is."""
        self.schedule, self.checkpoints, self.world = schedule, checkpoints, world
        self.sound_until = 0

    def loss(self, meter: Meter, state: TrainState) -> None:
        """Check the loss since the last look; this is where the host waits for the device.

        Raises:
            TrainingError: naming the steps between which it happened.
        """
        if not math.isfinite(meter.window_loss()):
            raise TrainingError(self._message("loss", self.sound_until, state))
        self.sound_until = state.step

    def weights(self, network: paddle.nn.Layer, state: TrainState) -> None:
        """Check all weights.

        Raises:
            TrainingError: naming the step by which it happened.
        """
        finite = [paddle.isfinite(weight).all() for weight in network.parameters()]
        if self.world.any(not all(flag.item() for flag in finite)):
            raise TrainingError(self._message("weights", state.step - 1, state))

    def _message(self, what: str, sound_until: int, state: TrainState) -> str:
        lr = self.schedule.at(max(0, state.step - 1))
        return (
            f"the {what} became NaN or Inf between steps {sound_until} and {state.step} "
            f"(epoch {state.epoch + 1}), learning rate {lr:g}. {self._last_good()} "
            "Usual causes: a learning rate that is too high (lower Optimizer.lr.learning_rate, or "
            "add warmup_epoch), or no gradient clipping (Optimizer.clip_norm)"
        )

    def _last_good(self) -> str:
        paths = self.checkpoints.paths()
        return (
            f"The last good checkpoint is {paths[-1]}."
            if paths
            else "No checkpoint had been written yet."
        )
