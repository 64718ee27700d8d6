"""What training leaves as it is."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from ppcls.arch import build
from ppcls.arch.freezing import freeze, freeze_statistics
from ppcls.arch.network import Network
from ppcls.errors import ConfigError
from ppcls.registry import Part, create


@pytest.fixture()
def network() -> Network:
    paddle.seed(0)
    return build(Part("arch", "MobileNetV1_x0_25", {"class_num": 3}))


def trained(network: Network) -> dict[str, np.ndarray]:
    """Return the arrays after a step with a large rate; before, they were all another."""
    before = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    arguments = {"lr": {"name": "Constant", "learning_rate": 1.0}}
    optimizer = create("optimizer", "SGD", arguments, model=network)
    network.train()
    images = paddle.rand([4, 3, 32, 32])
    loss = paddle.nn.functional.cross_entropy(network(images), paddle.to_tensor([0, 1, 2, 0]))
    loss.backward()
    optimizer.set_step(0)
    optimizer.step()
    after = network.state_dict()
    return {name: np.abs(after[name].numpy() - value).max() for name, value in before.items()}


@pytest.mark.parametrize("wanted", [2, ["stem", "stage1"]], ids=str)
def test_frozen_stages_keep_parameters_and_statistics(network: Network, wanted) -> None:
    names = network.stages[:2]
    if isinstance(wanted, list):
        wanted = list(names)
    assert freeze(network, wanted) == names
    change = trained(network)
    frozen = {name for name in change if name.partition(".")[0] in names}
    assert frozen and all(change[name] == 0 for name in frozen)
    free = [name for name in change if name not in frozen and name.endswith(("weight", "_mean"))]
    assert free and all(change[name] > 0 for name in free)


def test_all_stages_leave_the_head(network: Network) -> None:
    assert freeze(network, "stages") == network.stages
    assert {name.partition(".")[0] for name, by in trained(network).items() if by} == {"head"}


def test_statistics_stay_while_scale_and_shift_learn(network: Network) -> None:
    assert freeze_statistics(network) > 0
    change = trained(network)
    kept = [by for name, by in change.items() if name.endswith(("_mean", "_variance"))]
    assert kept and not any(kept)
    assert all(by > 0 for name, by in change.items() if name.endswith("weight"))


def test_training_and_evaluation_agree_where_statistics_stay(network: Network) -> None:
    freeze_statistics(network)
    images = paddle.rand([2, 3, 32, 32])
    network.train()
    training = network(images).numpy()
    network.eval()
    np.testing.assert_array_equal(training, network(images).numpy())


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (99, r"has \d+ stages, not 99"),
        (["stage99"], "has no stage 'stage99'"),
        (["stem", "stagee1"], "no stage 'stagee1'. Did you mean 'stage1'"),
    ],
    ids=str,
)
def test_unknown_stages_are_named(network: Network, wanted, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        freeze(network, wanted)
