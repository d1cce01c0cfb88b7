"""The command line. Each family of commands has a module, imported when one of its commands is named.

Data goes to standard output, talk to standard error. `main` is the only place that turns an exception into a
message and an exit code: 2 usage or spec, 3 lease, 4 bootstrap, 5 the host refuses to measure, 6 some trials
failed, 7 trials remain, 130 interrupted, 1 a defect.
"""

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from cluster.cli.lazy import LazyGroup
from cluster.cli.output import silence
from sipa import __version__
from sipa.errors import SipaError, SpecError

PROGRAM = "sipa-cluster"
_INTERRUPTED = 130

SECTIONS = {
    "Describe a sweep": {
        "init": "cluster.cli.describe",
        "schema": "cluster.cli.describe",
        "plan": "cluster.cli.plan",
    },
    "Measure": {
        "run": "cluster.cli.run",
        "status": "cluster.cli.status",
        "logs": "cluster.cli.logs",
        "measure": "cluster.cli.measure",
    },
    "Read the results": {
        "summarize": "cluster.cli.analyse",
        "report": "cluster.cli.analyse",
        "export": "cluster.cli.export",
    },
    "This machine": {
        "doctor": "cluster.cli.doctor",
        "commission": "cluster.cli.commission",
        "completion": "cluster.cli.completion",
    },
}

_EPILOG = """\b
Example:
  sipa-cluster init my-sweep
  sipa-cluster run my-sweep.toml
  sipa-cluster report my-sweep
"""


@click.group(
    cls=LazyGroup,
    sections=SECTIONS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli() -> None:
    """What a model costs in energy, accuracy and latency, measured as a designed experiment."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Args:
        arguments: without the program's name; those of the process if None.
    """
    try:
        code = cli.main(arguments, prog_name=PROGRAM, standalone_mode=False)
        if sys.stdout is not None:  # as it is after `>&-`
            sys.stdout.flush()
    except (click.ClickException, click.Abort, KeyboardInterrupt, SipaError) as error:
        code = _complain(error)
    except BrokenPipeError:
        silence(sys.stdout)
        code = 1
    except Exception as error:
        error.add_note(
            f"This is a defect of {PROGRAM} {__version__}, not of your sweep; finished trials are safe. "
            "Please report it with all the lines above."
        )
        raise
    sys.exit(code or 0)


def _complain(error: BaseException) -> int:
    """Say what went wrong, on standard error; returns the exit code."""
    match error:
        case SpecError():
            click.echo(str(error), err=True)
            return error.exit_code
        case SipaError():
            click.echo(f"error: {error}", err=True)
            return error.exit_code
        case click.ClickException():
            if isinstance(error, click.UsageError) and error.ctx is not None:
                click.echo(f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help'.\n", err=True)
            click.echo(f"error: {error.format_message()}", err=True)
            return error.exit_code
        case _:
            click.echo("interrupted", err=True)
            return _INTERRUPTED
