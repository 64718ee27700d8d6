"""``ppcls profile``: where the time of a training step goes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ppcls.commands import add_config_arguments, run_with_config

if TYPE_CHECKING:
    from ppcls.config import Config

EXAMPLES = (
    "ppcls profile -c my_photos/recipe.yaml",
    "ppcls profile -c my_photos/recipe.yaml --steps 20 --output profile -o AMP.dtype=bfloat16",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_config_arguments(parser)
    parser.add_argument(
        "--steps", type=int, default=5, metavar="N", help="that are noted (default: 5)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("output/profile"),
        metavar="DIR",
        help="for profile.md, and trace.json for Chrome's viewer (default: output/profile)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Profile a recipe; print what takes the most, and write the trace."""
    return run_with_config(arguments, _profile)


def _profile(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.benchmark.training.profile import TABLE, profile, profile_as_markdown
    from ppcls.files import write_text
    from ppcls.inference.predictor import refuse_below_one

    refuse_below_one(steps=arguments.steps)
    found = profile(config, arguments.steps, arguments.output)
    text = profile_as_markdown(found, config.Arch.part.name)
    write_text(arguments.output / TABLE, text)
    print(text, end="")
    return 0
