"""What a network of stages and heads computes, and when."""

from __future__ import annotations

from typing import List

import paddle
import pytest
from paddle import Tensor, nn

from ppcls.arch.network import Level, Network, finest_to_last


class _Scale(nn.Layer):
    """Multiplies, and remembers that it ran."""

    def __init__(self, factor: float, log: List[float]) -> None:
        super().__init__()
        self.factor, self.log = factor, log

    def forward(self, x: Tensor) -> Tensor:
        self.log.append(self.factor)
        return x * self.factor


class _Net(Network):
    stages = ("one", "two", "three")
    aux_heads = {"one": "aux1", "two": "aux2"}

    def __init__(self) -> None:
        super().__init__(class_num=1, in_channels=1)
        self.ran: List[float] = []
        for name, factor in (("three", 5), ("one", 2), ("two", 3), ("head", 7), ("aux1", 11)):
            self.add_sublayer(name, _Scale(factor, self.ran))
        self.aux2 = _Scale(13, self.ran)


def test_stages_run_in_the_order_of_their_list_then_the_head() -> None:
    network = _Net()
    network.eval()
    assert network(paddle.ones([1])).item() == 2 * 3 * 5 * 7
    assert network.ran == [2, 3, 5, 7]
    assert network.features(paddle.ones([1])).item() == 2 * 3 * 5


def test_auxiliary_heads_run_in_training_only_and_come_after_the_logits() -> None:
    network = _Net()
    network.train()
    outputs = [logits.item() for logits in network(paddle.ones([1]))]
    assert outputs == [2 * 3 * 5 * 7, 2 * 11, 2 * 3 * 13]


def test_training_without_auxiliary_heads_gives_the_logits_alone() -> None:
    network = _Net()
    network.aux_heads = {}
    network.train()
    assert network(paddle.ones([1])).item() == 210


def test_the_last_map_of_each_resolution_is_kept_in_running_order() -> None:
    found = finest_to_last("abcd", [8, 16, 24, 32], [2, 2, 1, 2])
    assert found == (Level("a", 8, 2), Level("c", 24, 4), Level("d", 32, 8))


def test_sizes_that_a_caller_asks_for_are_kept() -> None:
    network = _Net()
    assert (network.class_num, network.in_channels) == (1, 1)
    assert network.aux_weight == pytest.approx(0.3)
