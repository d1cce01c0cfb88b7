"""The processor as it is set up: model, frequency control, turbo, SMT and idle states."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from jobs.host.settings import governor_files, turbo_state
from jobs.sysfs import numbered, packages, text

CPU = "sys/devices/system/cpu"


def processor(root: Path) -> dict[str, Any]:
    """Model, microcode, numbers of CPUs and sockets, and everything that decides the frequency."""
    cpu = cpuinfo(root)
    policy = root / CPU / "cpu0/cpufreq"
    return {
        "cpu_model": cpu.get("model name"),
        "microcode": cpu.get("microcode"),
        "cpus": _cpus(root),
        "sockets": len(packages(root)) or None,
        "smt": text(root / CPU / "smt/control"),
        "hypervisor": "hypervisor" in (cpu.get("flags") or "").split(),
        "governor": _governor(root),
        "frequency_driver": text(policy / "scaling_driver"),
        "energy_performance_preference": text(policy / "energy_performance_preference"),
        "energy_performance_bias": text(root / CPU / "cpu0/power/energy_perf_bias"),
        "turbo": turbo_state(root),
    }


def available_cpus() -> int:
    """CPUs that this process may run on."""
    return len(os.sched_getaffinity(0))


def cpuinfo(root: Path) -> dict[str, str]:
    """What /proc/cpuinfo says of the first CPU."""
    lines = (text(root / "proc/cpuinfo") or "").split("\n\n", 1)[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def idle_states(root: Path) -> dict[str, Any] | None:
    """The driver and governor of idle CPUs, the states, and which are disabled on how many CPUs; None without any."""
    folder = root / CPU / "cpuidle"
    states = [text(state / "name") or "?" for state in numbered(root / CPU / "cpu0/cpuidle", "state")]
    driver = text(folder / "current_driver")
    if driver is None and not states:
        return None
    return {
        "driver": driver,
        "governor": text(folder / "current_governor") or text(folder / "current_governor_ro"),
        "states": states,
        "disabled": _disabled(root, states),
    }


def _disabled(root: Path, states: list[str]) -> dict[str, int]:
    """State -> CPUs on which a person has disabled it."""
    cpus = numbered(root / CPU, "cpu") if states else []
    found = Counter(
        name
        for cpu in cpus
        for index, name in enumerate(states)
        if text(cpu / f"cpuidle/state{index}/disable") not in (None, "0")
    )
    return dict(sorted(found.items()))


def _governor(root: Path) -> str | None:
    """The governor; several, joined by commas, where groups of CPUs differ."""
    return ", ".join(sorted({text(file) or "" for file in governor_files(root)})) or None


def _cpus(root: Path) -> int | None:
    if root == Path("/"):
        return os.cpu_count()
    return len(numbered(root / CPU, "cpu")) or None
