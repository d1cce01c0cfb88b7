"""Any command as a workload: factors go into the command line, metrics come back as one JSON line.

The measured window is the process as a whole, or what lies between two marker lines. A window that is too short is
filled by running the command again; with markers it cannot be, and the row is flagged.
"""

import hashlib
import json
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from jobs.memory import children_peak_bytes
from jobs.order import TrialOrder
from jobs.output import lines
from jobs.workload import INFERENCE, Findings, Recorder
from sipa.errors import TrialCrash, TrialOutputError, WorkloadError
from sipa.spec.model import CommandOutput, SweepSpec
from sipa.spec.placeholders import arguments, fill
from sipa.trial import Row
from sipa.workloads import Value, ValueType

_JSON_TYPES: dict[ValueType, tuple[type, ...]] = {
    ValueType.INTEGER: (int,),
    ValueType.NUMBER: (int, float),
    ValueType.TEXT: (str,),
    ValueType.BOOLEAN: (bool,),
}


def inputs_digest(output: CommandOutput, values: Mapping[str, Value], folder: Path) -> str | None:
    """SHA-256 over the names and contents of the files that the spec calls inputs; None if it names none.

    Raises:
        WorkloadError: an input that cannot be read.
    """
    if not output.inputs:
        return None
    found = hashlib.sha256()
    for template in output.inputs:
        path = folder / fill(template, values)
        try:
            content = hashlib.sha256(path.read_bytes()).digest()
        except OSError as error:
            raise WorkloadError(
                f"{path}: named in workload.inputs, cannot be read: {error.strerror}. Paths are relative to the "
                "sweep file's folder."
            ) from error
        found.update(fill(template, values).encode() + b"\0" + content)
    return found.hexdigest()


def unwatched_files(spec: SweepSpec) -> tuple[str, ...]:
    """Files that the command names and `inputs` does not: their edits do not make trials new."""
    folder = spec.source.resolve().parent
    commands = [value for name, value in spec.workload.fixed if name == "command"]
    words = [word for command in commands for word in shlex.split(str(command)) if "{" not in word]
    return tuple(word for word in words if word not in spec.workload.output.inputs and (folder / word).is_file())


def run(order: TrialOrder, recorder: Recorder) -> Findings:
    """Run the command, once or until the window is long enough."""
    values = order.trial.treatment.parameters
    output = order.output
    command = arguments(str(values["command"]), values)
    _check_inputs(order)
    findings: list[Row] = []
    if output.begin_marker is None:
        with recorder.phase(INFERENCE):
            findings += _repeatedly(command, order, recorder)
    else:
        findings.append(_between_markers(command, order, recorder))
    _check_inputs(order)
    return _findings(findings, output, order, recorder)


def _check_inputs(order: TrialOrder) -> None:
    """The files must be those whose hash the row will bear, before the command runs and after it.

    Raises:
        WorkloadError: they changed since the sweep was planned.
    """
    planned = order.trial.treatment.contents.get("inputs_sha256")
    if planned != inputs_digest(order.output, order.trial.treatment.parameters, order.source_folder):
        raise WorkloadError(
            "a file named in workload.inputs changed since the sweep was planned. Run the sweep again: it is planned "
            "anew, with the file as it is now."
        )


def _repeatedly(command: list[str], order: TrialOrder, recorder: Recorder) -> Iterator[Row]:
    wanted = order.measurement.min_window_s
    while True:
        found: dict[str, Any] | None = None
        with _Process(command, order, recorder) as process:
            for line in process.lines():
                found = _object(line) or found
        yield _checked(found, order.output)
        recorder.progress(min(1.0, recorder.elapsed_s() / wanted) if wanted else 1.0)
        if recorder.elapsed_s() >= wanted:
            return


def _between_markers(command: list[str], order: TrialOrder, recorder: Recorder) -> Row:
    output, stages = order.output, iter(("load", INFERENCE, "score"))
    found: dict[str, Any] | None = None
    markers = [output.begin_marker, output.end_marker]
    length = 0.0
    with _Process(command, order, recorder) as process, ExitStack() as phase:
        phase.enter_context(recorder.phase(next(stages)))
        for line in process.lines():
            if markers and line == markers[0]:
                # The second time round this is the length of what lay between the two.
                length = recorder.elapsed_s()
                markers.pop(0)
                phase.close()
                phase.enter_context(recorder.phase(next(stages)))
            else:
                found = _object(line) or found
    if markers:
        raise TrialOutputError(
            f"the marker line {markers[0]!r} never came on standard output of {shlex.join(command)}. "
            "Print it on a line of its own and flush."
        )
    if length < order.measurement.min_window_s:
        recorder.flag(f"window: {length:.3g} s between the markers, less than {order.measurement.min_window_s:g} s")
    return _checked(found, output)


