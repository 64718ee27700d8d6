"""Checking whole files: all mistakes at once, each with file, line, path and the nearest match."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
import yaml

from ppcls.config import load_config, require, to_yaml, with_values
from ppcls.config.load import find_recipe
from ppcls.errors import ConfigError
from tests.recipes import all_recipes

GOOD = """\
Global:
  epochs: 3
  output_dir: out
Arch:
  name: LeNet
  class_num: 10
Loss:
  Train:
    - CELoss: {weight: 1.0}
Optimizer:
  name: Momentum
  momentum: 0.9
  lr: {name: Cosine, learning_rate: 0.1}
  regularizer: {name: 'L2', coeff: 0.0001}
DataLoader:
  Train:
    dataset:
      name: ImageNetDataset
      image_root: images
      cls_label_path: list.txt
      transform_ops:
        - DecodeImage: {to_rgb: True, channel_first: False}
        - RandCropImage: {size: 32}
        - NormalizeImage: {scale: 1.0/255.0, mean: [0.5], std: [0.5], order: ''}
    sampler: {name: DistributedBatchSampler, batch_size: 4, shuffle: True, drop_last: False}
    loader: {num_workers: 2}
"""


def load(folder: Path, text: str, *overrides: str):  # type: ignore[no-untyped-def]
    path = folder / "c.yaml"
    path.write_text(text)
    return load_config(str(path), overrides)


def complaint(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, *overrides)
    assert caught.value.exit_status == 2
    return str(caught.value)


def test_a_good_file_gives_typed_sections(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD, "Global.epochs=7")
    assert config.Global.epochs == 7
    assert config.Arch.name == "LeNet"
    assert config.Optimizer.arguments["lr"].arguments == {"learning_rate": 0.1}
    assert [part.name for part in config.DataLoader.Train.dataset.arguments["transform_ops"]] == [
        "DecodeImage", "RandCropImage", "NormalizeImage",
    ]  # fmt: skip
    assert yaml.safe_load(to_yaml(config.data)) == config.data


def test_an_unknown_key_names_file_line_path_accepted_and_nearest(tmp_path: Path) -> None:
    message = complaint(tmp_path, GOOD.replace("epochs: 3", "epoch: 3"))
    assert f"1 mistake in {tmp_path / 'c.yaml'}" in message
    assert (
        f"{tmp_path / 'c.yaml'}:2: Global.epoch: unknown key 'epoch'. Did you mean 'epochs'?"
        in message
    )
    assert "Accepted here: output_dir, " in message


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("Optimizer:", "Optimiser:", 10, ["Optimiser: unknown key", "Did you mean 'Optimizer'"]),
        (
            "name: LeNet",
            "name: LeNett",
            5,
            ["Arch", "unknown arch 'LeNett'", "Did you mean 'LeNet'"],
        ),
        ("class_num: 10", "class_nun: 10", 6, ["Arch.class_nun", "Did you mean 'class_num'"]),
        ("size: 32", "sise: 32", 23, ["transform_ops.1.RandCropImage.sise", "Did you mean 'size'"]),
        (
            "- RandCropImage",
            "- RandCropImag",
            23,
            ["unknown transform", "Did you mean 'RandCropImage'"],
        ),
        ("name: Cosine", "name: Cosin", 13, ["Optimizer.lr", "unknown schedule 'Cosin'"]),
        (
            "learning_rate: 0.1",
            "learning_rate: high",
            13,
            ["Optimizer.lr.learning_rate", "number", "'high'"],
        ),
        ("batch_size: 4", "batch_size: '4'", 25, ["sampler.batch_size", "whole number", "'4'"]),
        ("momentum: 0.9", "momentun: 0.9", 12, ["Optimizer.momentun", "Did you mean 'momentum'"]),
        (
            "num_workers: 2",
            "num_workers: -1",
            26,
            ["loader.num_workers", "greater than or equal to 0", "-1"],
        ),
        ("weight: 1.0", "wait: 1.0", 9, ["Loss.Train.0.CELoss.wait", "Did you mean 'weight'"]),
        ("epochs: 3", "epochs: -1", 2, ["Global.epochs", "greater than or equal to 0"]),
        ("epochs: 3", "device: tpu", 2, ["Global.device", "tpu"]),
    ],
)
def test_each_mistake_is_found_at_its_line(
    tmp_path: Path, old: str, new: str, line: int, words: list
) -> None:
    message = complaint(tmp_path, GOOD.replace(old, new, 1))
    assert f"c.yaml:{line}: " in message
    for word in words:
        assert word in message


def test_all_mistakes_come_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = GOOD.replace("epochs: 3", "epochs: three").replace("momentum: 0.9", "momentum: x")
    message = complaint(tmp_path, text.replace("      image_root: images\n", ""), "Global.seed=-1")
    assert "4 mistakes" in message
    lines = [line for line in message.splitlines()[1:] if "c.yaml:" in line]
    numbers = [int(line.split("c.yaml:")[1].split(":")[0]) for line in lines]
    assert numbers == sorted(numbers) and len(numbers) == 3
    assert "-o Global.seed=-1: Global.seed: must be greater than or equal to 0" in message
    assert "DataLoader.Train.dataset.image_root: required, but missing" in message


def test_keys_of_paddleclas_without_effect_warn_and_say_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("ppcls").propagate = True
    text = GOOD.replace("num_workers: 2", "num_workers: 2, use_shared_memory: True")
    with caplog.at_level(logging.WARNING, logger="ppcls"):
        config = load(tmp_path, text, "Global.to_static=False")
    assert (
        f"{tmp_path / 'c.yaml'}:26: DataLoader.Train.loader.use_shared_memory has no effect here"
        in caplog.text
    )
    assert "-o Global.to_static=False: Global.to_static has no effect here" in caplog.text
    assert "use_shared_memory" not in to_yaml(config.data)


def test_a_key_that_asks_for_another_job_is_not_passed_over(tmp_path: Path) -> None:
    load(tmp_path, GOOD, "Global.eval_mode=classification", "Global.task=classification")
    message = complaint(tmp_path, GOOD, "Global.eval_mode=retrieval", "Global.task=detection")
    assert (
        "Global.eval_mode: 'retrieval' is not possible here: classification is the only" in message
    )
    assert "2 mistakes" in message


def test_mixed_precision_that_is_switched_off_is_not_switched_on(tmp_path: Path) -> None:
    off = load(tmp_path, GOOD, "AMP={use_amp: False, level: O2, dtype: float16}")
    assert off.AMP is None
    on = load(tmp_path, GOOD, "AMP={use_amp: True, dtype: bfloat16}")
    assert on.AMP is not None and on.AMP.dtype == "bfloat16"


def test_batch_transforms_may_stand_where_paddleclas_has_them(tmp_path: Path) -> None:
    text = GOOD.replace(
        "    sampler: {",
        "      batch_transform_ops:\n        - Mixupp: {alpha: 0.2}\n    sampler: {",
        1,
    )
    message = complaint(tmp_path, text)
    assert "c.yaml:26: DataLoader.Train.dataset.batch_transform_ops.0" in message
    assert "unknown batch transform 'Mixupp'" in message


def test_require_names_what_is_missing(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    require(config, "DataLoader.Train", "Optimizer")
    with pytest.raises(
        ConfigError, match=r"missing section\(s\) DataLoader\.Eval, Infer\.infer_imgs"
    ):
        require(config, "DataLoader.Eval", "Optimizer", "Infer.infer_imgs")


def test_a_recipe_is_found_by_its_packaged_name() -> None:
    assert find_recipe("quick_start/LeNet_digits.yaml").is_file()
    assert find_recipe("configs/quick_start/LeNet_digits.yaml").is_file()
    with pytest.raises(ConfigError, match="Did you mean 'quick_start/LeNet_digits.yaml'"):
        find_recipe("quick_start/LeNet_digit.yaml")


@pytest.mark.parametrize("recipe", all_recipes())
def test_every_recipe_is_valid(recipe: Path) -> None:
    config = load_config(str(recipe))
    require(config, "Loss.Train", "Optimizer", "DataLoader.Train", "DataLoader.Eval", "Metric.Eval")
    assert recipe.stem.startswith(config.Arch.name) or "quick_start" in recipe.parts


@pytest.mark.slow
def test_many_mistakes_are_told_in_part(tmp_path: Path) -> None:
    began = time.process_time()
    text = GOOD.replace("Global:\n", "Global:\n" + "".join(f"  k{i}: {i}\n" for i in range(20_000)))
    message = complaint(tmp_path, text + "x: 3\n")
    assert message.startswith(f"more than 50 mistakes, of which the first are told, in {tmp_path}")
    assert len(message.splitlines()) == 51 and len(message) < 50_000
    assert "c.yaml:2: Global.k0: unknown key 'k0'. Accepted here: " in message
    assert time.process_time() - began < 10


def test_long_lists_of_parts_are_refused_whole(tmp_path: Path) -> None:
    text = GOOD.replace("        - RandCrop", "        - X:\n" * 101 + "        - RandCrop")
    message = complaint(tmp_path, text)
    assert "transform_ops: List should have at most 100 items" in message


@pytest.mark.slow
def test_long_values_and_keys_are_not_shown_whole(tmp_path: Path) -> None:
    text = GOOD.replace("epochs: 3", f"epochs: [{'1, ' * 50_000}]\n  {'k' * 900}: 1")
    message = complaint(tmp_path, text)
    assert "Global.epochs: expected a whole number, got [1, 1, " in message
    assert "Global.kkk" in message and len(message) < 2000


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "1e999"])
@pytest.mark.parametrize("key", ["EMA.decay", "AMP.scale_loss", "Loss.Train.0.CELoss.weight"])
def test_numbers_are_finite(tmp_path: Path, key: str, number: str) -> None:
    message = complaint(tmp_path, GOOD, f"{key}={number}")
    assert f"-o {key}={number}: {key}: must be a finite number" in message


def test_an_output_folder_has_a_name_that_files_can_have(tmp_path: Path) -> None:
    message = complaint(tmp_path, GOOD.replace("output_dir: out", "output_dir: ''"))
    assert "c.yaml:3: Global.output_dir: takes the name of a folder, got ''" in message
    message = complaint(tmp_path, GOOD.replace("output_dir: out", 'output_dir: "o\\0ut"'))
    assert "c.yaml:3: this is not valid YAML: the text 'o\\x00ut' holds NUL" in message


def test_keys_that_are_no_text_are_named(tmp_path: Path) -> None:
    text = GOOD.replace("epochs: 3", "3: 4")
    text += "  7: {loader: {use_shared_memory: True}}\n"
    message = complaint(tmp_path, text)
    assert "Global.3: keys must be text, got 3" in message
    assert "DataLoader.7: keys must be text, got 7" in message


def test_a_file_with_a_name_that_is_too_long_is_missing() -> None:
    with pytest.raises(ConfigError, match="there is no configuration file xxx"):
        find_recipe("x" * 300)


def test_values_are_changed_in_a_copy_that_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD)
    config = load_config(str(path))
    changed = with_values(
        config, {("Global", "epochs"): 7, ("Optimizer", "lr", "learning_rate"): 0.5}
    )
    assert changed.Global.epochs == changed.data["Global"]["epochs"] == 7
    assert changed.Optimizer is not None
    assert changed.Optimizer.arguments["lr"].arguments == {"learning_rate": 0.5}
    assert config.Global.epochs == config.data["Global"]["epochs"] == 3
    assert changed.where("Global", "epochs") == config.where("Global", "epochs")
    with pytest.raises(ConfigError, match=r"c\.yaml:2: Global\.epochs: must be greater"):
        with_values(config, {("Global", "epochs"): -1})


def test_arguments_stand_beside_a_part_s_name_or_below_it(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD.replace("lr: {name: Cosine, ", "lr: {Cosine: {").replace("0.1}", "0.1}}"))
    config = load_config(str(path))
    assert config.Optimizer is not None
    lr = config.Optimizer.arguments["lr"]
    assert config.arguments_at(config.Optimizer, "Optimizer") == ("Optimizer",)
    assert config.arguments_at(lr, "Optimizer", "lr") == ("Optimizer", "lr", "Cosine")
