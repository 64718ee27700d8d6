"""``ppcls infer``: predict the images of Infer.infer_imgs with a trained network, before it is
exported.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ppcls.commands import add_config_arguments, run_with_config

if TYPE_CHECKING:
    from ppcls.config import Config

EXAMPLES = ("ppcls infer -c my_photos/recipe.yaml -o Infer.infer_imgs=new_photo.jpg",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict and print; status 1 when every image failed."""
    return run_with_config(arguments, _run)


def _run(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.api.infer import infer
    from ppcls.inference.output import as_text

    good = False
    for prediction in infer(config):
        print(as_text(prediction))
        good = good or prediction.error is None
    return int(not good)