def _findings(found: list[Row], output: CommandOutput, order: TrialOrder, recorder: Recorder) -> Findings:
    metrics = [{name: row[name] for name, _ in output.metrics} for row in found]
    differing = sorted({name for row in metrics for name, value in row.items() if value != metrics[-1][name]})
    if differing:
        recorder.flag(f"metrics: {', '.join(differing)} differ between passes; the last one stands in the row")
    work = math.fsum(row[output.work_key] for row in found) if output.work_key else float(len(found))
    images = int(work) if output.work_unit == "image" else None
    if work <= 0 or images not in (None, work):
        raise TrialOutputError(
            f"the work done in {len(found)} passes is {work:g} {output.work_unit}s: it must be more than 0"
            + ("" if images is None else ", and whole images")
        )
    columns: Row = {**metrics[-1], "memory_peak_bytes": children_peak_bytes()}
    if "inputs_sha256" in order.trial.treatment.contents:
        columns["inputs_sha256"] = order.trial.treatment.contents["inputs_sha256"]
    return Findings(
        work_unit=output.work_unit,
        work_units=work,
        images=images,
        passes=len(found),
        columns=columns,
    )


def _object(line: str) -> dict[str, Any] | None:
    """The JSON object that a line is, or None."""
    if not (line.startswith("{") and line.endswith("}")):
        return None
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return found


def _checked(found: dict[str, Any] | None, output: CommandOutput) -> Row:
    """The declared keys of the last JSON object that was printed.

    Raises:
        TrialOutputError: none was, a key is missing, or a value is of another type.
    """
    wanted = dict(output.metrics)
    if output.work_key is not None:
        wanted.setdefault(output.work_key, ValueType.NUMBER)
    if not wanted:
        return {}
    if found is None:
        example = json.dumps(dict.fromkeys(wanted, 0))
        raise TrialOutputError(
            f"no JSON line on standard output, but the spec declares {', '.join(wanted)}. Print one line like {example}"
        )
    return {name: _value(name, found, kind) for name, kind in wanted.items()}


def _value(name: str, found: dict[str, Any], kind: ValueType) -> Any:
    if name not in found:
        raise TrialOutputError(f"the JSON line has no key {name!r}, which the spec declares; it has {sorted(found)}")
    value: Any = found[name]
    if not isinstance(value, _JSON_TYPES[kind]) or (isinstance(value, bool) and kind is not ValueType.BOOLEAN):
        raise TrialOutputError(f"the JSON line's {name} is {value!r}, but the spec declares a {kind.value}")
    if reason := _unfit(found[name]):
        raise TrialOutputError(f"the JSON line's {name} is {value!r}: {reason}")
    return float(found[name]) if kind is ValueType.NUMBER else value


def _unfit(value: Any) -> str | None:
    """Why a value of the right type cannot be stored, or None."""
    if isinstance(value, str):
        return None if value.isascii() or value == value.encode(errors="replace").decode() else "not a Unicode text"
    if isinstance(value, float) and not math.isfinite(value):
        return "not a finite number"
    return "beyond 64 bits" if not -(2**63) <= value < 2**63 else None


@dataclass
class _Process:
    """The user's command: standard output is read, standard error goes to the log."""

    command: list[str]
    order: TrialOrder
    recorder: Recorder

    def __enter__(self) -> Self:
        try:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.order.source_folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
        except OSError as error:
            raise WorkloadError(
                f"{self.command[0]}: cannot be started in {self.order.source_folder}: {error.strerror}"
            ) from error
        return self

    def lines(self) -> Iterator[str]:
        """Lines of standard output as they come, also written to the log."""
        return lines(self._process, self._lingers)

    def _lingers(self) -> None:
        self.recorder.flag(
            f"output: {self.command[0]} ended, but something that it started kept its output open and was left behind"
        )

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if kind is not None:
            self._process.kill()
        code = self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        if kind is None and code != 0:
            raise TrialCrash(
                f"{shlex.join(self.command)} {_ended(code)}. Its output stands in the log; run it by hand in "
                f"{self.order.source_folder}."
            )


def _ended(code: int) -> str:
    return f"exited with {code}" if code > 0 else f"was killed by signal {-code}"


def _environment() -> dict[str, str]:
    """`python` in a command is the interpreter that sipa-cluster runs in, also where its environment is not active."""
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
