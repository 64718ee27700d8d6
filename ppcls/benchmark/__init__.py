"""How fast bundles predict on this machine, in the scenarios of MLPerf Inference.

`ppcls.benchmark.deploy.benchmark` runs it; statistics, scenarios and the order in which engines
take turns are functions of a clock, so that they are tested without one.
"""
