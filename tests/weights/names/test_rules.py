"""The rules that turn one toolkit's parameter names into another's."""

from __future__ import annotations

from typing import Any, List

import paddle
import pytest
from paddle import nn

from ppcls.arch import create_model, list_models
from ppcls.errors import ConfigError
from ppcls.weights.names.rules import (
    Naming,
    block_number,
    minus_one,
    plus_one,
    row,
    same_names,
    translate,
)
from ppcls.weights.names.toolkits import (
    SOURCES,
    find_reference,
    reference_models,
    reference_names,
)


def test_each_rule_applies_once_and_in_order() -> None:
    rules = [(r"a", "b"), (r"b", "c"), (r"^x\.(\w)", r"\1.x")]
    assert translate("aa", rules) == "ca"
    assert translate("x.y.x.z", rules) == "y.x.x.z"
    assert translate("other", rules) == "other"


def test_a_replacement_may_look_at_the_network() -> None:
    network = nn.Layer()
    network.stage1, network.stage2 = nn.Sequential(*[nn.ReLU()] * 3), nn.Sequential(nn.ReLU())
    rules = [(r"^stage(\d)\.(\d+)\.", block_number("blocks."))]
    assert translate("stage1.2.weight", rules, network) == "blocks.2.weight"
    assert translate("stage2.0.weight", rules, network) == "blocks.3.weight"
    assert translate("conv3.weight", [(r"(conv)(\d)(\.)", minus_one)], network) == "conv2.weight"
    assert translate("conv3.weight", [(r"(conv)(\d)(\.)", plus_one)], network) == "conv4.weight"
    later = [(r"^stage(\d)\.(\d+)\.", block_number("features.", first=1))]
    assert translate("stage2.0.weight", later, network) == "features.4.weight"


@pytest.mark.parametrize(
    ("auxiliary", "names", "expected"),
    [
        ("", ["aux1.weight"], {}),
        (r"aux\d", ["aux1.weight", "fc.weight"], {"aux": True}),
        (r"aux\d", ["fc.weight", "not_aux1.weight"], {"aux": False}),
    ],
)
def test_the_file_tells_whether_there_are_auxiliary_heads(
    auxiliary: str, names: List[str], expected: Any
) -> None:
    assert Naming([], auxiliary=auxiliary).arguments(names) == expected


def test_rows_of_a_table_of_models() -> None:
    assert row("Net", padding="same") == ("Net", {"padding": "same"})
    assert same_names(["A", "B"]) == {"A": ("A", {}), "B": ("B", {})}


@pytest.mark.parametrize("source", SOURCES)
def test_every_model_of_every_toolkit_is_one_of_our_networks(source: str) -> None:
    networks = set(list_models())
    for name in reference_models(source):
        (ours, _), naming = find_reference(source, name)
        assert ours in networks and naming.rules, name


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_no_two_parameters_get_the_same_name_elsewhere(source: str) -> None:
    """One network of each family; two of ours under one name would load one of them twice."""
    firsts = {find_reference(source, name)[1].rules[0]: name for name in reference_models(source)}
    for name in firsts.values():
        ours, fixed = find_reference(source, name)[0]
        with paddle.LazyGuard():  # names only: no weights are made
            network = create_model(ours, class_num=2, **fixed)
        names = reference_names(source, network)
        assert names and len(set(names.values())) == len(names), name


def test_an_unknown_toolkit_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'timm'"):
        reference_models("tim")
