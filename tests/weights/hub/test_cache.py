"""The cache folder, the pins in it, and the locks that protect them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppcls.errors import DownloadError
from ppcls.files import sha256_of
from ppcls.weights.hub.cache import (
    cache_folder,
    pin_of,
    read_pins,
    weights_folder,
    write_pin,
)

ROOT = Path(__file__).resolve().parents[3]


def test_folder_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PPCLS_HOME", "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache/ppcls"
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/ppcls")
    monkeypatch.setenv("PPCLS_HOME", "~/mine")
    assert cache_folder() == tmp_path / "mine"
    assert weights_folder() == tmp_path / "mine/weights"


def test_pins_are_kept(cache: Path) -> None:
    assert read_pins() == {}
    file = weights_folder() / "A.pdparams"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"abc")
    pin = pin_of(file, sha256_of(file), "https://a.example/A")
    write_pin("B", pin)
    write_pin("A", pin)
    assert read_pins() == {"A": pin, "B": pin}
    assert pin.size == 3
    assert pin.date == time.strftime("%Y-%m-%d")
    assert list(json.loads((weights_folder() / "pins.json").read_text())) == ["A", "B"]


def test_size_and_time_stamp_tell_whether_a_file_changed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    pin = pin_of(file, sha256_of(file), "")
    assert pin.is_unchanged(file)
    os.utime(file, ns=(0, pin.mtime_ns + 1))
    assert not pin.is_unchanged(file)
    file.write_bytes(b"abcd")
    os.utime(file, ns=(0, pin.mtime_ns))
    assert not pin.is_unchanged(file)


GOOD = {"sha256": "0", "address": "", "size": 1, "date": "2024-12-31", "mtime_ns": 1}
DAMAGED = ["{", "[]", '{"A": 1}', '{"A": {"sha256": 1}}', "\x00", "[" * 9999]
DAMAGED += [json.dumps({"A": {**GOOD, key: [1]}}) for key in GOOD]
DAMAGED += [json.dumps({"A": {**GOOD, key: 1.5}}) for key in GOOD]


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_pins_are_explained(cache: Path, text: str) -> None:
    weights_folder().mkdir(parents=True)
    (weights_folder() / "pins.json").write_text(text)
    with pytest.raises(DownloadError, match=r"pins\.json, which .* is damaged .*; delete it"):
        read_pins()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_to_pins_is_noticed_or_harmless(cache: Path, data: st.DataObject) -> None:
    content = json.dumps({"A": GOOD, "B": GOOD}).encode()
    place = data.draw(st.integers(0, len(content) - 1))
    end = data.draw(st.sampled_from([place, place + 1, len(content)]))
    weights_folder().mkdir(parents=True, exist_ok=True)
    damaged = content[:place] + data.draw(st.binary(max_size=4)) + content[end:]
    (weights_folder() / "pins.json").write_bytes(damaged)
    try:
        pins = read_pins()
    except DownloadError as error:
        assert "is damaged" in str(error)
        assert "\n" not in str(error)
    else:
        assert {type(value) for pin in pins.values() for value in vars(pin).values()} <= {str, int}


def test_processes_that_pin_at_once_lose_nothing(cache: Path) -> None:
    code = (
        "import sys; from ppcls.weights.hub.cache import Pin, write_pin\n"
        "for n in range(20): write_pin(f'{sys.argv[1]}{n}', Pin('0', '', 0, '', 0))"
    )
    commands = [[sys.executable, "-c", code, name] for name in "ab"]
    processes = [subprocess.Popen(command, cwd=ROOT) for command in commands]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(read_pins()) == 40
