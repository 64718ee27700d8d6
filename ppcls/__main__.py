"""``python -m ppcls`` is the command `ppcls`."""

from __future__ import annotations

import sys

from ppcls.cli import main

if __name__ == "__main__":
    sys.exit(main())
