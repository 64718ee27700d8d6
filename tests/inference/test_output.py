from __future__ import annotations

import os

from ppcls.inference.output import as_text
from ppcls.inference.predictor import Prediction


def test_text_has_a_block_per_image() -> None:
    good = Prediction("a b.png", [3, 1], ['tench, "x"', "狗"], [0.75, 0.0000123])
    assert as_text(good).splitlines() == [
        "a b.png",
        '   75.000%  tench, "x" (class 3)',
        "    0.001%  狗 (class 1)",
    ]
    bad = Prediction("c.png", error="the PNG file is truncated")
    assert as_text(bad) == "c.png\n  error: the PNG file is truncated"
    odd = Prediction(os.fsdecode(b"\xff.png"), [1], ["one"], [1.0])
    assert as_text(odd).encode("utf-8").startswith(b"\\udcff.png\n")


def test_text_says_unknown_before_the_classes() -> None:
    doubtful = Prediction("a.png", [0], ["cat"], [0.4], "unknown")
    assert as_text(doubtful).splitlines() == [
        "a.png",
        "  unknown; the most probable would be:",
        "   40.000%  cat (class 0)",
    ]


def test_names_do_not_steer_the_terminal() -> None:
    odd = Prediction("a\x1b[2J\nb.png", [1], ["\u202egnp.exe"], [1.0])
    assert as_text(odd) == "a\\x1b[2J\\nb.png\n  100.000%  \\u202egnp.exe (class 1)"
