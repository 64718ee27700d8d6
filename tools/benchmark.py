"""Time a recipe: `ppcls benchmark train`, from a clone that is not installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ppcls.cli import main  # noqa: E402

sys.exit(main(["benchmark", "train", *sys.argv[1:]]))
