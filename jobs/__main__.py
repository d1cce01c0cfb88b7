"""`python -m jobs run TRIAL.json`: one trial, as a worker starts it and as a person may.

The order file is written by `sipa-cluster run` into its staging folder; by hand, progress goes to standard error and
the findings to standard output.
"""

import argparse
import os
import sys
from pathlib import Path

from jobs.trial_process import run_order
from sipa.errors import SipaError


def main(arguments: list[str] | None = None) -> int:
    """Parse and run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m jobs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run one trial from its order file")
    run.add_argument("order", type=Path, metavar="TRIAL.json")
    run.add_argument("--messages", type=int, help=argparse.SUPPRESS)
    run.add_argument("--lifeline", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    try:
        if asked.messages is None:
            code = run_order(asked.order, messages=sys.stderr, lifeline=None)
            sys.stdout.write((asked.order.parent / "findings.json").read_text() + "\n")
            return code
        with os.fdopen(asked.messages, "w") as messages:
            return run_order(asked.order, messages=messages, lifeline=0 if asked.lifeline else None)
    except SipaError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
