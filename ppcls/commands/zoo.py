"""``ppcls zoo``: print tables of networks: costs, and what others published."""

from __future__ import annotations

import argparse

from ppcls import runtime

EXAMPLES = (
    "ppcls zoo --family resnet",
    "ppcls zoo --model '*Lite*'",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--family", default="*", metavar="PATTERN", help="a file of networks, such as 'resnet'"
    )
    parser.add_argument(
        "--model", default="*", metavar="PATTERN", help="networks, such as '*Res*'; printed only"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the tables; status 1 when there is no such network."""
    runtime.prepare()
    from ppcls.commands.model_tables import Sources, family_table, find_families

    families, sources = find_families(arguments.family, arguments.model), Sources()
    if not families:
        print(f"no network matches '{arguments.model}' of family '{arguments.family}'")
        return 1
    for family in families:
        print(f"{family.title}\n\n{family_table(family, sources)}\n", flush=True)
    print(sources.definitions())
    return 0
