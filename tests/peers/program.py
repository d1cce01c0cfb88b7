"""One energy meter, ours or another's, as a program that begins and ends windows when it is told to.

    python program.py TOOL                 reads `begin`, `end` and `quit` from its input, answers a JSON object each
    python program.py TOOL --windows 100   so many windows of a second one after the other, then one JSON object
    python program.py ours --root DIR ...  ours can also be told where /sys is

It imports nothing but the standard library and the meter, so it also runs in an environment that has only that.
The others run as they are published; an error of theirs is an answer too.
"""

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, Protocol

J_PER_KWH = 3.6e6


class Tool(Protocol):
    """A meter behind the same two calls."""

    def begin(self) -> None: ...

    def end(self) -> Any:
        """End the window, as its users do."""

    def tell(self, ended: Any) -> dict[str, Any]:
        """Joules of `package` and `dram` by socket as it names them (`all`: it does not tell them apart)."""


class Nothing:
    """No meter: what the loop itself costs."""

    def begin(self) -> None:
        pass

    def end(self) -> None:
        pass

    def tell(self, ended: None) -> dict[str, Any]:
        return {}


class Ours:
    def __init__(self, root: str = "/") -> None:
        from sipa.energy import EnergyMeter

        self._meter = EnergyMeter(["powercap"], root=Path(root))

    def begin(self) -> None:
        self._token = self._meter.begin()

    def end(self) -> Any:
        return self._meter.end(self._token)

    def tell(self, ended: Any) -> dict[str, Any]:
        from sipa.energy import DomainKind, sum_j

        sockets = sorted({each.domain.package for each in ended.parts() if each.domain.package is not None})
        found: dict[str, Any] = {
            kind: {str(socket): sum_j(parts) for socket in sockets if (parts := ended.parts(kind, socket))}
            for kind in (DomainKind.PACKAGE, DomainKind.DRAM)
        }
        return {**found, "total": {"all": ended.total_j}, "reason": ended.reason, "flags": list(ended.flags)}


class Zeus:
    def __init__(self) -> None:
        from zeus.monitor import ZeusMonitor  # type: ignore[import-not-found]

        self._monitor = ZeusMonitor(gpu_indices=[])

    def begin(self) -> None:
        self._monitor.begin_window("window", sync_execution=False)

    def end(self) -> Any:
        return self._monitor.end_window("window", sync_execution=False)

    def tell(self, ended: Any) -> dict[str, Any]:
        return {"package": _by_text(ended.cpu_energy), "dram": _by_text(ended.dram_energy)}


class CodeCarbon:
    """A tracker a window, offline, as its decorator does it."""

    def __init__(self, **options: object) -> None:
        import codecarbon  # type: ignore[import-not-found]

        self._make = codecarbon.OfflineEmissionsTracker
        self._options = {
            "country_iso_code": "USA",
            "save_to_file": False,
            "log_level": "error",
            "allow_multiple_runs": True,
            **options,
        }

    def begin(self) -> None:
        self._tracker = self._make(**self._options)
        self._tracker.start()

    def end(self) -> Any:
        self._tracker.stop()
        return self._tracker.final_emissions_data

    def tell(self, ended: Any) -> dict[str, Any]:
        return {
            "package": {"all": ended.cpu_energy * J_PER_KWH},
            "dram": {},
            "ram as estimated": {"all": ended.ram_energy * J_PER_KWH},
        }


class CodeCarbonDram(CodeCarbon):
    """With the option that promises DRAM."""

    def __init__(self) -> None:
        super().__init__(rapl_include_dram=True)

    def tell(self, ended: Any) -> dict[str, Any]:
        return {"package and dram": super().tell(ended)["package"]}


