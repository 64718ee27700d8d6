"""``ppcls checks``: look at this machine and what is installed.

It says what is wrong and how to mend it. The exit status is 0 when all is well, and 1 when there
is a problem.
"""

from __future__ import annotations

import argparse
import json

EXAMPLES = ("ppcls checks", "ppcls checks --json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--json", action="store_true", help="print all that was found, as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each thing, and below it what is wrong."""
    from ppcls.checks import Finding, run_checks
    from ppcls.text import printable, table

    found = run_checks()
    problems = [finding for finding in found if finding.problem]

    def mark(finding: Finding) -> str:
        return "WRONG" if finding.problem else "ok"

    if arguments.json:
        report = {"problems": len(problems), "checks": [item.to_dict() for item in found]}
        print(json.dumps(report, indent=1))
        return int(bool(problems))
    rows = [(mark(item), item.name, item.value) for item in found]
    for finding, line in zip(found, table(rows, left=[0, 1, 2]).splitlines()):
        print(printable(line))
        for words in filter(None, (finding.problem, finding.advice)):
            print(printable(f"         {words}"))
    count = len(problems)
    print("no problem found" if not count else f"{count} problem{'s' * (count > 1)} found")
    return int(bool(problems))
