"""Networks that compute by oneDNN compute the same."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import numpy as np
import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model
from ppcls.arch.acceleration import accelerate
from ppcls.arch.freezing import freeze, freeze_statistics
from ppcls.arch.layers import ConvAct, ConvBNAct, DropPath
from ppcls.arch.network import Network
from ppcls.arch.summary import summarise
from ppcls.kernels.feature_map import FeatureMap
from ppcls.kernels.layout import Layout
from tests.kernels.processor import needs_bfloat16

NETWORKS = {
    # name: side of an image
    "EfficientNetLite0": 48,
    "MobileNetV1_x0_25": 64,
    "ResNet18": 64,
    "SqueezeNet1_1": 64,
    "DenseNet121": 32,
    "MobileNetV3_small_x0_35": 32,
    "ShuffleNetV2_x0_25": 32,
    "GoogLeNet": 64,
}


def pair(name: str, side: int, frozen: bool) -> Tuple[Network, Network, paddle.Tensor]:
    """Return a network, the same with oneDNN, and images."""
    paddle.seed(0)
    own = create_model(name, class_num=5)
    if frozen:
        freeze_statistics(own)
    fast = copy.deepcopy(own)
    assert accelerate(fast).startswith("oneDNN 3.")
    return own, fast, paddle.randn([4, 3, side, side])


def loss_and_gradients(network: Network, images: paddle.Tensor) -> Tuple[float, List[np.ndarray]]:
    paddle.seed(1)
    network.train()
    outputs = network(images)
    logits = paddle.concat(outputs) if isinstance(outputs, list) else outputs
    loss = (nn.functional.log_softmax(logits) * paddle.randn(logits.shape)).mean()
    loss.backward()
    grads = [p.grad.numpy() for p in network.parameters() if not p.stop_gradient]
    return loss.item(), grads


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "training"])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "SqueezeNet1_1" else pytest.mark.slow)
        for name in NETWORKS
    ],
)
def test_results_and_gradients_are_paddles(name: str, frozen: bool) -> None:
    own, fast, images = pair(name, NETWORKS[name], frozen)
    for network in (own, fast):
        network.eval()
    with paddle.no_grad():
        expected, found = own(images).numpy(), fast(images).numpy()
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    (loss, grads), (my_loss, my_grads) = (loss_and_gradients(net, images) for net in (own, fast))
    assert my_loss == pytest.approx(loss, rel=1e-4, abs=5e-4)  # a difference of larger sums
    square = sum(float((one**2).sum()) for one in grads)
    off = sum(float(((one - other) ** 2).sum()) for one, other in zip(grads, my_grads))
    # Some values pass a kink of ReLU on the other side.
    assert (off / square) ** 0.5 < 0.02
    for (key, value), other in zip(own.state_dict().items(), fast.state_dict().values()):
        if key.endswith(("_mean", "_variance")):
            assert np.allclose(value.numpy(), other.numpy(), rtol=1e-3, atol=1e-4), key


@needs_bfloat16
@pytest.mark.parametrize(
    "name",
    [
        "SqueezeNet1_1",
        *(
            pytest.param(name, marks=[pytest.mark.slow, pytest.mark.exhaustive])
            for name in NETWORKS
            if name != "SqueezeNet1_1"
        ),
    ],
)
def test_bfloat16_is_near_and_only_in_training(name: str) -> None:
    """With fixed statistics: those of few images are chaotic in a network that has learnt nothing,
    in float32 as well.
    """
    own, _, images = pair(name, NETWORKS[name], frozen=True)
    fast = copy.deepcopy(own)
    accelerate(fast, "bfloat16")
    (loss, grads), (my_loss, my_grads) = (loss_and_gradients(net, images) for net in (own, fast))
    assert my_loss == pytest.approx(loss, rel=0.05, abs=0.02)
    assert all(grad.dtype == np.float32 for grad in my_grads)
    square = sum(float((one**2).sum()) for one in grads)
    product = sum(float((one * other).sum()) for one, other in zip(grads, my_grads))
    mine = sum(float((one**2).sum()) for one in my_grads)
    assert product / (square * mine) ** 0.5 > 0.95  # the angle between the gradients
    for network in (own, fast):
        network.eval()
    with paddle.no_grad():
        expected, found = own(images).numpy(), fast(images).numpy()
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


@needs_bfloat16
@pytest.mark.slow
def test_branches_after_frozen_stages_are_trained_in_bfloat16() -> None:
    network = create_model("InceptionV2", class_num=3)
    freeze(network, 7)
    accelerate(network, "bfloat16")
    network.train()
    network(paddle.randn([2, 3, 64, 64])).sum().backward()
    trained = [one for one in network.parameters() if not one.stop_gradient]
    assert trained and all(one.grad is not None for one in trained)


@needs_bfloat16
def test_dropping_nothing_changes_nothing() -> None:
    layout = Layout((1, 16, 2, 2), "NHWC", "bfloat16")
    given = FeatureMap(paddle.ones([1, 2, 2, 16], "bfloat16"), layout)
    judging = nn.Dropout(0.5), DropPath(0.5), nn.Dropout(0.5, mode="downscale_in_infer")
    for layer in judging:
        layer.eval()
    *others, halved = judging
    for layer in (nn.Dropout(0.0), DropPath(0.0), *others):
        accelerate(layer)
        assert layer(given) is given
    accelerate(halved)
    assert (halved(given).plain() == 0.5).all().item()


def test_names_kinds_and_rows_stay() -> None:
    own, fast, _ = pair("MobileNetV1_x0_25", 32, frozen=True)
    assert list(own.state_dict()) == list(fast.state_dict())
    assert isinstance(fast, type(own)) and type(fast).__name__ == type(own).__name__
    assert summarise(fast, [3, 32, 32]) == summarise(own, [3, 32, 32])
    assert accelerate(fast)  # a second time changes nothing


def test_layers_of_others_get_and_give_tensors() -> None:
    seen = []

    class Note(nn.Layer):
        def forward(self, x: paddle.Tensor) -> paddle.Tensor:
            seen.append(type(x))
            return x.mean([2, 3])

    network = nn.Sequential(nn.Conv2D(3, 16, 3), nn.ReLU(), Note())
    accelerate(network)
    assert isinstance(network(paddle.zeros([1, 3, 8, 8])), paddle.Tensor)
    assert seen and FeatureMap not in seen


@pytest.mark.slow
def test_a_static_graph_is_paddles(tmp_path: Path) -> None:
    own, fast, images = pair("MobileNetV1_x0_25", 32, frozen=True)
    spec = [paddle.static.InputSpec([None, 3, 32, 32], "float32")]
    fast.eval()
    paddle.jit.save(
        paddle.jit.to_static(fast, input_spec=spec, full_graph=True), str(tmp_path / "net")
    )
    own.eval()
    found = paddle.jit.load(str(tmp_path / "net"))(images)
    assert np.allclose(found.numpy(), own(images).numpy(), rtol=1e-4, atol=1e-5)


_STEPS = """
import paddle, hashlib
from ppcls.arch import create_model
from ppcls.arch.acceleration import accelerate
paddle.seed(0)
network = create_model("EfficientNetLite0", class_num=3)
accelerate(network)
optimizer = paddle.optimizer.SGD(0.1, parameters=network.parameters())
for step in range(2):
    paddle.seed(step)
    network(paddle.randn([4, 3, 64, 64])).square().mean().backward()
    optimizer.step()
    optimizer.clear_grad()
arrays = [value.numpy().tobytes() for value in network.state_dict().values()]
print(hashlib.sha256(b"".join(arrays)).hexdigest())
"""


@pytest.mark.slow
def test_two_processes_compute_the_same_bits() -> None:
    command = [sys.executable, "-c", _STEPS]
    found = {subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)}
    assert len(found) == 1 and len(found.pop().strip()) == 64


class _Doubled(nn.Conv2D):
    """A convolution that says more than its kernel."""

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize("block", [ConvBNAct, ConvAct])
@pytest.mark.parametrize("training", [True, False])
def test_convolutions_that_compute_something_else_are_asked(block: type, training: bool) -> None:
    layer = nn.Sequential(block(3, 4, 3), block(4, 4, 3))
    layer[1].conv = _Doubled(4, 4, 3, padding=1)
    layer.train() if training else layer.eval()
    x = paddle.randn([2, 3, 8, 8])
    expected = layer(x).numpy()
    accelerate(layer)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-3, atol=1e-4)