class PyJoules:
    def __init__(self) -> None:
        from pyJoules.device import DeviceFactory  # type: ignore[import-not-found]
        from pyJoules.energy_meter import EnergyMeter  # type: ignore[import-not-found]

        self._meter = EnergyMeter(DeviceFactory.create_devices())

    def begin(self) -> None:
        self._meter.start()

    def end(self) -> Any:
        self._meter.stop()
        return self._meter.get_trace()[0].energy

    def tell(self, ended: Any) -> dict[str, Any]:
        found: dict[str, dict[str, float | None]] = {"package": {}, "dram": {}}
        for name, value_uj in ended.items():
            kind, _, socket = name.rpartition("_")
            found.setdefault(kind, {})[socket] = value_uj / 1e6
        return found


TOOLS: dict[str, type[Any]] = {
    "nothing": Nothing,
    "ours": Ours,
    "zeus": Zeus,
    "codecarbon": CodeCarbon,
    "codecarbon-dram": CodeCarbonDram,
    "pyjoules": PyJoules,
}


def answer_commands(tool: str) -> None:
    """Do what each line of the input says."""
    meter: Tool | None = None
    for line in sys.stdin:
        command = line.strip()
        answer: dict[str, Any] = {}
        try:
            if command == "quit":
                break
            if command == "open":
                meter = TOOLS[tool]()
            elif meter is None:
                raise RuntimeError("was never opened")
            elif command == "begin":
                meter.begin()
            else:
                answer = meter.tell(meter.end())
        except Exception as error:  # noqa: BLE001 - an error is what the table is to show
            answer = {"error": f"{type(error).__name__}: {error}"}
        _say(answer)


def run_windows(tool: str, number: int, seconds: float, options: dict[str, str]) -> None:
    """Windows of sleep, one after the other: what they found, and what they and the start cost."""
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    meter: Tool = TOOLS[tool](**options)
    start = {"start_s": time.perf_counter() - began_s, "start_cpu_s": time.process_time() - began_cpu_s}
    loop_s, loop_cpu_s = time.perf_counter(), time.process_time() + _children_cpu_s()
    made = [_window(meter, seconds) for _ in range(number)]
    wall_s, cpu_s = time.perf_counter() - loop_s, time.process_time() + _children_cpu_s() - loop_cpu_s
    windows = [{"times_ns": times_ns, "found": meter.tell(ended)} for times_ns, ended in made]
    _say({"tool": tool, **start, "wall_s": wall_s, "cpu_s": cpu_s, "windows": windows})


def _window(meter: Tool, seconds: float) -> tuple[list[int], Any]:
    """The clock before and after each of a window's two calls, and what the second returned."""
    times_ns = [time.monotonic_ns()]
    meter.begin()
    times_ns.append(time.monotonic_ns())
    time.sleep(seconds)
    times_ns.append(time.monotonic_ns())
    ended = meter.end()
    times_ns.append(time.monotonic_ns())
    return times_ns, ended


def _children_cpu_s() -> float:
    """CPU time of all descendants, those that have ended included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + _living_ticks(os.getpid()) / os.sysconf("SC_CLK_TCK")


def _living_ticks(parent: int) -> int:
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            # utime, stime, and those of children that have ended
            ticks += sum(map(int, fields[11:15])) + _living_ticks(int(folder.name))
    return ticks


def _by_text(energies: dict[int, float] | None) -> dict[str, float | None]:
    """None: the tool has no such number at all."""
    return {} if energies is None else {str(index): value for index, value in energies.items()}


def _say(facts: dict[str, Any]) -> None:
    _ANSWERS.write(json.dumps(facts) + "\n")
    _ANSWERS.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", choices=TOOLS)
    parser.add_argument("--windows", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--root", help="where sys is; only ours can be told")
    given = parser.parse_args()
    if given.windows:
        run_windows(given.tool, given.windows, given.seconds, {"root": given.root} if given.root else {})
    else:
        answer_commands(given.tool)


if __name__ == "__main__":
    # What a meter prints must not pass for an answer.
    _ANSWERS = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    main()
