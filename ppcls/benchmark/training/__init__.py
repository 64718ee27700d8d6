"""How fast a recipe trains on this machine, and what holds it up: the loader, the step, or the
trainer around it.

`ppcls.benchmark.training.measure.measure_training` runs it.
"""
