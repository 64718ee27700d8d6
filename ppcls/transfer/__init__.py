"""Transfer learning on one's own photos: features of a network that was trained on ImageNet, a
linear head fitted on them, and a recipe that fine-tunes from there within a budget of time.
"""

from __future__ import annotations

BUDGET = "5m"
"""Of time, where none is given."""
