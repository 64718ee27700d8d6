"""Paddle is made ready before the tests of this folder import it."""

from __future__ import annotations

from ppcls import runtime

runtime.prepare()
