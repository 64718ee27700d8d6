"""How fast bundles predict on this machine: the scenarios of MLPerf Inference, engine beside engine.

`ppcls.benchmark.deploy.benchmark` runs it; statistics, scenarios and the order in which engines
take turns are functions of a clock, so that they are tested without one.
"""
