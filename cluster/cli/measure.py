"""`measure`: the energy of any command, as people use `perf stat`."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cluster.cli.options import FILE, example, json_option, root_option
from cluster.cli.output import say, silence, write_json
from sipa.errors import MeterError, ResultsError, SipaError, UsageError

if TYPE_CHECKING:
    from jobs.measured.command import MeasuredCommand
    from sipa.energy.power_model import PowerModel

FAILED = 125
"""Exit code when `measure` itself failed, as env(1) and timeout(1) have it: any other is the command's."""

_STANDARD_ERROR = 2
_LONGEST_S = 86_400.0
_NARROWEST = 40


class _OptionError(click.UsageError):
    """Something is wrong with the options of `measure`, not with the command."""

    exit_code = FAILED


class _Command(click.Command):
    """A command whose own exit codes cannot be taken for those of what it runs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse.

        Raises:
            click.UsageError: with this command's own exit code.
        """
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise _OptionError(error.format_message(), error.ctx or ctx) from error


def _seconds(_ctx: click.Context, _parameter: click.Parameter, value: float) -> float:
    if not 0 <= value <= _LONGEST_S:
        raise click.BadParameter(f"{value:g} is not between 0 and {_LONGEST_S:g} seconds")
    return value


@click.command(
    cls=_Command,
    context_settings={"allow_interspersed_args": False},
    epilog=example(
        "sipa-cluster measure -- python train.py --epochs 3",
        "sipa-cluster measure --idle 30 --repeat 5 -- ./benchmark",
        "sipa-cluster measure --json -- make -j8 | jq '.runs[0].energy_total_j'",
    ),
)
@click.option(
    "--meter",
    "meters",
    multiple=True,
    type=click.Choice(["powercap", "perf", "model"]),
    metavar="NAME",
    help="powercap, perf or model. Several: the first that can be used, another counter as a check.  "
    "[default: powercap, perf]",
)
@click.option("--idle-w", type=float, metavar="W", help="Of the model: power of the idle machine.")
@click.option("--max-w", type=float, metavar="W", help="Of the model: power of the busy machine.")
@click.option(
    "--idle",
    "idle_s",
    type=float,
    default=0.0,
    callback=_seconds,
    metavar="S",
    help="Measure the idle machine for S seconds before and after: gives net energy.",
)
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Run N times: mean, standard deviation, 95 % interval. The first failure is the last run.",
)
@click.option("--output", type=FILE, metavar="FILE", help="Write the report, or the JSON, to FILE.")
@root_option()
@json_option("Print one JSON object on standard output; the command's own goes to standard error then.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] COMMAND [ARGUMENT]...")
@click.pass_context
def measure(
    ctx: click.Context,
    *,
    meters: tuple[str, ...],
    idle_w: float | None,
    max_w: float | None,
    idle_s: float,
    repeat: int,
    output: Path | None,
    root: Path,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Measure the energy of a command.

    The report goes to standard error; the command keeps its streams, and Ctrl-C. Exit code: the
    command's, 128+N if signal N killed it, 127 not found, 126 not executable, 125 `measure` failed.

    Energy is that of CPU packages and DRAM of the whole machine, never of the server.
    """
    try:
        from jobs.measured.command import METERS, MeasureOrder
        from jobs.measured.command import measure as run

        order = MeasureOrder(
            command=command,
            meters=meters or METERS,
            model=_model(meters, idle_w, max_w),
            root=root,
            idle_s=idle_s,
            repeat=repeat,
            stdout=_STANDARD_ERROR if as_json and output is None else None,
        )
        with _opened(output) as file:
            measured = run(order, say=say)
            _report(measured, file, as_json=as_json)
    except SipaError as error:
        say(f"error: {error}")
        if isinstance(error, MeterError) and "model" not in meters:
            say("On this command line: --meter model --idle-w W --max-w W")
            say("What would let it be measured, to be pasted: sipa-cluster doctor --node. The command was not run.")
        ctx.exit(FAILED)
    except BrokenPipeError:
        silence(sys.stdout)
        ctx.exit(FAILED)
    ctx.exit(measured.ended.exit_code)


def _model(meters: tuple[str, ...], idle_w: float | None, max_w: float | None) -> "PowerModel | None":
    """The declared watts, asked for by name.

    Raises:
        UsageError: they are incomplete, or nobody uses them.
    """
    if "model" in meters:
        if idle_w is None or max_w is None:
            raise UsageError("--meter model needs the watts of this machine: --idle-w W --max-w W")
        from sipa.energy.power_model import PowerModel

        return PowerModel(idle_w=idle_w, max_w=max_w)
    if idle_w is not None or max_w is not None:
        raise UsageError("--idle-w and --max-w are for --meter model, which is an estimate and used only where named")
    return None


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[io.RawIOBase | None]:
    """The file for the report, open before anything is measured, so that no result is lost for want of a folder.

    One that was made for nothing does not stay.
    """
    if output is None:
        yield None
        return
    made = not output.exists()
    try:
        file = output.open("ab", buffering=0)
    except OSError as error:
        raise UsageError(f"{output}: cannot be written: {error.strerror}") from error
    with file:
        try:
            yield file
        except BaseException:
            if made and output.stat().st_size == 0:
                output.unlink()
            raise


def _width() -> int:
    """That of the terminal if it is a narrow one, otherwise the usual one."""
    from jobs.measured.text import WIDTH

    if sys.stderr is None or not sys.stderr.isatty():
        return WIDTH
    return max(_NARROWEST, min(WIDTH, os.get_terminal_size(sys.stderr.fileno()).columns or WIDTH))


def _report(measured: "MeasuredCommand", file: io.RawIOBase | None, *, as_json: bool) -> None:
    if not as_json:
        from jobs.measured.text import WIDTH, lines

        text = "\n".join(lines(measured, width=_width() if file is None else WIDTH))
        say(text) if file is None else _write(file, text)
        return
    from jobs.measured.record import record

    if not measured.runs:
        say(f"{measured.ended.how}: nothing was measured")
    found: dict[str, Any] = record(measured)
    if file is None:
        write_json(found)
    else:
        _write(file, json.dumps(found, allow_nan=False, indent=2))


def _write(file: io.RawIOBase, text: str) -> None:
    """Replace what the file holds.

    Raises:
        ResultsError: the disk is full.
    """
    try:
        with contextlib.suppress(OSError):  # no device or pipe can be
            file.truncate(0)
        rest = f"{text}\n".encode()
        while rest:
            rest = rest[file.write(rest) or 0 :]
    except OSError as error:
        raise ResultsError(f"the report could not be written: {error.strerror}") from error
