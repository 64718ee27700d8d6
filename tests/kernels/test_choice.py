"""Which library computes a convolution, and where that is remembered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcls.arch.acceleration import accelerate
from ppcls.kernels.choice import (
    Choices,
    choices_of,
    describe_convolution,
    give_choices,
    measured_seconds,
)
from ppcls.kernels.geometry import Geometry
from ppcls.kernels.onednn import Unavailable

GEOMETRY = Geometry(
    source=(2, 16, 9, 9),
    weight=(16, 16, 3, 3),
    stride=(1, 1),
    padding=(1, 1, 1, 1),
    dilation=(1, 1),
    groups=1,
    bias=True,
    act="relu",
)


class Clock:
    """Measures what it is told to, and counts."""

    def __init__(self, paddle: float) -> None:
        self.paddle, self.asked = paddle, 0

    def __call__(self, geometry: Geometry, order: str, with_gradients: bool) -> Dict[str, float]:
        self.asked += 1
        return {"onednn": 1.0, "paddle": self.paddle}


@pytest.mark.parametrize(("paddle", "chosen"), [(0.5, True), (0.95, False), (2.0, False)])
def test_paddle_is_chosen_where_it_is_clearly_faster(
    paddle: float, chosen: bool, tmp_path: Path
) -> None:
    clock, path = Clock(paddle), tmp_path / "operators/found.json"
    choices = Choices(path, clock)
    assert choices.paddle_computes(GEOMETRY, "NCHW16c", True) is chosen
    assert choices.paddle_computes(GEOMETRY, "NCHW16c", True) is chosen and clock.asked == 1
    key = describe_convolution(GEOMETRY, "NCHW16c", True)
    assert json.loads(path.read_text()) == {key: "paddle" if chosen else "onednn"}
    # The next process measures nothing, and other shapes, layouts and passes are others.
    again = Choices(path, clock)
    assert again.paddle_computes(GEOMETRY, "NCHW16c", True) is chosen and clock.asked == 1
    again.paddle_computes(GEOMETRY, "NCHW", True)
    again.paddle_computes(GEOMETRY, "NCHW16c", False)
    again.paddle_computes(GEOMETRY._replace(stride=(2, 2)), "NCHW16c", True)
    assert clock.asked == 4 and len(again.used) == 4


def test_a_run_goes_on_with_what_it_used(tmp_path: Path) -> None:
    path, clock = tmp_path / "found.json", Clock(0.5)
    first = Choices(path, clock)
    first.paddle_computes(GEOMETRY, "NCHW", True)
    other = Choices(tmp_path / "elsewhere.json", Clock(2.0))
    other.take(first.used)
    assert other.paddle_computes(GEOMETRY, "NCHW", True), "although oneDNN is faster there"
    assert not (tmp_path / "elsewhere.json").exists(), "what another machine found is not kept"


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"a": "cuda"}', b"\xff\xfe", b"{" * 9999])
def test_a_damaged_file_is_measured_anew(content: bytes, tmp_path: Path) -> None:
    path, clock = tmp_path / "found.json", Clock(0.5)
    path.write_bytes(content)
    assert Choices(path, clock).paddle_computes(GEOMETRY, "NCHW", True) and clock.asked == 1
    assert "paddle" in path.read_text()


def test_what_onednn_cannot_do_and_bfloat16_need_no_clock(tmp_path: Path) -> None:
    def unable(*given: Any) -> Dict[str, float]:
        raise Unavailable("no such operator")

    choices = Choices(tmp_path / "found.json", unable)
    assert choices.paddle_computes(GEOMETRY, "NCHW", True)
    assert not choices.paddle_computes(GEOMETRY._replace(dtype="bfloat16"), "NCHW", True)


@pytest.mark.parametrize("order", ["NCHW", "NCHW16c", "NHWC"])
@pytest.mark.parametrize("with_gradients", [True, False])
def test_both_are_measured_and_no_random_number_is_drawn(order: str, with_gradients: bool) -> None:
    paddle.seed(7)
    expected = paddle.randn([3]).numpy()
    paddle.seed(7)
    with paddle.set_grad_enabled(with_gradients):
        found = measured_seconds(GEOMETRY, order, with_gradients)
    assert set(found) == {"onednn", "paddle"} and all(0 < one < 10 for one in found.values())
    assert np.array_equal(paddle.randn([3]).numpy(), expected)


def test_a_network_computes_the_same_by_either(tmp_path: Path) -> None:
    results: List[List[np.ndarray]] = []
    for paddle_seconds in (0.5, 2.0):
        paddle.seed(0)
        network = nn.Sequential(nn.Conv2D(3, 16, 3, stride=2), nn.ReLU(), nn.Conv2D(16, 8, 1))
        accelerate(network)
        clock = Clock(paddle_seconds)
        give_choices(network, Choices(tmp_path / f"{paddle_seconds}.json", clock))
        y = network(paddle.arange(2 * 3 * 81, dtype="float32").reshape([2, 3, 9, 9]) / 100)
        y.sum().backward()
        gradients = [one.grad.numpy() for one in network.parameters()]
        results.append([y.numpy(), *gradients])
        found = choices_of(network)
        assert found is not None and clock.asked == len(found.used) > 0
        assert set(found.used.values()) == {"paddle" if paddle_seconds < 1 else "onednn"}
    for one, other in zip(*results):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    assert choices_of(nn.Linear(2, 2)) is None
