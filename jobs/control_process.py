"""The control's own process: one child a CPU, all at the same fixed work between one release and the last one's end.

The children are forked once torch and the network are loaded, so that a node with many CPUs holds them once (a child
adds about 5 MB), and before this process has any thread; each runs on a CPU of its own with one thread.
"""

import json
import os
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from jobs import host_state
from jobs.control import CONTROL_ORDERS, WEIGHTS, Amounts, ControlOrder, amounts, control_id, has_net
from jobs.own_process import be_nice_to_nobody, end_with
from jobs.trial_process import DONE, FAILED, open_meter
from sipa.energy.window import EnergyWindow, Flag
from sipa.errors import TrialError

WARM_UP_SHARE = 0.1
"""Of the work, before the window: caches, clocks and the package are then as they stay."""

_MODULUS = (1 << 2048) - 1942289
_EXPONENT = (1 << 256) - 1
_BASE = int.from_bytes(bytes(range(1, 251)), "big")

Work = Callable[[float], None]
"""Does a share of the fixed work."""


def run_control_order(path: Path, *, messages: IO[str], lifeline: int | None) -> int:
    """Run the control in an order file and write its findings beside it.

    Args:
        path: `control.json`.
        messages: where progress goes, one JSON object a line.
        lifeline: descriptor whose end-of-file ends this process; None by hand.

    Returns:
        The process' exit code: 0, or 6 when the findings hold a reason.
    """
    order = CONTROL_ORDERS.read(path)
    try:
        be_nice_to_nobody()
        found = _measure(order, messages, lifeline)
    except Exception as error:  # noqa: BLE001 whatever goes wrong is the control's reason, told to the worker
        traceback.print_exc()
        found = {"reason": f"{type(error).__name__}: {error}"}
    aside = order.findings.with_suffix(".part")
    aside.write_text(json.dumps(found, allow_nan=False))
    aside.replace(order.findings)
    return FAILED if found.get("reason") else DONE


def _measure(order: ControlOrder, messages: IO[str], lifeline: int | None) -> dict[str, Any]:
    _tell(messages, "load")
    nominal_s, net = order.measurement.control_s, has_net()
    cpus = sorted(os.sched_getaffinity(0))
    work = prepare(amounts(nominal_s, net=net))
    # The worker takes the end of the messages for ours, so no child may hold them open.
    unwanted = () if lifeline is None else (messages.fileno(),)
    crew = start(work, cpus, unwanted=unwanted)
    end_with(lifeline)
    with open_meter(order.measurement, order.root) as meter:
        _tell(messages, "warmup")
        crew.wait_until_ready()
        _tell(messages, "control")
        with meter.window("control") as window:
            crew.run()
        energy = window.energy
    return {
        "control_id": control_id(nominal_s, net=net, processes=len(cpus)),
        "duration_s": energy.duration_s,
        "temperature_end_c": host_state.read(order.root).temperature_c,
        **_energies(energy),
    }


def _energies(window: EnergyWindow) -> dict[str, Any]:
    """Its joules; none of those that cannot be right, because others are judged by them."""
    reason = window.reason or ""
    if window.total_j is None or Flag.IMPLAUSIBLE in window.flags:
        return {"energy_total_j": None, "energy_pkg_j": None, "reason": reason or f"{window.source} gave no energy"}
    return {"energy_total_j": window.total_j, "energy_pkg_j": window.package_j}


def prepare(asked: Amounts) -> Work:
    """Load what the work needs; what is returned runs in a fork of this process."""
    one_pass = _network() if asked.net else None

    def work(share: float) -> None:
        if one_pass is not None:
            for _ in range(max(1, round(asked.net * share))):
                one_pass()
        _powers(max(1, round(asked.loop * share)))

    return work


def _powers(count: int) -> int:
    """The plain loop: integers of 2048 bits in portable C, the same instructions on every x86.

    Hashing would be shorter, but is three times as fast on CPUs with instructions for it.
    """
    value = _BASE
    for _ in range(count):
        value = pow(value, _EXPONENT, _MODULUS)
    return value


def _network() -> Callable[[], None]:
    """One pass of the smallest shipped network over one fixed image, the reference way, in one thread."""
    import torch

    from jobs.detection.detector import Detector, Execution

    torch.set_num_threads(1)
    detector = Detector.load(WEIGHTS, execution=Execution.REFERENCE)
    side = detector.image_size
    values = torch.arange(3 * side * side, dtype=torch.int64) * 2654435761 % 2**32 // 2**24
    pixels = (values.to(torch.float32) / 255).reshape(1, 3, side, side)

    def one_pass() -> None:
        with torch.inference_mode():
            detector.network.predict(pixels)

    return one_pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Children that are about to work.

    Attributes:
        children: process ids.
        ready: readable once for each child that has warmed up; at its end when no other will.
        release: takes a byte for each child, which lets it begin.
    """

    children: Sequence[int]
    ready: int
    release: int

    def wait_until_ready(self) -> None:
        """Wait until every child has warmed up.

        Raises:
            TrialError: some died.
        """
        count = 0
        while found := os.read(self.ready, len(self.children)):
            count += len(found)
        os.close(self.ready)
        if count < len(self.children):
            raise TrialError(f"{len(self.children) - count} of {len(self.children)} processes died while warming up")

    def run(self) -> None:
        """Let all begin at once and wait for the last.

        Raises:
            TrialError: some died, or stopped on an error.
        """
        os.write(self.release, bytes(len(self.children)))
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in self.children]
        os.close(self.release)
        if bad := [end for end in ends if end != DONE]:
            raise TrialError(f"{len(bad)} of {len(ends)} processes ended with {', '.join(map(str, sorted(set(bad))))}")


def start(work: Work, cpus: Sequence[int], *, unwanted: Sequence[int] = ()) -> Crew:
    """Fork a child for each CPU; each warms up and then waits to be released.

    Args:
        work: what each does.
        cpus: numbers of the CPUs, one for each child.
        unwanted: descriptors that no child is to hold open.
    """
    ready, say_ready = os.pipe()
    wait, release = os.pipe()
    children = []
    for cpu in cpus:
        child = os.fork()
        if child == 0:
            _be_child(work, cpu, say_ready, wait, unwanted=(ready, release, *unwanted))
        children.append(child)
    os.close(say_ready)
    os.close(wait)
    return Crew(children=children, ready=ready, release=release)


def _be_child(work: Work, cpu: int, say_ready: int, wait: int, *, unwanted: Sequence[int]) -> NoReturn:
    """A child's whole life. It never returns, or it would go on as its parent."""
    code = FAILED
    try:
        for descriptor in unwanted:
            os.close(descriptor)
        with suppress(OSError):
            os.sched_setaffinity(0, {cpu})
        work(WARM_UP_SHARE)
        os.write(say_ready, b"\0")
        os.close(say_ready)
        # End-of-file: the parent died.
        if os.read(wait, 1):
            work(1.0)
            code = DONE
    except BaseException:  # noqa: BLE001 a child must not unwind into its parent's code
        traceback.print_exc()
    finally:
        os._exit(code)


def _tell(messages: IO[str], phase: str) -> None:
    with suppress(OSError):
        messages.write(json.dumps({"phase": phase, "fraction": None, "detail": ""}) + "\n")
        messages.flush()
