"""``ppcls infer``: predict images with a trained network, before it is exported."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ppcls import runtime
from ppcls.commands import add_config_arguments, run_with_config
from ppcls.inference import cli

if TYPE_CHECKING:
    from ppcls.config import Config

EXAMPLES = (
    "ppcls infer -c my_photos/recipe.yaml new_photo.jpg",
    "ppcls infer -c my_photos/recipe.yaml photos/ --output found.csv --topk 1",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser)
    cli.add_image_arguments(parser)
    cli.add_output_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict and print, or write a file; see `ppcls.inference.cli`."""
    _take_images_from_overrides(arguments)
    return run_with_config(arguments, _run)


def _take_images_from_overrides(arguments: argparse.Namespace) -> None:
    """Let images stand behind ``-o KEY=VALUE``, which takes all words that follow."""
    images = [word for word in arguments.override if "=" not in word and os.path.exists(word)]
    arguments.images += images
    arguments.override = [word for word in arguments.override if word not in images]


def _output_of(save_dir: str) -> str:
    """Return the file for predictions that `Infer.save_dir` means: a file of rows, or one in the
    folder of that name.
    """
    from ppcls.inference.output import FORMS

    path = Path(save_dir)
    if path.suffix.lower() not in FORMS:
        path.mkdir(parents=True, exist_ok=True)
        path = path / "predictions.jsonl"
    return str(path)


def _run(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.api.infer import images_of_recipe, trained_classifier

    runtime.keep_freed_memory()
    if arguments.images or arguments.input:
        images = cli.images_of(arguments)
    else:
        images = [*images_of_recipe(config)]
    if arguments.output is None and config.Infer.save_dir is not None:
        arguments.output = _output_of(config.Infer.save_dir)
    return cli.predict_to(images, lambda: trained_classifier(config, arguments.topk), arguments)
