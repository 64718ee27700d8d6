"""The optimiser's state: saved under structured names, continued to the bit."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from ppcls.errors import CheckpointError, ConfigError
from ppcls.registry import create

CASES = {
    "SGD": {"weight_decay": 1e-2},
    "Momentum": {"regularizer": {"name": "L2", "coeff": 1e-2}, "clip_norm": 0.5},
    "Momentum-L1": {"regularizer": {"name": "L1", "coeff": 1e-3}, "clip_norm_global": 0.5},
    "Momentum-Nesterov": {
        "use_nesterov": True,
        "one_dim_param_no_weight_decay": True,
        "weight_decay": 1e-2,
    },
    "Adam": {"weight_decay": 1e-2, "clip_value": 0.1},
    "AdamW": {"weight_decay": 0.1, "one_dim_param_no_weight_decay": True, "clip_norm_global": 0.5},
    "Lamb": {"weight_decay": 0.1, "one_dim_param_no_weight_decay": True},
    "Lion": {"weight_decay": 0.1, "clip_adaptive": 0.05},
    "Muon": {"weight_decay": 0.1, "one_dim_param_no_weight_decay": True},
    "RMSProp": {"momentum": 0.9, "epsilon": 1e-3, "regularizer": {"name": "L2", "coeff": 1e-2}},
    "RMSProp-centered": {"centered": True, "clip_norm": 0.5},
}


class Network(paddle.nn.Layer):
    """A convolution, a normalisation, linear layers, and a part that only some steps use."""

    def __init__(self):
        super().__init__()
        self.conv = paddle.nn.Conv2D(1, 3, 3)
        self.norm = paddle.nn.BatchNorm2D(3)
        self.rarely = paddle.nn.Linear(48, 48)
        self.head = paddle.nn.Linear(48, 4)

    def forward(self, x, step):
        x = paddle.nn.functional.relu(self.norm(self.conv(x))).flatten(1)
        return self.head(self.rarely(x) if step % 3 == 0 else x)


def network(layers_before=0):
    """Return a network and its optimiser; `layers_before` shifts the names that Paddle gives."""
    for _ in range(layers_before):
        paddle.nn.Conv2D(1, 1, 1), paddle.nn.BatchNorm2D(1), paddle.nn.Linear(1, 1)
    model = Network()
    rng = np.random.default_rng(7)
    for parameter in model.parameters():
        if not parameter.stop_gradient:
            parameter.set_value(rng.normal(0, 0.3, parameter.shape).astype("float32"))
    return model


def optimizer_for(model, case):
    written = {"lr": {"name": "Cosine", "learning_rate": 0.05, "warmup_epoch": 1}, **CASES[case]}
    name = case.partition("-")[0]
    return create("optimizer", name, written, model=model, epochs=3, steps_per_epoch=4)


def train(model, optimizer, steps):
    for step in steps:
        rng = np.random.default_rng([1, step])
        images = paddle.to_tensor(rng.normal(0, 1, [5, 1, 6, 6]).astype("float32"))
        labels = paddle.to_tensor(rng.integers(0, 4, 5))
        optimizer.set_step(step)
        paddle.nn.functional.cross_entropy(model(images, step), labels).backward()
        optimizer.step()
        optimizer.clear_grad()


def arrays_of(model):
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


def same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].dtype == right[name].dtype
        assert left[name].tobytes() == right[name].tobytes(), name


def save(path, model, optimizer):
    np.savez(path / "model.npz", **arrays_of(model))
    np.savez(path / "state.npz", **optimizer.state_arrays(model))


def load(path, model, optimizer):
    with np.load(path / "model.npz") as weights:
        model.set_state_dict({name: weights[name] for name in weights.files})
    with np.load(path / "state.npz") as state:
        optimizer.load_state_arrays(model, {name: state[name] for name in state.files})


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("stop", [0, 5])
def test_continuing_under_other_names_is_the_same_to_the_bit(case, stop, tmp_path):
    model = network()
    optimizer = optimizer_for(model, case)
    train(model, optimizer, range(stop))
    save(tmp_path, model, optimizer)
    train(model, optimizer, range(stop, 12))

    other = network(layers_before=2)
    assert not {p.name for p in model.parameters()} & {p.name for p in other.parameters()}
    continued = optimizer_for(other, case)
    load(tmp_path, other, continued)
    train(other, continued, range(stop, 12))
    same(arrays_of(model), arrays_of(other))
    same(optimizer.state_arrays(model), continued.state_arrays(other))


@pytest.mark.slow
def test_continuing_in_another_process_is_the_same_to_the_bit(tmp_path, root):
    wanted = {}
    for case in CASES:
        model = network()
        optimizer = optimizer_for(model, case)
        train(model, optimizer, range(5))
        (tmp_path / case).mkdir()
        save(tmp_path / case, model, optimizer)
        train(model, optimizer, range(5, 12))
        wanted[case] = arrays_of(model)
    command = [sys.executable, __file__, str(tmp_path), json.dumps(list(CASES))]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(root)})
    for case, arrays in wanted.items():
        with np.load(tmp_path / case / "end.npz") as end:
            same(arrays, {name: end[name] for name in end.files})


@pytest.mark.parametrize("case", CASES)
def test_loading_also_replaces_a_state_that_is_already_in_use(case, tmp_path):
    model = network()
    optimizer = optimizer_for(model, case)
    train(model, optimizer, range(4))
    save(tmp_path, model, optimizer)
    train(model, optimizer, range(4, 8))
    wanted = arrays_of(model)
    load(tmp_path, model, optimizer)
    train(model, optimizer, range(4, 8))
    same(wanted, arrays_of(model))


@pytest.mark.parametrize(
    "case, kinds",
    [
        ("SGD", set()),
        ("Momentum", {"velocity"}),
        ("Adam", {"moment1", "moment2", "beta1_pow_acc", "beta2_pow_acc"}),
        ("AdamW", {"moment1", "moment2", "beta1_pow_acc", "beta2_pow_acc"}),
        ("Lamb", {"moment1", "moment2", "beta1_pow_acc", "beta2_pow_acc"}),
        ("Lion", {"momentum"}),
        ("RMSProp", {"momentum", "mean_square", "mean_grad"}),
    ],
)
def test_names_are_the_networks_own(case, kinds):
    model = network(layers_before=1)
    state = optimizer_for(model, case).state_arrays(model)
    trainable = ["conv.weight", "conv.bias", "norm.weight", "norm.bias"]
    trainable += ["rarely.weight", "rarely.bias", "head.weight", "head.bias"]
    assert set(state) == {f"{name}.{kind}" for name in trainable for kind in kinds}


def test_the_state_is_a_copy():
    model = network()
    optimizer = optimizer_for(model, "Adam")
    train(model, optimizer, range(2))
    state = optimizer.state_arrays(model)
    before = {name: array.copy() for name, array in state.items()}
    train(model, optimizer, range(2, 4))
    same(state, before)


def test_frozen_parameters_have_no_state_and_stay():
    model = network()
    for parameter in model.conv.parameters():
        parameter.stop_gradient = True
    before = model.conv.weight.numpy().copy()
    optimizer = optimizer_for(model, "Momentum")
    train(model, optimizer, range(3))
    assert not any(name.startswith("conv") for name in optimizer.state_arrays(model))
    np.testing.assert_array_equal(model.conv.weight.numpy(), before)


def test_a_network_without_anything_to_train_is_refused():
    with pytest.raises(ConfigError, match="nothing to train"):
        optimizer_for(paddle.nn.ReLU(), "SGD")


def test_a_state_that_does_not_fit_changes_nothing_and_says_why():
    model = network()
    optimizer = optimizer_for(model, "Momentum")
    train(model, optimizer, range(2))
    good = optimizer.state_arrays(model)
    adam = optimizer_for(model, "Adam").state_arrays(model)
    narrow = {**good, "head.weight.velocity": np.zeros([48, 9], "float32")}
    double = {name: array.astype("float64") for name, array in good.items()}
    partial = {name: array for name, array in good.items() if name != "conv.bias.velocity"}
    for arrays, message in (
        (adam, r"8 missing \(conv.weight.velocity.*32 unexpected \(conv.weight.moment1"),
        (narrow, r"head.weight.velocity: float32 \[48, 9\] instead of float32 \[48, 4\]"),
        (double, "8 of another form"),
        (partial, r"1 missing \(conv.bias.velocity\)"),
        ({}, "8 missing"),
    ):
        with pytest.raises(CheckpointError, match=message):
            optimizer.load_state_arrays(model, arrays)
        same(optimizer.state_arrays(model), good)


@pytest.mark.parametrize("case", ["SGD", "Momentum", "Adam", "AdamW", "RMSProp"])
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_master_weights_are_part_of_the_state(case, precision):
    def half():
        model = network(layers_before=1)
        for layer in (model.conv, model.rarely, model.head):
            layer.to(dtype=precision)
        optimizer = optimizer_for(model, case)
        optimizer.inner._multi_precision = True
        return model, optimizer

    model, optimizer = half()
    state = optimizer.state_arrays(model)
    assert state["head.weight.master_weight"].dtype == np.float32
    assert "norm.weight.master_weight" not in state
    rng = np.random.default_rng(0)
    changed = {name: rng.normal(0, 1, a.shape).astype(a.dtype) for name, a in state.items()}
    other, continued = half()
    continued.load_state_arrays(other, changed)
    same(continued.state_arrays(other), changed)


def test_an_exemption_ends_with_its_optimiser():
    model = network()
    exempting = optimizer_for(model, "Momentum-Nesterov")
    assert model.norm.bias.regularizer is not None
    optimizer_for(model, "Momentum")
    assert model.norm.bias.regularizer is None
    assert exempting.inner is not None


def test_a_networks_own_regulariser_is_kept():
    attribute = paddle.ParamAttr(regularizer=paddle.regularizer.L2Decay(0.5))
    model = paddle.nn.Linear(2, 2, weight_attr=attribute)
    written = {"lr": 0.1, "weight_decay": 0.1}
    create("optimizer", "SGD", written, model=model)
    assert model.weight.regularizer._coeff == 0.5


def test_a_text_that_matches_nothing_is_pointed_out(caplog):
    written = {"lr": 0.1, "weight_decay": 0.1, "no_weight_decay_name": "bias token"}
    with caplog.at_level(logging.WARNING, "ppcls"):
        create("optimizer", "SGD", written, model=paddle.nn.Linear(2, 2))
    assert "'token'" in caplog.text and "'bias'" not in caplog.text


def main(folder, cases):
    """Continue what the test has saved, with layers before that shift Paddle's names."""
    for case in json.loads(cases):
        model = network(layers_before=3)
        optimizer = optimizer_for(model, case)
        load(Path(folder) / case, model, optimizer)
        train(model, optimizer, range(5, 12))
        np.savez(Path(folder) / case / "end.npz", **arrays_of(model))


if __name__ == "__main__":
    main(*sys.argv[1:])
