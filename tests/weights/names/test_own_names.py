"""Arrays of other toolkits get our names and our layout."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls.arch import create_model
from ppcls.weights.names.own_names import from_names, to_own_names
from ppcls.weights.names.toolkits import reference_names


def test_a_family_that_was_never_published_keeps_its_names() -> None:
    network = create_model("LeNet")
    assert reference_names("paddleclas", network) == {}
    arrays = {"c1.conv.weight": np.zeros(1), "other": np.ones(1)}
    renamed, source = to_own_names(network, arrays)
    assert (list(renamed), source) == (["c1.conv.weight", "other"], "ppcls")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "own_shape"),
    [((7, 512), (512, 7)), ((7, 512, 1, 1), (512, 7))],
    ids=["fully connected", "convolution"],
)
def test_the_last_layer_is_turned_and_counters_of_batches_are_left_out(
    shape: tuple[int, ...], own_shape: tuple[int, ...]
) -> None:
    network = create_model("ResNet18_tv", class_num=7)
    weight = np.arange(7 * 512, dtype=np.float32).reshape(shape)
    theirs = {"fc.weight": weight, "bn1.num_batches_tracked": np.array(3), "more": np.ones(1)}
    own = from_names("torchvision", network, theirs)
    assert own.keys() == {"head.fc.weight", "more"} and own["head.fc.weight"].shape == own_shape
    assert own["head.fc.weight"][5, 2] == weight.reshape(7, 512)[2, 5]


@pytest.mark.slow
def test_the_toolkit_with_most_of_the_names_is_recognised() -> None:
    network = create_model("ResNet18_tv", class_num=7)
    for toolkit in ("paddleclas", "torchvision"):
        theirs = {name: np.zeros(1) for name in reference_names(toolkit, network).values()}
        own, found = to_own_names(network, theirs)
        assert (found, own.keys()) == (toolkit, network.state_dict().keys())
