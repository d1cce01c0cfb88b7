"""`python -m jobs run TRIAL.json`: one trial, as a worker starts it and as a person may; `control` likewise.

The order file is written by `sipa-cluster run` into its staging folder; by hand, progress goes to standard error and
the findings to standard output. `python -m jobs restore-host` puts governor and turbo back after a crash.
"""

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sipa.errors import SipaError


def main(arguments: list[str] | None = None) -> int:
    """Parse and run; returns the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        return _restore(asked) if asked.command == "restore-host" else _carry_out(asked)
    except SipaError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jobs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("run", "one trial"), ("control", "the control workload")):
        order = commands.add_parser(name, help=f"run {what} from its order file")
        order.add_argument("order", type=Path, metavar="ORDER.json")
        order.add_argument("--messages", type=int, help=argparse.SUPPRESS)
        order.add_argument("--lifeline", action="store_true", help=argparse.SUPPRESS)
        if name == "run":
            order.add_argument("--bmc", type=Path, help=argparse.SUPPRESS)
    restore = commands.add_parser("restore-host", help="restore governor and turbo that a killed sweep left behind")
    restore.add_argument("--root", type=Path, default=Path("/"), metavar="DIR")
    restore.add_argument("--session", help=argparse.SUPPRESS)
    restore.add_argument("--lock", type=int, help=argparse.SUPPRESS)
    return parser


def _carry_out(asked: argparse.Namespace) -> int:
    run = _runner(asked)
    if asked.messages is None:
        code = run(asked.order, messages=sys.stderr, lifeline=None)
        sys.stdout.write((asked.order.parent / "findings.json").read_text() + "\n")
        return code
    with os.fdopen(asked.messages, "w") as messages:
        return run(asked.order, messages=messages, lifeline=0 if asked.lifeline else None)


def _runner(asked: argparse.Namespace) -> Callable[..., int]:
    if asked.command == "control":
        from jobs.control_process import run_control_order

        return run_control_order
    from jobs.trial_process import run_order

    return partial(run_order, bmc=asked.bmc)


def _restore(asked: argparse.Namespace) -> int:
    if asked.session is not None:
        from jobs.host.guardian import guard

        guard(asked.session, asked.lock, asked.root)
        return 0
    from jobs.host import restore_left_behind

    for each in restore_left_behind(asked.root):
        sys.stdout.write(f"{each.path}: {each.old} -> {each.wanted}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
