"""Checks of the processor and the kernel's set-up: what decides how fast and how evenly the same work runs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jobs import host_state
from jobs.fingerprint.processor import CPU
from jobs.host.settings import NO_TURBO, turbo_file
from jobs.preflight.check import Check, CheckState

_BIASES = {"0": "performance", "4": "balance-performance", "6": "normal", "8": "balance-power", "15": "power"}
_SHALLOW = ("POLL", "C1", "haltpoll")


def processor_checks(root: Path, facts: Mapping[str, Any]) -> Iterator[Check]:
    """Every check of the group."""
    virtual = bool(facts["hypervisor"])
    yield _bare_metal(virtual=virtual)
    yield _governor(facts["governor"])
    yield _turbo(root, facts["turbo"])
    yield _smt(facts["smt"])
    yield _idle_states(facts["idle_states"])
    yield from _bias(facts["energy_performance_bias"])
    yield _numa(facts["numa_balancing"], facts["numa_nodes"])
    yield _huge_pages(facts["transparent_hugepages"])
    yield _clock(facts["clock_source"])
    yield from _sensors(root, CheckState.INFO if virtual else CheckState.WARN)


def _check(name: str, state: CheckState, found: str, why: str, cure: str = "", *commands: str) -> Check:
    return Check(name=name, state=state, found=found, why=why, cure=cure, commands=commands, group="processor")


def _bare_metal(*, virtual: bool) -> Check:
    why = "other guests of the same host use the same counters, caches and clocks"
    if virtual:
        cure = "measure on bare metal; on a virtual machine trust accuracy, not time or energy"
        return _check("bare metal", CheckState.WARN, "a virtual machine", why, cure)
    return _check("bare metal", CheckState.OK, "no hypervisor", why)


def _governor(governor: str | None) -> Check:
    why = "another governor changes the frequency with the load, so that short and long trials are not alike"
    if governor in ("performance", None):
        return _check("governor", CheckState.OK, governor or "none: the kernel does not set the frequency here", why)
    cure = 'write governor = "performance" in [measurement]: a sweep then sets it and restores it. By hand:'
    command = f"echo performance | sudo tee /{CPU}/cpufreq/policy*/scaling_governor"
    return _check("governor", CheckState.WARN, governor or "", why, cure, command)


def _turbo(root: Path, turbo: bool | None) -> Check:
    why = "with turbo the frequency depends on temperature, and on how many cores are busy"
    if turbo is None:
        return _check("turbo", CheckState.INFO, "not to be read", why)
    if not turbo:
        return _check("turbo", CheckState.OK, "off", why)
    path = turbo_file(root) or NO_TURBO
    cure = "write turbo = false in [measurement]: a sweep then sets it and restores it. By hand:"
    return _check("turbo", CheckState.WARN, "on", why, cure, f"echo {int(path == NO_TURBO)} | sudo tee {path}")


def _smt(smt: str | None) -> Check:
    why = "two threads of a core share its units: leave it as it is for all rows of a sweep"
    return _check("SMT", CheckState.INFO, smt or "not to be read", why)


def _idle_states(states: Mapping[str, Any] | None) -> Check:
    why = "without deep idle states the idle machine draws more, and net energy is less of the gross"
    if states is None:
        return _check("idle states", CheckState.INFO, "not to be read", why)
    usable = [each for each in states["states"] if each not in states["disabled"]]
    said = f"{' '.join(states['states']) or 'none'} ({states['driver']}, {states['governor']})"
    said += f"; disabled: {', '.join(states['disabled'])}" if states["disabled"] else ""
    deep = any(not each.startswith(_SHALLOW) for each in usable)
    return _check("idle states", CheckState.OK if deep else CheckState.INFO, said, why)


def _bias(bias: str | None) -> Iterator[Check]:
    if bias is not None:
        named = f"{bias} ({_BIASES[bias]})" if bias in _BIASES else bias
        why = "how much speed the processor gives up for power on its own; it is in the fingerprint"
        yield _check("energy bias", CheckState.INFO, named, why)


def _numa(balancing: str | None, nodes: int | None) -> Check:
    why = "the kernel moves pages between sockets while a trial runs, at moments that differ from trial to trial"
    if balancing in (None, "0") or (nodes or 1) < 2:
        said = "off" if balancing in (None, "0") else "on, but there is one node"
        return _check("NUMA balancing", CheckState.OK, said, why)
    command = "echo 0 | sudo tee /proc/sys/kernel/numa_balancing"
    return _check("NUMA balancing", CheckState.WARN, f"on, between {nodes} nodes", why, "", command)


def _huge_pages(chosen: str | None) -> Check:
    why = "decides how often addresses are looked up: leave it as it is for all rows of a sweep"
    return _check("huge pages", CheckState.INFO, chosen or "not to be read", why)


def _clock(source: str | None) -> Check:
    why = "other clocks cost a microsecond and more each time that they are read, and some step"
    if source in ("tsc", None):
        return _check("clock", CheckState.OK if source else CheckState.INFO, source or "not to be read", why)
    folder = "/sys/devices/system/clocksource/clocksource0"
    cure = "if tsc is available (the first command says so), choose it; the kernel drops one that is unstable:"
    commands = (f"cat {folder}/available_clocksource", f"echo tsc | sudo tee {folder}/current_clocksource")
    return _check("clock", CheckState.WARN, source, why, cure, *commands)


def _sensors(root: Path, missing: CheckState) -> Iterator[Check]:
    """Whether warmth and throttling can be seen at all."""
    state = host_state.read(root)
    why = "trials begin when the packages are as cool as in idle; where they cannot be read, that gate is open"
    if state.temperature_c is None:
        yield _check("temperature", missing, "cannot be read", why, "", "sudo modprobe x86_pkg_temp_thermal")
    else:
        yield _check("temperature", CheckState.OK, f"{state.temperature_c:.0f} °C, the hottest package", why)
    why = "a package that throttles does the same work slower: such rows are flagged, where it can be seen"
    if state.throttle_events is None:
        cure = "the kernel shows it on Intel processors on bare metal only"
        yield _check("throttling", missing, "cannot be read", why, cure)
    else:
        yield _check("throttling", CheckState.OK, f"readable; {state.throttle_events} since boot", why)
