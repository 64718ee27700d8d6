"""Files of weights come back with what was noted in them; nothing broken is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import paddle
import pytest

from ppcls.arch import create_model
from ppcls.errors import CheckpointError
from ppcls.weights import WeightFile, read, save_weights
from ppcls.weights.formats.safetensors import write_safetensors
from ppcls.weights.network_metadata import metadata_of
from ppcls.weights.weight_file import NewerFormatError, arrays_of


def test_what_is_noted_comes_back_with_the_arrays(tmp_path: Path) -> None:
    network = create_model("LeNet", class_num=4)
    metadata = {**metadata_of(network), "class_names": ["一", "two"], "arguments": {"act": "relu"}}
    save_weights(network, tmp_path / "net.safetensors", metadata)
    file = read(tmp_path / "net")
    assert file.metadata == {
        "format": 1,
        "kind": "weights",
        "arch": "LeNet",
        "class_num": 4,
        "in_channels": 1,
        "class_names": ["一", "two"],
        "arguments": {"act": "relu"},
    }
    assert file.path == tmp_path / "net" and not file.is_checkpoint
    assert file.network_arrays() is file.arrays
    assert all(np.array_equal(file.arrays[key], a) for key, a in arrays_of(network).items())


def test_a_network_and_its_arrays_are_written_alike_and_nothing_is_noted_unasked(
    tmp_path: Path,
) -> None:
    network = create_model("LeNet")
    save_weights(network, tmp_path / "a.safetensors")
    save_weights(arrays_of(network), tmp_path / "b.safetensors")
    write_safetensors(tmp_path / "c.safetensors", arrays_of(network))
    contents = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(contents) == 1 and read(tmp_path / "a").metadata == {}


def test_foreign_files_have_no_metadata(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "theirs.safetensors", {"w": np.ones(1)}, {"format": "pt"})
    paddle.save({"w": paddle.ones([1])}, str(tmp_path / "older.pdparams"))
    for name in ("theirs", "older"):
        assert (read(tmp_path / name).metadata, list(read(tmp_path / name).arrays)) == ({}, ["w"])


@pytest.mark.parametrize("averaged", [False, True])
def test_of_a_checkpoint_the_average_is_for_networks(averaged: bool) -> None:
    arrays = {"model/w": np.zeros(1), "optimizer/w": np.ones(1), "optimizer/ema/w": np.ones(2)}
    if averaged:
        arrays["ema/w"] = np.full(1, 2.0)
    file = WeightFile(arrays, {"kind": "checkpoint"})
    assert {name: array[0] for name, array in file.network_arrays().items()} == {"w": 2 * averaged}
    assert file.group("optimizer").keys() == {"w", "ema/w"}
    assert WeightFile(arrays).network_arrays() is arrays, "only a checkpoint has groups"


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^w holds NaN or Inf, so net is not written$"):
        save_weights({"w": np.array([1.0, np.nan])}, tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


def test_notes_that_cannot_be_read_are_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    for note in ("{", "[1]"):
        write_safetensors(path, {"w": np.ones(1)}, {"ppcls": note})
        with pytest.raises(CheckpointError, match="notes in its files is damaged"):
            read(path)
    write_safetensors(path, {"w": np.ones(1)}, {"ppcls": '{"format": 99}'})
    with pytest.raises(NewerFormatError, match="format 99; this version .* up to 1: upgrade ppcls"):
        read(path)
