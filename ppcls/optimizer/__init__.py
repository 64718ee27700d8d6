"""Optimisers, learning-rate schedules and weight penalties.

- `algorithms`: the update rules, built with ``part.build(model=, epochs=, steps_per_epoch=)``
- `core`: `Optimizer`, what the rules have in common: rate, clipping, decay, exact state
- `schedule`: the learning rate as a pure function of the step; needs no Paddle
- `regularizer`: L1 and L2
"""

from __future__ import annotations
