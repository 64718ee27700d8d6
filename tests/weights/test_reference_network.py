"""Networks built from arrays under another toolkit's names."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
import paddle
import pytest

from ppcls.arch import create_model
from ppcls.errors import CheckpointError, ConfigError
from ppcls.weights import from_reference
from ppcls.weights.names.toolkits import reference_names

Arrays = Dict[str, np.ndarray]


@pytest.fixture(scope="module")
def state() -> Arrays:
    """A small network's arrays, as torchvision names and lays them out: 7 classes, grey images."""
    paddle.seed(0)
    network = create_model("SqueezeNet1_1_tv", class_num=7, in_channels=1)
    names = reference_names("torchvision", network)
    return {names[name]: value.numpy() for name, value in network.state_dict().items()}


def _logits(state: Any) -> np.ndarray:
    network = from_reference("torchvision", "squeezenet1_1", state)
    assert (network.class_num, network.in_channels, network.training) == (7, 1, False)
    with paddle.no_grad():
        return network(paddle.ones([1, 1, 64, 64])).numpy()


def test_sizes_and_prefix_are_those_of_the_arrays(state: Arrays) -> None:
    prefixed = {f"module.{name}": array for name, array in state.items()}
    assert np.array_equal(_logits(state), _logits(prefixed))


def test_any_precision_becomes_the_networks(state: Arrays) -> None:
    double = {name: array.astype("float64") for name, array in state.items()}
    half = {name: array.astype("float16") for name, array in state.items()}
    assert np.array_equal(_logits(double), _logits(state))
    np.testing.assert_allclose(_logits(half), _logits(state), rtol=0.01, atol=0.01)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([0.0] * 7, "is <class 'list'>; tensors become arrays by"),
        (np.array(["0.5"] * 7), "is an array of <U3"),
        (np.zeros(7, "complex64"), "is an array of complex64"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(state: Arrays, value: Any, words: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        _logits({**state, "classifier.1.bias": value})
    assert "'classifier.1.bias'" in str(caught.value) and words in str(caught.value)


def test_what_is_no_dictionary_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"got list; ppcls\.weights\.read"):
        _logits([])


def test_missing_and_further_arrays_are_named(state: Arrays) -> None:
    fewer = {name: array for name, array in state.items() if name != "classifier.1.bias"}
    with pytest.raises(CheckpointError, match=r"squeezenet1_1.*1 missing.*conv10\.conv\.bias"):
        _logits(fewer)
    with pytest.raises(CheckpointError, match=r"1 not in the network \(more\)"):
        _logits({**state, "more": np.zeros(1)})


def test_unknown_names_get_the_nearest(state: Arrays) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'torchvision'"):
        from_reference("torchvison", "squeezenet1_1", state)
    with pytest.raises(ConfigError, match="Did you mean 'squeezenet1_1'"):
        from_reference("torchvision", "SqueezeNet1_1", state)


def test_a_whole_checkpoint_instead_of_its_arrays_is_explained(state: Arrays) -> None:
    with pytest.raises(CheckpointError, match="a dictionary, 'state_dict': if that has the arrays"):
        _logits({"state_dict": state, "epoch": np.zeros(1)})
