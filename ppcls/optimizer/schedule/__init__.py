"""Learning-rate schedules: pure functions of the global step, in plain Python.

`schedule.at(step)` depends on nothing but the step and the arguments. That is what makes a resumed
run identical to one that was never interrupted, and what allows a curve to be drawn without
training.

Where the boundaries lie. Training has `epochs * steps_per_epoch` steps, counted from 0, and begins
with a linear warm-up of `warmup_epoch` epochs (rounded to whole steps) from `warmup_start_lr` to
`learning_rate` (`Piecewise`: to `values[0]`), which the first step after the warm-up would have.

- `Piecewise`, `MultiStep` and `Step` count epochs from the start of training, warm-up included:
  `decay_epochs: [30, 60, 90]` changes the rate when epoch 30 (counted from 0) begins, with or
  without warm-up. (PaddleClas 2.x counts from the end of the warm-up; without one, no difference.)
- `Exponential`, `Cyclic` and `OneCycle` begin at the end of the warm-up.
- `Cosine` and `Linear` run from the end of the warm-up to the end of training. Their last value
  would be reached one step after the last one, so every step trains at a rate above it.

`ReduceOnPlateau` depends on evaluations besides; what it has learnt from them is in checkpoints.

With `by_epoch` the unit is the epoch instead of the step: the rate is constant within each epoch,
warm-up included. The formulas are those of `paddle.optimizer.lr`.
"""

from __future__ import annotations

from ppcls.optimizer.schedule import cycles, decays, plateau
from ppcls.optimizer.schedule.base import Factor, Rate, Schedule

__all__ = ["Factor", "Rate", "Schedule", "cycles", "decays", "plateau"]
