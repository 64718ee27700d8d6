"""``ppcls zoo``: the tables of networks in a terminal."""

from __future__ import annotations

import re
from typing import List

import pytest

from ppcls.cli import main
from ppcls.commands.model_tables import Sources, family_table, find_families
from ppcls.errors import ConfigError


def cells(text: str, first: str) -> List[str]:
    """The cells of the row that begins with `first`."""
    found = re.search(rf"^\| {re.escape(first)} +\|.*$", text, re.MULTILINE)
    assert found, first
    return [cell.strip() for cell in found[0].strip("|").split("|")]


def test_a_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "--model", "LeNet"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("LeNet\n\n| Network ")
    row = cells(printed, "LeNet")
    assert row[:6] == ["LeNet", "1x32x32", "61,706", "0.061", "0.000417", "0.000822"]


def test_published_metrics_are_in_italics_with_their_source(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["zoo", "--family", "alexnet"]) == 0
    printed = capsys.readouterr().out
    assert cells(printed, "AlexNet")[6:10] == ["*256/224*", "*56.70*", "*79.20*", "*[PaddleClas]*"]
    assert cells(printed, "AlexNet_tv")[7:10] == ["*56.52*", "*79.07*", "*[torchvision]*"]
    assert "\n[PaddleClas]: https://github.com/PaddlePaddle/PaddleClas/" in printed


def test_no_match_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "--family", "vgg", "--model", "ResNet*"]) == 1
    assert "ResNet*" in capsys.readouterr().out


def test_a_network_without_a_row_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    (family,) = find_families("lenet")
    monkeypatch.delitem(family.data.networks, "LeNet")
    with pytest.raises(ConfigError, match=r"LeNet has no row in ppcls/arch/backbone/lenet.yaml"):
        family_table(family, Sources())


def test_sources_have_short_names_of_their_own() -> None:
    sources = Sources()
    marks = [
        sources.cite("https://github.com/owner/Tool/blob/1/a.md"),
        sources.cite("https://github.com/owner/Tool/blob/2/b.md"),
        sources.cite("https://arxiv.org/abs/1512.03385"),
        sources.cite("https://example.org/page"),
        sources.cite("https://github.com/owner/Tool/blob/1/a.md"),
    ]
    assert marks == ["[Tool]", "[Tool 2]", "[arXiv:1512.03385]", "[example.org]", "[Tool]"]
    assert sources.definitions().splitlines()[1] == (
        "[Tool 2]: https://github.com/owner/Tool/blob/2/b.md"
    )


def test_networks_are_in_natural_order() -> None:
    names = [name for family in find_families("resnet") for name in family.networks]
    order = ["ResNet18", "ResNet50", "ResNet101", "ResNeXt50_32x4d", "ResNeXt101_32x4d"]
    assert [name for name in names if name in order] == order
