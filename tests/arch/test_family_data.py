"""What is known of the networks: complete, about networks that are there, and strictly read."""

from __future__ import annotations

from pathlib import Path
from typing import Set

import pytest

from ppcls import registry
from ppcls.arch import family_data
from ppcls.arch.family_data import families, networks, read_family
from ppcls.errors import ConfigError
from ppcls.weights.names.toolkits import SOURCES, find_reference, reference_models

LENET = "networks:\n  LeNet: {parameters: 61706}\n"


def test_every_registered_network_has_a_row_in_the_file_beside_its_code() -> None:
    registered: Set[str] = set()
    for name in registry.names("arch"):
        module = registry.lookup("arch", name).constructor.__module__
        registered.add(f"ppcls/arch/backbone/{module.rpartition('.')[2]}.yaml: {name}")
    rows = {
        f"ppcls/arch/backbone/{file}.yaml: {name}"
        for file, family in families().items()
        for name in family.networks
    }
    assert registered - rows == set(), "networks without a row"
    assert rows - registered == set(), "rows of no network"


def test_a_row_of_a_family_is_a_row_of_all() -> None:
    assert networks()["LeNet"].parameters == 61706
    assert len(networks()) == sum(len(family.networks) for family in families().values())


@pytest.mark.parametrize("toolkit", sorted({"torchvision", "timm", "paddleclas"} & set(SOURCES)))
def test_networks_of_other_toolkits_were_counted_there(toolkit: str) -> None:
    """Under our name where our defaults make them, otherwise under theirs."""
    relatives = {
        name for family in families().values() for name in family.relatives.get(toolkit, {})
    }
    for theirs in reference_models(toolkit):
        (own, arguments), _ = find_reference(toolkit, theirs)
        if arguments:
            assert theirs in relatives
        else:
            assert toolkit in networks()[own].counted_by and networks()[own].macs
    assert relatives <= set(reference_models(toolkit))


def test_who_counted_is_known_where_something_was_counted() -> None:
    for name, row in networks().items():
        assert bool(row.macs) == bool(row.counted_by), name
        assert set(row.counted_by) <= set(SOURCES), name


def test_published_metrics_are_plausible() -> None:
    for family in families().values():
        for name, _, published in family.publications():
            assert published.crop <= published.resize <= 2 * published.crop, name
            for fraction in (published.top1, published.top5):
                assert fraction is None or 0.4 < fraction < 1, name


def test_names_of_weights_are_given_once() -> None:
    names = [name for family in families().values() for name, _, _ in family.publications()]
    assert len(names) == len(set(names))


def test_every_publisher_is_needed() -> None:
    for stem, family in families().items():
        own = set(family.publishers) - set(family_data._shared_publishers())
        assert own <= {published.by for _, _, published in family.publications()}, stem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            LENET + "  Other: {parameter: 3}\n",
            r"toy.yaml:3: networks.Other.parameter: unknown key 'parameter'. Did you mean "
            r"'parameters'\? Accepted here: parameters, macs, ",
        ),
        ("networks:\n  LeNet: {macs: {32: 5}}\n", r"toy.yaml:2: networks.LeNet.parameters: requi"),
        (
            "networks:\n  LeNet: {parameters: many}\n",
            r"toy.yaml:2: networks.LeNet.parameters: expected a whole number, got 'many'",
        ),
        (
            "networks:\n  LeNet: {parameters: 1, published: {by: torchvison, top1: 0.5}}\n",
            r"toy.yaml:2: networks.LeNet.published.by: there is no 'torchvison' here. Did you mean "
            r"'torchvision'\? Accepted: PaddleClas, ",
        ),
        (
            LENET + "further_weights:\n  Better: {network: Lenet, by: PaddleClas}\n",
            r"toy.yaml:4: further_weights.Better.network: there is no 'Lenet' here. Did you mean "
            r"'LeNet'\? Accepted: LeNet$",
        ),
        (LENET + "  LeNet: {parameters: 1}\n", r"toy.yaml:3: the key 'LeNet' is written twice"),
    ],
)
def test_mistakes_are_reported_with_file_line_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "toy.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=message):
        read_family(file)


def test_a_family_adds_publishers_to_those_that_are_shared(tmp_path: Path) -> None:
    file = tmp_path / "toy.yaml"
    file.write_text(LENET + "publishers: {Me: {source: 'https://a.example'}}\n", "utf-8")
    publishers = read_family(file).publishers
    assert publishers["Me"].weights is None
    assert "torchvision" in publishers
