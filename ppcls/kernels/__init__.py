"""Faster operators for CPUs: those of oneDNN, from the library that Paddle's wheels carry.

A `FeatureMap` holds a map in the layout that the operators want, so that it is laid out anew only
where something else reads it; `ppcls.arch.acceleration` lets the layers of a network pass them on.
"""
