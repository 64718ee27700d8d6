"""How many of PaddleClas' own recipes are read as they are, and what is in the way of the others.

    git clone --depth 1 https://github.com/PaddlePaddle/PaddleClas
    python benchmarks/paddleclas_recipes.py PaddleClas/ppcls/configs/ImageNet

Each YAML file below the folder is read and checked as `ppcls train -c FILE --print-config` does.
The first line counts all files, and those of networks that exist here; then come the reasons why
the latter are refused, with the number of files and one of them.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Dict, List, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

_PLACE = re.compile(r"^\s*\S+:\d+: ")
_INDEX = re.compile(r"\.\d+")
_LENGTH = 100


class Outcome(NamedTuple):
    """What came of a file: what is wrong with it, if anything."""

    file: Path
    reasons: List[str]

    @property
    def is_of_known_network(self) -> bool:
        """Whether its network, and what else the section `Arch` says, exists here."""
        return not any("unknown arch" in reason for reason in self.reasons)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    files = sorted(folder.rglob("*.yaml"))
    if not files:
        raise SystemExit(f"paddleclas_recipes: no .yaml files below {folder}")
    logging.disable(logging.WARNING)
    outcomes = [Outcome(file, reasons_against(file)) for file in files]
    known = [one for one in outcomes if one.is_of_known_network]
    read = sum(not one.reasons for one in known)
    print(f"{read} of {len(known)} files of networks that exist here are read; {len(files)} in all")
    for reason, found in by_reason(known).items():
        print(f"{len(found):4} {reason} ({found[0].file.name})")


def reasons_against(file: Path) -> List[str]:
    """Return why a file is refused, without places; nothing where it is read."""
    from ppcls.config import load_config
    from ppcls.errors import ConfigError

    try:
        load_config(str(file))
    except ConfigError as error:
        first, *rest = str(error).splitlines()
        lines = [_INDEX.sub("", _PLACE.sub("", line))[:_LENGTH] for line in rest or [first]]
        return sorted(set(lines))
    return []


def by_reason(outcomes: List[Outcome]) -> Dict[str, List[Outcome]]:
    """Return the outcomes of each reason, the most frequent one first."""
    found: Dict[str, List[Outcome]] = defaultdict(list)
    for one in outcomes:
        for reason in one.reasons:
            found[reason].append(one)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


if __name__ == "__main__":
    main()
