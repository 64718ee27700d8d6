import sys, pathlib; sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # noqa: E401, E702, I001
from ppcls.cli import main  # noqa: E402
sys.exit(main(["export", *sys.argv[1:]]))
